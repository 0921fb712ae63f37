//! What will become of a launch: whether it would succeed, our place in it, and how long there is
//! to opt in.
//!
//! The set is the provider's own answer and is never computed here: its cut among equals depends on
//! an unstable sort. What must hold beside it is that of `LaunchConsumer` and what it calls
//! (`x/ccv/provider/keeper/consumer_lifecycle.go` of interchain-security) and of `Validate` of
//! ibc-go's `07-tendermint/client_state.go`. Not seen from here, and so not predicted: whether the
//! provider keeps historical entries, and whether a connection to be reused is fit for it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::id::ConsumerId;
use crate::phase::Phase;
use crate::snapshot::{InitialHeight, LocalValidator, Snapshot};
use crate::time::{Height, UnixTime};

/// How many consumers one block launches at most; the rest waits for the next block.
///
/// Source: `BeginBlockLaunchConsumers`, `x/ccv/provider/keeper/consumer_lifecycle.go`.
pub const LAUNCHES_PER_BLOCK: usize = 200;

/// What would happen if a consumer launched on what is known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prediction {
    /// Why the launch would fail; empty: it would succeed.
    pub obstacles: Vec<Obstacle>,
    /// The connection that it reuses: whether that is fit is not seen from here, and such a launch
    /// has no event.
    pub reuses_connection: bool,
    /// How many validators the set has.
    pub validators: usize,
    /// The power of the whole set.
    pub total_power: u64,
    /// Our place in the set; `None`: we are not in it.
    pub place: Option<Place>,
    /// When it launches: in the first block with this time or a later one. An opt-in counts if it
    /// is in an earlier block.
    pub spawn_time: UnixTime,
    /// The last block in which an opt-in counts, if blocks go on as they did; `None`: that is over,
    /// or too few blocks were seen.
    pub last_block: Option<Height>,
    /// How many blocks later it launches because more are due than one block launches.
    pub blocks_late: u64,
}

/// One reason for which a launch fails. The consumer is then REGISTERED again, without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// No validator would be in the set.
    EmptySet,
    /// None of the set is among the provider's active validators.
    NoActiveMember,
    /// The first height's revision is not that of the chain id.
    Revision {
        /// The revision in the first height.
        initial: u64,
        /// The revision in the chain id.
        chain_id: u64,
    },
    /// The time for which headers are trusted is not between zero and the unbonding period.
    TrustingPeriod {
        /// The trusting period that the provider would compute.
        trusting: Duration,
        /// The consumer's unbonding period.
        unbonding: Duration,
    },
    /// The consumer's first block would have height 0.
    ZeroHeight,
}

/// Our place in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// How many have more power, plus one.
    pub rank: usize,
    /// Our power.
    pub power: u64,
}

/// How fast the provider makes blocks, as observed.
///
/// It forgets what is older than some hundred blocks, so that a halt is not felt for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Two earlier blocks, the older first.
    anchors: Option<[(Height, UnixTime); 2]>,
    newest: Option<(Height, UnixTime)>,
}

impl Pace {
    /// How many blocks an observation spans before a newer one takes its place.
    const SPAN: u64 = 100;

    /// Takes note of a block; returns whether predictions are to be made anew: the first pace is
    /// known, or an old one was forgotten.
    pub fn see(&mut self, height: Height, time: UnixTime) -> bool {
        let block = (height, time);
        let (anchors, interval) = (self.anchors, self.interval());
        self.anchors = Some(match anchors {
            Some([_, young]) if height.0.saturating_sub(young.0.0) >= Self::SPAN => [young, block],
            Some(anchors) => anchors,
            None => [block; 2],
        });
        self.newest = Some(block);
        self.anchors != anchors || self.interval().is_some() != interval.is_some()
    }

    /// The mean time between two blocks; `None`: too few were seen.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        let ([(first, began), _], (last, ended)) = (self.anchors?, self.newest?);
        let blocks = u32::try_from(last.0.checked_sub(first.0)?).ok()?;
        let interval = ended.since(began).checked_div(blocks)?;
        (!interval.is_zero()).then_some(interval)
    }

    /// The last block whose time is before `end`, if blocks go on as they did; `None`: the next one
    /// is too late already, or too few blocks were seen.
    #[must_use]
    pub fn last_before(&self, end: UnixTime) -> Option<Height> {
        let (height, time) = self.newest?;
        let left = end.since(time).checked_sub(Duration::from_nanos(1))?;
        let blocks = left.as_nanos() / self.interval()?.as_nanos();
        let blocks = u64::try_from(blocks).ok().filter(|blocks| *blocks > 0)?;
        height.0.checked_add(blocks).map(Height)
    }

    /// In which block, counted from the newest one, something is done that is due at `due`.
    fn blocks_until(&self, due: UnixTime) -> u64 {
        let (Some((_, time)), Some(interval)) = (self.newest, self.interval()) else {
            return 1;
        };
        let blocks = due.since(time).as_nanos().div_ceil(interval.as_nanos());
        u64::try_from(blocks).unwrap_or(u64::MAX).max(1)
    }
}

