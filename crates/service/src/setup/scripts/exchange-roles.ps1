Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

if (-not (Get-Command New-ManagementRoleAssignment -ErrorAction SilentlyContinue)) {
    Connect-ExchangeOnline -ShowBanner:$false
}
if (-not (Get-MgContext)) { Connect-MgGraph -TenantId $directory -Scopes 'Application.Read.All' -NoWelcome }

# Where a group is, for a filter. Those count who are in it themselves, not through groups in it.
function Get-GroupFilter([string]$Group) {
    $name = (Get-Group -Identity $Group).DistinguishedName
    "MemberOfGroup -eq '$($name.Replace("'", "''"))'"
}

# The pointer of Exchange to the service principal of an application.
function Add-Pointer([string]$Name, [string]$AppId) {
    if (-not $AppId) {
        $found = @(Get-MgServicePrincipal -Filter "displayName eq '$($Name.Replace("'", "''"))'")
        if ($found.Count -ne 1) { throw "there is not one service principal '$Name': run register.ps1 first" }
        $AppId = $found[0].AppId
    }
    $principal = @(Get-MgServicePrincipal -Filter "appId eq '$AppId'")[0]
    if (-not (Get-ServicePrincipal | Where-Object { $_.AppId -eq $AppId })) {
        New-ServicePrincipal -AppId $AppId -ObjectId $principal.Id -DisplayName $Name | Out-Null
    }
    $script:pointer = (Get-ServicePrincipal | Where-Object { $_.AppId -eq $AppId }).ObjectId
}

function Set-Scope([string]$Scope, [string]$Filter) {
    if (Get-ManagementScope | Where-Object { $_.Name -eq $Scope }) {
        Set-ManagementScope -Identity $Scope -RecipientRestrictionFilter $Filter
    } else {
        New-ManagementScope -Name $Scope -RecipientRestrictionFilter $Filter | Out-Null
    }
}

# These roles with this scope, and no others: what else the application was assigned is taken away.
function Set-Roles([string]$Scope, [string[]]$Roles) {
    $there = @(Get-ManagementRoleAssignment -RoleAssigneeType ServicePrincipal |
        Where-Object { $_.App -eq $pointer -or $_.RoleAssignee -eq $pointer })
    foreach ($assignment in $there) {
        if ($assignment.Role -in $Roles -and $assignment.CustomResourceScope -eq $Scope) { continue }
        Remove-ManagementRoleAssignment -Identity $assignment.Identity -Confirm:$false
        Write-Host "    $($assignment.Role) ($($assignment.CustomResourceScope)) taken away"
    }
    foreach ($role in $Roles) {
        if ($there | Where-Object { $_.Role -eq $role -and $_.CustomResourceScope -eq $Scope }) { continue }
        New-ManagementRoleAssignment -App $pointer -Role $role -CustomResourceScope $Scope | Out-Null
        Write-Host "    $role granted in $Scope"
    }
}

