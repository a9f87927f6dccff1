//! A tenant is set up by running what is printed for its administrator; what he forgets or grants too much is
//! found; and when a thief was faster, he gets everything back with one script.

mod story;

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use story::{Administrator, Run, World};

const GROUP: &str = "O'Brien's \"board\" $(id)";

/// A lab with four mailboxes, two of which are in a group with a name that nobody would choose.
struct Site {
    world: World,
    administrator: Administrator,
    people: Vec<String>,
}

impl Site {
    fn start() -> Self {
        let world = World::start(env!("CARGO_BIN_EXE_mailkeep"), &["--mailboxes", "4"]);
        let administrator = Administrator::sign_in(&world.lab, world.path("administrator"));
        let mut people = world.lab.mailboxes();
        people.sort();
        // Its logs are asked more often than five times in ten seconds here.
        let limits = json!({
            "concurrency": 4,
            "requests_per_ten_minutes": null,
            "upload_bytes_per_five_minutes": null,
        });
        world.lab.post("limits", &limits);
        let groups = json!({"set": [{"name": GROUP, "members": [people[0], people[1]]}]});
        world.lab.post("groups", &groups);
        Self { world, administrator, people }
    }

    /// Where the files for the administrator are.
    fn out(&self) -> PathBuf {
        self.world.path("for the administrator")
    }

    /// `tenant add` with options, which writes them.
    fn add(&self, options: &[&str]) {
        self.world.add_tenant("acme");
        self.setup(options);
    }

    fn setup(&self, options: &[&str]) {
        let out = self.out();
        let out = out.to_string_lossy();
        let setup = [&["tenant", "setup", "acme", "--out", &out], options].concat();
        self.world.mailkeep.run(&setup).ok().says(&["README.txt"]);
    }

    /// Runs `register.sh` and the command that it prints.
    fn register(&self) {
        let printed = self.administrator.sh(&self.out().join("register.sh"), &[]).ok();
        let printed = String::from_utf8(printed.stdout).expect("text");
        let words: Vec<&str> = printed.split_whitespace().skip(1).collect();
        self.world.mailkeep.run(&words).ok();
    }

    /// Somebody registers an application and does something to it; its application id.
    fn registered(&self, manifest: &Value, change: &Value) -> String {
        let lab = &self.world.lab;
        let made = self.administrator.graph(lab, "POST", "applications", Some(manifest));
        let id = made["appId"].as_str().expect("an application id").to_owned();
        self.administrator.az(&["ad", "sp", "create", "--id", &id, "--output", "none"]).ok();
        lab.change_application(&id, change);
        id
    }

    /// The object id of somebody.
    fn person(&self, address: &str) -> Value {
        let path = format!("users/{address}?$select=id");
        self.administrator.graph(&self.world.lab, "GET", &path, None)["id"].clone()
    }

    fn client_id(&self, function: &str) -> String {
        let shown = self.world.mailkeep.json(&["tenant", "show", "acme"]).ok().json();
        let mut functions = shown["functions"].as_array().into_iter().flatten();
        let found = functions.find(|one| one["function"] == function);
        found.expect("it is registered")["client_id"].as_str().expect("an id").to_owned()
    }

    /// What `exchange-roles.ps1` says of a function, given to the lab's Exchange.
    fn assign_roles(&self, function: &str, scope: &Value) {
        let script = fs::read_to_string(self.out().join("exchange-roles.ps1")).expect("the script");
        let begin = format!("Add-Pointer 'Mailkeep {function}'");
        let at = script.find(&begin).expect("the function is confined");
        let list = script[at..].split_once("@(").and_then(|(_, rest)| rest.split_once(')'));
        let names = list.expect("a list of roles").0.split(',');
        let roles = names.map(|name| {
            let mut role = scope.clone();
            role["role"] = json!(name.trim().trim_matches('\''));
            role
        });
        let roles: Vec<Value> = roles.collect();
        let order = json!({ "client_id": self.client_id(function), "roles": roles });
        self.world.lab.post("exchange-roles", &order);
    }

    fn check(&self) -> Run {
        self.world.mailkeep.run(&["tenant", "check", "acme"])
    }

    /// All works: the checks that came to something else than good.
    fn all_good_but(&self) -> Vec<String> {
        let run = self.world.mailkeep.json(&["tenant", "check", "acme"]).ok();
        let lines = run.json_lines();
        let found = lines.iter().filter(|line| line["outcome"] != "good");
        found.map(|line| format!("{} {}", line["outcome"], line["check"])).collect()
    }

