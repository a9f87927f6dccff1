//! From a colleague's *send* of bad mail to *quarantined in all mailboxes*, with a service that nobody
//! tells anything.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Record, measure::Series, release_build, report::Report, workplace};
use crate::{
    story::{Lab, MailTree, Mailkeep, READER_ROLES},
    workspace::{cargo, step, target},
};

/// What the 95th percentile may take.
const MOST_SECONDS: f64 = 10.0;
/// A send of which nothing is heard for so long failed.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Between two sends.
const REST: Duration = Duration::from_secs(2);
/// A host that a feed names.
const BAD_HOST: &str = "pay.evil.example";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Mailboxes that each message is sent to, and lies in
    #[arg(long, default_value_t = 200, value_name = "N")]
    mailboxes: usize,
    /// Messages that are sent, one after another
    #[arg(long, default_value_t = 20, value_name = "N")]
    sends: usize,
    /// Measure the program as it is compiled for tests: for a first look, slower than what people get
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    record: Record,
}

pub(super) fn run(options: &Options) -> Result<()> {
    ensure!(options.mailboxes > 1 && options.sends > 0, "two mailboxes and one send at least");
    let program = if options.debug { debug_build()? } else { release_build()? };
    let place = workplace()?;
    let site = Site::set_up(program, place.path(), options)?;
    let serve = site.mailkeep.watch(&["serve"], |_| ());
    site.wait_for_subscriptions(options.mailboxes)?;

    let (mut quarantined, mut released) = (Vec::new(), Vec::new());
    for number in 0..options.sends {
        let id = format!("<bad-{number}@{}>", site.lab.domain());
        site.lab.forget_counts();
        let begin = Instant::now();
        site.send(&id);
        let moved = || site.lab.requests(Some("message.move")) >= options.mailboxes as u64;
        wait(PATIENCE, moved, "not all copies were moved")?;
        quarantined.push(begin.elapsed().as_secs_f64());
        // Looking into each takes longer than moving them did.
        site.is_hidden_everywhere(&id)?;
        let begin = Instant::now();
        let back = ["remedy", "release", "--message-id", &id];
        let done = site.mailkeep.json(&back).ok().json();
        released.push(begin.elapsed().as_secs_f64());
        ensure!(done["copies"] == json!({"released": options.mailboxes}), "put back: {done}");
        println!("send {}: {:.2} s", number + 1, quarantined[number]);
        thread::sleep(REST);
    }
    serve.interrupt().ok();

    let worst = percentile(&quarantined, 0.95)?;
    let build = if options.debug { " --debug" } else { "" };
    let command = format!(
        "cargo xtask bench remedy --mailboxes {} --sends {}{build}",
        options.mailboxes, options.sends
    );
    let columns = ["seconds", "median (smallest–largest)", "95th percentile"];
    let mut report = Report::new("From send to quarantined everywhere", command, &columns);
    for (what, values, worst) in [
        ("from send to out of sight in all mailboxes", &quarantined, worst),
        ("`remedy release`, to all back", &released, percentile(&released, 0.95)?),
    ] {
        let series = Series::new(values.iter().copied())?;
        report.row(what, [series.text(), format!("{worst:.1}")]);
    }
    report.note(format!(
        "{} messages, one after another, each from one mailbox to all {} others, which have read and notification subscriptions of theirs; \
         `mailkeep serve` is told of changes by the provider's notifications alone (its interval is a day), reads and inspects what is new, \
         a feed names the host of the link, the policy says quarantine, and the responder looks for copies in all mailboxes. The clock runs \
         from the moment the message is handed to the provider, which delivers at once, until the last copy was moved; then each mailbox is \
         looked into. The lab and the looking share the cores.",
        options.sends,
        options.mailboxes - 1,
    ));
    report.finish(&options.record)?;
    ensure!(worst <= MOST_SECONDS, "more than {MOST_SECONDS:.0} s at the 95th percentile");
    Ok(())
}

fn debug_build() -> Result<PathBuf> {
    step(&mut cargo(&["build", "--package", "mailkeep"]))?;
    Ok(target().join("debug/mailkeep"))
}

/// The smallest value that so many of all do not exceed (nearest rank).
fn percentile(values: &[f64], part: f64) -> Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().context("nothing was measured")
}

/// Lab, signer and a data directory with a tenant that is protected.
struct Site {
    mailkeep: Mailkeep,
    lab: Lab,
    _signer: crate::story::Background,
    mailboxes: Vec<String>,
}

