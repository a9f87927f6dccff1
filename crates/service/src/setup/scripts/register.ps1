Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$graphApplication = '00000003-0000-0000-c000-000000000000'
$clients = @()
$sp = $null

function Invoke-Graph([string]$Method, [string]$Path, $Body) {
    $arguments = @{ Method = $Method; Uri = "$graph/$Path"; OutputType = 'PSObject' }
    if ($null -ne $Body) {
        $arguments.ContentType = 'application/json'
        $arguments.Body = if ($Body -is [string]) { $Body } else { ConvertTo-Json $Body -Depth 10 }
    }
    Invoke-MgGraphRequest @arguments
}

# All pages of a list.
function Get-All([string]$Path) {
    $page = Invoke-Graph GET $Path
    while ($true) {
        $page.value
        if (-not $page.PSObject.Properties['@odata.nextLink']) { return }
        $page = Invoke-MgGraphRequest -Method GET -Uri $page.'@odata.nextLink' -OutputType PSObject
    }
}

# A name inside a filter, and the filter inside an address.
function Get-ByFilter([string]$Collection, [string]$Property, [string]$Value) {
    $filter = [uri]::EscapeDataString("$Property eq '$($Value.Replace("'", "''"))'")
    @(Get-All "${Collection}?`$filter=$filter")
}

# The right directory, before anything is changed.
if (-not (Get-MgContext)) { Connect-MgGraph -TenantId $directory -Scopes $scopes -NoWelcome }
$organisation = @(Get-All 'organization')[0]
if ($directory -ne $organisation.id -and $directory -notin $organisation.verifiedDomains.name) {
    throw "signed in to $($organisation.id), not to ${directory}: Connect-MgGraph -TenantId $directory"
}
$graphPrincipal = @(Get-ByFilter 'servicePrincipals' 'appId' $graphApplication)[0]

# The one application with a name; nothing when there is none.
function Get-Named([string]$Name) {
    $found = @(Get-ByFilter 'applications' 'displayName' $Name)
    if ($found.Count -gt 1) {
        throw "several applications are called '$Name'; delete those that are not ours: $($found.appId)"
    }
    if ($found.Count -eq 1) { $found[0] }
}

# The application and its service principal. Without an id it is found by its name; without a
# thumbprint it gets no certificate now.
function Register-Application([string]$Name, [string]$Function, [string]$AppId, [string]$Sha1) {
    $app = if ($AppId) { Invoke-Graph GET "applications(appId='$AppId')" } else { Get-Named $Name }
    if (-not $app) {
        $manifest = Get-Content -Raw -LiteralPath (Join-Path $PSScriptRoot "$Function.manifest.json")
        $app = Invoke-Graph POST 'applications' $manifest
        Write-Host "${Name}: application $($app.appId) made"
    } else {
        Write-Host "${Name}: application $($app.appId) is there"
        $keys = @((Invoke-Graph GET "applications/$($app.id)?`$select=keyCredentials").keyCredentials)
        if ($Sha1 -and $Sha1 -notin $keys.customKeyIdentifier) {
            # The list is replaced as a whole: what is there stays when it is named by its id.
            $new = (Get-Content -Raw -LiteralPath (Join-Path $PSScriptRoot "$Function.manifest.json") |
                ConvertFrom-Json).keyCredentials
            $kept = @($keys | Where-Object { $_ } | Select-Object * -ExcludeProperty key)
            $null = Invoke-Graph PATCH "applications/$($app.id)" @{ keyCredentials = $kept + @($new) }
            Write-Host "${Name}: certificate $Sha1 added"
        }
    }
    $principal = @(Get-ByFilter 'servicePrincipals' 'appId' $app.appId)
    for ($tries = 0; $principal.Count -eq 0; $tries++) {
        # What was just made is not known everywhere at once.
        try { $principal = @(Invoke-Graph POST 'servicePrincipals' @{ appId = $app.appId }) }
        catch { if ($tries -ge 12) { throw } else { Start-Sleep -Seconds 5 } }
    }
    $script:sp = $principal[0].id
    $script:clients += "--client-id $Function=$($app.appId)"
}

# The id of a permission, by its name.
function Get-Role([string]$Right) {
    $role = $graphPrincipal.appRoles | Where-Object { $_.value -eq $Right }
    if (-not $role) { throw "Microsoft Graph has no application permission '$Right' in this cloud" }
    $role.id
}

function Get-Assignment([string]$Right) {
    $role = Get-Role $Right
    Get-All "servicePrincipals/$sp/appRoleAssignments" | Where-Object { $_.appRoleId -eq $role }
}

# To the application that was registered last, in the whole tenant.
function Grant-Right([string]$Right) {
    if (Get-Assignment $Right) { return }
    $null = Invoke-Graph POST "servicePrincipals/$sp/appRoleAssignments" @{
        principalId = $sp; resourceId = $graphPrincipal.id; appRoleId = (Get-Role $Right)
    }
    Write-Host "    $Right granted"
}

# Exchange grants it in some mailboxes (exchange-roles.ps1). A grant in Entra ID would add all others,
# so that it is taken away when there is one.
function Limit-Right([string]$Right) {
    foreach ($assignment in @(Get-Assignment $Right)) {
        $null = Invoke-Graph DELETE "servicePrincipals/$sp/appRoleAssignments/$($assignment.id)"
        Write-Host "    $Right in all mailboxes taken away: Exchange grants it in some"
    }
}

# The steward may take credentials away from the application.
function Add-Steward([string]$Steward, [string]$Name) {
    $app = Get-Named $Name
    if (-not $app) { return }
    foreach ($object in "applications(appId='$($app.appId)')", "servicePrincipals(appId='$($app.appId)')") {
        if ($Steward -in @(Get-All "$object/owners").id) { continue }
        $null = Invoke-Graph POST "$object/owners/`$ref" @{
            '@odata.id' = "$graph/directoryObjects/$Steward"
        }
        Write-Host "    owner of $Name ($object)"
    }
}

