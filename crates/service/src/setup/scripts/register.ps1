$graphApplication = '00000003-0000-0000-c000-000000000000'
$clients = @()
$outcome = @()
$refused = $false
$steward = $null
$sp = $null
$app = $null

# The right directory, before anything is changed.
if (-not (Get-MgContext)) { Connect-MgGraph -TenantId $directory -Scopes $scopes -NoWelcome }
foreach ($organisation in @(Get-All 'organization')) {
    $domains = @(Get-Values $organisation 'verifiedDomains' | ForEach-Object { $_.name })
    if ($directory -ne $organisation.id -and $directory -notin $domains) {
        throw "signed in to $($organisation.id), not to ${directory}: Connect-MgGraph -TenantId $directory"
    }
}
$found = @(Get-Principal $graphApplication)
if ($found.Count -eq 0) { throw 'the directory has no service principal of Microsoft Graph' }
$graphPrincipal = $found[0]

# Whoever runs this: what he made has him as its owner.
$me = try {
    $context = Get-MgContext
    if ("$($context.AuthType)" -eq 'AppOnly') { Get-Principal $context.ClientId | ForEach-Object { $_.id } }
    else { (Invoke-Graph GET 'me?$select=id').id }
} catch { $null }

# The certificate that a function's application gets, as in its manifest.
function Get-Certificate([string]$Function) {
    $text = Get-Content -Raw -LiteralPath (Join-Path $PSScriptRoot "$Function.manifest.json")
    Get-Values (ConvertFrom-Json $text) 'keyCredentials'
}

# What speaks against an application that was found by its name. Every user of the directory may have
# registered one with that name, and have a way in.
function Get-Doubts($Found, [string]$Function, [string]$Sha1) {
    $expected = @(if ($Sha1) { Get-Certificate $Function | ForEach-Object { $_.key } })
    $objects = @("applications/$($Found.id)")
    $objects += @(Get-Principal $Found.appId | ForEach-Object { "servicePrincipals/$($_.id)" })
    $audience = (Invoke-Graph GET "applications/$($Found.id)?`$select=signInAudience").signInAudience
    if ($audience -ne 'AzureADMyOrg') { "it is for accounts of $audience" }
    foreach ($on in $objects) {
        $object = Invoke-Graph GET "${on}?`$select=keyCredentials,passwordCredentials"
        foreach ($one in @(Get-Values $object 'passwordCredentials')) { "password $($one.keyId) of $on" }
        foreach ($one in @(Get-Values $object 'keyCredentials')) {
            # A thumbprint may be given as one likes: the certificate itself counts, where it is shown.
            $key = Get-Value $one 'key'
            $thumbprint = Get-Value $one 'customKeyIdentifier'
            if ($key) { if ($expected -ccontains $key) { continue } }
            elseif ($Sha1 -and $thumbprint -eq $Sha1) { continue }
            "certificate $thumbprint of $on"
        }
        foreach ($one in @(Get-All "$on/owners" | ForEach-Object { $_.id })) {
            if ($one -ne $me -and $one -ne $steward) { "owner $one of $on" }
        }
    }
    foreach ($one in @(Get-All "applications/$($Found.id)/federatedIdentityCredentials")) {
        "federated credential $($one.id)"
    }
}

# Which application it is, before anything is changed. Without an id, one with that name is ours only when
# nobody else has a way into it.
function Find-Application([string]$Name, [string]$Function, [string]$AppId, [string]$Sha1) {
    $reasons = @()
    $hint = 'ID'
    if (-not $AppId) {
        $named = @(Get-ByFilter 'applications' 'displayName' $Name)
        if ($named.Count -gt 1) {
            $reasons = @($named | ForEach-Object { "it is one of several: $($_.appId)" })
        } elseif ($named.Count -eq 1) {
            $AppId = $named[0].appId
            $hint = $AppId
            $reasons = @(Get-Doubts $named[0] $Function $Sha1)
        }
    }
    if ($reasons.Count -gt 0) {
        Write-Host "'$Name' ($hint) is there already, and somebody else may have a way into it:"
        foreach ($reason in $reasons) { Write-Host "    $reason" }
        Write-Host '    What is not ours: delete it, or give it another name, and run this again. If one is ours for sure:'
        Write-Host "    'mailkeep tenant add $tenant --client-id $Function=$hint', then 'mailkeep tenant setup $tenant' again."
        $script:refused = $true
    }
    $script:app = $AppId
    $script:sp = $null
    if ($AppId) { Get-Principal $AppId | ForEach-Object { $script:sp = $_.id } }
}

# The application and its service principal. Without an id it is made; without a thumbprint it gets no
# certificate now.
function Register-Application([string]$Name, [string]$Function, [string]$AppId, [string]$Sha1) {
    $did = 'was there'
    if (-not $AppId) {
        $manifest = Get-Content -Raw -LiteralPath (Join-Path $PSScriptRoot "$Function.manifest.json")
        $AppId = (Invoke-Graph POST 'applications' $manifest).appId
        Write-Host "${Name}: application $AppId made"
        $did = 'made'
    } else {
        Write-Host "${Name}: application $AppId is there"
        $object = "applications(appId='$AppId')"
        $keys = @(Get-Values (Invoke-Graph GET "${object}?`$select=keyCredentials") 'keyCredentials')
        $thumbprints = @($keys | ForEach-Object { Get-Value $_ 'customKeyIdentifier' })
        if ($Sha1 -and $Sha1 -notin $thumbprints) {
            # The list is replaced as a whole: what is there stays when it is named by its id.
            $kept = @($keys | Select-Object * -ExcludeProperty key)
            $new = @(Get-Certificate $Function)
            $null = Invoke-Graph PATCH $object @{ keyCredentials = @($kept + $new) }
            Write-Host "${Name}: certificate $Sha1 added"
            $did = 'was there, and got its certificate now'
        }
    }
    $principal = @(Get-Principal $AppId)
    for ($tries = 0; $principal.Count -eq 0; $tries++) {
        # What was just made is not known everywhere at once.
        try { $principal = @(Invoke-Graph POST 'servicePrincipals' @{ appId = $AppId }) }
        catch { if ($tries -ge 12) { throw } else { Start-Sleep -Seconds 5 } }
    }
    $script:app = $AppId
    $script:sp = $principal[0].id
    $script:clients += "--client-id $Function=$AppId"
    $script:outcome += "    $Name ($AppId): $did$(if ($Sha1) { "; certificate $Sha1" })"
}

# The id of a permission, by its name.
function Get-Role([string]$Right) {
    $role = @(Get-Values $graphPrincipal 'appRoles' | Where-Object { $_.value -eq $Right })
    if ($role.Count -eq 0) { throw "Microsoft Graph has no application permission '$Right' in this cloud" }
    $role[0].id
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
function Add-Steward([string]$Steward, [string]$Name, [string]$AppId) {
    foreach ($object in "applications(appId='$AppId')", "servicePrincipals(appId='$AppId')") {
        $owners = @(Get-All "$object/owners" | ForEach-Object { $_.id })
        if ($Steward -in $owners) { continue }
        $null = Invoke-Graph POST "$object/owners/`$ref" @{
            '@odata.id' = "$graph/directoryObjects/$Steward"
        }
        Write-Host "    owner of $Name ($object)"
    }
}

