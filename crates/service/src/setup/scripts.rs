//! The scripts: what is always the same lies in `scripts/`; here is what comes before and behind it.

use super::{
    Plan, PlannedApplication, exchange_roles, has_standing_key,
    manifest::principal_placeholder,
    quote::{comment, powershell, sh},
};
use mailkeep_model::Function;

const COMMON_SH: &str = include_str!("scripts/common.sh");
const COMMON_PS1: &str = include_str!("scripts/common.ps1");
const REGISTER_SH: &str = include_str!("scripts/register.sh");
const REGISTER_PS1: &str = include_str!("scripts/register.ps1");
const EXCHANGE_ROLES: &str = include_str!("scripts/exchange-roles.ps1");
const CONDITIONAL_ACCESS: &str = include_str!("scripts/conditional-access.ps1");
const BREAK_GLASS_SH: &str = include_str!("scripts/break-glass.sh");
const BREAK_GLASS_PS1: &str = include_str!("scripts/break-glass.ps1");

const AGAIN: &str = "It can be run again: what is there stays, what is missing is added.";
const WHO_REGISTERS: &str = "Whoever runs it needs the roles Cloud Application Administrator and Privileged Role Administrator.";

/// The comment at the beginning of a script.
fn head(first: &str, lines: &[String]) -> String {
    let mut text = format!("{first}\n");
    for line in lines {
        text.push_str(format!("# {}", comment(line)).trim_end());
        text.push('\n');
    }
    text
}

fn about(plan: &Plan, what: &str) -> String {
    format!("Mailkeep, tenant {}, directory {}: {what}", plan.tenant, plan.directory)
}

fn client_id(planned: &PlannedApplication) -> &str {
    planned.client_id.as_deref().unwrap_or_default()
}

fn sha1(planned: &PlannedApplication) -> &str {
    planned.certificate.as_ref().map_or("", |one| &one.thumbprint_sha1)
}

fn steward(plan: &Plan) -> Option<&PlannedApplication> {
    plan.applications.iter().find(|one| one.function == Function::Steward)
}

/// What the break-glass scripts call the keys of a function.
fn keys_of(function: Function) -> &'static str {
    if has_standing_key(function) { "standing" } else { "none" }
}

/// The steward first: it may be an owner of the others.
fn steward_first(plan: &Plan) -> impl Iterator<Item = &PlannedApplication> {
    steward(plan).into_iter().chain(owned(plan))
}

/// Those that a steward owns: all but itself.
fn owned(plan: &Plan) -> impl Iterator<Item = &PlannedApplication> {
    plan.applications.iter().filter(|one| one.function != Function::Steward)
}

/// `az`: applications, certificates, service principals, grants, owners.
pub(super) fn register_sh(plan: &Plan) -> String {
    let mut text = head(
        "#!/bin/sh",
        &[
            about(plan, "registers our applications."),
            AGAIN.into(),
            WHO_REGISTERS.into(),
            "Its last line, on standard output, is the command that names the applications to Mailkeep."
                .into(),
        ],
    );
    text.push_str(&format!(
        "set -eu\ntenant={}\ndirectory={}\ngraph={}\n",
        sh(plan.tenant.as_str()),
        sh(&plan.directory.to_lowercase()),
        sh(&plan.graph)
    ));
    text.push_str(COMMON_SH);
    text.push_str(REGISTER_SH);
    for planned in steward_first(plan) {
        let function = planned.function;
        let words = [&planned.name, function.as_str(), client_id(planned), sha1(planned)];
        text.push_str(&format!("look {}\n{function}_id=$app\n", words.map(sh).join(" ")));
        if function == Function::Steward {
            text.push_str("steward=$sp\n");
        }
    }
    text.push_str("[ -z \"$refused\" ] || fail 'nothing was changed'\n\n");
    for planned in &plan.applications {
        let function = planned.function;
        let words = [&planned.name, function.as_str()].map(sh).join(" ");
        let sha1 = sh(sha1(planned));
        text.push_str(&format!("register {words} \"${function}_id\" {sha1}\n{function}_id=$app\n"));
        text.extend(planned.granted().map(|right| format!("grant {}\n", sh(right.name))));
        text.extend(planned.confined().map(|right| format!("confined {}\n", sh(right.name))));
        if planned.function == Function::Steward {
            text.push_str("steward=$sp\n");
        }
        text.push('\n');
    }
    if steward(plan).is_some() {
        text.extend(
            owned(plan).map(|one| {
                format!("own \"$steward\" {} \"${}_id\"\n", sh(&one.name), one.function)
            }),
        );
    }
    text.push_str(
        "say \"Done:$outcome\"\nsay 'On the machine with Mailkeep:'\nprintf '%s\\n' \"mailkeep tenant add $tenant$clients\"\n",
    );
    text
}

