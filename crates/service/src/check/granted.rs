//! What is granted, held against what a function needs.

use std::collections::{BTreeSet, HashMap};

use mailkeep_model::Function;

use super::{Checks, Outcome, Scene};
use crate::rights::{all_rights, harmless, rights};

/// What the directory says was granted, by client id in lower case.
#[derive(Default)]
pub(super) struct Grants(pub(super) HashMap<String, Vec<String>>);

impl Scene {
    /// What the directory says of a function's application.
    fn registered(&self, function: Function) -> Option<&[String]> {
        let known = self.tenant.functions.iter().find(|known| known.function == function)?;
        let client_id = known.client_id.to_ascii_lowercase();
        self.grants.0.get(&client_id).map(Vec::as_slice)
    }
}

impl Checks {
    /// There is a token: what does Entra ID grant beyond the function, and what does it not?
    ///
    /// Graph's tokens are opaque by contract; where the rights in one can be read, or the auditor may
    /// look, they are compared.
    pub(super) fn granted(&mut self, scene: &Scene, function: Function, token: Option<&[String]>) {
        let registered = scene.registered(function);
        if token.is_none() && registered.is_none() {
            let text = "what is granted beyond the function cannot be seen: the token is opaque, and no auditor may look at the registration";
            return self.untried("no excess rights", text);
        }
        let granted: BTreeSet<&str> = token
            .into_iter()
            .flatten()
            .chain(registered.into_iter().flatten())
            .map(String::as_str)
            .collect();
        let needed = rights(function, scene.needs);
        let confined = scene.asked.scope(function).is_some();
        let beside: Vec<&str> = needed
            .iter()
            .filter(|right| confined && right.exchange_role.is_some())
            .map(|right| right.name)
            .filter(|name| granted.contains(name))
            .collect();
        if !beside.is_empty() {
            let text = format!(
                "granted in Entra ID, in all mailboxes, beside what Exchange confines: both add up, and the scope is void. Take it away there (register.sh of 'mailkeep tenant setup' does): {}",
                beside.join(", ")
            );
            self.say("unscoped rights", Outcome::Excess(text));
        }
        let everything = all_rights(function);
        let (unused, excess): (Vec<&str>, Vec<&str>) = granted
            .iter()
            .filter(|name| !needed.iter().any(|right| right.name == **name))
            .filter(|name| !harmless(function).contains(name))
            .partition(|name| everything.iter().any(|right| right.name == **name));
        if !unused.is_empty() {
            let text = format!(
                "granted, but what they are for is switched off (config.toml, [backup]): switch it on, or take them away: {}",
                unused.join(", ")
            );
            self.warning("unused rights", text);
        }
        if !excess.is_empty() {
            let text =
                format!("take away what the {function} must not have: {}", excess.join(", "));
            self.say("excess rights", Outcome::Excess(text));
        } else if beside.is_empty() {
            self.good("no excess rights", "nothing granted beyond the function");
        }
        // What another right stands in for shows by no refusal.
        let absent: Vec<&str> = needed
            .iter()
            .filter(|right| !confined || right.exchange_role.is_none())
            .map(|right| right.name)
            .filter(|name| !granted.contains(name))
            .collect();
        if !absent.is_empty() {
            let text = format!(
                "not granted in Entra ID: {}. What is not refused below works by another right, or by a role of Exchange",
                absent.join(", ")
            );
            self.warning("rights not granted", text);
        }
    }
}
