//! `feed-match`: what a list of known bad addresses, hosts or files names ([`crate::Feeds`]).

use mailkeep_model::{Category, Severity};

use super::Detector;
use crate::{Context, findings::Findings, message::MessageView};

pub(super) const MATCH: Detector =
    Detector { name: "feed-match", category: Category::Link, run: find };

fn find(view: &MessageView, context: &Context<'_>, findings: &mut Findings) {
    let Some(feeds) = context.feeds else { return };
    for link in &view.facts().links {
        if findings.overflow() {
            return;
        }
        for target in [Some(&link.target), link.carried.as_ref()].into_iter().flatten() {
            let Some(found) = feeds.link(&target.url, &target.host) else { continue };
            let severity = if found.whole { Severity::High } else { Severity::Medium };
            let what = if found.whole { "address" } else { "host" };
            let evidence =
                format!("{}: its {what} is in the list {}", target.defanged(), found.list);
            findings.add(link.field, link.place.clone(), severity, target.host.text(), evidence);
        }
    }
}
