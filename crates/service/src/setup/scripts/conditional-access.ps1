if (-not (Get-MgContext)) {
    Connect-MgGraph -TenantId $directory -NoWelcome -Scopes @(
        'Policy.Read.All', 'Policy.ReadWrite.ConditionalAccess', 'Application.Read.All')
}

function Read-Json([string]$Name) {
    Get-Content -Raw -LiteralPath (Join-Path $PSScriptRoot $Name)
}

# Makes it, or brings what has its name to what it should be; its id.
function Set-ByName([string]$Path, [string]$Json) {
    $name = (ConvertFrom-Json $Json).displayName
    $there = @(Get-All $Path | Where-Object { $_.displayName -eq $name })
    if ($there.Count -eq 0) { return (Invoke-Graph POST $Path $Json).id }
    $null = Invoke-Graph PATCH "$Path/$($there[0].id)" $Json
    $there[0].id
}

$policy = Read-Json 'conditional-access.json'
$location = Set-ByName 'identity/conditionalAccess/namedLocations' (Read-Json 'named-location.json')
$policy = $policy.Replace('<named location>', $location)
foreach ($name in $applications) {
    $found = @(Get-MgServicePrincipal -Filter "displayName eq '$name'")
    if ($found.Count -ne 1) { throw "there is not one service principal '$name': run register.ps1 first" }
    $policy = $policy.Replace("<service principal of $name>", $found[0].Id)
}
if ($Enforce) { $policy = $policy.Replace('enabledForReportingButNotEnforced', 'enabled') }
$null = Set-ByName 'identity/conditionalAccess/policies' $policy
if ($Enforce) { Write-Host 'the policy blocks these applications from all other addresses' }
else { Write-Host 'the policy only reports; once the sign-in log shows no failure of ours: -Enforce' }
