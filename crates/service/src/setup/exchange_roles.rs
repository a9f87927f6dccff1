//! RBAC for Applications: the rights that Exchange grants in some mailboxes.

use super::{
    Plan, PlannedApplication, Scope,
    quote::{filter, powershell},
};

/// Longest name of a management scope.
const LONGEST_NAME: usize = 64;

/// Whether anything is confined.
pub(super) fn are_needed(plan: &Plan) -> bool {
    plan.applications.iter().any(|one| one.confined().next().is_some())
}

/// The lines that confine the applications.
pub(super) fn lines(plan: &Plan) -> String {
    let mut text = String::new();
    for planned in &plan.applications {
        let Some(scope) = &planned.scope else { continue };
        let roles: Vec<String> =
            planned.confined().filter_map(|right| right.exchange_role).map(powershell).collect();
        if roles.is_empty() {
            continue;
        }
        let name = scope_name(plan, planned);
        text.push_str(&format!(
            "Add-Pointer {} {}\nSet-Scope {} {}\nSet-Roles {} @(\n    {})\n",
            powershell(&planned.name),
            powershell(planned.client_id.as_deref().unwrap_or_default()),
            powershell(&name),
            scope_filter(scope),
            powershell(&name),
            roles.join(",\n    "),
        ));
        if let Scope::Mailboxes(mailboxes) = scope {
            for mailbox in mailboxes {
                text.push_str(&test_line(mailbox.as_str()));
            }
        }
        text.push('\n');
    }
    text
}

/// `Mailkeep reader (acme)`, as far as there is room: one of two tenants in one directory must not
/// change the other's.
fn scope_name(plan: &Plan, planned: &PlannedApplication) -> String {
    format!("{} ({})", planned.name, plan.tenant).chars().take(LONGEST_NAME).collect()
}

/// A recipient filter, as an expression of PowerShell.
fn scope_filter(scope: &Scope) -> String {
    match scope {
        Scope::Group(group) => format!("(Get-GroupFilter {})", powershell(group)),
        Scope::Mailboxes(mailboxes) => {
            let each = mailboxes
                .iter()
                .map(|one| format!("PrimarySmtpAddress -eq {}", filter(one.as_str())));
            powershell(&each.collect::<Vec<_>>().join(" -or "))
        }
    }
}

/// What Exchange makes of it, without what it remembers.
fn test_line(mailbox: &str) -> String {
    let mailbox = powershell(mailbox);
    format!(
        "Test-ServicePrincipalAuthorization -Identity $pointer -Resource {mailbox} | Format-Table\n"
    )
}
