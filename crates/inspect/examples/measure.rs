#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]
use mailkeep_inspect::*;
use std::{collections::BTreeMap, fs, time::Instant};
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let key = MaskKey::from_bytes([7; 32]);
    let own: Vec<String> = std::env::var("OWN").ok().into_iter().collect();
    let ctx = Context::new(time::OffsetDateTime::UNIX_EPOCH, &own, &key);
    let verbose = std::env::var("V").is_ok();
    let mut messages: Vec<(String, Vec<u8>)> = vec![];
    for a in &args {
        if a.ends_with(".mbox") {
            let f = std::io::BufReader::new(fs::File::open(a).unwrap());
            for (i, m) in mbox::Messages::new(f, 64 << 20).enumerate() {
                messages.push((format!("{a}#{i}"), m.unwrap().bytes));
            }
        } else {
            messages.push((a.clone(), fs::read(a).unwrap()));
        }
    }
    let t = Instant::now();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut bytes = 0;
    let mut worst = (0.0, String::new());
    for (name, m) in &messages {
        bytes += m.len();
        let t1 = Instant::now();
        let r = inspect(m, &ctx);
        let e = t1.elapsed().as_secs_f64();
        if e > worst.0 {
            worst = (e, name.clone());
        }
        *count.entry(format!("verdict {:?}", r.verdict.verdict)).or_default() += 1;
        let mut seen = std::collections::BTreeSet::new();
        for f in &r.verdict.findings {
            if seen.insert((f.detector.clone(), f.severity)) {
                *count.entry(format!("{} {:?}", f.detector, f.severity)).or_default() += 1;
            }
            if verbose && (seen.insert((f.evidence.clone(), f.severity))) {
                println!(
                    "{} | {} {:?} {} {}..{} | {}",
                    name.rsplit('/').next().unwrap(),
                    f.detector,
                    f.severity,
                    f.field,
                    f.start,
                    f.end,
                    f.evidence
                );
            }
        }
        if !r.verdict.not_inspected.is_empty() {
            println!("{name}: {:?}", r.verdict.not_inspected);
        }
        if r.message_id.is_none() {
            *count.entry("no message id".into()).or_default() += 1;
        }
    }
    let e = t.elapsed().as_secs_f64();
    println!(
        "{} messages {:.1} MB in {:.2}s: {:.0}/s {:.0} MB/s; worst {:.1} ms {}",
        messages.len(),
        bytes as f64 / 1e6,
        e,
        messages.len() as f64 / e,
        bytes as f64 / 1e6 / e,
        worst.0 * 1e3,
        worst.1
    );
    for (k, v) in count {
        println!("{k}: {v}");
    }
}
