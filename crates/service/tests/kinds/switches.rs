//! What is switched off, and what the provider does not tell of: it stays as it last was.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mailkeep_exchange::Extras;
use mailkeep_model::Address;
use mailkeep_service::{PassLimits, PassReport, Unobserved};
use serde_json::json;

use crate::{
    ANN,
    common::{ALL, TINY, World},
};

/// Every folder is read from its beginning in each pass.
const COMPARED: PassLimits = PassLimits { compare_every: Duration::ZERO, ..TINY };

/// What the newest snapshot has of an item: its folder, its subject, its content and the length of its
/// stream.
type Kept = (String, String, Vec<u8>, Option<u64>);

impl World {
    /// A mailbox with something of everything, backed up; and all that is kept of it.
    async fn of_everything() -> (Self, BTreeMap<String, Kept>) {
        let (world, _) = Self::of_kinds(ALL).await;
        let order = json!({"mailbox": ANN, "seed": 4, "tasks": 3, "notes": 4, "contact_groups": 2,
                           "archive_messages": 6});
        world.admin.order("generate", order).await;
        for (what, count) in [("create", 5), ("delete", 3)] {
            let purge = json!({"mailbox": ANN, "seed": 1, what: count, "folder": "deleteditems",
                               "newest": 3});
            world.admin.order("mutate", purge).await;
        }
        let report = world.pass_of_ann().await;
        assert!(report.is_whole() && report.without_stream == 0, "{report:?}");
        let kept = world.all_kept().await;
        for folder in ["Notes", "Contact groups", "In-Place Archive", "Recoverable Items"] {
            assert!(kept.values().any(|one| one.0.contains(folder)), "nothing is in {folder}");
        }
        (world, kept)
    }

    async fn all_kept(&self) -> BTreeMap<String, Kept> {
        let view = self.service.view(&self.tenant, None).await.unwrap();
        let address: Address = ANN.parse().unwrap();
        let mut kept = BTreeMap::new();
        for folder in view.folders(&address).unwrap() {
            for stored in view.items(&address, &folder).unwrap() {
                let mut content = Vec::new();
                view.read(&view.find(&stored.short).unwrap(), &mut content).unwrap();
                let subject = stored.item.subject.clone();
                let one = (folder.path.to_string(), subject, content, stored.stream_bytes);
                assert!(
                    kept.insert(stored.item.id.0.clone(), one).is_none(),
                    "{stored:?} is twice"
                );
            }
        }
        kept
    }

    /// A pass over what the tests look at, and over nothing else.
    async fn pass_of_ann(&self) -> PassReport {
        let only = [ANN.parse().unwrap()];
        self.service.backup(&self.tenant, &only, Arc::new(Unobserved)).await.unwrap()
    }

    /// Two passes that find nothing to do.
    async fn idles(&self, what: &str) {
        for _ in 0..2 {
            let report = self.pass_of_ann().await;
            assert!(report.is_whole(), "{what}: {report:?}");
            let done = (report.new, report.changed, report.removed);
            assert_eq!(done, (0, 0, 0), "{what}: {report:?}");
            assert_eq!((report.content_bytes, report.streams), (0, 0), "{what}: {report:?}");
        }
    }
}

