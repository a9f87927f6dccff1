use mailkeep_exchange::{parse_subscription, parse_users_page};
use mailkeep_model::Change;

use crate::example::{Compared, examples};

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
