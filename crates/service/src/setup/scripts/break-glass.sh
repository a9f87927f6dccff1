case $directory in
*.*) say "directory $signed_in, as az is signed in now" ;;
"$signed_in") ;;
*) fail "az is signed in to $signed_in: az login --tenant $directory" ;;
esac
failures=
name=
app=

# What fails does not stop the rest. It is said at the end.
failed() {
    say "    FAILED: $1"
    failures="$failures
    $name${app:+ ($app)}: $1"
}

# attempt WHAT COMMAND…
attempt() {
    what=$1
    shift
    if "$@"; then say "    $what"; else failed "$what"; fi
}

finish() {
    [ -z "$failures" ] || fail "this could not be done; run it again, or do it by hand:$failures"
}

# Names and ids of permissions, one a line.
roles=$(az ad sp show --id 00000003-0000-0000-c000-000000000000 \
    --query 'appRoles[].[value,id]' --output tsv | tr -d '\r')

# The application ids of an application of ours: the one that we know, else all with that name. A second
# one of that name is not ours either.
ours() {
    if [ -n "$2" ]; then printf '%s\n' "$2"; else named "$1"; fi
}

# shut NAME APPLICATION-ID [RIGHT…]: no token any more; every key, password, federated credential and
# foreign owner goes, and every grant but those named.
shut() {
    name=$1 known=$2 app=
    shift 2
    applications=$(ours "$name" "$known") || failed "which application it is"
    for app in $applications; do
        say "$name ($app)"
        sp=$(principal_of "$app") || failed "which service principal it has"
        # First of all: what is shut gets no new token, whatever else is still there.
        if [ -n "$sp" ]; then
            attempt 'service principal disabled' az rest --method PATCH --output none \
                --url "$graph/servicePrincipals/$sp" --headers "$json" --body '{"accountEnabled":false}'
        fi
        object=$(az ad app show --id "$app" --query id --output tsv | tr -d '\r')
        [ -n "$object" ] || failed "application read"
        for on in ${object:+"applications/$object"} ${sp:+"servicePrincipals/$sp"}; do
            empty_object
        done
        if [ -n "$object" ]; then
            trusts=$(ids "applications/$object/federatedIdentityCredentials" 'value[].id') ||
                failed "federated credentials read"
            for trust in $trusts; do
                attempt "federated credential $trust removed" az rest --method DELETE --output none \
                    --url "$graph/applications/$object/federatedIdentityCredentials/$trust"
            done
        fi
        if [ -n "$sp" ]; then cut_rights "$@"; fi
    done
}

# Takes passwords, keys and foreign owners from one object.
empty_object() {
    passwords=$(ids "$on?\$select=passwordCredentials" 'passwordCredentials[].keyId') ||
        failed "passwords of $on read"
    for password in $passwords; do
        attempt "password $password removed from $on" az rest --method POST --output none \
            --url "$graph/$on/removePassword" --headers "$json" --body "{\"keyId\":\"$password\"}"
    done
    # What cannot be read may have keys.
    keys=$(ids "$on?\$select=keyCredentials" 'keyCredentials[].keyId') || keys='(not read)'
    if [ -n "$keys" ]; then
        attempt "keys removed from $on: $(printf '%s' "$keys" | tr '\n' ' ')" \
            az rest --method PATCH --output none \
            --url "$graph/$on" --headers "$json" --body '{"keyCredentials":[]}'
    fi
    owners=$(ids "$on/owners?\$select=id" 'value[].id') || failed "owners of $on read"
    for owner in $owners; do
        [ "$owner" != "$steward" ] || continue
        attempt "owner $owner removed from $on" \
            az rest --method DELETE --url "$graph/$on/owners/$owner/\$ref" --output none
    done
}

# Takes away every grant of the service principal but those named.
cut_rights() {
    # Without names nobody knows which to keep. What is shut can do nothing with them.
    [ -n "$roles" ] || { failed "rights looked at: the names of permissions cannot be read"; return 0; }
    keep=
    for right in "$@"; do
        keep="$keep $(printf '%s\n' "$roles" | awk -v word="$right" '$1 == word { print $2 }')"
    done
    granted=$(ids "servicePrincipals/$sp/appRoleAssignments?\$top=999" 'value[].[appRoleId,id]') ||
        failed "rights read"
    role=
    for word in $granted; do
        # Two words each: the right, and its assignment.
        if [ -z "$role" ]; then role=$word; continue; fi
        case " $keep " in
        *" $role "*) ;;
        *)
            attempt "right $role taken away" az rest --method DELETE --output none \
                --url "$graph/servicePrincipals/$sp/appRoleAssignments/$word"
            ;;
        esac
        role=
    done
}

# reopen NAME FUNCTION APPLICATION-ID KEYS: with the new certificate. Where KEYS is none, the application
# gets one only when it is needed, and is enabled without.
reopen() {
    [ -f "$fresh/$2.pem" ] || [ "$4" = none ] || return 0
    name=$1 app=
    applications=$(ours "$1" "$3") || failed "which application it is"
    for app in $applications; do
        if ! there=$(az ad app credential list --id "$app" --cert --query '[].keyId' --output tsv); then
            failed "keys read"
            continue
        fi
        if [ -n "$there" ]; then
            failed "it still has keys: $there. Run 'sh $0 shut' first"
            continue
        fi
        if [ -f "$fresh/$2.pem" ]; then
            if ! az ad app credential reset --id "$app" --append --cert "@$fresh/$2.pem" --output none; then
                failed "the new certificate added"
                continue
            fi
            say "$1 ($app): has the new certificate"
        fi
        sp=$(principal_of "$app") || sp=
        if [ -z "$sp" ]; then
            failed "its service principal found"
            continue
        fi
        attempt "$1 ($app): enabled again" az rest --method PATCH --output none \
            --url "$graph/servicePrincipals/$sp" --headers "$json" --body '{"accountEnabled":true}'
    done
}

# The steward stays an owner of the others, when it is one of ours. When nobody can tell, none stays.
steward=
stewards() {
    name=$1
    app=$(ours "$1" "$2") || failed "which application it is: it does not stay an owner"
    case $app in
    *[[:space:]]*) say "several applications are called '$1': none of them stays an owner" ;;
    ?*) steward=$(principal_of "$app") || failed "its service principal read: it does not stay an owner" ;;
    esac
}

