//! Tokens of a page, and until when they work.

use super::{
    html::Limits,
    markup::{code, counted, escaped, minute, moment, number, table},
};
use crate::{BlastRadius, TokenReach};

/// What a token is called on the page: by its place, because not every log names it.
pub(super) fn name(place: usize) -> String {
    format!("T{}", place + 1)
}

/// All tokens as a table.
pub(super) fn list(radius: &BlastRadius, limits: Limits) -> String {
    if radius.tokens.is_empty() {
        return "<p>No token in the hands of somebody else is known.</p>\n".to_owned();
    }
    let rows: Vec<Vec<String>> = radius
        .tokens
        .iter()
        .take(limits.tokens)
        .enumerate()
        .map(|(place, one)| row(place, one))
        .collect();
    let caption = match radius.tokens.len().saturating_sub(limits.tokens) {
        0 => "Access tokens that somebody else got, or used. Which messages each read stands with the \
              mailboxes, by these numbers."
            .to_owned(),
        left => format!(
            "The oldest {}; {} more are not listed here: the JSON report has all",
            number(limits.tokens),
            number(left)
        ),
    };
    let head =
        ["", "Token and application", "Got", "From", "Read with it", "Has ended at the latest"];
    table("tokens", &caption, &head, &rows)
}

fn row(place: usize, token: &TokenReach) -> Vec<String> {
    let called = match &token.uti {
        Some(uti) => code(uti),
        None => "not named by the log".to_owned(),
    };
    let got = match (token.got, &token.with) {
        (Some(got), Some(with)) => format!("{}<br>with {}", moment(got), escaped(with)),
        (Some(got), None) => moment(got),
        _ => "no sign-in shows it".to_owned(),
    };
    let from = token.address.map_or_else(
        || "–".to_owned(),
        |address| format!("<code class=\"address\">{address}</code>"),
    );
    vec![
        format!("<b>{}</b>", name(place)),
        format!("{called}<br>application {}", code(&token.client_id)),
        got,
        from,
        used(token),
        ends(token),
    ]
}

fn used(token: &TokenReach) -> String {
    let folders: usize = token.read.values().map(|read| read.folders.len()).sum();
    let mut said = Vec::new();
    if token.messages > 0 {
        said.push(counted(token.messages as usize, "message", "messages"));
    }
    if folders > 0 {
        said.push(counted(folders, "whole folder", "whole folders"));
    }
    if !token.read.is_empty() {
        said.push(format!("in {}", counted(token.read.len(), "mailbox", "mailboxes")));
    }
    if token.requests > 0 {
        said.push(format!(
            "{} in the log",
            counted(token.requests as usize, "request", "requests")
        ));
    }
    match said.is_empty() {
        true => "nothing that a log shows".to_owned(),
        false => said.join("<br>"),
    }
}

fn ends(token: &TokenReach) -> String {
    match token.ends_without_cae {
        Some(plain) => {
            format!(
                "{}<br><span class=\"soft\">without CAE: {}</span>",
                moment(token.ends),
                moment(plain)
            )
        }
        None => {
            format!(
                "{}<br><span class=\"soft\">it outlived a token without CAE</span>",
                moment(token.ends)
            )
        }
    }
}

/// Until when any of them works, and what ends it before.
pub(super) fn live(radius: &BlastRadius) -> String {
    let now = radius.span.to;
    let Some(until) = radius.live_until else {
        return "<p>There is no token that could still work.</p>\n".to_owned();
    };
    if until <= now {
        return format!(
            "<p>None works any more: the last one had ended by {}.</p>\n",
            minute(until)
        );
    }
    let live = radius.tokens.iter().filter(|token| token.ends > now).count();
    let shown =
        radius.tokens.iter().filter(|token| token.ends > now && token.ends_without_cae.is_none());
    let shown = match shown.count() {
        0 => String::new(),
        count => format!(
            " Of {} that is known: it was used when another would have ended.",
            counted(count, "token", "tokens")
        ),
    };
    let without = match radius.live_until_without_cae {
        Some(plain) if plain > now => {
            format!("ends by itself by <b>{}</b> (90 minutes at most)", minute(plain))
        }
        _ => "has ended (90 minutes at most)".to_owned(),
    };
    format!(
        "<p>{} may still work. Changing or removing a key revokes nothing that was given out before.</p>\n<ul>\n\
         <li>A token <b>without</b> continuous access evaluation (CAE) {without}, unless a policy of the organisation \
         gives tokens a longer life. Nothing ends it before.</li>\n\
         <li>A token <b>with</b> it works until <b>{}</b> at the latest. Disabling the application in Entra ID, or \
         disabling and enabling it, ends it at once at Microsoft Graph.</li>\n</ul>\n\
         <p>Whoever asks for a token chooses which it is, and no log tells.{shown}</p>\n",
        counted(live, "token", "tokens"),
        minute(until)
    )
}
