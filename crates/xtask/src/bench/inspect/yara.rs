//! What rules of one's own cost: the same mail with 500 YARA rules and without. No promise is made for
//! it; it is printed apart.

use std::{fmt::Write, fs};

use anyhow::Result;

use super::{Bench, corpora};

/// Rules as many as a collection of somebody's has.
const RULES: usize = 500;

impl Bench<'_> {
    /// Mail with rules and without.
    pub(super) fn yara(&mut self) -> Result<()> {
        let rules = self.place.join("rules.yar");
        fs::write(&rules, collection())?;
        let mail = corpora::files(&self.corpora.join("ham"), "")?;
        let mail = &mail[..mail.len().min(1_000)];
        let bytes: u64 = mail.iter().map(|file| fs::metadata(file).map_or(0, |of| of.len())).sum();
        let none = self.inspector.paths(&mail[..1])?;
        let compiled = self.inspector.with_rules(&rules, &mail[..1])?;
        let compiling = (compiled.cpu_seconds - none.cpu_seconds).max(0.0);
        let without = self.inspector.paths(mail)?;
        let with = self.inspector.with_rules(&rules, mail)?;
        let scanning = (with.cpu_seconds - without.cpu_seconds - compiling).max(1e-9);
        println!(
            "   {RULES} YARA rules, apart: {compiling:.2} CPU-s to compile; {} messages, {:.0} a CPU-second \
             with them and {:.0} without; {:.1} MB of mail a CPU-second of scanning; p99 {:.1} ms",
            mail.len(),
            with.seen.len() as f64 / (with.cpu_seconds - compiling),
            without.seen.len() as f64 / without.cpu_seconds,
            bytes as f64 / 1e6 / scanning,
            with.milliseconds(990),
        );
        Ok(())
    }
}

/// Rules of the forms that collections are made of, the same every time: words, bytes with gaps,
/// expressions, and conditions that count.
fn collection() -> String {
    let mut text = String::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for number in 0..RULES {
        let (word, other, bytes) = (next(), next(), next().to_be_bytes());
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let _ = write!(
            text,
            "rule bench_{number} {{\n  meta: score = {}\n  strings:\n    $a = \"campaign-{word:016x}\" nocase\n\
             \x20   $b = {{ {} ?? {} [2-6] {} }}\n    $c = /session_{:04x}=[0-9a-f]{{8,16}}/ wide ascii\n\
             \x20 condition: $a or ($b and filesize < 2MB) or #c > 2\n}}\n",
            word % 100,
            hex[..3].join(" "),
            hex[3..5].join(" "),
            hex[5..].join(" "),
            other & 0xffff,
        );
    }
    text
}