fn same(now: &BTreeMap<String, Kept>, before: &BTreeMap<String, Kept>, what: &str) {
    let told = |of: &BTreeMap<String, Kept>| -> Vec<(String, String)> {
        of.values().map(|one| (one.0.clone(), one.1.clone())).collect()
    };
    assert!(now == before, "{what}: {:?} instead of {:?}", told(now), told(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_stays_and_is_not_read_again_when_it_is_switched_on() {
    let (mut world, kept) = World::of_everything().await;
    let off = [
        ("tasks", Extras { tasks: false, ..ALL }),
        ("streams", Extras { streams: false, ..ALL }),
        ("archive", Extras { archive: false, ..ALL }),
        ("recoverable_items", Extras { recoverable_items: false, ..ALL }),
        ("everything", Extras::default()),
    ];
    for (what, extras) in off {
        for limits in [TINY, COMPARED] {
            world.switch_with(extras, limits).await;
            world.idles(what).await;
            same(&world.all_kept().await, &kept, what);
            world.switch_with(ALL, limits).await;
            world.idles(what).await;
            same(&world.all_kept().await, &kept, what);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_from_notes_and_archive_leaves_the_newest_snapshot() {
    let (mut world, kept) = World::of_everything().await;
    let delete =
        json!({"mailbox": ANN, "seed": 7, "notes": {"delete": 1}, "archive": {"delete": 1}});
    world.admin.order("mutate", delete).await;
    let report = world.pass_of_ann().await;
    assert!(report.is_whole() && report.removed == 2, "{report:?}");
    // Many at once are looked for in lists, few one by one: it comes to the same.
    let delete = json!({"mailbox": ANN, "seed": 8, "notes": {"delete": 3}, "archive": {"delete": 5},
                        "contact_groups": {"delete": 2}});
    world.admin.order("mutate", delete).await;
    world.switch_with(ALL, COMPARED).await;
    let report = world.pass_of_ann().await;
    assert!(report.is_whole() && report.removed == 10, "{report:?}");
    assert_eq!(world.all_kept().await.len(), kept.len() - 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_or_notes_that_the_provider_does_not_tell_of_stay() {
    let (mut world, kept) = World::of_everything().await;
    let archive = Extras { streams: false, ..ALL };
    let cases = [
        ("no archive", archive, json!({"primaryMailboxId": "x"})),
        ("archive: null", archive, json!({"inPlaceArchiveMailboxId": null})),
        ("neither", ALL, json!({"primaryMailboxId": null})),
    ];
    for (what, extras, answer) in cases {
        let rule = json!([{"operation": "exchangesettings.show", "answer": answer}]);
        world.admin.order("faults", rule).await;
        for limits in [TINY, COMPARED] {
            world.switch_with(extras, limits).await;
            for _ in 0..2 {
                let report = world.pass_of_ann().await;
                let told: Vec<_> =
                    report.failures.iter().map(|one| one.error.to_string()).collect();
                assert!(told.iter().any(|one| one.contains("does not tell")), "{what}: {told:?}");
                assert_eq!((report.removed, report.missed.len()), (0, 0), "{what}: {report:?}");
                same(&world.all_kept().await, &kept, what);
            }
        }
        world.admin.clear_faults().await;
        world.switch_with(ALL, COMPARED).await;
        world.idles(what).await;
        same(&world.all_kept().await, &kept, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_failed_is_read_by_the_next_pass_and_one_that_is_refused_is_not() {
    let (world, _) = World::of_kinds(crate::STREAMS).await;
    // Answers that leave out what was asked for.
    let rule = json!([{"operation": "exchange.export", "answer": {"value": []}}]);
    world.admin.order("faults", rule).await;
    let report = world.pass_of_ann().await;
    let (missed, without) = (report.missed.len(), report.without_stream);
    assert!(missed >= 17 && missed as u64 == without && !report.is_whole(), "{report:?}");
    assert!(world.all_kept().await.values().all(|one| !one.2.is_empty()));
    world.admin.clear_faults().await;
    let report = world.pass_of_ann().await;
    assert!(report.is_whole() && report.streams == without, "{report:?}");
    let kept = world.all_kept().await;
    // All but the settings, of which there is none.
    assert_eq!(kept.values().filter(|one| one.3.is_some()).count(), 17);
    world.idles("streams").await;

    let refused = json!([{"operation": "exchange.export", "status": 400, "code": "ErrorNotNow"}]);
    world.admin.order("faults", refused).await;
    world.admin.order("mutate", json!({"mailbox": ANN, "seed": 3, "create": 4})).await;
    let report = world.pass_of_ann().await;
    assert!(report.is_whole() && report.without_stream == 4, "{report:?}");
    world.admin.clear_faults().await;
    world.idles("refused").await;
}
