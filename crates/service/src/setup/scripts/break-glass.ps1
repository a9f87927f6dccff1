if (-not (Get-MgContext)) {
    Connect-MgGraph -TenantId $directory -NoWelcome -Scopes @(
        'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All')
}
Write-Host "directory $((Get-MgContext).TenantId), as it is signed in now"
$failures = @()

# What fails does not stop the rest. It is said at the end.
function Invoke-Step([string]$What, [scriptblock]$Do) {
    try {
        $null = & $Do
        Write-Host "    $What"
    } catch { Add-Failure $What $_ }
}

# What a block gives, as far as it can be read.
function Read-Step([string]$What, [scriptblock]$Do) {
    try { & $Do } catch { Add-Failure "$What read" $_ }
}

function Add-Failure([string]$What, $Why) {
    Write-Host "    FAILED: ${What}: $Why"
    $script:failures += "${What}: $Why"
}

# An application of ours: the one that we know, else all with that name. A second one of that name is
# not ours either.
function Get-Ours([string]$Name, [string]$AppId) {
    if ($AppId) { Get-ByFilter 'applications' 'appId' $AppId }
    else { Get-ByFilter 'applications' 'displayName' $Name }
}

# No token any more; every key, password, federated credential and foreign owner goes, and every grant
# but those named. An application that is gone may have left its service principal.
function Close-Application([string]$Name, [string]$AppId, [string[]]$Rights) {
    $found = @(Read-Step $Name { Get-Ours $Name $AppId })
    $clients = @($found | ForEach-Object { $_.appId })
    if ($AppId -and $clients.Count -eq 0) { $clients = @($AppId) }
    foreach ($client in $clients) {
        Write-Host "$Name ($client)"
        $principals = @(Read-Step "$Name, service principal" { Get-Principal $client } | ForEach-Object { $_.id })
        foreach ($principal in $principals) {
            # First of all: what is shut gets no new token, whatever else is still there.
            Invoke-Step "$Name, service principal disabled" {
                Invoke-Graph PATCH "servicePrincipals/$principal" '{"accountEnabled":false}'
            }
        }
        $objects = @($found | Where-Object { $_.appId -eq $client } | ForEach-Object { $_.id })
        foreach ($object in $objects) { Clear-Object "applications/$object" }
        foreach ($principal in $principals) { Clear-Object "servicePrincipals/$principal" }
        foreach ($object in $objects) {
            $under = "applications/$object/federatedIdentityCredentials"
            foreach ($trust in @(Read-Step $under { Get-All $under } | ForEach-Object { $_.id })) {
                Invoke-Step "federated credential $trust removed" { Invoke-Graph DELETE "$under/$trust" }
            }
        }
        foreach ($principal in $principals) { Limit-Rights "servicePrincipals/$principal" $Rights }
    }
}

# Takes passwords, keys and foreign owners from one object.
function Clear-Object([string]$On) {
    foreach ($list in @(Read-Step $On { Invoke-Graph GET "${On}?`$select=keyCredentials,passwordCredentials" })) {
        foreach ($password in @(Get-Values $list 'passwordCredentials' | ForEach-Object { $_.keyId })) {
            Invoke-Step "password $password removed from $On" {
                Invoke-Graph POST "$On/removePassword" "{`"keyId`":`"$password`"}"
            }
        }
        $keys = @(Get-Values $list 'keyCredentials' | ForEach-Object { $_.keyId })
        if ($keys.Count -gt 0) {
            Invoke-Step "keys removed from ${On}: $keys" { Invoke-Graph PATCH $On '{"keyCredentials":[]}' }
        }
    }
    foreach ($owner in @(Read-Step "$On/owners" { Get-All "$On/owners" } | ForEach-Object { $_.id })) {
        if ($owner -eq $steward) { continue }
        Invoke-Step "owner $owner removed from $On" { Invoke-Graph DELETE "$On/owners/$owner/`$ref" }
    }
}

# Takes away every grant of a service principal but those named.
function Limit-Rights([string]$On, [string[]]$Rights) {
    # Without names nobody knows which to keep. What is shut can do nothing with them.
    if ($roles.Count -eq 0) { Add-Failure "$On, rights" 'the names of permissions cannot be read'; return }
    $keep = @($roles | Where-Object { $_.value -in $Rights } | ForEach-Object { $_.id })
    foreach ($one in @(Read-Step "$On, rights" { Get-All "$On/appRoleAssignments" })) {
        if ($one.appRoleId -in $keep) { continue }
        Invoke-Step "right $($one.appRoleId) taken away from $On" {
            Invoke-Graph DELETE "$On/appRoleAssignments/$($one.id)"
        }
    }
}

# With the new certificate. Where $Keys is none, the application gets one only when it is needed, and is
# enabled without.
function Open-Application([string]$Name, [string]$Function, [string]$AppId, [string]$Keys) {
    $file = Join-Path $Fresh "$Function.pem"
    $body = $null
    if (Test-Path -LiteralPath $file) {
        $lines = @(Get-Content -LiteralPath $file | Where-Object { $_ -notmatch '^-----' })
        $key = @{ type = 'AsymmetricX509Cert'; usage = 'Verify'; key = -join $lines }
        $body = @{ keyCredentials = @($key) }
    } elseif ($Keys -ne 'none') { return }
    foreach ($ours in @(Read-Step $Name { Get-Ours $Name $AppId })) {
        Invoke-Step "$Name ($($ours.appId)): enabled again" {
            $object = Invoke-Graph GET "applications/$($ours.id)?`$select=keyCredentials"
            $there = @(Get-Values $object 'keyCredentials')
            if ($there.Count -gt 0) { throw 'it still has keys: run this with -Shut first' }
            if ($body) {
                $null = Invoke-Graph PATCH "applications/$($ours.id)" $body
                Write-Host "$Name ($($ours.appId)): has the new certificate"
            }
            $principals = @(Get-Principal $ours.appId)
            if ($principals.Count -eq 0) { throw 'it has no service principal' }
            $null = Invoke-Graph PATCH "servicePrincipals/$($principals[0].id)" '{"accountEnabled":true}'
        }
    }
}

# The steward stays an owner of the others, when it is one of ours.
function Get-Steward([string]$Name, [string]$AppId) {
    $found = @(Get-Ours $Name $AppId)
    if ($found.Count -eq 1) { Get-Principal $found[0].appId | ForEach-Object { $_.id } }
}

function Exit-WithFailures {
    if ($failures.Count -eq 0) { return }
    Write-Host 'This could not be done; run it again, or do it by hand:'
    foreach ($failure in $failures) { Write-Host "    $failure" }
    exit 1
}

$roles = @(Read-Step 'names of permissions' {
    Get-Principal '00000003-0000-0000-c000-000000000000' | ForEach-Object { Get-Values $_ 'appRoles' }
})