/// How many blocks later than its own one the last of a launch queue launches; the queue holds
/// the spawn times of all initialized consumers up to it, in order.
///
/// One block launches [`LAUNCHES_PER_BLOCK`], so each waits for the one that many places before it.
/// Costs a look at every one of those.
fn blocks_late(queue: &[(UnixTime, ConsumerId)], pace: &Pace) -> u64 {
    let due = queue.iter().rev().step_by(LAUNCHES_PER_BLOCK);
    let mut blocks = due.map(|(due, _)| pace.blocks_until(*due));
    let Some(own) = blocks.next() else { return 0 };
    let waits = blocks
        .zip(1..)
        .map(|(block, after)| block.saturating_add(after));
    waits.max().unwrap_or(0).saturating_sub(own)
}

impl Prediction {
    /// Predicts the launch of an initialized consumer; `None` for any other.
    ///
    /// `queue` holds the spawn times of all initialized consumers up to this one, in order; among
    /// equal times the provider's order shows nowhere, so the place there is a guess.
    #[must_use]
    pub fn of(
        snapshot: &Snapshot,
        local: &LocalValidator,
        pace: &Pace,
        queue: &[(UnixTime, ConsumerId)],
    ) -> Option<Self> {
        let initialized = snapshot.phase == Phase::Initialized;
        let spawn_time = snapshot.spawn_time.filter(|_| initialized)?;
        let place = snapshot.member(local).map(|member| Place {
            rank: 1 + more_powerful(snapshot, member.power),
            power: member.power,
        });
        Some(Self {
            obstacles: obstacles(snapshot),
            reuses_connection: !snapshot.connection_id.is_empty(),
            validators: snapshot.validators.size(),
            total_power: snapshot.validators.power(),
            place,
            spawn_time,
            last_block: pace.last_before(spawn_time),
            blocks_late: blocks_late(queue, pace),
        })
    }
}

/// Why a launch on what is known now would fail; empty: it would succeed.
#[must_use]
pub fn obstacles(snapshot: &Snapshot) -> Vec<Obstacle> {
    let mut found = Vec::new();
    if snapshot.validators.size() == 0 {
        found.push(Obstacle::EmptySet);
    } else if !snapshot.validators.has_active() {
        found.push(Obstacle::NoActiveMember);
    }
    // A reused connection has its client already: none is made.
    if !snapshot.connection_id.is_empty() {
        return found;
    }
    let InitialHeight { revision, height } = snapshot.initial_height;
    let chain_id = snapshot.chain_id.revision();
    if revision != chain_id {
        found.push(Obstacle::Revision {
            initial: revision,
            chain_id,
        });
    }
    if height == 0 {
        found.push(Obstacle::ZeroHeight);
    }
    let unbonding = snapshot.unbonding_period;
    let trusting = trusting_period(snapshot);
    if trusting.is_zero() || trusting >= unbonding {
        found.push(Obstacle::TrustingPeriod {
            trusting,
            unbonding,
        });
    }
    found
}

fn more_powerful(snapshot: &Snapshot, power: u64) -> usize {
    let members = snapshot.validators.members().iter();
    members.filter(|member| member.power > power).count()
}

/// For how long the provider's client would trust a header (`CalculateTrustPeriod`,
/// `x/ccv/types/shared_params.go`): in whole nanoseconds.
fn trusting_period(snapshot: &Snapshot) -> Duration {
    let fraction = snapshot.trusting_period_fraction;
    let nanos = fraction.times_truncated(snapshot.unbonding_period.as_nanos());
    let nanos = nanos.and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map_or(Duration::MAX, Duration::from_nanos)
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptySet => f.write_str("no validator would be in its set"),
            Self::NoActiveMember => {
                f.write_str("no validator of its set makes the provider's blocks")
            }
            Self::Revision { initial, chain_id } => write!(
                f,
                "its first height has revision {initial}, its chain id {chain_id}"
            ),
            Self::TrustingPeriod {
                trusting,
                unbonding,
            } => write!(
                f,
                "its trusting period of {trusting:?} is not between zero and its unbonding period \
                 of {unbonding:?}"
            ),
            Self::ZeroHeight => f.write_str("its first block would have height 0"),
        }
    }
}