    /// What Graph shows the administrator of an application.
    fn object(&self, collection: &str, function: &str, below: &str) -> Value {
        let path = format!("{collection}(appId='{}'){below}", self.client_id(function));
        self.administrator.graph(&self.world.lab, "GET", &path, None)
    }
}

#[test]
fn what_is_printed_sets_a_tenant_up_and_what_is_missing_or_too_much_is_found() {
    // 1. Five functions are asked for, confined to a group; the reader backs that group up.
    let site = Site::start();
    let (lab, sender) = (&site.world.lab, site.people[0].clone());
    let mut functions = Vec::new();
    for function in ["reader", "responder", "auditor", "prober", "steward"] {
        functions.extend(["--function", function]);
    }
    site.world.add_tenant("acme");
    site.world.mailkeep.run(&["tenant", "mailboxes", "acme", "--group", GROUP]).ok();
    site.setup(&[&functions[..], &["--confine-to", GROUP, "--send-from", &sender]].concat());

    // 2. The administrator runs what is printed, twice: the second time nothing is left to do.
    site.register();
    assert!(!site.administrator.changes().is_empty());
    site.administrator.sh(&site.out().join("register.sh"), &[]).ok();
    assert_eq!(site.administrator.changes(), Vec::<String>::new());
    let group = json!({ "group": GROUP });
    site.assign_roles("reader", &group);
    site.assign_roles("responder", &group);
    site.assign_roles("prober", &json!({ "mailboxes": [sender] }));

    // 3. Every right works, and none is too much.
    let others = ["\"missing\" \"restorer application\"", "\"untried\" \"steward application\""];
    assert_eq!(site.all_good_but(), others);
    let drafts = lab.contents(&sender).to_string();
    assert!(!drafts.contains("Mailkeep tries"), "the draft of the trial is still there");
    let steward = site.object("servicePrincipals", "steward", "?$select=id")["id"].clone();
    for function in ["reader", "responder", "auditor", "prober"] {
        for collection in ["applications", "servicePrincipals"] {
            let owners = site.object(collection, function, "/owners?$select=id");
            assert_eq!(owners["value"][0]["id"], steward, "{collection} {function}");
        }
    }

    // 4. A right is taken away: it is named.
    let auditor = site.client_id("auditor");
    let all =
        ["AuditLog.Read.All", "Directory.Read.All", "Application.Read.All", "Policy.Read.All"];
    lab.change_application(&auditor, &json!({ "roles": all }));
    site.check().exits(12).says(&["auditor", "AuditLogsQuery-Exchange.Read.All"]);
    lab.change_application(&auditor, &json!({ "roles": ["AuditLogsQuery-Exchange.Read.All"] }));
    site.check().exits(12).says(&["AuditLog.Read.All", "Policy.Read.All", "Application.Read.All"]);
    site.administrator.sh(&site.out().join("register.sh"), &[]).ok();
    site.check().ok();

    // 5. Somebody presses "grant admin consent" for all mail: the scope is void, and that is said.
    let reader = site.client_id("reader");
    let wide = ["User.Read.All", "GroupMember.Read.All", "Mail.Read"];
    lab.change_application(&reader, &json!({ "roles": wide }));
    let check = site.check().exits(3);
    let check = check.says(&["the scope is void", "Mail.Read", "outside of the scope"]);
    check.says(&[&site.people[2], &site.people[3]]);
    site.administrator.sh(&site.out().join("register.sh"), &[]).ok();
    site.check().ok();

    // 6. A right that the function must not have at all.
    let responder = site.client_id("responder");
    lab.change_application(&responder, &json!({ "roles": ["Mail.Send"] }));
    site.check().exits(3).says(&["excess rights", "the responder must not have: Mail.Send"]);
    lab.change_application(&responder, &json!({ "roles": [] }));

    // 7. A scope that leaves one of its mailboxes out, and one that reaches further than it should.
    site.assign_roles("reader", &json!({ "mailboxes": [site.people[0]] }));
    site.check().exits(3).says(&["refused in 1 of 2 mailboxes", &site.people[1]]);
    site.assign_roles("reader", &group);
    site.assign_roles("prober", &json!({ "mailboxes": [sender, site.people[2]] }));
    site.check().exits(3).says(&["Mail.Send reaches mailboxes outside", &site.people[2]]);
    site.assign_roles("prober", &json!({ "mailboxes": [site.people[2]] }));
    site.check().exits(12).says(&["prober", "Mail.Send", &sender]);
}