impl Site {
    fn set_up(program: PathBuf, place: &std::path::Path, options: &Options) -> Result<Self> {
        let mailkeep = Mailkeep::new(program, place.join("data"));
        let names: Vec<String> =
            (0..options.mailboxes).map(|number| format!("p{number:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let seed = MailTree::plain(place.join("seed"), &names, 4);
        let seed = seed.root().to_string_lossy().into_owned();
        let lab = Lab::start(&mailkeep.beside(place.join("lab")), &["--seed", &seed]);
        let identity = mailkeep.data().with_extension("identity");
        let signer = mailkeep.start(&["signer", "--identity-file", &identity.to_string_lossy()]);
        let mailboxes = lab.mailboxes();
        let site = Self { mailkeep, lab, _signer: signer, mailboxes };
        site.add_tenant()?;
        println!("the first backup of {} mailboxes", options.mailboxes);
        site.mailkeep.json(&["backup", "acme"]).ok();

        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr())?;
        let settings = format!(
            "[serve]\ninterval_seconds = 86400\n\
             notifications = {{ listen = \"{free}\", url = \"http://{free}/told\" }}\n\
             [protect]\npolicy = \"policy.toml\"\nfeeds = [\"feeds\"]\n"
        );
        let data = site.mailkeep.data();
        fs::create_dir_all(data.join("feeds"))?;
        fs::write(data.join("feeds/bad.txt"), format!("{BAD_HOST}\n"))?;
        let policy = "dry_run = false\n[verdict]\nmalicious = \"quarantine\"\n";
        fs::write(data.join("policy.toml"), policy)?;
        fs::write(data.join("config.toml"), settings)?;
        Ok(site)
    }

    fn add_tenant(&self) -> Result<()> {
        let (authority, graph, directory) =
            (self.lab.authority(), self.lab.graph(), self.lab.tenant());
        let ca = self.lab.ca();
        let ca = ca.to_string_lossy();
        let mut add = vec!["tenant", "add", "acme", "--directory", &directory, "--ca", &ca];
        add.extend(["--authority", &authority, "--graph", &graph]);
        self.mailkeep.json(&add).ok();
        for (function, rights) in [("reader", READER_ROLES), ("responder", &["Mail.ReadWrite"])] {
            let id = self.lab.register(&format!("Mailkeep {function}"), "", rights);
            let client = format!("{function}={id}");
            self.mailkeep.run(&["tenant", "add", "acme", "--client-id", &client]).ok();
            let made = self.mailkeep.json(&["identity", "certificate", "acme", function]).ok();
            let certificate = made.json()["certificate_pem"].clone();
            ensure!(certificate.is_string(), "no certificate of the {function}");
            self.lab.change_application(&id, &json!({ "add_certificate": certificate }));
        }
        Ok(())
    }

    fn wait_for_subscriptions(&self, mailboxes: usize) -> Result<()> {
        let subscribed = || {
            let shown = self.lab.post("notifications", &json!({}));
            shown["subscriptions"].as_object().map_or(0, serde_json::Map::len)
        };
        wait(PATIENCE, || subscribed() >= 3 * mailboxes, "not all mailboxes are subscribed to")
    }

    fn send(&self, id: &str) {
        let from = &self.mailboxes[0];
        let mime = format!(
            "From: Ann <{from}>\r\nTo: undisclosed-recipients:;\r\nSubject: Your invoice\r\n\
             Message-ID: {id}\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
             <p>Please pay <a href=\"https://{BAD_HOST}/i\">here</a> today.</p>\r\n"
        );
        let to = &self.mailboxes[1..];
        self.lab.post("send", &json!({ "from": from, "to": to, "mime": mime }));
    }

    /// Sees that a message is out of everybody's sight.
    fn is_hidden_everywhere(&self, id: &str) -> Result<()> {
        for mailbox in &self.mailboxes {
            let contents = self.lab.contents(mailbox);
            let messages = contents["messages"].as_array().into_iter().flatten();
            let copies = messages.filter(|one| one["internet_message_id"] == id);
            let hidden = copies.map(|one| one["hidden"] == true).collect::<Vec<_>>();
            ensure!(hidden == [true], "{mailbox}: {hidden:?}");
        }
        Ok(())
    }
}

fn wait(most: Duration, mut done: impl FnMut() -> bool, otherwise: &str) -> Result<()> {
    let begin = Instant::now();
    while !done() {
        ensure!(begin.elapsed() < most, "{otherwise}");
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}
