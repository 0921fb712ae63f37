//! How much memory the machine keeps of each consumer, counted at the allocator.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

#[path = "provider/mod.rs"]
mod provider;

use ics_core::machine::Machine;
use peak_alloc::PeakAlloc;

use crate::provider::Followed;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const CONSUMERS: u64 = 10_000;
/// What is to be kept at most of a consumer.
const GOAL: f64 = 4096.0;

fn main() {
    let strangers = kept(0) / CONSUMERS as f64;
    let typical = kept(20) / CONSUMERS as f64;
    // Half of those that count on us run, the others await their launch.
    let ours = 500;
    let others = (CONSUMERS - 2 * ours) as f64 * strangers;
    let own = (kept(ours) - others) / (2 * ours) as f64;
    for (what, bytes, goal) in [
        (
            "memory of a consumer, of which 40 in 10,000 count on us",
            typical,
            true,
        ),
        (
            "memory of a consumer that we take no part in",
            strangers,
            true,
        ),
        (
            "memory of one that counts on us, with its set of 100 to 180 validators",
            own,
            false,
        ),
    ] {
        let (held, ratio) = match goal {
            true => ("goal: at most 4 KiB", format!("{:.2}", bytes / GOAL)),
            false => ("no goal: it has a node", "-".into()),
        };
        println!("| {what} | {:.1} KiB | {held} | {ratio} |", bytes / 1024.0);
    }
}

/// The bytes that a machine keeps which has read all consumers and runs so many of them.
fn kept(ours: u64) -> f64 {
    let before = HEAP.current_usage();
    let machine = lived(ours);
    let kept = HEAP.current_usage() - before;
    drop(machine);
    kept as f64
}

fn lived(ours: u64) -> Machine {
    let mut followed = Followed::new(CONSUMERS, ours);
    for second in 0..60 {
        followed.second(&[CONSUMERS - second - 1]);
    }
    followed.machine
}
