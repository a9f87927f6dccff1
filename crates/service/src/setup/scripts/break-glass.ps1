Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
if (-not (Get-MgContext)) {
    Connect-MgGraph -TenantId $directory -NoWelcome -Scopes @(
        'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All')
}
Write-Host "directory $((Get-MgContext).TenantId), as it is signed in now"

function Invoke-Graph([string]$Method, [string]$Path, [string]$Body) {
    $arguments = @{ Method = $Method; Uri = "$graph/$Path"; OutputType = 'PSObject' }
    if ($Body) { $arguments.Body = $Body; $arguments.ContentType = 'application/json' }
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

# An application of ours: the one that we know, else all with that name. A second one of that name is
# not ours either.
function Get-Ours([string]$Name, [string]$AppId) {
    $filter = if ($AppId) { "appId eq '$AppId'" } else { "displayName eq '$Name'" }
    @(Get-All "applications?`$filter=$([uri]::EscapeDataString($filter))")
}

function Get-Principal([string]$AppId) {
    $filter = [uri]::EscapeDataString("appId eq '$AppId'")
    @(Get-All "servicePrincipals?`$filter=$filter")
}

# No token any more; every key, password, federated credential and foreign owner goes, and every grant
# but those named.
function Close-Application([string]$Name, [string]$AppId, [string[]]$Rights) {
    foreach ($app in @(Get-Ours $Name $AppId)) {
        Write-Host "$Name ($($app.appId))"
        $objects = @("applications/$($app.id)")
        $principals = @(Get-Principal $app.appId)
        foreach ($principal in $principals) {
            # First of all: what is shut gets no new token, whatever else is still there.
            $null = Invoke-Graph PATCH "servicePrincipals/$($principal.id)" '{"accountEnabled":false}'
            Write-Host '    service principal disabled'
            $objects += "servicePrincipals/$($principal.id)"
        }
        foreach ($on in $objects) {
            $object = Invoke-Graph GET "${on}?`$select=keyCredentials,passwordCredentials"
            foreach ($password in @($object.passwordCredentials)) {
                $null = Invoke-Graph POST "$on/removePassword" "{`"keyId`":`"$($password.keyId)`"}"
                Write-Host "    password $($password.keyId) removed from $on"
            }
            if (@($object.keyCredentials).Count -gt 0) {
                $null = Invoke-Graph PATCH $on '{"keyCredentials":[]}'
                Write-Host "    keys removed from ${on}: $($object.keyCredentials.keyId)"
            }
            foreach ($owner in @(Get-All "$on/owners")) {
                if ($owner.id -eq $steward) { continue }
                $null = Invoke-Graph DELETE "$on/owners/$($owner.id)/`$ref"
                Write-Host "    owner $($owner.id) removed from $on"
            }
        }
        foreach ($trust in @(Get-All "applications/$($app.id)/federatedIdentityCredentials")) {
            $null = Invoke-Graph DELETE "applications/$($app.id)/federatedIdentityCredentials/$($trust.id)"
            Write-Host "    federated credential $($trust.id) removed"
        }
        $roles = @(Get-Principal '00000003-0000-0000-c000-000000000000')[0].appRoles
        $keep = @($roles | Where-Object { $_.value -in $Rights }).id
        foreach ($principal in $principals) {
            foreach ($one in @(Get-All "servicePrincipals/$($principal.id)/appRoleAssignments")) {
                if ($one.appRoleId -in $keep) { continue }
                $null = Invoke-Graph DELETE "servicePrincipals/$($principal.id)/appRoleAssignments/$($one.id)"
                Write-Host "    right $($one.appRoleId) taken away"
            }
        }
    }
}

# With the new certificate. Where $Keys is none, the application gets one only when it is needed, and is
# enabled without.
function Open-Application([string]$Name, [string]$Function, [string]$AppId, [string]$Keys) {
    $file = Join-Path $Fresh "$Function.pem"
    $body = $null
    if (Test-Path -LiteralPath $file) {
        $lines = Get-Content -LiteralPath $file | Where-Object { $_ -notmatch '^-----' }
        $key = @{ type = 'AsymmetricX509Cert'; usage = 'Verify'; key = -join $lines }
        $body = ConvertTo-Json @{ keyCredentials = @($key) } -Depth 5
    } elseif ($Keys -ne 'none') { return }
    foreach ($app in @(Get-Ours $Name $AppId)) {
        $there = @((Invoke-Graph GET "applications/$($app.id)?`$select=keyCredentials").keyCredentials)
        if ($there.Count -gt 0) { throw "$Name ($($app.appId)) still has keys: run this without -Fresh first" }
        if ($body) {
            $null = Invoke-Graph PATCH "applications/$($app.id)" $body
            Write-Host "$Name ($($app.appId)): has the new certificate"
        }
        foreach ($principal in @(Get-Principal $app.appId)) {
            $null = Invoke-Graph PATCH "servicePrincipals/$($principal.id)" '{"accountEnabled":true}'
        }
        Write-Host "$Name ($($app.appId)): enabled again"
    }
}

# The steward stays an owner of the others, when it is one of ours.
function Get-Steward([string]$Name, [string]$AppId) {
    $found = @(Get-Ours $Name $AppId)
    if ($found.Count -eq 1) { @(Get-Principal $found[0].appId)[0].id }
}

