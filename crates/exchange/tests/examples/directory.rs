use mailkeep_exchange::{
    GraphAuditor, parse_directory_changes_page, parse_registered_object, parse_subscription,
    parse_users_page,
};
use mailkeep_model::{Actor, Change, Function};
use serde_json::{Value, json};

use crate::{
    common::Site,
    example::{Compared, Example, examples},
};

#[test]
fn users_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["user-delta", "user-get"]) else { return };
    for example in examples {
        let page = match (parse_users_page(&example.as_last_page()), example.mistake()) {
            (Err(said), Some(mistake)) => {
                example.is_refused(mistake, said);
                continue;
            }
            (page, _) => page.unwrap_or_else(|e| panic!("{}: {e}", example.file)),
        };
        assert_eq!(page.changes.len(), example.each().len(), "{}", example.file);
        for (change, told) in page.changes.iter().zip(example.each()) {
            let Change::Upsert(user) = change else { panic!("{}: gone", example.file) };
            let mut compared = Compared::with(&example, told);
            compared.same("/id", user.id.0.as_str());
            compared.done();
        }
        example.was_read();
    }
}

#[test]
fn subscriptions_are_read_as_the_documentation_shows_them() {
    let pages = ["subscription-get", "subscription-list", "subscription-update"];
    let Some(examples) = examples(&pages) else { return };
    for example in examples {
        for told in example.each() {
            let (id, expires) = parse_subscription(told.to_string().as_bytes()).unwrap();
            let mut compared = Compared::with(&example, told);
            compared.same("/id", id.0.as_str());
            compared.instant("/expirationDateTime", Some(expires));
            assert_eq!(compared.done(), 2);
        }
        example.was_read();
    }
}

#[test]
fn changes_of_the_directory_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["directoryaudit-get", "directoryaudit-list"]) else { return };
    for example in examples {
        let page = json!({ "value": example.each() }).to_string();
        let page = parse_directory_changes_page(page.as_bytes()).unwrap();
        assert_eq!(
            (page.entries.len(), page.damaged),
            (example.each().len(), 0),
            "{}",
            example.file
        );
        for (change, told) in page.entries.iter().zip(example.each()) {
            let mut compared = Compared::with(&example, told);
            compared.same("/id", change.id.as_str());
            compared.same("/activityDisplayName", change.activity.as_str());
            compared.instant("/activityDateTime", Some(change.at));
            if let Actor::User { name, address } = &change.actor {
                compared.same("/initiatedBy/user/userPrincipalName", name.as_str());
                let address = address.map(|address| address.to_string());
                compared.same("/initiatedBy/user/ipAddress", address);
            }
            for (number, target) in change.targets.iter().enumerate() {
                let at = |name: &str| format!("/targetResources/{number}/{name}");
                compared.same(&at("id"), target.id.as_str());
                compared.same(&at("displayName"), target.name.clone());
                compared.same(&at("Type"), target.kind.as_str());
            }
            compared.done();
        }
        example.was_read();
    }
}

#[test]
fn applications_and_service_principals_are_read_as_the_documentation_shows_them() {
    let Some(examples) = examples(&["application-get", "serviceprincipal-get"]) else { return };
    for example in examples {
        let object = parse_registered_object(example.json.to_string().as_bytes());
        let object = object.unwrap_or_else(|e| panic!("{}: {e}", example.file));
        let mut compared = Compared::with(&example, &example.json);
        compared.same("/id", object.id.as_str());
        compared.same("/displayName", object.name.as_str());
        for (number, key) in object.keys.iter().enumerate() {
            let at = |name: &str| format!("/keyCredentials/{number}/{name}");
            compared.same(&at("keyId"), key.key_id.as_str());
            compared.same(&at("displayName"), key.name.clone());
            compared.instant(&at("endDateTime"), key.end);
        }
        for (number, password) in object.passwords.iter().enumerate() {
            let at = |name: &str| format!("/passwordCredentials/{number}/{name}");
            compared.same(&at("keyId"), password.key_id.as_str());
            compared.instant(&at("endDateTime"), password.end);
        }
        compared.done();
        example.was_read();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_and_permissions_are_read_as_the_documentation_shows_them() {
    let all = |page: &str| examples(&[page]);
    let (Some(owners), Some(others), Some(assignments)) = (
        all("application-list-owners"),
        all("serviceprincipal-list-owners"),
        all("serviceprincipal-list-approleassignments"),
    ) else {
        return;
    };
    let site = Site::with(|options| options.journal = None).await;
    let client_id = site.register(Function::Auditor, &["Application.Read.All"]).await.client_id;
    let config = site.config(Function::Auditor);
    let auditor = GraphAuditor::new(config, site.access.clone()).unwrap();
    let lower = |value: &Value| value.as_str().unwrap().to_lowercase();
    let ids = |example: &Example| {
        example.each().iter().map(|told| lower(&told["id"])).collect::<Vec<_>>()
    };
    for example in owners.iter().chain(&others) {
        let rules = json!([{ "operation": "owners.list", "answer": example.json }]);
        site.order("faults", rules).await;
        let found = auditor.registrations(&[client_id.to_string()]).await.unwrap().remove(0).1;
        assert_eq!(found.unwrap().application.owners, ids(example), "{}", example.file);
        example.was_read();
    }
    for example in &assignments {
        let rules = json!([{ "operation": "approleassignments.list", "answer": example.json }]);
        site.order("faults", rules).await;
        let found = auditor.registrations(&[client_id.to_string()]).await.unwrap().remove(0).1;
        // None of these interfaces is in this tenant, so that nobody knows a name.
        let named =
            |told: &&Value| format!("{}/{}", lower(&told["resourceId"]), lower(&told["appRoleId"]));
        let mut expected: Vec<String> = example.each().iter().map(named).collect();
        expected.sort_unstable();
        assert_eq!(found.unwrap().granted, expected, "{}", example.file);
        example.was_read();
    }
}
