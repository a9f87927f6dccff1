//! Which mailboxes there are, and who came and went.

use std::collections::BTreeSet;

use mailkeep_exchange::{ExchangeError, GraphProvider, Provider};
use mailkeep_model::{Directory, Mailbox, MailboxKind, MailboxSelection};
use serde_json::json;

use crate::{World, mailbox};

const ROLES: &[&str] = &[
    "Mail.Read",
    "Calendars.Read",
    "Contacts.Read",
    "User.Read.All",
    "GroupMember.Read.All",
    "MailboxSettings.Read",
];

/// Local parts of the mailboxes that a selection leaves.
async fn found(
    provider: &GraphProvider,
    selection: &MailboxSelection,
    directory: &mut Directory,
) -> BTreeSet<String> {
    let selected = provider.discover(selection, directory).await.unwrap();
    assert!(selected.unclear.is_empty(), "{:?}", selected.unclear);
    local_parts(&selected.mailboxes)
}

fn local_parts(mailboxes: &[Mailbox]) -> BTreeSet<String> {
    let local = |address: &str| address.split('@').next().unwrap_or_default().to_owned();
    mailboxes.iter().map(|mailbox| local(mailbox.address.as_str())).collect()
}

fn all() -> MailboxSelection {
    MailboxSelection::default()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Three people besides the lab's own, in a directory that was read once.
async fn peopled(world: &World) {
    let add = |name: &str, purpose: &str| json!({"mailbox": name, "purpose": purpose});
    let people = json!({"add": [add("zoe", "user"), add("desk", "shared"), add("hall", "room"),
        {"mailbox": "visitor", "guest": true}]});
    world.order("users", people).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_left_or_was_renamed_is_found_with_one_request_and_guests_are_not_taken_in() {
    let world = World::with_roles(ROLES).await;
    let provider = world.provider();
    let mut directory = Directory::default();
    let before = found(&provider, &all(), &mut directory).await;
    let listed = provider.mailboxes().await.unwrap();
    assert_eq!(before.len(), listed.len());

    let requests = provider.usage().requests;
    assert_eq!(found(&provider, &all(), &mut directory).await, before);
    assert_eq!(provider.usage().requests - requests, 1, "nothing had changed");

    peopled(&world).await;
    let after = found(&provider, &all(), &mut directory).await;
    assert_eq!(
        after.difference(&before).cloned().collect::<BTreeSet<_>>(),
        names(&["desk", "hall", "zoe"])
    );
    let id = |directory: &Directory, address: &str| {
        let of = directory.users().find(|user| user.mailbox.address.as_str().starts_with(address));
        of.map(|user| user.mailbox.id.clone())
    };
    let zoe = id(&directory, "zoe@").unwrap();
    world
        .order(
            "users",
            json!({"change": [{"mailbox": "zoe", "to": "zoe.new"}], "remove": ["desk"],
        "purge": ["hall"]}),
        )
        .await;
    let last = found(&provider, &all(), &mut directory).await;
    assert_eq!(last.difference(&before).cloned().collect::<BTreeSet<_>>(), names(&["zoe.new"]));
    assert_eq!(id(&directory, "zoe.new@"), Some(zoe), "a new address is no new mailbox");
    // What is told in pieces comes to the same as what is read anew.
    let mut anew = Directory::default();
    assert_eq!(found(&provider, &all(), &mut anew).await, last);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_cursor_makes_the_directory_be_compared_and_nobody_be_forgotten() {
    let world = World::with_roles(ROLES).await;
    peopled(&world).await;
    let provider = world.provider();
    let mut directory = Directory::default();
    found(&provider, &all(), &mut directory).await;
    world.order("users", json!({"remove": ["desk"], "add": [{"mailbox": "newcomer"}]})).await;
    let began = directory.began();
    world.order("faults", json!([{"operation": "users.delta", "status": 410, "times": 1}])).await;
    let after = found(&provider, &all(), &mut directory).await;
    assert!(after.contains("newcomer") && after.contains("zoe") && !after.contains("desk"));
    assert!(directory.began() > began, "it was not read anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_count_with_the_groups_in_them_and_a_filter_narrows() {
    let world = World::with_roles(ROLES).await;
    peopled(&world).await;
    let provider = world.provider();
    let mut directory = Directory::default();
    let domain = provider.domains().await.unwrap().remove(0);
    let of = |local: &str| format!("{local}@{domain}");
    let groups = json!({"set": [
        {"name": "Front", "members": [of("desk")]},
        {"name": "Sales team", "mail": "sales", "members": [of("zoe"), "Front"]},
        {"name": "Rooms", "members": [of("hall")]},
    ]});
    let made = world.order("groups", groups).await;
    let id = |name: &str| -> String {
        let all = made["groups"].as_array().unwrap().iter();
        let one = all.clone().find(|one| one["name"] == name).unwrap();
        one["id"].as_str().unwrap().to_owned()
    };
    for name in ["Sales team".to_owned(), of("sales"), id("Sales team")] {
        let selection = MailboxSelection { groups: vec![name.clone()], ..all() };
        assert_eq!(
            found(&provider, &selection, &mut directory).await,
            names(&["desk", "zoe"]),
            "{name}"
        );
    }
    let both = MailboxSelection { groups: vec![id("Sales team"), "Rooms".into()], ..all() };
    assert_eq!(found(&provider, &both, &mut directory).await, names(&["desk", "hall", "zoe"]));
    let enabled =
        MailboxSelection { filter: Some("accountEnabled eq true".into()), ..both.clone() };
    assert_eq!(found(&provider, &enabled, &mut directory).await, names(&["zoe"]));
    let advanced =
        MailboxSelection { filter: Some(format!("endswith(mail,'sk@{domain}')")), ..all() };
    assert_eq!(found(&provider, &advanced, &mut directory).await, names(&["desk"]));
    let by_name = MailboxSelection {
        include: [of("hall").parse().unwrap()].into(),
        exclude: [of("desk").parse().unwrap()].into(),
        groups: vec![id("Sales team")],
        ..all()
    };
    assert_eq!(found(&provider, &by_name, &mut directory).await, names(&["hall", "zoe"]));
    // Somebody who is taken out of a group is not selected any more; the directory keeps him.
    world.order("groups", json!({"set": [{"name": "Front", "members": []}]})).await;
    let sales = MailboxSelection { groups: vec![id("Sales team")], ..all() };
    assert_eq!(found(&provider, &sales, &mut directory).await, names(&["zoe"]));
    assert!(directory.users().any(|user| user.mailbox.address.as_str().starts_with("desk@")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mailbox_is_for_is_asked_once() {
    let world = World::with_roles(ROLES).await;
    peopled(&world).await;
    let provider = world.provider();
    let mut directory = Directory::default();
    let shared =
        MailboxSelection { kinds: [MailboxKind::Shared, MailboxKind::Room].into(), ..all() };
    assert_eq!(found(&provider, &shared, &mut directory).await, names(&["desk", "hall"]));
    let requests = provider.usage().requests;
    assert_eq!(found(&provider, &shared, &mut directory).await, names(&["desk", "hall"]));
    assert_eq!(provider.usage().requests - requests, 1, "asked again");
    // A person's mailbox becomes a shared one: the account is blocked, too.
    let change = json!({"change": [{"mailbox": "zoe", "purpose": "shared", "enabled": false}]});
    world.order("users", change).await;
    assert_eq!(found(&provider, &shared, &mut directory).await, names(&["desk", "hall", "zoe"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_meant_is_told_with_its_name_and_the_way_out() {
    let world = World::with_roles(ROLES).await;
    let provider = world.provider();
    let mut directory = Directory::default();
    for (selection, word) in [
        (MailboxSelection { groups: vec!["No such group".into()], ..all() }, "No such group"),
        (
            MailboxSelection {
                groups: vec!["00000000-0000-4000-8000-00000000000a".into()],
                ..all()
            },
            "00000000-0000",
        ),
        (MailboxSelection { filter: Some("nonsense".into()), ..all() }, "nonsense"),
    ] {
        let error = provider.discover(&selection, &mut directory).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ExchangeError::Configuration { .. }), "{text}");
        assert!(text.contains(word) && text.contains("tenant mailboxes acme"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_a_selection_needs_is_named_when_it_is_missing() {
    let world = World::new().await;
    world.order("groups", json!({"set": [{"name": "Staff", "members": []}]})).await;
    let provider = world.provider();
    let mut directory = Directory::default();
    for (selection, right) in [
        (MailboxSelection { groups: vec!["Staff".into()], ..all() }, "GroupMember.Read.All"),
        (MailboxSelection { kinds: [MailboxKind::User].into(), ..all() }, "MailboxSettings.Read"),
    ] {
        let error = provider.discover(&selection, &mut directory).await.unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(right), "{error}");
    }
    // What was learnt of the directory is not lost for that.
    assert!(directory.cursor().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_does_not_tell_what_it_is_for_neither_stops_the_others_nor_leaves_the_backup()
 {
    let world = World::with_roles(ROLES).await;
    peopled(&world).await;
    let provider = world.provider();
    let selection = MailboxSelection { kinds: [MailboxKind::Room].into(), ..all() };
    let reference = mailbox(&provider).await.address;
    let hall = format!("hall@{}", reference.as_str().split_once('@').unwrap().1);
    for (status, backed_up) in [(403, true), (403, false), (400, true)] {
        let fault =
            json!([{"operation": "mailboxsettings.show", "mailbox": hall, "status": status}]);
        world.order("faults", fault).await;
        let mut directory = Directory::default();
        // Whoever else is there is known after this call.
        provider.discover(&selection, &mut directory).await.unwrap();
        let user = directory.users().find(|user| user.mailbox.address.as_str() == hall).unwrap();
        let id = user.mailbox.id.clone();
        directory = directory.with_backed_up(backed_up.then_some(id));
        let selected = provider.discover(&selection, &mut directory).await.unwrap();
        let expected = if backed_up { names(&["hall"]) } else { names(&[]) };
        assert_eq!(local_parts(&selected.mailboxes), expected, "{status}");
        assert_eq!(selected.unclear.len(), 1, "nobody learns that it is unclear");
        world.0.end("faults").await;
        // It is asked again.
        assert_eq!(found(&provider, &selection, &mut directory).await, names(&["hall"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_mailbox_was_backed_up_until_now_does_not_leave_the_backup() {
    let world = World::with_roles(ROLES).await;
    peopled(&world).await;
    let provider = world.provider();
    let mut directory = Directory::default();
    assert!(!found(&provider, &all(), &mut directory).await.contains("visitor"));
    let is_visitor = |address: &str| address.starts_with("visitor@");
    let visitor = directory.users().find(|user| is_visitor(user.mailbox.address.as_str()));
    let id = visitor.unwrap().mailbox.id.clone();
    directory = directory.with_backed_up([id]);
    assert!(found(&provider, &all(), &mut directory).await.contains("visitor"));
}
