
say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
json='Content-Type=application/json'

signed_in=$(az account show --query tenantId --output tsv) ||
    fail "sign in first: az login --tenant $directory"
say "directory $signed_in, as it is signed in now"

ids() { az rest --method GET --url "$graph/$1" --query "$2" --output tsv; }

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
    for app in $(ours "$name" "$known"); do
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
            for password in $(ids "$on?\$select=passwordCredentials" 'passwordCredentials[].keyId'); do
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
            for owner in $(ids "$on/owners?\$select=id" 'value[].id'); do
                [ "$owner" != "$steward" ] || continue
                az rest --method DELETE --url "$graph/$on/owners/$owner/\$ref" --output none
                say "    owner $owner removed from $on"
            done
        done
        for trust in $(ids "applications/$object/federatedIdentityCredentials" 'value[].id'); do
            az rest --method DELETE --output none \
                --url "$graph/applications/$object/federatedIdentityCredentials/$trust"
            say "    federated credential $trust removed"
        done
        if [ -n "$sp" ]; then cut_rights "$@"; fi
    done
}

# Takes away every grant of the service principal but those named.
cut_rights() {
    keep=
    for right in "$@"; do
        keep="$keep $(az ad sp show --id 00000003-0000-0000-c000-000000000000 \
            --query "appRoles[?value=='$right'].id" --output tsv)"
    done
    for assignment in $(ids "servicePrincipals/$sp/appRoleAssignments?\$top=999" 'value[].id'); do
        role=$(ids "servicePrincipals/$sp/appRoleAssignments/$assignment" appRoleId)
        case " $keep " in
        *" $role "*) ;;
        *)
            az rest --method DELETE --output none \
                --url "$graph/servicePrincipals/$sp/appRoleAssignments/$assignment"
            say "    right $role taken away"
            ;;
        esac
    done
}

# reopen NAME FUNCTION APPLICATION-ID: with the new certificate, where there is one.
reopen() {
    [ -f "$fresh/$2.pem" ] || return 0
    for app in $(ours "$1" "$3"); do
        there=$(az ad app credential list --id "$app" --cert --query '[].keyId' --output tsv)
        [ -z "$there" ] || fail "$1 ($app) still has keys: $there. Run 'sh $0 shut' first"
        az ad app credential reset --id "$app" --append --cert "@$fresh/$2.pem" --output none
        sp=$(az ad sp list --filter "appId eq '$app'" --query '[].id' --output tsv)
        az rest --method PATCH --url "$graph/servicePrincipals/$sp" --headers "$json" \
            --body '{"accountEnabled":true}' --output none
        say "$1 ($app): has the new certificate, and is enabled again"
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

