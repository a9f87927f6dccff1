//! Somebody who takes webhooks, and what the vendors say that has to come in.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use mailkeep_model::Secret;
use mailkeep_service::{Shape, Target};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::watch;

/// What is answered next, instead of 200.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Status(u16),
    RetryAfter(u32),
    /// It came, and nothing comes back.
    Never,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) bearer: Option<String>,
    pub(crate) body: Value,
    pub(crate) bytes: usize,
}

#[derive(Default)]
struct Inside {
    came: Vec<Came>,
    answers: VecDeque<Answer>,
}

pub(crate) struct Receiver {
    base: String,
    inside: Arc<Mutex<Inside>>,
    count: watch::Receiver<usize>,
}

type Shared = (Arc<Mutex<Inside>>, Arc<watch::Sender<usize>>);

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let inside = Arc::new(Mutex::new(Inside::default()));
        let (sender, count) = watch::channel(0);
        let shared: Shared = (Arc::clone(&inside), Arc::new(sender));
        let router = Router::new().fallback(take).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, inside, count }
    }

    pub(crate) fn webhook(&self, shape: Shape, path: &str) -> Target {
        let url = Secret::new(format!("{}{path}", self.base));
        Target::Webhook { shape, url, token: None, ca_pem: None }
    }

    pub(crate) fn pagerduty(&self) -> Target {
        let routing_key = Secret::new("0123456789abcdef0123456789abcdef".into());
        let url = format!("{}/v2/enqueue", self.base);
        Target::Pagerduty { url, routing_key, ca_pem: None }
    }

    pub(crate) fn answer(&self, answers: &[Answer]) {
        self.inside.lock().unwrap().answers.extend(answers);
    }

    /// Everything that came since this was last asked.
    pub(crate) fn take(&self) -> Vec<Came> {
        std::mem::take(&mut self.inside.lock().unwrap().came)
    }

    /// Waits until so many requests have come, ever.
    pub(crate) async fn has_got(&self, count: usize) {
        self.count.clone().wait_for(|came| *came >= count).await.unwrap();
    }
}

