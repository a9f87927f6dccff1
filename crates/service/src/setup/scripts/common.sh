
say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
json='Content-Type=application/json'

# ids PATH QUERY: what Graph says, one a line. What cannot be read is no empty list: then it fails.
ids() {
    got=$(az rest --method GET --url "$graph/$1" --query "$2" --output tsv) || return 1
    printf '%s\n' "$got" | tr -d '\r'
}

# principal_of APPLICATION-ID: the object id of its service principal; nothing when there is none.
principal_of() {
    got=$(az ad sp list --filter "appId eq '$1'" --query '[].id' --output tsv) || return 1
    printf '%s\n' "$got" | tr -d '\r'
}

# named NAME: the application ids of all that are called so.
named() {
    got=$(az ad app list --filter "displayName eq '$1'" --query '[].appId' --output tsv) || return 1
    printf '%s\n' "$got" | tr -d '\r'
}

signed_in=$(az account show --query tenantId --output tsv) ||
    fail "sign in first: az login --tenant $directory"
signed_in=$(printf %s "$signed_in" | tr -d '\r' | tr '[:upper:]' '[:lower:]')