#[test]
fn a_thief_s_keys_owners_and_rights_are_gone_after_the_break_glass_script() {
    // 1. A tenant with a reader, an auditor and a steward.
    let site = Site::start();
    site.add(&["--function", "reader", "--function", "auditor", "--function", "steward"]);
    site.register();
    site.check().ok();
    site.setup(&[]);

    // 2. A thief leaves keys, a password, another issuer, an owner and rights behind, and takes ours away.
    let lab = &site.world.lab;
    let stolen = site.world.neighbour("thief");
    let certificate = stolen.add_tenant("acme");
    let reader = site.client_id("reader");
    lab.change_application(&reader, &json!({ "add_certificate": certificate }));
    let owner = site.object("servicePrincipals", "auditor", "?$select=id")["id"].clone();
    lab.change_application(&reader, &json!({ "add_owner": owner }));
    let rights = [
        "Mail.Read",
        "Calendars.Read",
        "Contacts.Read",
        "MailboxSettings.Read",
        "User.Read.All",
        "Mail.ReadWrite",
    ];
    lab.change_application(&reader, &json!({ "roles": rights }));
    let make = |collection: &str, below: &str, body: &Value| {
        let path = format!("{collection}(appId='{reader}')/{below}");
        site.administrator.graph(lab, "POST", &path, Some(body))
    };
    let password = json!({ "passwordCredential": { "displayName": "x" } });
    make("applications", "addPassword", &password);
    make("servicePrincipals", "addPassword", &password);
    let trust = json!({ "name": "x", "issuer": "https://thief.example", "subject": "x",
        "audiences": ["api://AzureADTokenExchange"] });
    make("applications", "federatedIdentityCredentials", &trust);
    let ours = lab.key_of(&reader);
    lab.change_application(&reader, &json!({ "remove_key": ours }));
    site.check().exits(12).says(&["AADSTS700027"]);

    // 3. The script shuts everything, and says what it does.
    let script = site.out().join("break-glass.sh");
    site.administrator.sh(&script, &[]).exits(1).says(&["reopen DIRECTORY"]);
    let shut = site.administrator.sh(&script, &["shut"]).ok();
    let shut = shut.says(&["service principal disabled", "password", "federated credential"]);
    shut.says(&["owner", "taken away"]);
    site.check().exits(12);
    for collection in ["applications", "servicePrincipals"] {
        let shown = site.object(collection, "reader", "");
        assert_eq!(
            (&shown["keyCredentials"], &shown["passwordCredentials"]),
            (&json!([]), &json!([]))
        );
    }
    let owners = site.object("applications", "reader", "/owners?$select=id");
    let steward = site.object("servicePrincipals", "steward", "?$select=id")["id"].clone();
    assert_eq!(owners["value"], json!([{ "id": steward }]));
    let trusts = site.object("applications", "reader", "/federatedIdentityCredentials");
    assert_eq!(trusts["value"], json!([]));

    // 4. With certificates that Mailkeep prints it is opened again; the script can be run twice.
    site.administrator.sh(&script, &["shut"]).ok();
    let fresh = site.world.path("fresh");
    fs::create_dir_all(&fresh).expect("a directory");
    for function in ["reader", "auditor"] {
        let pem = site.world.mailkeep.run(&["identity", "certificate", "acme", function]).ok();
        fs::write(fresh.join(format!("{function}.pem")), &pem.stdout).expect("a certificate");
    }
    let arguments = ["reopen", &fresh.to_string_lossy()];
    site.administrator.sh(&script, &arguments).ok().says(&["enabled again"]);
    site.check().ok();
    site.administrator.sh(&script, &arguments).exits(1).says(&["still has keys"]);
}

#[test]
fn an_application_that_somebody_else_gave_our_name_to_gets_no_rights() {
    // 1. Somebody registers applications with our names first, and keeps every way in that there is.
    let site = Site::start();
    site.add(&["--function", "reader", "--function", "steward"]);
    let steward = json!({ "displayName": "Mailkeep steward", "signInAudience": "AzureADMyOrg" });
    let steward = site.registered(&steward, &json!({ "add_password": "x" }));
    let reader =
        json!({ "displayName": "Mailkeep reader", "signInAudience": "AzureADMultipleOrgs" });
    let squatter = site.registered(
        &reader,
        &json!({
            "add_password": "x",
            "add_owner": site.person(&site.people[0]),
            "add_certificate": site.world.neighbour("thief").add_tenant("acme"),
            "add_federated": { "name": "x", "issuer": "https://thief.example", "subject": "x" },
        }),
    );

    // 2. Both are refused, with every reason and a way out, before anything is changed.
    let script = site.out().join("register.sh");
    site.administrator.changes();
    let refused = site.administrator.sh(&script, &[]).exits(1);
    let refused = refused.says(&["nothing was changed", &squatter, &steward]);
    let refused = refused.says(&["password", "owner", "certificate", "federated credential"]);
    let refused = refused.says(&["for accounts of AzureADMultipleOrgs"]);
    refused.says(&[&format!("tenant add acme --client-id reader={squatter}")]);
    assert_eq!(site.administrator.changes(), Vec::<String>::new());

    // 3. One that is ours for sure is named, and taken.
    for (function, id) in [("reader", &squatter), ("steward", &steward)] {
        let named = format!("{function}={id}");
        site.world.mailkeep.run(&["tenant", "add", "acme", "--client-id", &named]).ok();
    }
    site.setup(&[]);
    let done = site.administrator.sh(&script, &[]).ok();
    done.says(&[&format!("Mailkeep reader ({squatter}): was there")]);
}

