//! Pages of lists and delta queries, and what fault rules do to them.

use super::Desk;
use crate::faults::PageKind;

/// Most changes that a delta query's cursor holds back: it travels in a URL.
const MOST_HELD: usize = 200;

/// One page of a list that goes on by `$skip`.
pub(super) struct ListPage<T> {
    pub(super) items: Vec<T>,
    /// `$skip` of the nextLink.
    pub(super) next: Option<usize>,
}

/// The page of `found` behind `skip`. `path` tells this list from others.
pub(super) fn list<T>(
    desk: &Desk<'_>,
    path: &str,
    found: Vec<T>,
    skip: usize,
    top: usize,
) -> ListPage<T> {
    let next = (found.len() > skip.saturating_add(top)).then(|| skip + top);
    let items = found.into_iter().skip(skip).take(top).collect();
    falsified(desk, path, skip, ListPage { items, next })
}

/// What the fault rules make of a page that begins at `skip`.
pub(super) fn falsified<T>(
    desk: &Desk<'_>,
    path: &str,
    skip: usize,
    page: ListPage<T>,
) -> ListPage<T> {
    let ListPage { mut items, mut next } = page;
    let more = next.is_some();
    for fault in desk.pages {
        match fault.kind {
            PageKind::Skip | PageKind::Lose => {
                let mut chosen = fault.choose(items.len()).into_iter();
                items.retain(|_| !chosen.next().unwrap_or(false));
            }
            PageKind::Stale if !more => items.truncate(items.len() - fault.tail(items.len())),
            PageKind::Stale => {}
            PageKind::Repeat => {
                let key = format!("{} {path} {skip}", desk.mailbox.id);
                if desk.shared.faults.repeats(key) {
                    next = Some(skip);
                }
            }
            PageKind::Circle => next = Some(skip),
        }
    }
    ListPage { items, next }
}

/// One page of a delta query: lines that may be held back have the number of their change.
pub(super) struct DeltaPage<T> {
    pub(super) lines: Vec<(Option<u64>, T)>,
    /// Behind the last change.
    pub(super) position: u64,
    pub(super) more: bool,
    /// To be told on the next page, and in the next round.
    pub(super) held: Vec<u64>,
    pub(super) held_for_next_round: Vec<u64>,
    /// The same page is to be told again.
    pub(super) again: bool,
    /// The nextLink is the one that led here.
    pub(super) circle: bool,
}

impl<T> DeltaPage<T> {
    /// Applies the page faults to the lines behind the first `due`, which were held back before.
    pub(super) fn falsify(&mut self, desk: &Desk<'_>, due: usize, again: bool) {
        for fault in desk.pages {
            match fault.kind {
                PageKind::Skip => {
                    let room = MOST_HELD
                        - self.held.len().min(MOST_HELD)
                        - self.held_for_next_round.len().min(MOST_HELD);
                    let later = fault.coin();
                    let mut taken = self.take(fault.choose(self.told(due)), due, room);
                    let held = if later { &mut self.held_for_next_round } else { &mut self.held };
                    held.append(&mut taken);
                }
                PageKind::Lose => {
                    self.take(fault.choose(self.told(due)), due, usize::MAX);
                }
                PageKind::Stale if !self.more => self.cut(due, fault.tail(self.told(due))),
                PageKind::Stale => {}
                PageKind::Repeat => self.again = !again,
                PageKind::Circle => self.circle = true,
            }
        }
    }

    /// Lines that may be left out.
    fn told(&self, due: usize) -> usize {
        self.lines.iter().skip(due).filter(|(change, _)| change.is_some()).count()
    }

    /// Takes the chosen ones among the lines that may be left out, at most `room`.
    fn take(&mut self, chosen: Vec<bool>, due: usize, room: usize) -> Vec<u64> {
        let mut chosen = chosen.into_iter();
        let mut taken = Vec::new();
        let mut at = 0;
        self.lines.retain(|(change, _)| {
            at += 1;
            let Some(change) = change.filter(|_| at > due) else { return true };
            let out = chosen.next().unwrap_or(false) && taken.len() < room;
            if out {
                taken.push(change);
            }
            !out
        });
        taken
    }

    /// Cuts up to `count` lines off the end, and lets the position stand before them.
    fn cut(&mut self, due: usize, count: usize) {
        for _ in 0..count {
            match self.lines.last() {
                Some((Some(change), _)) if self.lines.len() > due => {
                    self.position = change - 1;
                    self.lines.pop();
                }
                _ => break,
            }
        }
    }
}
