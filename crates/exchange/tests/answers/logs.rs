//! The logs of a provider that has a bad day, or is not the provider.

use std::{
    io::{self, Write},
    sync::{Arc, OnceLock},
};

use mailkeep_exchange::{Access, ActivityFeed, ExchangeError, GraphAuditor, GraphConfig};
use mailkeep_model::Function;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::{
    script,
    server::{Asked, Log, Server, connection, json as say_json, say},
};

const DIRECTORY: uuid::Uuid = uuid::Uuid::from_u128(7);

/// What the script is not told when it is written: where it runs.
#[derive(Clone, Default)]
struct Address(Arc<OnceLock<String>>);

impl Address {
    fn get(&self) -> &str {
        self.0.get().unwrap()
    }
}

struct Auditor {
    server: Server,
    log: Log,
    config: GraphConfig,
    access: Access,
    _directory: TempDir,
}

impl Auditor {
    async fn of(
        act: impl Fn(&Asked, &str, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let (address, log) = (Address::default(), Log::default());
        let (known, written) = (address.clone(), log.clone());
        let server = Server::start(script(move |asked, out| {
            written.note(asked);
            act(asked, known.get(), out)
        }));
        address.0.set(server.address.clone()).unwrap();
        let (config, access, directory) =
            connection(&server, &server.ca_pem, Function::Auditor).await;
        Self { server, log, config, access, _directory: directory }
    }

    fn graph(&self) -> GraphAuditor {
        GraphAuditor::new(self.config.clone(), self.access.clone()).unwrap()
    }

    fn feed(&self) -> ActivityFeed {
        ActivityFeed::new(self.config.clone(), self.access.clone(), DIRECTORY).unwrap()
    }

    /// Requests whose path has this in it.
    fn requests(&self, part: &str) -> Vec<String> {
        self.log.lines().into_iter().filter(|line| line.contains(part)).collect()
    }
}

fn last(time: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc();
    (now - time, now)
}

fn refuse(out: &mut dyn Write, status: &str, code: &str, message: &str) -> io::Result<()> {
    let body = json!({ "error": { "code": code, "message": message } }).to_string();
    say(out, status, "application/json", "", body.as_bytes())
}

fn record(id: &str) -> Value {
    json!({
        "Id": id, "CreationTime": "2026-11-27T08:00:00", "Operation": "MailItemsAccessed",
        "MailboxOwnerUPN": "ann@x.example",
    })
}

fn content(address: &str, ids: &[&str]) -> String {
    let one = |id: &&str| {
        let uri = format!("{address}/api/v1.0/{DIRECTORY}/activity/feed/audit/{id}");
        json!({ "contentId": id, "contentUri": uri, "contentType": "Audit.Exchange" })
    };
    Value::from_iter(ids.iter().map(one)).to_string()
}

const SUBSCRIBED: &str = r#"[{"contentType":"Audit.Exchange","status":"enabled","webhook":null}]"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_asked_in_windows_of_a_day_and_no_further_back_than_it_keeps() {
    let auditor = Auditor::of(|asked, _, out| match asked.path.as_str() {
        path if path.contains("/list") => say_json(out, SUBSCRIBED),
        _ => say_json(out, "[]"),
    })
    .await;
    let (since, until) = last(Duration::days(30));
    let found = auditor.feed().mail_accesses(since, until).await.unwrap();
    let kept = until - found.since;
    assert!(kept <= Duration::days(7) && kept > Duration::days(6), "{kept}");
    let asked = auditor.requests("subscriptions/content");
    assert_eq!(asked.len(), 7);
    for path in asked {
        assert!(path.contains(&format!("PublisherIdentifier={DIRECTORY}")), "{path}");
        assert!(path.starts_with(&format!("/api/v1.0/{DIRECTORY}/activity/feed/")), "{path}");
        let url = url::Url::parse(&format!("https://x{path}")).unwrap();
        let time = |name: &str| {
            let mut pairs = url.query_pairs();
            let (_, value) = pairs.find(|(key, _)| key == name).unwrap();
            let format = &time::format_description::well_known::Rfc3339;
            OffsetDateTime::parse(&format!("{value}Z"), format).unwrap()
        };
        let window = time("endTime") - time("startTime");
        assert!(window > Duration::ZERO && window <= Duration::DAY, "{window}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_many_pages_is_read_each_once_and_what_has_expired_or_is_damaged_is_counted() {
    let auditor = Auditor::of(|asked, address, out| {
        // Of another version of the interface, as the documentation shows it.
        let next = |number: u32| {
            format!(
                "NextPageUri: {address}/api/v1/{DIRECTORY}/activity/feed/subscriptions/content?\
                 contentType=Audit.Exchange&nextPage={number}\r\n"
            )
        };
        let media_type = "application/json; charset=utf-8";
        let path = asked.path.as_str();
        let (_, id) = path.rsplit_once('/').unwrap();
        match id {
            _ if path.contains("/list") => say_json(out, SUBSCRIBED),
            _ if path.contains("nextPage=1") => {
                let more = next(2);
                say(out, "200 OK", media_type, &more, content(address, &["b", "c"]).as_bytes())
            }
            _ if path.contains("nextPage=2") => {
                let told = content(address, &["d", "e"]).replace(']', ",{\"contentId\":5}]");
                say_json(out, &told)
            }
            _ if path.contains("/content") => {
                let more = next(1);
                say(out, "200 OK", media_type, &more, content(address, &["a", "b"]).as_bytes())
            }
            "a" => say_json(
                out,
                &json!([record("1"), record("2"), { "Operation": "Send" }]).to_string(),
            ),
            "b" => say_json(
                out,
                &json!([record("2"), 7, { "Operation": "MailItemsAccessed" }]).to_string(),
            ),
            "c" => refuse(out, "400 Bad Request", "AF20051", "Content has already expired."),
            "d" => refuse(out, "404 Not Found", "AF20050", "The specified content does not exist."),
            _ => say_json(out, &json!([record("3")]).to_string()),
        }
    })
    .await;
    let (since, until) = last(Duration::hours(1));
    let found = auditor.feed().mail_accesses(since, until).await.unwrap();
    let ids: Vec<&str> = found.entries.iter().map(|access| access.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!((found.damaged, found.missing), (3, 2));
    assert!(!found.is_complete());
    assert_eq!(auditor.requests("/audit/b").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_the_feed_that_leads_away_gets_no_token() {
    for by_header in [true, false] {
        let elsewhere = Server::start(script(|_, out| say_json(out, "[]")));
        let away = elsewhere.address.clone();
        let auditor = Auditor::of(move |asked, _, out| match asked.path.as_str() {
            path if path.contains("/list") => say_json(out, SUBSCRIBED),
            _ if by_header => {
                let next = format!("NextPageUri: {away}/api/v1.0/x\r\n");
                say(out, "200 OK", "application/json", &next, b"[]")
            }
            _ => say_json(out, &content(&away, &["a"])),
        })
        .await;
        let (since, until) = last(Duration::hours(1));
        let error = auditor.feed().mail_accesses(since, until).await.unwrap_err();
        assert!(error.to_string().contains("leads away"), "{error}");
        assert_eq!((elsewhere.requests(), elsewhere.token_requests()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_content_that_goes_in_a_circle_ends() {
    let auditor = Auditor::of(|asked, address, out| match asked.path.as_str() {
        path if path.contains("/list") => say_json(out, SUBSCRIBED),
        _ => {
            let next = format!("NextPageUri: {address}/api/v1.0/x/content?nextPage=1\r\n");
            say(out, "200 OK", "application/json", &next, b"[]")
        }
    })
    .await;
    let (since, until) = last(Duration::hours(1));
    let error = auditor.feed().mail_accesses(since, until).await.unwrap_err();
    assert!(error.to_string().contains("for ever"), "{error}");
    assert!(auditor.server.requests() < 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_subscribed_to_once_and_whoever_did_it_before_is_no_error() {
    for already in [false, true] {
        let auditor = Auditor::of(move |asked, _, out| match asked.path.as_str() {
            // As the documentation shows one that nobody can be sure of.
            path if path.contains("/list") => {
                say_json(out, r#"[{"contentType":"Audit.Exchange","webhook":null}]"#)
            }
            path if path.contains("/start") && already => refuse(
                out,
                "400 Bad Request",
                "AF20024",
                "The subscription is already enabled. No property change.",
            ),
            path if path.contains("/start") => say_json(out, r#"{"status":"enabled"}"#),
            _ => say_json(out, "[]"),
        })
        .await;
        let (since, until) = last(Duration::hours(1));
        let found = auditor.feed().mail_accesses(since, until).await.unwrap();
        assert_eq!(found.since == since, already, "{found:?}");
        let start = auditor.requests("/start");
        assert!(start.len() == 1 && start[0].contains("contentType=Audit.Exchange"), "{start:?}");
        assert_eq!(auditor.requests("/content").len(), usize::from(already));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_writes_no_audit_log_is_told_from_one_where_a_right_is_missing() {
    for (code, message) in [
        ("AF20023", "The subscription was disabled by a tenant admin"),
        ("AF20012", "Specified tenant ID is incorrectly configured in the system."),
        ("x", "Microsoft.Office.Compliance.Audit.DataServiceException: Tenant x does not exist."),
    ] {
        let auditor = Auditor::of(move |asked, _, out| match asked.path.as_str() {
            path if path.contains("/list") => say_json(out, "[]"),
            _ => refuse(out, "400 Bad Request", code, message),
        })
        .await;
        let (since, until) = last(Duration::hours(1));
        let error = auditor.feed().mail_accesses(since, until).await.unwrap_err();
        assert!(matches!(error, ExchangeError::SwitchedOff { .. }), "{error}");
        for part in ["acme", "switched off", "UnifiedAuditLogIngestionEnabled"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    let auditor = Auditor::of(|_, _, out| {
        refuse(out, "403 Forbidden", "AF429", "Too many requests. Method=GetContent")
    })
    .await;
    let (since, until) = last(Duration::hours(1));
    let error = auditor.feed().mail_accesses(since, until).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Throttled { .. }) && error.is_transient(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_sign_ins_whose_next_page_leads_away_gets_no_token() {
    let elsewhere = Server::start(script(|_, out| say_json(out, r#"{"value":[]}"#)));
    let away = elsewhere.address.clone();
    let auditor = Auditor::of(move |asked, address, out| {
        assert!(asked.path.starts_with("/beta/auditLogs/signIns?"), "{}", asked.path);
        let next = match asked.number {
            // The same server, but none of Graph's versions.
            0 => format!("{address}/evil/auditLogs"),
            _ => format!("{away}/beta/auditLogs"),
        };
        say_json(out, &json!({ "value": [], "@odata.nextLink": next }).to_string())
    })
    .await;
    let (since, until) = last(Duration::hours(1));
    for _ in 0..2 {
        let error = auditor.graph().sign_ins(since, until, &[]).await.unwrap_err();
        assert!(error.to_string().contains("leads away"), "{error}");
    }
    assert_eq!((elsewhere.requests(), elsewhere.token_requests()), (0, 0));
}
