//! The report as a page: it says what is known and what is not, stays small enough to be opened, and
//! nothing that a thief wrote does anything in it.
//!
//! The pages lie in Cargo's directory for temporary files of tests afterwards, to be looked at.

mod hostile;
mod made;
mod tokens;

use made::{at, message, quiet, theft};
use mailkeep_sentry::{
    LogSource, MailboxReach, Settle, Spans,
    report::{FleetPage, IncidentState, MOST_SECTIONS, html, text},
};
use time::Duration;

/// Keeps a page so that somebody can look at it.
fn kept(name: &str, page: String) -> String {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(file, &page).expect("a page");
    page
}

#[test]
fn a_customer_reads_what_happened_what_was_read_and_until_when_it_may_go_on() {
    let page = kept("blast-theft.html", html(&theft()));
    for said in [
        "used 3&nbsp;access tokens of our applications and read 42&nbsp;messages and 1&nbsp;folder as a whole in 2 of \
         45&nbsp;mailboxes, between <time>2026-11-20 03:12 UTC</time> and",
        "<b>A token may still work</b>: until <time>2026-11-28 ",
        "&lt;m0@contoso.example&gt;",
        "<b>all messages</b></td><td><code>\\Inbox\\Board</code>",
        "it outlived a token without CAE",
        "no sign-in shows it",
        "ends by itself by <b><time>2026-11-27 ",
        "our keys were revoked (a foreign key in use)",
        "a token was got with our key, not by us",
        "open; somebody looks after it",
        "mailkeep identity posture contoso",
        "<b>not read</b>",
        "nobody exports it to us",
        "since <time>2026-11-01 ",
        "43&nbsp;mailboxes",
    ] {
        assert!(page.contains(said), "{said} is missing in {page}");
    }
    let places: Vec<usize> =
        ["T1</td>", "T1, T2</td>", "T3</td>"].map(|tokens| page.matches(tokens).count()).to_vec();
    assert_eq!(places, [40, 2, 1], "which token read what");
}

#[test]
fn where_nobody_else_was_the_page_says_so_and_still_says_what_is_blind() {
    let page = kept("blast-quiet.html", html(&quiet("fabrikam")));
    for said in [
        "Nothing in the logs that were read shows that anybody but us used our access.",
        "of the time nobody can tell what happened",
        "No token in the hands of somebody else is known.",
        "There is no token that could still work.",
    ] {
        assert!(page.contains(said), "{said} is missing in {page}");
    }
    assert!(!page.contains("lead accessed"));
}

#[test]
fn a_page_fetches_nothing_runs_nothing_and_says_so_to_the_browser() {
    let page = html(&theft());
    let policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'";
    assert!(page.find(policy).expect("a policy") < page.find("<title>").expect("a title"));
    for forbidden in
        ["<script", "<img", "<link", "<iframe", "http://", "https://", "@import", "src="]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    // The hatching of blind times is in the page itself.
    assert_eq!(page.matches("url(").count(), page.matches("url(#hatch)").count());
    assert_eq!(page.matches("<details").count(), page.matches("</details>").count());
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
}

#[test]
fn what_the_bar_shows_is_there_for_those_who_cannot_see_it() {
    let page = html(&theft());
    assert_eq!(page.matches("role=\"img\"").count(), page.matches("As a table</summary>").count());
    let row = "<tr><td><time>2026-11-20 03:12:00</time></td><td><time>2026-11-20 03:40:00</time></td><td><span \
               class=\"state-accessed\">accessed</span></td></tr>";
    assert!(page.contains(row), "{page}");
}