impl fmt::Display for Prediction {
    /// One line for people: whether it launches, our place, how long there is to opt in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.obstacles.is_empty() {
            write!(f, "would launch with {} validators", self.validators)?;
        } else {
            f.write_str("would fail to launch: ")?;
            for (obstacle, comma) in self.obstacles.iter().zip([""].into_iter().chain(["; "; 4])) {
                write!(f, "{comma}{obstacle}")?;
            }
        }
        match self.place {
            Some(Place { rank, power }) => {
                let share = u128::from(power) * 10_000 / u128::from(self.total_power.max(1));
                write!(
                    f,
                    ", we at rank {rank} with power {power} ({}.{:02} %)",
                    share / 100,
                    share % 100
                )?;
            }
            None => {
                f.write_str(", without us; an opt-in counts in blocks before the spawn time")?;
                if let Some(last) = self.last_block {
                    write!(f, ", about until block {last}")?;
                }
            }
        }
        if self.blocks_late > 0 {
            write!(
                f,
                "; about {} blocks late, because one block launches {LAUNCHES_PER_BLOCK}",
                self.blocks_late
            )?;
        }
        if self.reuses_connection {
            f.write_str("; it reuses a connection: whether that is fit is not seen from here")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::new(1_000 + seconds, 0)
    }

    /// Ten blocks, one every 5 seconds; the newest has height 10.
    fn pace() -> Pace {
        let mut pace = Pace::default();
        for height in 1..=10_u8 {
            pace.see(Height(height.into()), at(i64::from(height) * 5 - 50));
        }
        pace
    }

    #[test]
    fn the_last_block_is_the_last_one_before_the_spawn_time() {
        let pace = pace();
        assert_eq!(pace.interval(), Some(Duration::from_secs(5)));
        assert_eq!(pace.last_before(at(21)), Some(Height(14)));
        // A block with exactly the spawn time launches already.
        assert_eq!(pace.last_before(at(20)), Some(Height(13)));
        assert_eq!(pace.last_before(at(6)), Some(Height(11)));
        for too_late in [5, 0, -9] {
            assert_eq!(pace.last_before(at(too_late)), None, "{too_late}");
        }
    }

    #[test]
    fn too_few_blocks_or_a_chain_that_stands_give_no_pace() {
        let mut pace = Pace::default();
        assert_eq!(pace.last_before(at(9)), None);
        pace.see(Height(7), at(0));
        assert_eq!(pace.interval(), None);
        pace.see(Height(8), at(0));
        assert_eq!(pace.interval(), None);
        pace.see(Height(9), at(4));
        assert_eq!(pace.interval(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_halt_is_forgotten_after_some_hundred_blocks() {
        let mut pace = Pace::default();
        pace.see(Height(1), at(0));
        for height in 2..=302 {
            pace.see(
                Height(height),
                at(100_000 + i64::try_from(height).expect("small")),
            );
        }
        assert_eq!(pace.interval(), Some(Duration::from_secs(1)));
    }

    fn late(due: impl IntoIterator<Item = i64>) -> u64 {
        let ids = (0..).map(ConsumerId::new);
        let queue: Vec<_> = due.into_iter().map(at).zip(ids).collect();
        blocks_late(&queue, &pace())
    }

    #[test]
    fn two_hundred_launch_in_one_block_and_the_next_waits() {
        assert_eq!(late([]), 0);
        for (count, blocks) in [(1, 0), (200, 0), (201, 1), (400, 1), (401, 2)] {
            assert_eq!(late(vec![12; count]), blocks, "{count}");
        }
    }

    #[test]
    fn a_backlog_of_an_earlier_block_is_waited_for_and_melts() {
        // 600 due at second 12 take blocks 13 to 15; one due in block 14 waits for block 16, one
        // due much later for none.
        let before = [12; 600];
        assert_eq!(late(before.into_iter().chain([17])), 2);
        assert_eq!(late(before.into_iter().chain([500])), 0);
        // All overdue: the next block is the first that can launch any.
        assert_eq!(late([-40; 201]), 1);
    }
}
