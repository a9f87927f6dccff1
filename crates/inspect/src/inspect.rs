use mailkeep_model::{CanaryMark, Verdict};

use serde_json::Value;

use crate::{
    Context, RuleRead, Sent,
    detectors::{DETECTORS, RULE, acts, printable},
    findings::Findings,
    message::{MessageView, view_attachment, view_message, view_rule, view_text},
    verdict,
};

/// The outcome of inspecting one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The `Message-ID` header with its angle brackets, as it stands in the message.
    pub message_id: Option<String>,
    /// The address that the message says it is from, as written.
    pub sender: Option<String>,
    /// The addresses of `To`, `Cc` and `Bcc`, as written.
    pub recipients: Vec<String>,
    /// What the findings come to.
    pub verdict: Verdict,
    /// The mark of a canary, when the message claims to be one. Whether it is one, who sent it knows.
    pub canary: Option<CanaryRead>,
    /// SHA-256 of each file, attached or unpacked.
    pub files: Vec<[u8; 32]>,
    /// The links that a person can follow, as they are written; each once.
    pub links: Vec<String>,
    /// What the message says of the mailbox that sent it, when that was handed in.
    pub sent: Option<Sent>,
}

impl Report {
    /// Of what is no message, and so is from nobody to nobody.
    pub fn of_no_message(verdict: Verdict) -> Self {
        Self {
            files: Vec::new(),
            links: Vec::new(),
            message_id: None,
            sender: None,
            recipients: Vec::new(),
            verdict,
            canary: None,
            sent: None,
        }
    }
}

/// What was read of a message that claims to be a canary.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryRead {
    /// The mark in its header.
    pub mark: CanaryMark,
    /// Whether the same mark was found in its body, where detectors look: else the inspector did not
    /// see what the message says.
    pub legible: bool,
}

/// Inspects a message (RFC 5322 with MIME). Anything is taken: what does not parse as a message
/// is inspected as the text that it is.
pub fn inspect(bytes: &[u8], context: &Context<'_>) -> Report {
    judge(view_message(bytes, bytes.len() as u64, &context.limits), context)
}

/// Inspects the beginning of a message of `whole_size` bytes, for a caller that does not hold all
/// of a large one in memory. The verdict names what was not inspected.
pub fn inspect_prefix(prefix: &[u8], whole_size: u64, context: &Context<'_>) -> Report {
    judge(view_message(prefix, whole_size.max(prefix.len() as u64), &context.limits), context)
}

/// Inspects plain text; its field is called `text`.
pub fn inspect_text(text: &str, context: &Context<'_>) -> Verdict {
    judge(view_text(text, &context.limits), context).verdict
}

/// Inspects a file that is not a message as if it were the only attachment of one
/// (`attachment[0]`), and unpacks it. `name` is the file's name without its folder: the bytes tell what
/// the file is, the name what somebody wanted it to be taken for.
pub fn inspect_attachment(name: &str, bytes: &[u8], context: &Context<'_>) -> Verdict {
    judge(view_attachment(name, bytes, &context.limits), context).verdict
}

/// Inspects an inbox rule (Graph: `messageRule`); `folder` is the name of the folder that it moves
/// mail to. Its field is called `rule`, and is its JSON.
pub fn inspect_rule(
    rule: &Value,
    folder: Option<&str>,
    context: &Context<'_>,
) -> (Verdict, RuleRead) {
    let view = view_rule(rule.to_string());
    let acts = acts(rule, folder, context);
    let read = RuleRead::of(rule, &acts);
    let mut findings = Findings::new(context.limits.findings);
    findings.begin(&RULE);
    for (severity, what, evidence) in acts {
        let all = 0..view.fields[0].source.len();
        findings.add(0, all, severity, what.to_owned(), printable(&evidence));
    }
    (verdict::combine(findings.finish(&view), Vec::new()), read)
}

/// What is in a message that was read.
pub(crate) fn judge(mut view: MessageView, context: &Context<'_>) -> Report {
    let mut findings = Findings::new(context.limits.findings);
    for detector in DETECTORS {
        findings.begin(detector);
        (detector.run)(&view, context, &mut findings);
    }
    if findings.overflow() {
        let limit = context.limits.findings;
        view.not_inspected.push(format!("more than {limit} findings: the rest was not inspected"));
    }
    if view.facts().cut {
        let note =
            "more text or addresses than are looked at for wording: the rest was not inspected";
        view.not_inspected.push(note.to_owned());
    }
    view.not_inspected.append(&mut findings.take_notes());
    view.not_inspected.extend(context.scanned.iter().flat_map(|one| one.not_inspected.clone()));
    let findings = findings.finish(&view);
    let canary = view.canary.take().map(|mark| CanaryRead { legible: shows(&view, &mark), mark });
    let files = view.objects.iter().map(|object| object.sha256).collect();
    let mut links: Vec<String> = view.facts().links.iter().map(|link| link.href.clone()).collect();
    links.sort_unstable();
    links.dedup();
    let sent = context.sender.map(|by| Sent::of(&view, &by, context));
    let sender = view.from.as_ref().and_then(|from| {
        let address = view.fields.get(from.field)?.source.get(from.address.clone())?;
        (!address.is_empty()).then(|| address.to_owned())
    });
    Report {
        files,
        links,
        sent,
        message_id: view.message_id,
        sender,
        recipients: view.recipients,
        verdict: verdict::combine(findings, view.not_inspected),
        canary,
    }
}

/// Whether a person who reads the body sees the mark.
fn shows(view: &MessageView, mark: &CanaryMark) -> bool {
    let bodies = view.fields.iter().filter(|field| field.name.starts_with("body."));
    bodies.into_iter().any(|field| field.readable().contains(mark.as_str()))
}