#[test]
fn a_mailbox_of_a_hundred_thousand_messages_makes_a_page_that_can_be_opened() {
    let mut report = theft();
    let reach = report.radius.mailboxes.get_mut("board@contoso.example").expect("a mailbox");
    reach.messages = (0..100_000).map(|number| message("board", number)).collect();
    reach.timeline = (0..100_000).flat_map(made::pieces).collect();
    for number in 0..10_000 {
        let address = format!("more{number}@contoso.example");
        let timeline = made::pieces(number).to_vec();
        let reach = MailboxReach { timeline, ..MailboxReach::default() };
        report.radius.mailboxes.insert(address, reach);
    }
    let page = kept("blast-large.html", html(&report));
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("100,000&nbsp;messages and 1&nbsp;whole folder known to have been read in this mailbox; 99,500 of them are not listed"));
    assert!(page.contains("further mailboxes without a known read are not listed here"));
}

#[test]
fn the_page_of_all_tenants_has_those_reached_first_and_does_not_hide_those_that_failed() {
    let now = theft().radius.span.to;
    let mut page = FleetPage::new(None, now);
    page.add(&quiet("adatum"));
    page.add_failed("broken".parse().expect("a name"), "the <ledger> cannot be read".to_owned());
    let mut least = theft();
    least.tenant = "barely".parse().expect("a name");
    least.radius.mailboxes.values_mut().for_each(|reach| reach.records = 0);
    page.add(&least);
    page.add(&theft());
    let page = kept("blast-fleet.html", page.html());
    let place =
        |what: &str| page.find(what).unwrap_or_else(|| panic!("{what} is missing in {page}"));
    let order =
        ["#t0\">contoso</a>", "#t1\">barely</a>", "<td>broken</td>", "<td>adatum</td>"].map(place);
    assert!(order.is_sorted(), "{order:?}");
    assert!(place("id=\"t0\"") < place("id=\"t1\""));
    assert!(!page.contains("<h2>adatum"), "only those reached have a section");
    place(
        "Of 4&nbsp;organisations, 2 had tokens in the hands of somebody else, and in 1 mail was read.",
    );
    place("Of 1&nbsp;organisation nothing can be said");
    place("<b>no report</b>: the &lt;ledger&gt; cannot be read");
}

#[test]
fn a_page_of_a_thousand_tenants_that_were_reached_has_the_worst_in_full_and_all_in_its_table() {
    let now = theft().radius.span.to;
    let mut page = FleetPage::new(None, now);
    let mut report = theft();
    for number in 0..1_000 {
        report.tenant = format!("t{number:04}").parse().expect("a name");
        // The last are the worst.
        let reach = report.radius.mailboxes.get_mut("board@contoso.example").expect("a mailbox");
        reach.messages.insert(message("late", number));
        page.add(&report);
    }
    let page = page.html();
    assert_eq!(page.matches("<section class=\"tenant\"").count(), MOST_SECTIONS);
    assert!(page.contains("<a href=\"#t0\">t0999</a>") && page.contains("<td>t0000</td>"));
    assert!(page.len() < 30_000_000, "{}", page.len());
}

#[test]
fn the_text_says_which_logs_were_read_and_how_incidents_stand() {
    let mut report = theft();
    report.incidents[0].state = IncidentState::Closed;
    report.logs.mail = LogSource::Read {
        since: at(0),
        until: at(60),
        settle: Settle(86_400),
        holes: Spans::default(),
    };
    let text = text(&report);
    for said in [
        "requests: not read: nobody exports it",
        "reads of mail: read since",
        "closed",
        "the others end by",
    ] {
        assert!(text.contains(said), "{said} is missing in {text}");
    }
}

#[test]
fn a_line_of_many_says_how_much_of_the_time_is_blind() {
    let summary = quiet("adatum").summary();
    assert!(!summary.reached);
    assert!(
        summary.blind.is_some_and(|share| (0.0..0.2).contains(&share) && share > 0.0),
        "{summary:?}"
    );
    let mut nothing = quiet("adatum");
    nothing.radius.mailboxes.clear();
    assert_eq!(nothing.summary().blind, None);
    let day = Duration::days(1);
    assert!(theft().radius.span.to - theft().radius.span.from > day);
}
