//! Fuzz targets of ics-core: each takes any bytes and panics where something does not hold.
//!
//! | target | what any bytes are taken for |
//! |---|---|
//! | [`details`] | staking details of validators, and the hosts in them |
//! | [`genesis`] | a pre-CCV genesis file |
//! | [`machine`] | a policy, then inputs in any order, answers to nothing and nonsense included |
//! | [`policy`] | rules, and consumers whose owners chose every text |
//! | [`proof`] | a proof and the value it is to prove |
//! | [`words`] | ids, addresses, hashes, times, numbers and events as text |
//!
//! `tests/fuzz` runs them under libFuzzer, by cargo-fuzz without a sanitizer, which needs neither a
//! nightly toolchain nor another target; the ordinary tests play the seeds of `seeds/` alone.
#![forbid(unsafe_code)]

mod details;
mod draw;
mod genesis;
mod machine;
mod policy;
mod proof;
mod words;

pub use self::details::details;
pub use self::genesis::genesis;
pub use self::machine::machine;
pub use self::policy::policy;
pub use self::proof::proof;
pub use self::words::words;

/// What is shown to people must stay on its line.
fn assert_plain(text: &str) {
    let wild = text.chars().find(|c| c.is_control());
    assert_eq!(wild, None, "a control character in {text:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: [(&str, Target); 6] = [
        ("details", details),
        ("genesis", genesis),
        ("machine", machine),
        ("policy", policy),
        ("proof", proof),
        ("words", words),
    ];

    #[test]
    fn every_seed_of_every_target_passes() {
        for (name, target) in TARGETS {
            let folder = format!("{}/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
            let seeds = std::fs::read_dir(&folder).expect("seeds for each target");
            let mut count = 0;
            for seed in seeds {
                let path = seed.expect("a file").path();
                target(&std::fs::read(path).expect("a file"));
                count += 1;
            }
            assert!(count > 0, "{folder} has no seeds");
        }
    }
}
