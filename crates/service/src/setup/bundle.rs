use super::{Plan, manifest, readme, scripts};

/// What a tenant's administrator gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The files; the first one says what to do with the others.
    pub files: Vec<BundleFile>,
}

/// One file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// Its name, without a directory.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Bundle {
    /// A file by its name.
    pub fn file(&self, name: &str) -> Option<&str> {
        self.files.iter().find(|file| file.name == name).map(|file| file.text.as_str())
    }
}

pub(super) fn of(plan: &Plan) -> Bundle {
    let mut files = Vec::new();
    let mut add = |name: &str, text: String| {
        files.push(BundleFile { name: name.to_owned(), text });
    };
    add("README.txt", readme::text(plan));
    for planned in &plan.applications {
        let function = planned.function;
        add(&format!("{function}.manifest.json"), pretty(&manifest::application(planned)));
        if let Some(certificate) = &planned.certificate {
            add(&format!("{function}.pem"), certificate.certificate_pem.clone());
        }
    }
    add("register.sh", scripts::register_sh(plan));
    add("register.ps1", scripts::register_ps1(plan));
    if let Some(text) = scripts::exchange_roles(plan) {
        add("exchange-roles.ps1", text);
    }
    if let Some(text) = scripts::conditional_access(plan) {
        add("named-location.json", pretty(&manifest::named_location(plan)));
        add("conditional-access.json", pretty(&manifest::access_policy(plan)));
        add("conditional-access.ps1", text);
    }
    add("break-glass.sh", scripts::break_glass_sh(plan));
    add("break-glass.ps1", scripts::break_glass_ps1(plan));
    Bundle { files }
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use mailkeep_model::Function;

    use super::{super::*, *};
    use crate::setup::PlannedApplication;

    /// All functions, confined by a group with an odd name.
    fn plan(group: &str) -> Plan {
        let asked = Asked {
            functions: Function::ALL.into_iter().collect(),
            confined_to: Some(group.to_owned()),
            send_from: ["o'brien@acme.example".parse().unwrap()].into(),
            exchange_configuration: false,
        };
        let application = |function| PlannedApplication {
            function,
            name: application_name(function),
            client_id: None,
            certificate: None,
            scope: asked.scope(function),
            rights: rights(function, Needs::default()),
        };
        Plan {
            tenant: "acme".parse().unwrap(),
            directory: "acme.example".into(),
            graph: "https://graph.example/v1.0".into(),
            applications: Function::ALL.into_iter().map(application).collect(),
            egress: vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        }
    }

    #[test]
    fn a_shell_understands_the_scripts_whatever_things_are_called() {
        let bundle = of(&plan("Board's $(reboot) `x` \u{2019}; rm -rf ~ \""));
        for file in bundle.files.iter().filter(|file| file.name.ends_with(".sh")) {
            let mut shell =
                Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().expect("a shell");
            shell.stdin.take().unwrap().write_all(file.text.as_bytes()).unwrap();
            assert!(shell.wait().unwrap().success(), "{}:\n{}", file.name, file.text);
        }
    }

    #[test]
    fn what_exchange_confines_is_granted_nowhere_else() {
        let bundle = of(&plan("Board"));
        let roles = bundle.file("exchange-roles.ps1").unwrap();
        assert!(
            roles.contains("'Application Mail.Read'") && roles.contains("'Application Mail.Send'")
        );
        assert!(roles.contains(r"'PrimarySmtpAddress -eq ''o''''brien@acme.example'''"), "{roles}");
        let manifest: serde_json::Value =
            serde_json::from_str(bundle.file("reader.manifest.json").unwrap()).unwrap();
        let access = &manifest["requiredResourceAccess"][0]["resourceAccess"];
        let ids: Vec<_> = access.as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert_eq!(ids, ["df021288-bdef-4463-88db-98f22de89214"], "only User.Read.All");
        for (script, grant, confine) in
            [("register.sh", "grant", "confined"), ("register.ps1", "Grant-Right", "Limit-Right")]
        {
            let script = bundle.file(script).unwrap();
            assert!(!script.contains(&format!("{grant} 'Mail.Read'\n")));
            assert!(script.contains(&format!("{confine} 'Mail.Read'\n")));
            assert!(script.contains(&format!("{grant} 'AuditLog.Read.All'\n")));
        }
    }

    #[test]
    fn only_what_reads_and_sends_all_the_time_has_a_certificate() {
        assert!(!has_standing_key(Function::Restorer) && !has_standing_key(Function::Steward));
    }

    /// What follows each `@(…)` in a script.
    fn after_lists(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        for (at, _) in text.match_indices("@(") {
            let mut depth = 0;
            let end = text[at..].find(|letter| {
                depth += i32::from(letter == '(') - i32::from(letter == ')');
                letter == ')' && depth == 0
            });
            found.extend(end.map(|end| &text[at + end + 1..]));
        }
        found
    }

    #[test]
    fn no_powershell_script_stops_in_strict_mode_because_a_list_is_empty() {
        let bundle = of(&plan("Board"));
        for file in bundle.files.iter().filter(|file| file.name.ends_with(".ps1")) {
            assert!(file.text.contains("Set-StrictMode -Version Latest"), "{}", file.name);
            for rest in after_lists(&file.text) {
                let is_safe = rest.starts_with(".Count") || !rest.starts_with(['.', '[']);
                assert!(is_safe, "{}: @(…){}", file.name, rest.lines().next().unwrap_or_default());
            }
        }
        assert_eq!(after_lists("@(a (b) | c).id; @()[0]"), [".id; @()[0]", "[0]"]);
    }

    #[test]
    fn a_directory_typed_in_upper_case_is_the_one_that_az_says() {
        let mut plan = plan("Board");
        plan.directory = "6F0D3B1E-0D8C-4B61-9D1A-2F9F5D5F7C11".into();
        let bundle = of(&plan);
        for script in ["register.sh", "register.ps1", "break-glass.sh", "break-glass.ps1"] {
            let text = bundle.file(script).unwrap();
            assert!(
                text.contains("= '6f0d3b1e") || text.contains("directory='6f0d3b1e"),
                "{script}"
            );
        }
    }

    #[test]
    fn whether_an_application_is_ours_is_known_before_anything_is_changed() {
        let bundle = of(&plan("Board"));
        for (script, look, stop, register) in [
            ("register.sh", "look '", "nothing was changed", "register '"),
            ("register.ps1", "Find-Application '", "nothing was changed", "Register-Application '"),
        ] {
            let text = bundle.file(script).unwrap();
            let lines = |begin: &str| {
                let lines = text.lines().enumerate();
                lines.filter(|(_, line)| line.starts_with(begin)).collect::<Vec<_>>()
            };
            let (looks, registers) = (lines(look), lines(register));
            assert_eq!(looks.len(), Function::ALL.len(), "{script}");
            assert!(looks[0].1.contains("'steward'"), "it may be an owner of the others: {script}");
            let stop = text.lines().position(|line| line.contains(stop)).unwrap();
            assert!(looks.iter().all(|(at, _)| *at < stop), "{script}");
            assert!(registers.iter().all(|(at, _)| *at > stop), "{script}");
        }
    }

    #[test]
    fn the_break_glass_scripts_know_no_application_but_ours() {
        let bundle = of(&plan("Board"));
        for script in ["break-glass.sh", "break-glass.ps1"] {
            let text = bundle.file(script).unwrap();
            for function in Function::ALL {
                assert!(text.contains(&format!("'Mailkeep {function}'")), "{script}: {function}");
            }
        }
    }
}
