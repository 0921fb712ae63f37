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
    let stranger = |n: u64| 2 * OURS + n % (CONSUMERS - 2 * OURS);
    let rows = [
        ("a tick", single(&mut criterion, "tick", |_| Input::Tick)),
        (
            "a block without news, ends of epochs included",
            single(&mut criterion, "quiet block", |it| {
                it.next_block(Vec::new())
            }),
        ),
        (
            "a block that touches 3 consumers of others, and the 3 answers",
            lived(&mut criterion, "busy block", |followed, n| {
                followed.block(&[stranger(3 * n), stranger(3 * n + 1), stranger(3 * n + 2)]);
            }),
        ),
        (
            "a block that touches a consumer that we run, and the answer",
            lived(&mut criterion, "own block", |followed, n| {
                followed.block(&[n % OURS]);
            }),
        ),
        (
            "a minute of life: due ticks and readings, 12 blocks, 2 scans, 6 lists",
            lived(&mut criterion, "minute", |followed, n| {
                for second in 0..60 {
                    followed.second(&[stranger(60 * n + second)]);
                }
            }),
        ),
    ];
    criterion.final_summary();
    for (what, total) in rows {
        let rate = total.rate();
        let (millions, ratio) = (rate / 1e6, rate / GOAL);
        println!("| steps: {what} | {millions:.2} M/s * | goal: 1 M/s | {ratio:.2} |");
    }
}

/// Steps that were measured.
#[derive(Default)]
struct Total {
    steps: usize,
    /// What they took, as the clock shows it.
    spent: Duration,
    /// What the samples took that they are part of: by the clock, and of the processor.
    clock: Duration,
    processor: Duration,
}

impl Total {
    /// Makes a sample of steps; returns what they took.
    fn sample(&mut self, work: impl FnOnce() -> (usize, Duration)) -> Duration {
        let (processor, begin) = (processor_time(), Instant::now());
        let (steps, spent) = work();
        self.clock += begin.elapsed();
        self.processor += processor_time() - processor;
        self.steps += steps;
        self.spent += spent;
        spent
    }

    /// Steps a second, without the time in which other programs had the processor.
    fn rate(&self) -> f64 {
        let share = self.processor.as_secs_f64() / self.clock.as_secs_f64();
        self.steps as f64 / (self.spent.as_secs_f64() * share.min(1.0))
    }
}

/// For how long this thread had a processor so far.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a number first"))
}

/// Measures one input that asks for nothing.
fn single(criterion: &mut Criterion, name: &str, input: impl Fn(&mut Followed) -> Input) -> Total {
    let mut followed = Followed::new(CONSUMERS, OURS);
    let mut total = Total::default();
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let inputs: Vec<_> = (0..count).map(|_| input(&mut followed)).collect();
            total.sample(|| {
                let (steps, begin) = (inputs.len(), Instant::now());
                for input in inputs {
                    black_box(followed.machine.step(followed.now, input));
                }
                (steps, begin.elapsed())
            })
        });
    });
    total
}

/// Measures the machine's share of what happens.
fn lived(criterion: &mut Criterion, name: &str, happens: impl Fn(&mut Followed, u64)) -> Total {
    let mut followed = Followed::new(CONSUMERS, OURS);
    let (mut total, mut number) = (Total::default(), 0);
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            total.sample(|| {
                let before = (followed.steps, followed.spent);
                for _ in 0..count {
                    happens(&mut followed, number);
                    number += 1;
                }
                (followed.steps - before.0, followed.spent - before.1)
            })
        });
    });
    total
}
