
say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
json='Content-Type=application/json'

signed_in=$(az account show --query tenantId --output tsv) ||
    fail "sign in first: az login --tenant $directory"
case $directory in
*.*) say "directory $signed_in, as az is signed in now" ;;
"$signed_in") ;;
*) fail "az is signed in to $signed_in: az login --tenant $directory" ;;
esac

# What cannot be read ends the script: nobody may take it for empty. So it is put into a variable first.
ids() {
    got=$(az rest --method GET --url "$graph/$1" --query "$2" --output tsv) || fail "cannot read $1"
    printf %s "$got" | tr -d '\r'
}

# Names and ids of permissions, one a line.
roles=$(az ad sp show --id 00000003-0000-0000-c000-000000000000 \
    --query 'appRoles[].[value,id]' --output tsv | tr -d '\r')

# The application ids of an application of ours: the one that we know, else all with that name. A second
# one of that name is not ours either.
ours() {
    if [ -n "$2" ]; then printf '%s\n' "$2"; return; fi
    az ad app list --filter "displayName eq '$1'" --query '[].appId' --output tsv
}

# shut NAME APPLICATION-ID [RIGHT…]: no token any more; every key, password, federated credential and
# foreign owner goes, and every grant but those named.
shut() {
    name=$1 known=$2
    shift 2
    applications=$(ours "$name" "$known")
    for app in $applications; do
        say "$name ($app)"
        sp=$(az ad sp list --filter "appId eq '$app'" --query '[].id' --output tsv)
        object=$(az ad app show --id "$app" --query id --output tsv)
        # First of all: what is shut gets no new token, whatever else is still there.
        if [ -n "$sp" ]; then
            az rest --method PATCH --url "$graph/servicePrincipals/$sp" --headers "$json" \
                --body '{"accountEnabled":false}' --output none
            say "    service principal disabled"
        fi
        for on in "applications/$object" ${sp:+"servicePrincipals/$sp"}; do
            passwords=$(ids "$on?\$select=passwordCredentials" 'passwordCredentials[].keyId')
            for password in $passwords; do
                az rest --method POST --url "$graph/$on/removePassword" --headers "$json" \
                    --body "{\"keyId\":\"$password\"}" --output none
                say "    password $password removed from $on"
            done
            keys=$(ids "$on?\$select=keyCredentials" 'keyCredentials[].keyId')
            if [ -n "$keys" ]; then
                az rest --method PATCH --url "$graph/$on" --headers "$json" \
                    --body '{"keyCredentials":[]}' --output none
                say "    keys removed from $on:" $keys
            fi
            owners=$(ids "$on/owners?\$select=id" 'value[].id')
            for owner in $owners; do
                [ "$owner" != "$steward" ] || continue
                az rest --method DELETE --url "$graph/$on/owners/$owner/\$ref" --output none
                say "    owner $owner removed from $on"
            done
        done
        trusts=$(ids "applications/$object/federatedIdentityCredentials" 'value[].id')
        for trust in $trusts; do
            az rest --method DELETE --output none \
                --url "$graph/applications/$object/federatedIdentityCredentials/$trust"
            say "    federated credential $trust removed"
        done
        if [ -n "$sp" ]; then cut_rights "$@"; fi
    done
}

# Takes away every grant of the service principal but those named.
cut_rights() {
    # Without names nobody knows which to keep. What is shut can do nothing with them.
    [ -n "$roles" ] || { say "    rights not looked at: the names of permissions cannot be read"; return 0; }
    keep=
    for right in "$@"; do
        keep="$keep $(printf '%s\n' "$roles" | awk -v word="$right" '$1 == word { print $2 }')"
    done
    granted=$(ids "servicePrincipals/$sp/appRoleAssignments?\$top=999" 'value[].[appRoleId,id]')
    printf '%s\n' "$granted" | while read -r role assignment; do
        case " $keep " in
        *" $role "*) continue ;;
        esac
        [ -n "$role" ] || continue
        az rest --method DELETE --output none \
            --url "$graph/servicePrincipals/$sp/appRoleAssignments/$assignment"
        say "    right $role taken away"
    done
}

# reopen NAME FUNCTION APPLICATION-ID KEYS: with the new certificate. Where KEYS is none, the application
# gets one only when it is needed, and is enabled without.
reopen() {
    [ -f "$fresh/$2.pem" ] || [ "$4" = none ] || return 0
    applications=$(ours "$1" "$3")
    for app in $applications; do
        there=$(az ad app credential list --id "$app" --cert --query '[].keyId' --output tsv)
        [ -z "$there" ] || fail "$1 ($app) still has keys: $there. Run 'sh $0 shut' first"
        if [ -f "$fresh/$2.pem" ]; then
            az ad app credential reset --id "$app" --append --cert "@$fresh/$2.pem" --output none
            say "$1 ($app): has the new certificate"
        fi
        sp=$(az ad sp list --filter "appId eq '$app'" --query '[].id' --output tsv)
        az rest --method PATCH --url "$graph/servicePrincipals/$sp" --headers "$json" \
            --body '{"accountEnabled":true}' --output none
        say "$1 ($app): enabled again"
    done
}

# The steward stays an owner of the others, when it is one of ours.
steward=
stewards() {
    app=$(ours "$1" "$2")
    case $app in
    *[[:space:]]*) say "several applications are called '$1': none of them stays an owner" ;;
    ?*) steward=$(az ad sp list --filter "appId eq '$app'" --query '[].id' --output tsv) ;;
    esac
}

