//! One libFuzzer program for all targets: `MAILKEEP_FUZZ_TARGET` names the one to run.

#![no_main]

mod targets;

use std::{env, fs, path::Path, process, sync::OnceLock};

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn choose() -> &'static Target {
    let name = env::var("MAILKEEP_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        for target in TARGETS {
            println!("{:<20} {}", target.name, target.what);
        }
        process::exit(0);
    };
    if let Some(corpus) = env::var_os("MAILKEEP_FUZZ_CORPUS") {
        // Before libFuzzer reads the directory.
        for (number, seed) in target.seeds.iter().enumerate() {
            fs::write(Path::new(&corpus).join(format!("seed-{number}")), seed)
                .expect("the corpus can be written");
        }
    }
    target
}

fuzz_target!(init: { TARGET.get_or_init(choose); }, |data: &[u8]| {
    (TARGET.get_or_init(choose).run)(data);
});
