//! Garbage comes in: every parser of outside input is fed with what the fuzzer begins from,
//! cut, doubled and mangled. `cargo xtask fuzz` does the same for as long as one likes, and looks
//! where it gets to.

#[path = "../fuzz/src/targets.rs"]
mod targets;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use targets::TARGETS;

/// Inputs for each parser.
const INPUTS: usize = 4_000;
/// Bytes that mean something to one parser or another.
const TELLING: &[u8] = b"\0\n\r\"'<>&;:=%?-_{}[],.@/\\ \xff\xc3\x80419=";

#[test]
fn garbage_from_outside_is_an_error_and_never_a_crash() {
    let mut random = StdRng::seed_from_u64(42);
    for target in TARGETS {
        for seed in target.seeds {
            (target.run)(seed);
        }
        for _ in 0..INPUTS {
            let input = mangled(target.seeds, &mut random);
            let outcome = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(
                outcome.is_ok(),
                "{} ({}): {:?}",
                target.name,
                target.what,
                input.escape_ascii().to_string()
            );
        }
    }
}

fn mangled(seeds: &[&[u8]], random: &mut StdRng) -> Vec<u8> {
    let mut input = seeds[random.random_range(0..seeds.len())].to_vec();
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..=input.len());
        let to = random.random_range(at..=input.len());
        match random.random_range(0..5) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..to)),
            2 => input.insert(at, TELLING[random.random_range(0..TELLING.len())]),
            3 => {
                let piece = input[at..to].to_vec();
                let other = random.random_range(0..=input.len());
                input.splice(other..other, piece);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.random();
                }
            }
        }
        input.truncate(16 << 10);
    }
    input
}
