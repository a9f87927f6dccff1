
say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
graph_application=00000003-0000-0000-c000-000000000000
clients=
sp=

# What was just made is not known everywhere at once.
patiently() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 12 ] || fail "given up: $*"
        sleep 5
    done
}

# The right directory, before anything is changed.
signed_in=$(az account show --query tenantId --output tsv) ||
    fail "sign in first: az login --tenant $directory"
case $directory in
*.*)
    az rest --method GET --url "$graph/organization?\$select=verifiedDomains" \
        --query 'value[].verifiedDomains[].name' --output tsv |
        tr '[:upper:]' '[:lower:]' | grep -Fqx "$directory" ||
        fail "az is signed in to another directory than $directory: az login --tenant $directory"
    ;;
*)
    [ "$signed_in" = "$directory" ] ||
        fail "az is signed in to $signed_in: az login --tenant $directory"
    ;;
esac
graph_sp=$(az ad sp list --filter "appId eq '$graph_application'" --query '[].id' --output tsv)
[ -n "$graph_sp" ] || fail "the directory has no service principal of Microsoft Graph"
# Names and ids of permissions, one a line. Asking once is much faster than for each.
roles=$(az ad sp show --id "$graph_application" --query 'appRoles[].[value,id]' --output tsv)
assignments=

# The one application with a name; nothing when there is none.
named() {
    found=$(az ad app list --filter "displayName eq '$1'" --query '[].appId' --output tsv)
    case $found in
    *[[:space:]]*) fail "several applications are called '$1'; delete those that are not ours: $found" ;;
    esac
    printf %s "$found"
}

# register NAME FUNCTION APPLICATION-ID SHA1: the application and its service principal. Without an
# id it is found by its name; without a thumbprint it gets no certificate now.
register() {
    app=$3
    [ -n "$app" ] || app=$(named "$1")
    if [ -z "$app" ]; then
        app=$(az rest --method POST --url "$graph/applications" \
            --headers Content-Type=application/json --body "@$here/$2.manifest.json" \
            --query appId --output tsv)
        say "$1: application $app made"
    else
        say "$1: application $app is there"
        if [ -n "$4" ]; then
            there=$(az ad app credential list --id "$app" --cert \
                --query "[?customKeyIdentifier=='$4'].keyId" --output tsv)
            if [ -z "$there" ]; then
                az ad app credential reset --id "$app" --append --cert "@$here/$2.pem" --output none
                say "$1: certificate $4 added"
            fi
        fi
    fi
    sp=$(az ad sp list --filter "appId eq '$app'" --query '[].id' --output tsv)
    if [ -z "$sp" ]; then
        patiently az ad sp create --id "$app" --output none
        sp=$(az ad sp list --filter "appId eq '$app'" --query '[].id' --output tsv)
        [ -n "$sp" ] || fail "$1: its service principal does not show yet; run this again"
        say "$1: service principal $sp made"
    fi
    clients="$clients --client-id $2=$app"
    assignments=$(az rest --method GET --output tsv --query 'value[].[appRoleId,id]' \
        --url "$graph/servicePrincipals/$sp/appRoleAssignments?\$top=999")
}

# Of lines with two words, the second ones of those that begin with a word.
second_of() { printf '%s\n' "$1" | tr -d '\r' | awk -v word="$2" '$1 == word { print $2 }'; }

# The id of a permission, by its name.
role() {
    found=$(second_of "$roles" "$1")
    [ -n "$found" ] || fail "Microsoft Graph has no application permission '$1' in this cloud"
    printf %s "$found"
}

# grant RIGHT: to the application that was registered last, in the whole tenant.
grant() {
    right=$(role "$1")
    there=$(second_of "$assignments" "$right")
    [ -z "$there" ] || return 0
    az rest --method POST --url "$graph/servicePrincipals/$sp/appRoleAssignments" \
        --headers Content-Type=application/json --output none \
        --body "{\"principalId\":\"$sp\",\"resourceId\":\"$graph_sp\",\"appRoleId\":\"$right\"}"
    say "    $1 granted"
}

# confined RIGHT: Exchange grants it in some mailboxes (exchange-roles.ps1). A grant in Entra ID would
# add all others, so that it is taken away when there is one.
confined() {
    right=$(role "$1")
    there=$(second_of "$assignments" "$right")
    [ -n "$there" ] || return 0
    az rest --method DELETE --url "$graph/servicePrincipals/$sp/appRoleAssignments/$there" \
        --output none
    say "    $1 in all mailboxes taken away: Exchange grants it in some"
}

# own STEWARD-PRINCIPAL NAME: the steward may take credentials away from the application NAME.
own() {
    owned=$(named "$2")
    [ -n "$owned" ] || return 0
    for object in "applications(appId='$owned')" "servicePrincipals(appId='$owned')"; do
        there=$(az rest --method GET --url "$graph/$object/owners?\$select=id" \
            --query "value[?id=='$1'].id" --output tsv)
        [ -z "$there" ] || continue
        az rest --method POST --url "$graph/$object/owners/\$ref" --output none \
            --headers Content-Type=application/json \
            --body "{\"@odata.id\":\"$graph/directoryObjects/$1\"}"
        say "    owner of $2 ($object)"
    done
}

