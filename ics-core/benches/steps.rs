//! How many steps a second the machine makes with 10,000 consumers.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

#[path = "provider/mod.rs"]
mod provider;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use ics_core::action::Input;

use crate::provider::Followed;

const CONSUMERS: u64 = 10_000;
const OURS: u64 = 20;
/// What is to be reached, in steps a second.
const GOAL: f64 = 1e6;

fn main() {
    let mut criterion = Criterion::default().without_plots().configure_from_args();
    let mut rows = Vec::new();
    let mut row = |name: &str, (steps, spent): (u64, Duration)| {
        if steps > 0 {
            rows.push((name.to_owned(), steps as f64 / spent.as_secs_f64()));
        }
    };
    row("a tick", single(&mut criterion, "tick", |_| Input::Tick));
    row(
        "a block without news",
        single(&mut criterion, "quiet block", |f| f.next_block(Vec::new())),
    );
    row(
        "a block that touches 3 consumers, and the 3 answers",
        lived(&mut criterion, "busy block", |followed, n| {
            let stranger = |k: u64| 2 * OURS + (3 * n + k) % (CONSUMERS - 2 * OURS);
            followed.block(&[stranger(0), stranger(1), stranger(2)]);
        }),
    );
    row(
        "a block that touches a consumer that we run, and the answer",
        lived(&mut criterion, "own block", |followed, n| {
            followed.block(&[n % OURS]);
        }),
    );
    row(
        "a minute of life: ticks and readings as they are due, 12 blocks, 2 scans, 6 lists",
        lived(&mut criterion, "minute", |followed, n| {
            for second in 0..60 {
                followed.second(&[2 * OURS + (60 * n + second) % (CONSUMERS - 2 * OURS)]);
            }
        }),
    );
    criterion.final_summary();
    for (name, rate) in rows {
        println!("| {name} | {rate:.0} | {:.2} |", rate / GOAL);
    }
}

/// Times one input that asks for nothing; returns how many were taken in, in which time.
fn single(
    criterion: &mut Criterion,
    name: &str,
    input: impl Fn(&mut Followed) -> Input,
) -> (u64, Duration) {
    let mut followed = Followed::new(CONSUMERS, OURS);
    let (mut steps, mut spent) = (0, Duration::ZERO);
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let inputs: Vec<_> = (0..count).map(|_| input(&mut followed)).collect();
            let begin = Instant::now();
            for input in inputs {
                black_box(followed.machine.step(followed.now, input));
            }
            let elapsed = begin.elapsed();
            (steps, spent) = (steps + count, spent + elapsed);
            elapsed
        });
    });
    (steps, spent)
}

/// Times the machine's share of what happens; returns the same.
fn lived(
    criterion: &mut Criterion,
    name: &str,
    happens: impl Fn(&mut Followed, u64),
) -> (u64, Duration) {
    let mut followed = Followed::new(CONSUMERS, OURS);
    let (mut steps, mut spent, mut number) = (0, Duration::ZERO, 0);
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let before = (followed.steps, followed.spent);
            for _ in 0..count {
                happens(&mut followed, number);
                number += 1;
            }
            let elapsed = followed.spent - before.1;
            (steps, spent) = (steps + (followed.steps - before.0) as u64, spent + elapsed);
            elapsed
        });
    });
    (steps, spent)
}