/// PowerShell (Microsoft.Graph): the same.
pub(super) fn register_ps1(plan: &Plan) -> String {
    let mut text = head(
        "#Requires -Modules Microsoft.Graph.Authentication",
        &[
            about(plan, "registers our applications."),
            AGAIN.into(),
            WHO_REGISTERS.into(),
            "Its output is the command that names the applications to Mailkeep.".into(),
        ],
    );
    text.push_str(&format!(
        "$tenant = {}\n$directory = {}\n$graph = {}\n$scopes = 'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All', 'Organization.Read.All', 'User.Read'\n",
        powershell(plan.tenant.as_str()),
        powershell(&plan.directory.to_lowercase()),
        powershell(&plan.graph)
    ));
    text.push_str(COMMON_PS1);
    text.push_str(REGISTER_PS1);
    for planned in steward_first(plan) {
        let function = planned.function;
        let words = [&planned.name, function.as_str(), client_id(planned), sha1(planned)];
        let words = words.map(powershell).join(" ");
        text.push_str(&format!("Find-Application {words}\n${function}_id = $app\n"));
        if function == Function::Steward {
            text.push_str("$steward = $sp\n");
        }
    }
    text.push_str("if ($refused) { throw 'nothing was changed' }\n\n");
    for planned in &plan.applications {
        let function = planned.function;
        let words = [&planned.name, function.as_str()].map(powershell).join(" ");
        let sha1 = powershell(sha1(planned));
        text.push_str(&format!(
            "Register-Application {words} ${function}_id {sha1}\n${function}_id = $app\n"
        ));
        let granted = planned.granted();
        text.extend(granted.map(|right| format!("Grant-Right {}\n", powershell(right.name))));
        let confined = planned.confined();
        text.extend(confined.map(|right| format!("Limit-Right {}\n", powershell(right.name))));
        if planned.function == Function::Steward {
            text.push_str("$steward = $sp\n");
        }
        text.push('\n');
    }
    if steward(plan).is_some() {
        let owned = owned(plan);
        text.extend(owned.map(|one| {
            format!("Add-Steward $steward {} ${}_id\n", powershell(&one.name), one.function)
        }));
    }
    text.push_str(
        "Write-Host 'Done:'\nforeach ($line in $outcome) { Write-Host $line }\nWrite-Host 'On the machine with Mailkeep:'\n\"mailkeep tenant add $tenant $clients\"\n",
    );
    text
}

/// Exchange's roles, where an application is confined.
pub(super) fn exchange_roles(plan: &Plan) -> Option<String> {
    if !exchange_roles::are_needed(plan) {
        return None;
    }
    let mut text = head(
        "#Requires -Modules ExchangeOnlineManagement, Microsoft.Graph.Authentication, Microsoft.Graph.Applications",
        &[
            about(plan, "confines our applications to some mailboxes (RBAC for Applications)."),
            AGAIN.into(),
            "Whoever runs it needs the role Exchange Administrator. Changes take half an hour to two hours.".into(),
            "Where Mailkeep does not know an application yet: -ClientId reader=ID,... as register printed it.".into(),
            "The same rights must not be granted in Entra ID: both add up, and the scope would be void.".into(),
        ],
    );
    text.push_str(&format!(
        "param([string[]]$ClientId)\n$directory = {}\n",
        powershell(&plan.directory)
    ));
    text.push_str(EXCHANGE_ROLES);
    text.push_str(&exchange_roles::lines(plan));
    Some(text)
}

/// The policy that locks the applications to our addresses, where those are known.
pub(super) fn conditional_access(plan: &Plan) -> Option<String> {
    if plan.egress.is_empty() {
        return None;
    }
    let mut text = head(
        "#Requires -Modules Microsoft.Graph.Authentication, Microsoft.Graph.Applications",
        &[
            about(plan, "blocks our applications from all addresses but ours."),
            AGAIN.into(),
            "Needs Workload Identities Premium; whoever runs it, the role Conditional Access Administrator.".into(),
            "Without -Enforce the policy only writes into the sign-in log what it would do.".into(),
        ],
    );
    let names: Vec<String> = plan.applications.iter().map(|one| powershell(&one.name)).collect();
    text.push_str(&format!(
        "param([switch]$Enforce)\n$directory = {}\n$graph = {}\n# Stands in the policy as {}.\n$applications = @({})\n",
        powershell(&plan.directory),
        powershell(&plan.graph),
        plan.applications.first().map(principal_placeholder).unwrap_or_default(),
        names.join(", ")
    ));
    text.push_str(COMMON_PS1);
    text.push_str(CONDITIONAL_ACCESS);
    Some(text)
}

