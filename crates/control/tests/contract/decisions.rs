//! What the policy decided, what was ordered, and what of its files cannot be used.

use crate::common::{at, mailbox_id, on_each_database, with_two_mailboxes};
use mailkeep_control::{DecisionFilter, NewDecision, StoredLoadProblem};
use mailkeep_model::ItemId;
use serde_json::json;
use time::Duration;

const ACTIONS: [&str; 2] = ["quarantine", "remove"];

fn new(item: &str, message: &str) -> NewDecision {
    NewDecision {
        item: ItemId(item.into()),
        content_key: "key".into(),
        message_id: Some(format!("<{message}>")),
        sender: "ann@acme.example".into(),
        action: "quarantine".into(),
        acted: true,
        spared: None,
        rules: json!([{ "rule": "bad mail" }]),
        told_as: Some("bad mail".into()),
        received: at(0),
    }
}

#[tokio::test]
async fn a_message_is_ordered_once_however_many_mailboxes_it_is_in() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let hour = Duration::hours(1);
        let (ann, bob) = (mailbox_id("ann"), mailbox_id("bob"));
        let first = control.record_decisions(&tenant, &ann, vec![new("1", "m")], hour, at(0));
        let first = first.await.unwrap().remove(0);
        control.record_decisions(&tenant, &bob, vec![new("2", "m")], hour, at(1)).await.unwrap();
        let spared =
            NewDecision { acted: false, spared: Some("dry run".into()), ..new("3", "other") };
        control.record_decisions(&tenant, &bob, vec![spared], hour, at(1)).await.unwrap();
        let waiting = control.waiting_decisions(&tenant, &ACTIONS, 10).await.unwrap();
        assert_eq!(waiting.len(), 2, "what is spared is not ordered: {waiting:?}");
        assert_eq!(control.decision_remedy(&waiting[1], &ACTIONS).await.unwrap(), None);

        control.set_decision_remedy(first.id, "7").await.unwrap();
        let waiting = control.waiting_decisions(&tenant, &ACTIONS, 10).await.unwrap();
        let [copy] = &waiting[..] else { panic!("{waiting:?}") };
        let remedy = control.decision_remedy(copy, &ACTIONS).await.unwrap();
        assert_eq!(remedy.as_deref(), Some("7"));
        // What was quarantined was not removed.
        assert_eq!(control.decision_remedy(copy, &ACTIONS[1..]).await.unwrap(), None);

        // Decided again on the same content: what was ordered stays ordered.
        let again = control.record_decisions(&tenant, &ann, vec![new("1", "m")], hour, at(9));
        let again = again.await.unwrap().remove(0);
        assert_eq!((again.remedy.as_deref(), again.id > first.id), (Some("7"), true));
        let all = control.decisions(&tenant, &DecisionFilter::default()).await.unwrap();
        assert_eq!(all.len(), 3, "{all:?}");
        let of_message =
            DecisionFilter { message_id: Some("<m>".into()), ..DecisionFilter::default() };
        assert_eq!(control.decisions(&tenant, &of_message).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_known_by_its_tenant_until_it_is_ordered_let_be_or_forgotten() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let (ann, hour) = (mailbox_id("ann"), Duration::hours(1));
        assert!(control.tenants_with_waiting_decisions(&ACTIONS).await.unwrap().is_empty());
        let told = NewDecision { action: "notify".into(), ..new("0", "told") };
        let new = vec![told, new("1", "m"), new("2", "n"), new("3", "o")];
        let stored = control.record_decisions(&tenant, &ann, new, hour, at(5)).await.unwrap();
        assert_eq!(stored[1].received, at(0));
        let tenants = control.tenants_with_waiting_decisions(&ACTIONS).await.unwrap();
        assert_eq!(tenants, std::slice::from_ref(&tenant));

        control.spare_decision(stored[1].id, "dry run").await.unwrap();
        control.set_decision_remedy(stored[2].id, "7").await.unwrap();
        // What was ordered in the meantime is not let be.
        control.spare_decision(stored[2].id, "dry run").await.unwrap();
        let waiting = control.waiting_decisions(&tenant, &ACTIONS, 10).await.unwrap();
        assert_eq!(waiting, stored[3..]);
        let all = control.decisions(&tenant, &DecisionFilter::default()).await.unwrap();
        let (ordered, spared) = (&all[1], &all[2]);
        assert_eq!((spared.acted, spared.spared.as_deref()), (false, Some("dry run")));
        // People who were told of it are told what became of it.
        assert_eq!(spared.episode, stored[1].episode);
        assert_eq!((ordered.acted, ordered.spared.as_deref()), (true, None));

        assert_eq!(control.forget_decisions(&tenant, at(5)).await.unwrap(), 0);
        assert_eq!(control.forget_decisions(&tenant, at(6)).await.unwrap(), 4);
        assert!(control.tenants_with_waiting_decisions(&ACTIONS).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn decisions_of_a_rule_are_told_as_one_until_it_is_quiet_for_a_while() {
    on_each_database(async |control| {
        let tenant = with_two_mailboxes(&control).await;
        let ann = mailbox_id("ann");
        let mut episodes = Vec::new();
        for (number, (seconds, rule)) in [
            (0, Some("a")),
            (50, Some("a")),
            (60, Some("b")),
            (105, Some("a")),
            (400, Some("a")),
            (401, None),
        ]
        .into_iter()
        .enumerate()
        {
            let told_as = rule.map(str::to_owned);
            let decision = NewDecision { told_as, ..new(&number.to_string(), &number.to_string()) };
            let minute = Duration::seconds(60);
            let stored =
                control.record_decisions(&tenant, &ann, vec![decision], minute, at(seconds));
            episodes.push(stored.await.unwrap()[0].episode);
        }
        assert_eq!(episodes[0], episodes[1]);
        assert_eq!(episodes[1], episodes[3]);
        assert_ne!(episodes[0], episodes[2]);
        assert_ne!(episodes[0], episodes[4]);
        assert_eq!(episodes[5], None);
        let told = control.told_decisions(at(90)).await.unwrap();
        // All of an episode in which something is new, and nothing of the one in which nothing is.
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(control.episode(episodes[0].unwrap()).await.unwrap().len(), 3);
        assert!(control.episode(99).await.unwrap().is_empty());
        assert_eq!(control.mailbox_first_seen(&tenant, &ann).await.unwrap(), at(0));
    })
    .await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_known_until_it_can() {
    on_each_database(async |control| {
        let problem = |path: &str, seconds: i64| StoredLoadProblem {
            path: path.into(),
            tenant: None,
            line: Some(3),
            problem: "no list".into(),
            kept: true,
            since: at(seconds),
            solved: None,
        };
        let set = async |problems: Vec<StoredLoadProblem>, seconds: i64| {
            control.set_load_problems(problems, at(seconds)).await.unwrap();
            control.load_problems().await.unwrap()
        };
        assert_eq!(set(vec![problem("b", 0), problem("a", 0)], 0).await.len(), 2);
        let known = set(vec![problem("a", 50)], 50).await;
        assert_eq!((known[0].since, known[0].solved), (at(0), None));
        assert_eq!((known[1].path.as_str(), known[1].solved), ("b", Some(at(50))));
        // Once more wrong is wrong from then on; what has long been solved is forgotten.
        let known = set(vec![problem("b", 70)], 70).await;
        assert_eq!((known[0].solved, known[1].since), (Some(at(70)), at(70)));
        let later = 70 + Duration::days(31).whole_seconds();
        assert_eq!(set(vec![problem("b", 70)], later).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_file_of_two_tenants_is_known_of_each() {
    on_each_database(async |control| {
        let problem = |tenant: Option<&str>| StoredLoadProblem {
            path: "policy.toml".into(),
            tenant: tenant.map(|name| name.parse().unwrap()),
            line: None,
            problem: "no policy".into(),
            kept: false,
            since: at(0),
            solved: None,
        };
        let both = vec![problem(Some("acme")), problem(Some("globex"))];
        control.set_load_problems(both, at(0)).await.unwrap();
        let later = StoredLoadProblem { since: at(9), ..problem(Some("acme")) };
        control.set_load_problems(vec![later], at(9)).await.unwrap();
        let mut known = control.load_problems().await.unwrap();
        known.sort_by_key(|one| one.tenant.clone());
        let solved = StoredLoadProblem { solved: Some(at(9)), ..problem(Some("globex")) };
        assert_eq!(known, [problem(Some("acme")), solved]);
    })
    .await;
}
