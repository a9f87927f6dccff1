Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

if (-not (Get-Command New-ManagementRoleAssignment -ErrorAction SilentlyContinue)) {
    Connect-ExchangeOnline -ShowBanner:$false
}
if (-not (Get-MgContext)) { Connect-MgGraph -TenantId $directory -Scopes 'Application.Read.All' -NoWelcome }

# Where a group is, for a filter. Those count who are in it themselves, not through groups in it.
function Get-GroupFilter([string]$Group) {
    $groups = @(Get-Group -Identity $Group)
    if ($groups.Count -ne 1) { throw "there is not one group '$Group'" }
    $name = $groups[0].DistinguishedName
    "MemberOfGroup -eq '$($name.Replace("'", "''"))'"
}

# The pointer of Exchange to the service principal of an application. A name is not enough: anybody may have
# given it to an application of his.
function Add-Pointer([string]$Name, [string]$AppId) {
    if (-not $AppId) {
        $begin = $Name.Replace('Mailkeep ', '') + '='
        $words = @($ClientId | Where-Object { $_ } | ForEach-Object { $_.Split(',') } |
            Where-Object { $_.StartsWith($begin) })
        if ($words.Count -ne 1) {
            throw "say which application is '$Name': -ClientId FUNCTION=ID,... as register.ps1 or register.sh printed it"
        }
        $AppId = $words[0].Substring($begin.Length)
    }
    $principals = @(Get-MgServicePrincipal -Filter "appId eq '$AppId'")
    if ($principals.Count -eq 0) { throw "'$Name' ($AppId) has no service principal: run register.ps1 first" }
    if (@(Get-ServicePrincipal | Where-Object { $_.AppId -eq $AppId }).Count -eq 0) {
        New-ServicePrincipal -AppId $AppId -ObjectId $principals[0].Id -DisplayName $Name | Out-Null
    }
    $pointers = @(Get-ServicePrincipal | Where-Object { $_.AppId -eq $AppId } | ForEach-Object { $_.ObjectId })
    if ($pointers.Count -ne 1) { throw "Exchange does not know '$Name' ($AppId) yet: run this again" }
    $script:pointer = $pointers[0]
}

function Set-Scope([string]$Scope, [string]$Filter) {
    if (@(Get-ManagementScope | Where-Object { $_.Name -eq $Scope }).Count -gt 0) {
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

