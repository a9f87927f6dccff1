Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# Strict mode refuses a member of an empty list, and the first of none. So ids are taken with
# ForEach-Object, and lists are counted first.

function Invoke-Graph([string]$Method, [string]$Path, $Body) {
    $arguments = @{ Method = $Method; Uri = "$graph/$Path"; OutputType = 'PSObject' }
    if ($null -ne $Body) {
        $arguments.ContentType = 'application/json'
        $arguments.Body = if ($Body -is [string]) { $Body } else { ConvertTo-Json $Body -Depth 10 }
    }
    Invoke-MgGraphRequest @arguments
}

# What is in a list of an object; nothing when it is empty or missing.
function Get-Values($Object, [string]$Property) {
    if ($null -eq $Object) { return }
    $found = $Object.PSObject.Properties[$Property]
    if ($null -ne $found) { $found.Value | Where-Object { $null -ne $_ } }
}

# A property of an object; null when it is missing.
function Get-Value($Object, [string]$Property) {
    if ($null -eq $Object) { return }
    $found = $Object.PSObject.Properties[$Property]
    if ($null -ne $found) { $found.Value }
}

# All pages of a list.
function Get-All([string]$Path) {
    $page = Invoke-Graph GET $Path
    while ($true) {
        Get-Values $page 'value'
        $next = Get-Value $page '@odata.nextLink'
        if (-not $next) { return }
        $page = Invoke-MgGraphRequest -Method GET -Uri $next -OutputType PSObject
    }
}

# A name inside a filter, and the filter inside an address.
function Get-ByFilter([string]$Collection, [string]$Property, [string]$Value) {
    $filter = [uri]::EscapeDataString("$Property eq '$($Value.Replace("'", "''"))'")
    Get-All "${Collection}?`$filter=$filter"
}

# The service principal of an application; nothing when there is none.
function Get-Principal([string]$AppId) { Get-ByFilter 'servicePrincipals' 'appId' $AppId }