async fn take(
    State((inside, count)): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(text("content-type").as_deref(), Some("application/json"));
    let answer = {
        let mut inside = inside.lock().unwrap();
        inside.came.push(Came {
            path: uri.path().to_owned(),
            id: text("idempotency-key").unwrap(),
            bearer: text("authorization"),
            body: serde_json::from_slice(&body).unwrap(),
            bytes: body.len(),
        });
        inside.answers.pop_front()
    };
    count.send_modify(|count| *count += 1);
    match answer {
        None => StatusCode::OK.into_response(),
        Some(Answer::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Answer::RetryAfter(seconds)) => {
            let wait = [(header::RETRY_AFTER, seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, wait).into_response()
        }
        Some(Answer::Never) => std::future::pending().await,
    }
}

fn text(value: &Value, most: usize) -> &str {
    let text = value.as_str().unwrap_or_else(|| panic!("no text: {value}"));
    let length = text.chars().count();
    assert!((1..=most).contains(&length), "{length} characters where {most} are allowed");
    text
}

/// Only these members, and all of those that are `needed`.
fn members(value: &Value, needed: &[&str], allowed: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    for name in needed {
        assert!(object.contains_key(*name), "without '{name}': {value}");
    }
    for name in object.keys() {
        let known = needed.contains(&name.as_str()) || allowed.contains(&name.as_str());
        assert!(known, "'{name}' is unknown: {value}");
    }
}

/// <https://docs.slack.dev/reference/block-kit/blocks/header-block>, `…/section-block`,
/// <https://docs.slack.dev/reference/block-kit/composition-objects/text-object>.
pub(crate) fn slack(came: &Came) {
    let body = &came.body;
    members(body, &["text", "blocks"], &["mrkdwn", "unfurl_links", "unfurl_media"]);
    text(&body["text"], 40_000);
    let blocks = body["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()));
    for block in blocks {
        members(block, &["type", "text"], &["block_id"]);
        let most = match block["type"].as_str().unwrap() {
            "header" => 150,
            "section" => 3000,
            other => panic!("no such block: {other}"),
        };
        let object = &block["text"];
        members(object, &["type", "text"], &["emoji"]);
        assert_eq!(object["type"], "plain_text");
        text(&object["text"], most);
    }
}

/// <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#send-adaptive-cards-using-an-incoming-webhook>,
/// <https://adaptivecards.io/explorer/RichTextBlock.html>.
pub(crate) fn teams(came: &Came) {
    let body = &came.body;
    assert!(came.bytes <= 28 * 1024);
    members(body, &["type", "attachments"], &[]);
    assert_eq!(body["type"], "message");
    let [attachment] = &body["attachments"].as_array().unwrap()[..] else { panic!("{body}") };
    members(attachment, &["contentType", "content"], &["contentUrl"]);
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    let card = &attachment["content"];
    members(card, &["type", "version", "body"], &["$schema", "msteams"]);
    assert_eq!(card["type"], "AdaptiveCard");
    // Teams renders up to 1.5; a rich text block came with 1.2.
    let versions = ["1.2", "1.3", "1.4", "1.5"];
    assert!(versions.contains(&card["version"].as_str().unwrap()));
    for block in card["body"].as_array().unwrap() {
        members(block, &["type", "inlines"], &[]);
        assert_eq!(block["type"], "RichTextBlock");
        for run in block["inlines"].as_array().unwrap() {
            members(run, &["type", "text"], &["weight", "size", "color"]);
            assert_eq!(run["type"], "TextRun");
            text(&run["text"], 10_000);
        }
    }
}

/// <https://docs.mattermost.com/developers/integrate/webhooks/incoming#parameters>: a post has at most
/// 16,383 characters.
pub(crate) fn mattermost(came: &Came) {
    members(&came.body, &["text"], &["username", "channel", "attachments", "props", "priority"]);
    text(&came.body["text"], 16_383);
}

/// <https://docs.ntfy.sh/publish/#publish-as-json>: to the server's root; a longer message becomes an
/// attachment.
pub(crate) fn ntfy(came: &Came) {
    assert_eq!(came.path, "/");
    members(&came.body, &["topic"], &["message", "title", "tags", "priority", "markdown"]);
    assert!(text(&came.body["message"], 4096).len() <= 4096);
    text(&came.body["title"], 250);
    assert!((1..=5).contains(&came.body["priority"].as_i64().unwrap()));
    for tag in came.body["tags"].as_array().unwrap() {
        text(tag, 50);
    }
}

/// <https://developer.pagerduty.com/docs/send-alert-event>. Follows the incidents that events make.
#[derive(Default)]
pub(crate) struct PagerDuty {
    open: HashSet<String>,
}

impl PagerDuty {
    pub(crate) fn take(&mut self, came: &Came) -> String {
        assert_eq!(came.path, "/v2/enqueue");
        let body = &came.body;
        let key = text(&body["routing_key"], 32);
        assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let (action, dedup) =
            (text(&body["event_action"], 20).to_owned(), text(&body["dedup_key"], 255).to_owned());
        match action.as_str() {
            "trigger" => {
                let allowed = ["dedup_key", "client", "client_url", "links", "images"];
                members(body, &["routing_key", "event_action", "payload"], &allowed);
                let payload = &body["payload"];
                members(
                    payload,
                    &["summary", "source", "severity"],
                    &["timestamp", "component", "group", "class", "custom_details"],
                );
                text(&payload["summary"], 1024);
                text(&payload["source"], 255);
                let severities = ["critical", "error", "warning", "info"];
                assert!(severities.contains(&text(&payload["severity"], 20)));
                OffsetDateTime::parse(text(&payload["timestamp"], 40), &Rfc3339).unwrap();
                self.open.insert(dedup);
            }
            "acknowledge" => {
                members(body, &["routing_key", "event_action", "dedup_key"], &[]);
                assert!(self.open.contains(&dedup), "nothing of that key is open: {dedup}");
            }
            "resolve" => {
                members(body, &["routing_key", "event_action", "dedup_key"], &[]);
                assert!(self.open.remove(&dedup), "nothing of that key is open: {dedup}");
            }
            other => panic!("no such action: {other}"),
        }
        action
    }

    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }
}

/// What `docs/operating.md` says of the plain shape.
pub(crate) fn json(came: &Came) {
    let body = &came.body;
    let needed = [
        "schema",
        "id",
        "event",
        "subject",
        "thread",
        "severity",
        "since",
        "said",
        "title",
        "headline",
        "evidence",
        "next_step",
        "shown_by",
    ];
    members(body, &needed, &["tenant", "news"]);
    assert_eq!((&body["schema"], body["id"].as_str()), (&Value::from(1), Some(came.id.as_str())));
    for time in ["since", "said"] {
        OffsetDateTime::parse(text(&body[time], 40), &Rfc3339).unwrap();
    }
}
