//! What to do with the rest, in which order.

use crate::rights::SNAPSHOTS;

use super::{Plan, PlannedApplication, Scope, exchange_roles};

pub(super) fn text(plan: &Plan) -> String {
    let mut text = format!(
        "Mailkeep, tenant {}: what the administrator of the directory {} does\n\n",
        plan.tenant, plan.directory
    );
    for planned in &plan.applications {
        text.push_str(&application(planned));
    }
    text.push_str(
        "\nIn this order; every script says at its beginning what it does and needs:\n\n",
    );
    let mut number = 0;
    let mut step = |line: &str| {
        number += 1;
        text.push_str(&format!("{number}. {line}\n"));
    };
    step(
        "register.sh (az), or register.ps1 (Microsoft.Graph): applications, certificates, rights.\n   \
          It stops before it changes anything when somebody else gave one of these names to an application.\n   \
          By hand instead: a new single-tenant registration for each of the above without a redirect\n   \
          address; upload the certificate and nothing else; the rights as application permissions of\n   \
          Microsoft Graph, with admin consent.",
    );
    if exchange_roles::are_needed(plan) {
        step(
            "exchange-roles.ps1: confines them to some mailboxes. Where they read all mailboxes up to now,\n   \
              run it before step 1 and wait two hours: Exchange takes that long, and nothing is read between.\n   \
              With -ClientId FUNCTION=ID,... for those that Mailkeep does not know yet.",
        );
    }
    if plan.applications.iter().any(|one| one.granted().any(|right| right.name == SNAPSHOTS)) {
        step(
            "For snapshots of Exchange's configuration, which Microsoft's own service takes: add the service\n   \
              principal of the application 03b07b79-c5bc-4b5e-9bfa-13acf4a99998 (Tenant Configuration\n   \
              Management), grant it Exchange.ManageAsApp of Office 365 Exchange Online, and in Exchange the\n   \
              roles 'View-Only Configuration' and 'View-Only Recipients'. Ours does not get these.",
        );
    }
    step("The command that step 1 printed, on the machine with Mailkeep.");
    step(&format!("mailkeep tenant check {}: tries each right by using it.", plan.tenant));
    if plan.egress.is_empty() {
        step(&format!(
            "mailkeep tenant egress {0} ADDRESS..., then 'mailkeep tenant setup {0}' again: it adds a policy\n   \
             that blocks these applications from all other addresses (Workload Identities Premium).",
            plan.tenant
        ));
    } else {
        step(
            "conditional-access.ps1: blocks these applications from all addresses but ours, which are in\n   \
              named-location.json. Needs Workload Identities Premium. Some days later again, with -Enforce.",
        );
    }
    step(
        "break-glass.sh and break-glass.ps1 into a safe: the way back in when somebody took our keys away.",
    );
    text
}

fn application(planned: &PlannedApplication) -> String {
    let names = |rights: Vec<&str>| match rights.as_slice() {
        [] => "(nothing)".to_owned(),
        some => some.join(", "),
    };
    let mut text = format!("'{}'\n", planned.name);
    text.push_str(&match &planned.certificate {
        Some(one) => format!(
            "    certificate  {}.pem, SHA-1 {}, until {}\n",
            planned.function,
            one.thumbprint_sha1,
            one.not_after.date()
        ),
        None => {
            "    certificate  none yet: it gets one when it is needed, and loses it afterwards\n"
                .into()
        }
    });
    let granted = planned.granted().map(|right| right.name).collect();
    text.push_str(&format!("    Entra ID     {}\n", names(granted)));
    if let Some(scope) = &planned.scope {
        let whom = match scope {
            Scope::Group(group) => format!("direct members of '{group}'"),
            Scope::Mailboxes(some) => {
                some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
        };
        let roles = planned.confined().filter_map(|right| right.exchange_role).collect();
        text.push_str(&format!("    Exchange     {}\n    in           {whom}\n", names(roles)));
    }
    text
}