/// What is said of the break-glass scripts, of which there are two that do the same.
fn of_break_glass(plan: &Plan, shut: &str, reopen: &str) -> Vec<String> {
    vec![
        about(plan, "for when somebody else has our keys, and for when he took ours away."),
        "Needs nothing of Mailkeep, and none of its keys. Print it, and keep it where you find it.".into(),
        String::new(),
        format!("{shut} shuts our applications at once: it disables their service principals, removes every key,"),
        "    password and federated credential of application and service principal, every owner but our".into(),
        "    steward, and every right that they should not have. Tokens that are out work until they end.".into(),
        format!("{reopen} gives them new certificates from a directory (reader.pem, auditor.pem, ...), each"),
        "    from 'mailkeep identity certificate NAME FUNCTION', and enables them again.".into(),
        "Rights in Exchange: run exchange-roles.ps1 again, which takes away what is not ours.".into(),
        "What fails is said at the end, and stops nothing else; then run it again. Whoever runs it needs Cloud Application Administrator and Privileged Role Administrator.".into(),
    ]
}

/// `az`: the way back in.
pub(super) fn break_glass_sh(plan: &Plan) -> String {
    let lines =
        of_break_glass(plan, "sh break-glass.sh shut", "sh break-glass.sh reopen DIRECTORY");
    let mut text = head("#!/bin/sh", &lines);
    let (directory, graph) = (sh(&plan.directory.to_lowercase()), sh(&plan.graph));
    text.push_str(&format!("set -eu\ndirectory={directory}\ngraph={graph}\n"));
    text.push_str(COMMON_SH);
    text.push_str(BREAK_GLASS_SH);
    if let Some(steward) = steward(plan) {
        text.push_str(&format!("stewards {} {}\n", sh(&steward.name), sh(client_id(steward))));
    }
    text.push_str("case \"${1:-} ${2:-}\" in\n'shut ')\n");
    for planned in &plan.applications {
        let words = [planned.name.as_str(), client_id(planned)].map(sh).join(" ");
        let kept: Vec<String> = planned.granted().map(|right| sh(right.name)).collect();
        text.push_str(&format!("    shut {words} {}\n", kept.join(" ")));
    }
    text.push_str("    ;;\n'reopen '?*)\n    fresh=$2\n");
    for planned in &plan.applications {
        let function = planned.function;
        let words =
            [planned.name.as_str(), function.as_str(), client_id(planned), keys_of(function)];
        text.push_str(&format!("    reopen {}\n", words.map(sh).join(" ")));
    }
    text.push_str("    ;;\n*) fail \"say 'sh $0 shut', or 'sh $0 reopen DIRECTORY' with new certificates\" ;;\nesac\nfinish\n");
    text
}

/// PowerShell: the same.
pub(super) fn break_glass_ps1(plan: &Plan) -> String {
    let lines =
        of_break_glass(plan, "./break-glass.ps1 -Shut", "./break-glass.ps1 -Fresh DIRECTORY");
    let mut text = head("#Requires -Modules Microsoft.Graph.Authentication", &lines);
    text.push_str(&format!(
        "param([switch]$Shut, [string]$Fresh)\nif ([bool]$Shut -eq [bool]$Fresh) {{ throw 'say -Shut, or -Fresh DIRECTORY with new certificates' }}\n$directory = {}\n$graph = {}\n$steward = $null\n",
        powershell(&plan.directory.to_lowercase()),
        powershell(&plan.graph)
    ));
    text.push_str(COMMON_PS1);
    text.push_str(BREAK_GLASS_PS1);
    if let Some(steward) = steward(plan) {
        let words = [steward.name.as_str(), client_id(steward)].map(powershell).join(" ");
        text.push_str(&format!("$steward = Read-Step 'the steward' {{ Get-Steward {words} }}\n"));
    }
    for planned in &plan.applications {
        let kept: Vec<String> = planned.granted().map(|right| powershell(right.name)).collect();
        let (name, id) = (powershell(&planned.name), powershell(client_id(planned)));
        let function = powershell(planned.function.as_str());
        let (kept, keys) = (kept.join(", "), powershell(keys_of(planned.function)));
        text.push_str(&format!("if ($Shut) {{ Close-Application {name} {id} @({kept}) }}\n"));
        text.push_str(&format!(
            "if ($Fresh) {{ Open-Application {name} {function} {id} {keys} }}\n"
        ));
    }
    text.push_str("Exit-WithFailures\n");
    text
}