#[test]
fn what_the_administrator_registered_is_ours_when_he_runs_it_again_and_directories_have_no_case() {
    // 1. Nobody tells Mailkeep what was registered, and Entra makes the administrator its owner.
    let site = Site::start();
    let lab = &site.world.lab;
    site.world.add_tenant_in("acme", &lab.tenant().to_uppercase());
    site.setup(&["--function", "reader", "--function", "steward"]);
    let script = site.out().join("register.sh");
    let printed = site.administrator.sh(&script, &[]).ok().says(&["Mailkeep reader", ": made"]);
    let printed = String::from_utf8(printed.stdout).expect("text");
    let reader = printed.split("reader=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let administrator = site.people.last().expect("somebody");
    let owner = json!({ "add_owner": site.person(administrator) });
    lab.change_application(reader.expect("an application id"), &owner);

    // 2. It is known again: nothing is left to do.
    site.administrator.changes();
    site.administrator.sh(&script, &[]).ok().says(&["Mailkeep reader", ": was there"]);
    assert_eq!(site.administrator.changes(), Vec::<String>::new());

    // 3. The other script takes the directory as it was typed in, too. What it cannot do stops nothing else.
    let words: Vec<&str> = printed.split_whitespace().skip(1).collect();
    site.world.mailkeep.run(&words).ok();
    site.setup(&[]);
    let path = format!("{}/applications(appId='{}')", lab.graph(), reader.expect("an id"));
    let remove = ["rest", "--method", "DELETE", "--url", &path, "--output", "none"];
    site.administrator.az(&remove).ok();
    let shut = site.administrator.sh(&site.out().join("break-glass.sh"), &["shut"]).exits(1);
    shut.says(&["could not be done", "Mailkeep reader", "service principal disabled"]);
    let steward = site.object("servicePrincipals", "steward", "");
    assert_eq!(steward["accountEnabled"], json!(false));
}

#[test]
fn the_policy_locks_our_applications_to_our_addresses_and_nobody_else_s() {
    // 1. A tenant whose requests come from an address that we know.
    let site = Site::start();
    site.add(&["--function", "reader"]);
    assert!(!site.out().join("conditional-access.json").exists(), "no address is known");
    site.register();
    let lock = |network: &str| {
        site.world.mailkeep.run(&["tenant", "egress", "acme", network]).ok();
        site.setup(&[]);
        let read = |name: &str| {
            let text = fs::read_to_string(site.out().join(name)).expect("the file");
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        let (mut policy, location) = (read("conditional-access.json"), read("named-location.json"));
        let id = "6f0d3b1e-0d8c-4b61-9d1a-2f9f5d5f7c11";
        let principal = site.object("servicePrincipals", "reader", "?$select=id")["id"].clone();
        policy["state"] = json!("enabled");
        let text = policy.to_string().replace("<named location>", id);
        let text = text.replace(
            "<service principal of Mailkeep reader>",
            principal.as_str().unwrap_or_default(),
        );
        let policy: Value = serde_json::from_str(&text).expect("JSON");
        let ranges = location["ipRanges"].as_array().into_iter().flatten();
        let ranges: Vec<_> = ranges.map(|range| range["cidrAddress"].clone()).collect();
        let location =
            json!({ "id": id, "displayName": location["displayName"], "ipRanges": ranges });
        let order = json!({ "policies": [policy], "locations": [location] });
        site.world.lab.post("conditional-access", &order);
    };

    // 2. From there it works, from elsewhere nothing does.
    lock("127.0.0.1/32");
    site.check().ok();
    lock("127.0.0.9/32");
    site.check().exits(12).says(&["AADSTS53003"]);
}
