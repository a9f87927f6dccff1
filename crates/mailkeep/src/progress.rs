use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use mailkeep_model::Address;
use mailkeep_service::{Event, Observer};

use crate::output::plain;

/// Shows a pass on a terminal: one line for all, one for each mailbox that is being read.
pub(crate) struct Bars {
    bars: MultiProgress,
    total: ProgressBar,
    mailboxes: Mutex<BTreeMap<Address, (ProgressBar, u64, u64)>>,
}

impl Bars {
    pub(crate) fn new() -> Self {
        let bars = MultiProgress::new();
        let total = bars.add(ProgressBar::new(0));
        let style = "{spinner} {msg} [{bar:24}] {pos}/{len} mailboxes  {elapsed}";
        total.set_style(
            ProgressStyle::with_template(style)
                .expect("the template is a constant")
                .progress_chars("=> "),
        );
        total.set_message("backup");
        total.enable_steady_tick(Duration::from_millis(200));
        Self { bars, total, mailboxes: Mutex::default() }
    }

    fn with(&self, mailbox: &Address, act: impl FnOnce(&mut (ProgressBar, u64, u64))) {
        if let Ok(mut mailboxes) = self.mailboxes.lock()
            && let Some(line) = mailboxes.get_mut(mailbox)
        {
            act(line);
        }
    }
}

impl Observer for Bars {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Mailboxes { count } => self.total.set_length(*count as u64),
            Event::MailboxStarted { mailbox } => {
                let bar = self.bars.add(ProgressBar::new_spinner());
                let style = "  {spinner} {msg}";
                bar.set_style(ProgressStyle::with_template(style).expect("a constant template"));
                bar.set_message(mailbox.to_string());
                if let Ok(mut mailboxes) = self.mailboxes.lock() {
                    mailboxes.insert(mailbox.clone(), (bar, 0, 0));
                }
            }
            Event::Fetched { mailbox, bytes } => self.with(mailbox, |(bar, count, sum)| {
                *count += 1;
                *sum += bytes;
                if *count % 25 == 1 {
                    let sum = HumanBytes(*sum);
                    bar.set_message(format!("{mailbox}  {count} messages, {sum}"));
                    bar.tick();
                }
            }),
            Event::MailboxRead { mailbox } => {
                self.with(mailbox, |(bar, ..)| bar.finish_and_clear());
                self.total.inc(1);
            }
            Event::MailboxFailed { mailbox, error } => {
                self.with(mailbox, |(bar, ..)| bar.finish_and_clear());
                self.total.println(trouble(mailbox, error));
                self.total.inc(1);
            }
            Event::Missed { mailbox, error } => self.total.println(trouble(mailbox, error)),
            Event::RoundStarted { items } => {
                self.total.set_message(format!("writing {items} items"));
            }
            Event::RoundWritten { .. } => self.total.set_message("backup"),
            _ => {}
        }
    }
}

/// A line about what went wrong; the provider may have worded it.
fn trouble(mailbox: &Address, error: &impl ToString) -> String {
    format!("{mailbox}: {}", plain(&error.to_string()))
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.total.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_cannot_steer_the_terminal_through_an_error() {
        let mailbox: Address = "ann@example.com".parse().unwrap();
        let line = trouble(&mailbox, &"bad\x1b[2J\nrequest");
        assert_eq!(line, "ann@example.com: bad [2J request");
    }
}
