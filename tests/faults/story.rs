//! What happens on the provider in one run: drawn from the seed, carried out by the clock.

use std::time::Duration;

use crate::dice::Dice;
use crate::run::ENOUGH;

/// The life of one consumer, in times since the run began.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// When it is created.
    pub(crate) created: Duration,
    /// Whether it is created to launch at once, which nobody has opted in to: that fails.
    pub(crate) fails_first: bool,
    /// When it launches.
    pub(crate) spawn: Duration,
    /// When our validator is given another key for it, by hand.
    pub(crate) rekeyed: Option<Duration>,
    /// When its owner stops it; it is deleted an unbonding time later.
    pub(crate) stopped: Option<Duration>,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) lives: Vec<Life>,
    /// Until when there are faults; `None`: there are none.
    pub(crate) faults_until: Option<Duration>,
    /// When our account gets the coins that it needs; `None`: it has them from the beginning.
    pub(crate) funded: Option<Duration>,
    /// By how much the chain's clock differs from ours, in milliseconds.
    pub(crate) skew: i64,
    /// How often a call has a fault, in a thousand.
    pub(crate) rate: u64,
    /// Whether the node also lies. One that says what was true before makes the monitor opt in
    /// again, which the chain takes for nothing new.
    pub(crate) lies: bool,
}

impl Story {
    /// The story of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let count = 1 + dice.roll(3);
        let funded = dice.happens(250).then(|| dice.millis(500, 2_500));
        // Half of them are over before anything launches, so that nothing may be missed.
        let (faults_until, launches) = if dice.happens(500) {
            let until = dice.millis(2_000, 4_000);
            (until, until + ENOUGH)
        } else {
            (dice.millis(4_000, 12_000), Duration::ZERO)
        };
        let lives = (0..count).map(|_| Life::draw(&dice, launches)).collect();
        Self {
            lives,
            // Every tenth shows what the end is without any.
            faults_until: (!seed.is_multiple_of(10)).then_some(faults_until),
            funded,
            skew: if dice.happens(500) {
                dice.roll(6_000) as i64 - 3_000
            } else {
                0
            },
            rate: 20 + dice.roll(130),
            lies: dice.happens(500),
        }
    }

    /// When nothing more is done to the world.
    pub(crate) fn end(&self) -> Duration {
        let of_life = |life: &Life| life.stopped.or(life.rekeyed).unwrap_or(life.spawn);
        let lives = self.lives.iter().map(of_life).max().unwrap_or_default();
        lives.max(self.faults_until.unwrap_or_default())
    }
}

impl Life {
    /// A life that launches at this time or later.
    fn draw(dice: &Dice, launches: Duration) -> Self {
        let created = dice.millis(100, 1_500);
        let spawn = launches.max(created) + dice.millis(4_000, 6_000);
        let rekeyed = dice.happens(400).then(|| spawn + dice.millis(1_000, 2_000));
        let stopped = dice
            .happens(500)
            .then(|| rekeyed.unwrap_or(spawn) + dice.millis(500, 2_500));
        Self {
            created,
            fails_first: dice.happens(200),
            spawn,
            rekeyed,
            stopped,
        }
    }
}
