here=$(cd "$(dirname "$0")" && pwd)
graph_application=00000003-0000-0000-c000-000000000000
clients=
outcome=
refused=
steward=
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
case $directory in
*.*)
    az rest --method GET --url "$graph/organization?\$select=verifiedDomains" \
        --query 'value[].verifiedDomains[].name' --output tsv | tr -d '\r' |
        tr '[:upper:]' '[:lower:]' | grep -Fqx "$directory" ||
        fail "az is signed in to another directory than $directory: az login --tenant $directory"
    ;;
*)
    [ "$signed_in" = "$directory" ] ||
        fail "az is signed in to $signed_in: az login --tenant $directory"
    ;;
esac
graph_sp=$(principal_of "$graph_application")
[ -n "$graph_sp" ] || fail "the directory has no service principal of Microsoft Graph"
# Names and ids of permissions, one a line. Asking once is much faster than for each.
roles=$(az ad sp show --id "$graph_application" --query 'appRoles[].[value,id]' --output tsv)
assignments=

# Whoever runs this: what he made has him as its owner.
kind=$(az account show --query user.type --output tsv | tr -d '\r')
if [ "$kind" = servicePrincipal ]; then
    me=$(principal_of "$(az account show --query user.name --output tsv | tr -d '\r')") || me=
else
    me=$(az ad signed-in-user show --query id --output tsv | tr -d '\r')
fi

# doubts APPLICATION-ID FUNCTION SHA1: what speaks against an application that was found by its name, one
# reason a line. Every user of the directory may have registered one with that name, and have a way in.
doubts() {
    object=$(az ad app show --id "$1" --query id --output tsv | tr -d '\r')
    [ -n "$object" ] || return 1
    sp=$(principal_of "$1") || return 1
    audience=$(ids "applications/$object?\$select=signInAudience" signInAudience) || return 1
    [ "$audience" = AzureADMyOrg ] || printf '    it is for accounts of %s\n' "$audience"
    expected=
    [ -z "$3" ] || expected=$(grep -v '^-----' "$here/$2.pem" | tr -d '\r\n')
    for on in "applications/$object" ${sp:+"servicePrincipals/$sp"}; do
        found=$(ids "$on?\$select=passwordCredentials" 'passwordCredentials[].keyId') || return 1
        for one in $found; do printf '    password %s of %s\n' "$one" "$on"; done
        # A thumbprint may be given as one likes: the certificate itself counts, where it is shown.
        found=$(ids "$on?\$select=keyCredentials" 'keyCredentials[].[customKeyIdentifier,key]') || return 1
        printf '%s\n' "$found" | while read -r thumbprint key; do
            [ -n "$thumbprint" ] || continue
            case $key in
            '' | None | null) [ -z "$3" ] || [ "$thumbprint" != "$3" ] || continue ;;
            "$expected") continue ;;
            esac
            printf '    certificate %s of %s\n' "$thumbprint" "$on"
        done
        found=$(ids "$on/owners?\$select=id" 'value[].id') || return 1
        for one in $found; do
            [ "$one" = "$me" ] || [ "$one" = "$steward" ] || printf '    owner %s of %s\n' "$one" "$on"
        done
    done
    found=$(ids "applications/$object/federatedIdentityCredentials" 'value[].id') || return 1
    for one in $found; do printf '    federated credential %s\n' "$one"; done
}

# look NAME FUNCTION APPLICATION-ID SHA1: which application it is, before anything is changed. Without an
# id, one with that name is ours only when nobody else has a way into it.
look() {
    app=$3
    if [ -z "$app" ]; then
        app=$(named "$1")
        case $app in
        *[[:space:]]*)
            say "several applications are called '$1':" $app
            hint "$2" ID
            app=
            ;;
        ?*)
            reasons=$(doubts "$app" "$2" "$4") || fail "$1 ($app) cannot be looked at"
            if [ -n "$reasons" ]; then
                say "'$1' ($app) is there already, and somebody else may have a way into it:"
                say "$reasons"
                hint "$2" "$app"
            fi
            ;;
        esac
    fi
    sp=
    [ -z "$app" ] || sp=$(principal_of "$app")
}

hint() {
    refused=yes
    say "    What is not ours: delete it, or give it another name, and run this again. If one is ours for sure:"
    say "    'mailkeep tenant add $tenant --client-id $1=$2', then 'mailkeep tenant setup $tenant' again."
}

# register NAME FUNCTION APPLICATION-ID SHA1: the application and its service principal. Without an id it
# is made; without a thumbprint it gets no certificate now.
register() {
    app=$3
    if [ -z "$app" ]; then
        app=$(az rest --method POST --url "$graph/applications" --headers "$json" \
            --body "@$here/$2.manifest.json" --query appId --output tsv | tr -d '\r')
        [ -n "$app" ] || fail "$1: no application was made"
        say "$1: application $app made"
        did=made
    else
        say "$1: application $app is there"
        did='was there'
        if [ -n "$4" ]; then
            there=$(az ad app credential list --id "$app" --cert \
                --query "[?customKeyIdentifier=='$4'].keyId" --output tsv)
            if [ -z "$there" ]; then
                az ad app credential reset --id "$app" --append --cert "@$here/$2.pem" --output none
                say "$1: certificate $4 added"
                did='was there, and got its certificate now'
            fi
        fi
    fi
    sp=$(principal_of "$app")
    if [ -z "$sp" ]; then
        patiently az ad sp create --id "$app" --output none
        sp=$(principal_of "$app")
        [ -n "$sp" ] || fail "$1: its service principal does not show yet; run this again"
        say "$1: service principal $sp made"
    fi
    clients="$clients --client-id $2=$app"
    outcome="$outcome
    $1 ($app): $did${4:+; certificate $4}"
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
        --headers "$json" --output none \
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

# own STEWARD-PRINCIPAL NAME APPLICATION-ID: the steward may take credentials away from the application.
own() {
    for object in "applications(appId='$3')" "servicePrincipals(appId='$3')"; do
        there=$(az rest --method GET --url "$graph/$object/owners?\$select=id" \
            --query "value[?id=='$1'].id" --output tsv)
        [ -z "$there" ] || continue
        az rest --method POST --url "$graph/$object/owners/\$ref" --output none --headers "$json" \
            --body "{\"@odata.id\":\"$graph/directoryObjects/$1\"}"
        say "    owner of $2 ($object)"
    done
}

