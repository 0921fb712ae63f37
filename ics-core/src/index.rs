//! All consumers together: who is due when, whose nodes are ours, how many there are of what.
//!
//! No step asks all consumers. What is to be known of them together is kept here in order, and
//! [`Index::file`] is the only way in: it takes a consumer as it now is and replaces what was
//! filed of it before, so that nothing here goes stale.

mod entry;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::consumer::Consumer;
use crate::id::ConsumerId;
use crate::key::PublicKey;
use crate::ports::{self, Offset};
use crate::predict::LAUNCHES_PER_BLOCK;
use crate::time::{Height, UnixTime};

pub(crate) use self::entry::Entry;
use self::entry::Stand;

/// What is known of all consumers together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    wakes: BTreeSet<(UnixTime, ConsumerId)>,
    blocks: BTreeSet<(UnixTime, ConsumerId)>,
    /// The launch queue. A sorted list, for in it a place is found by bisection.
    spawns: Vec<(UnixTime, ConsumerId)>,
    claims: BTreeMap<(bool, Height, ConsumerId), Offset>,
    unread: BTreeSet<ConsumerId>,
    ours: BTreeSet<ConsumerId>,
    nodes: BTreeSet<ConsumerId>,
    uncounted: BTreeSet<ConsumerId>,
    counts: Counts,
    held: BTreeSet<ConsumerId>,
    /// What is known of those that may have launched since they were read: from when on, and when
    /// they were read.
    unsettled: BTreeSet<(UnixTime, Height, ConsumerId)>,
    unplaced: BTreeSet<ConsumerId>,
    /// The P2P ports of our nodes.
    listening: BTreeSet<(u16, ConsumerId)>,
    /// The chain ids of those that count on us, as hashes.
    names: BTreeSet<(u64, ConsumerId)>,
    /// Where our provider key stands.
    provider_keys: BTreeSet<(Stand, ConsumerId)>,
}

/// How many consumers count on our validator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// From their launch on: opted in, or in the set that would launch, or with an opt-in of ours
    /// under way whose fate is not known yet.
    pub(crate) awaiting: usize,
    /// Now: launched ones that count on it, and all others that a node of ours is not stopped for.
    pub(crate) running: usize,
}

impl Counts {
    /// Whether fewer count on us than before: those that await launch, or all together.
    pub(crate) const fn leaves_room_since(self, before: Self) -> bool {
        self.awaiting < before.awaiting
            || self.awaiting + self.running < before.awaiting + before.running
    }
}

/// What filing a consumer changed for others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filed {
    /// Who has ports, in which order.
    pub(crate) claims: bool,
    /// How much is known of who launched when.
    pub(crate) launches: bool,
}

impl Index {
    /// Files a consumer as it now is.
    pub(crate) fn file(&mut self, consumer: &mut Consumer, provider_key: PublicKey) -> Filed {
        let new = Entry::of(consumer, provider_key);
        let old = std::mem::replace(&mut consumer.filed, new);
        if old != new {
            self.replace(consumer, old, new);
        }
        Filed {
            claims: old.claim != new.claim || old.unread != new.unread,
            launches: old.unsettled != new.unsettled,
        }
    }

    /// The same index, built from nothing.
    #[cfg(debug_assertions)]
    pub(crate) fn of<'a>(
        consumers: impl IntoIterator<Item = &'a Consumer>,
        provider_key: PublicKey,
    ) -> Self {
        let mut index = Self::default();
        for consumer in consumers {
            let entry = Entry::of(consumer, provider_key);
            index.replace(consumer, Entry::default(), entry);
        }
        index
    }

    fn replace(&mut self, consumer: &Consumer, old: Entry, new: Entry) {
        let id = consumer.id;
        let at = |time: Option<UnixTime>| time.map(|time| (time, id));
        let who = |holds: bool| holds.then_some(id);
        replace(&mut self.wakes, at(old.wake), at(new.wake));
        replace(&mut self.blocks, at(old.block), at(new.block));
        replace(&mut self.unread, who(old.unread), who(new.unread));
        replace(&mut self.ours, who(old.ours), who(new.ours));
        replace(&mut self.nodes, who(old.node), who(new.node));
        replace(&mut self.uncounted, who(old.uncounted), who(new.uncounted));
        replace(&mut self.held, who(old.held), who(new.held));
        replace(&mut self.unplaced, who(old.unplaced), who(new.unplaced));
        let on = |port: Option<u16>| port.map(|port| (port, id));
        replace(&mut self.listening, on(old.listens), on(new.listens));
        let named = |name: Option<u64>| name.map(|name| (name, id));
        replace(&mut self.names, named(old.name), named(new.name));
        let stands = |stand: Option<Stand>| stand.map(|stand| (stand, id));
        let (was, is) = (stands(old.provider_key), stands(new.provider_key));
        replace(&mut self.provider_keys, was, is);
        let unsettled = |it: Option<(UnixTime, Height)>| it.map(|(since, read)| (since, read, id));
        let (was, is) = (unsettled(old.unsettled), unsettled(new.unsettled));
        replace(&mut self.unsettled, was, is);
        self.counts = without(self.counts, old);
        self.counts.awaiting += usize::from(new.awaiting);
        self.counts.running += usize::from(new.running);
        if old.spawn != new.spawn {
            if let Some(place) = at(old.spawn).and_then(|old| self.spawns.binary_search(&old).ok())
            {
                self.spawns.remove(place);
            }
            if let Some(new) = at(new.spawn) {
                let place = self.spawns.partition_point(|other| *other < new);
                self.spawns.insert(place, new);
            }
        }
        if old.claim != new.claim {
            if let Some(launched) = old.claim {
                self.claims.remove(&ports::order(launched, id));
            }
            if let (Some(launched), Some(snapshot)) = (new.claim, consumer.snapshot()) {
                // The chain id is final since launch.
                let offset = Offset::of(&snapshot.chain_id);
                self.claims.insert(ports::order(launched, id), offset);
            }
        }
    }

    /// How many INITIALIZED consumers the provider launches before this one: those with an earlier
    /// spawn time, or the same one and a lower id.
    ///
    /// It launches at most 200 in a block (`BeginBlockLaunchConsumers` in
    /// `x/ccv/provider/keeper/consumer_lifecycle.go`). The spawn times are those that were read
    /// last; within one spawn time the provider keeps the order in which it was asked for them,
    /// which no query shows, so the place among those is a guess. Costs a bisection.
    pub(crate) fn launched_before(&self, spawn: UnixTime, id: ConsumerId) -> usize {
        self.spawns.partition_point(|other| *other < (spawn, id))
    }

    /// The launch queue up to this consumer.
    pub(crate) fn queue(&self, spawn: UnixTime, id: ConsumerId) -> &[(UnixTime, ConsumerId)] {
        let before = self.launched_before(spawn, id);
        self.spawns.get(..=before).unwrap_or(&self.spawns)
    }

    /// As many consumers as one block launches, the next to launch first.
    pub(crate) fn next_launches(&self) -> impl Iterator<Item = ConsumerId> + '_ {
        let next = self.spawns.iter().take(LAUNCHES_PER_BLOCK);
        next.map(|(_, id)| *id)
    }

    /// How many consumers count on us.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// How many other consumers than this one count on us.
    pub(crate) fn others(&self, consumer: &Consumer) -> Counts {
        without(self.counts, consumer.filed)
    }

    /// Whether all consumers that a scan showed have been read, and so counted.
    pub(crate) fn is_counted(&self) -> bool {
        self.uncounted.is_empty()
    }

    /// The consumers that a cap holds back.
    pub(crate) fn held(&self) -> impl Iterator<Item = ConsumerId> + '_ {
        self.held.iter().copied()
    }

    /// When the next consumer has to be decided about although nothing happened.
    pub(crate) fn next_wake(&self) -> Option<UnixTime> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// The consumers that must not have ports yet, because it is not known who was before them.
    pub(crate) fn unplaced(&self) -> impl Iterator<Item = ConsumerId> + '_ {
        self.unplaced.iter().copied()
    }

    /// Whether the node of another consumer of ours listens on this P2P port.
    pub(crate) fn is_taken(&self, port: u16, id: ConsumerId) -> bool {
        let all = (port, ConsumerId::new(0))..=(port, ConsumerId::new(u64::MAX));
        self.listening.range(all).any(|(_, other)| *other != id)
    }

    /// Another consumer with the same chain id that counts on us too, if this one does.
    pub(crate) fn namesake(&self, consumer: &Consumer) -> Option<ConsumerId> {
        let name = consumer.filed.name?;
        let all = (name, ConsumerId::new(0))..=(name, ConsumerId::new(u64::MAX));
        let mut all = self.names.range(all).map(|(_, id)| *id);
        all.find(|id| *id != consumer.id)
    }

    /// Another consumer that keeps our provider key from signing for this one: our key stands there,
    /// and it has the same chain id, or one that is not read yet.
    ///
    /// Where it signs already it goes on, before those where it only counts; of two such the one that
    /// was created first has it, whatever was read first.
    pub(crate) fn rival(&self, consumer: &Consumer) -> Option<ConsumerId> {
        let same = Some(consumer.snapshot()?.chain_id.fingerprint());
        let signs = |stand: Option<Stand>| stand.map(|stand| stand.signs);
        let mine = signs(consumer.filed.provider_key);
        let others = [None, same].into_iter().flat_map(|name| {
            let from = |signs, id| (Stand { name, signs }, ConsumerId::new(id));
            self.provider_keys
                .range(from(false, 0)..=from(true, u64::MAX))
        });
        let mut others = others.filter(|(other, id)| match Some(other.signs).cmp(&mine) {
            Ordering::Greater => true,
            Ordering::Equal => other.name == same && *id < consumer.id,
            Ordering::Less => false,
        });
        others.next().map(|(_, id)| *id)
    }

    /// Whether it is known who launched up to this height; `time` is that of the newest block.
    pub(crate) fn knows_launches(&self, height: Height, time: UnixTime) -> bool {
        let mut due = self.unsettled.iter().take_while(|it| it.0 <= time);
        due.all(|(_, read, _)| *read >= height)
    }

    /// The consumers that have to be decided about at this wall time although nothing happened.
    pub(crate) fn due(&self, now: UnixTime) -> impl Iterator<Item = ConsumerId> + '_ {
        until(&self.wakes, now)
    }

    /// The consumers that have to be decided about at a block of this time.
    pub(crate) fn due_at_block(&self, time: UnixTime) -> impl Iterator<Item = ConsumerId> + '_ {
        until(&self.blocks, time)
    }

    /// The launched consumers that we run or are to run.
    pub(crate) fn ours(&self) -> impl Iterator<Item = ConsumerId> + '_ {
        self.ours.iter().copied()
    }

    /// The consumers with a node of ours, or with one that may be there.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = ConsumerId> + '_ {
        self.nodes.iter().copied()
    }

    /// The consumers that have ports, in the order of their launch, with the offset that the
    /// formula gives each; `None` while one of them has not been read.
    pub(crate) fn claims(&self) -> Option<impl Iterator<Item = (ConsumerId, Offset)> + '_> {
        let claims = self
            .claims
            .iter()
            .map(|((_, _, id), offset)| (*id, *offset));
        self.unread.is_empty().then_some(claims)
    }
}

fn without(counts: Counts, entry: Entry) -> Counts {
    Counts {
        awaiting: counts.awaiting - usize::from(entry.awaiting),
        running: counts.running - usize::from(entry.running),
    }
}

fn replace<T: Ord>(set: &mut BTreeSet<T>, old: Option<T>, new: Option<T>) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        set.remove(&old);
    }
    set.extend(new);
}

fn until(
    queue: &BTreeSet<(UnixTime, ConsumerId)>,
    last: UnixTime,
) -> impl Iterator<Item = ConsumerId> + '_ {
    queue
        .iter()
        .take_while(move |(at, _)| *at <= last)
        .map(|(_, id)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Tx;
    use crate::consumer::{Kind, Want};
    use crate::failure::Failure;
    use crate::phase::Phase;
    use crate::schedule::Schedule;
    use crate::snapshot::Snapshot;

    const OURS: PublicKey = PublicKey::new([9; 32]);

    fn at(seconds: i64) -> UnixTime {
        UnixTime::new(seconds, 0)
    }

    fn read(id: u64, phase: Phase) -> Consumer {
        let mut consumer = Consumer::new(ConsumerId::new(id));
        consumer.seen = Some((Snapshot::blank(ConsumerId::new(id), phase), at(0)));
        consumer
    }

    fn spawning(id: u64, time: i64) -> Consumer {
        let mut consumer = read(id, Phase::Initialized);
        let (snapshot, _) = consumer.seen.as_mut().expect("it was read");
        snapshot.spawn_time = Some(at(time));
        consumer
    }

    #[test]
    fn the_launch_queue_goes_by_spawn_time_then_id() {
        let mut index = Index::default();
        let mut all: Vec<_> = [(3, 100), (1, 200), (2, 100)]
            .into_iter()
            .map(|(id, time)| spawning(id, time))
            .collect();
        for consumer in &mut all {
            index.file(consumer, OURS);
        }
        let before = |index: &Index, id, time| index.launched_before(at(time), ConsumerId::new(id));
        let places =
            |index: &Index| [(2, 100), (3, 100), (1, 200)].map(|(id, t)| before(index, id, t));
        assert_eq!(places(&index), [0, 1, 2]);
        // One that has launched is out of the way, one that was put off is behind.
        all[2].seen = Some((Snapshot::blank(ConsumerId::new(2), Phase::Launched), at(0)));
        index.file(&mut all[2], OURS);
        assert_eq!(places(&index), [0, 0, 1]);
        all[0].seen = spawning(3, 300).seen;
        index.file(&mut all[0], OURS);
        assert_eq!((before(&index, 1, 200), before(&index, 3, 300)), (0, 1));
    }

    #[test]
    fn an_opt_in_counts_from_its_sending_until_it_is_known_to_have_failed() {
        let mut index = Index::default();
        let mut consumer = spawning(1, 100);
        let mut count = |change: &mut dyn FnMut(&mut Consumer)| {
            change(&mut consumer);
            index.file(&mut consumer, OURS);
            index.counts().awaiting
        };
        let tx = Tx::OptIn {
            consumer_id: ConsumerId::new(1),
            key: None,
        };
        assert_eq!(count(&mut |_| ()), 0);
        assert_eq!(count(&mut |c| c.doing = Some(Want::Broadcast(tx))), 1);
        let failed = Failure::unknown("no answer");
        assert_eq!(
            count(&mut |c| {
                c.doing = None;
                c.failed(Kind::Send, &failed, at(0), &Schedule::DEFAULT);
                c.unsure = Some((tx, None));
            }),
            1
        );
        assert_eq!(count(&mut |c| c.unsure = Some((tx, Some(Height(6))))), 1);
        assert_eq!(count(&mut |c| c.unsure = None), 0);
        assert_eq!(count(&mut |c| c.sent = Some((tx, Height(7)))), 1);
        assert_eq!(
            count(&mut |c| {
                c.sent = None;
                c.takes_part = true;
            }),
            1
        );
    }

    #[test]
    fn what_launched_with_us_runs_and_awaits_no_more() {
        let mut index = Index::default();
        let mut consumer = spawning(1, 100);
        consumer.takes_part = true;
        index.file(&mut consumer, OURS);
        assert_eq!((index.counts().awaiting, index.counts().running), (1, 0));
        consumer.seen = read(1, Phase::Launched).seen;
        index.file(&mut consumer, OURS);
        assert_eq!((index.counts().awaiting, index.counts().running), (0, 1));
        consumer.takes_part = false;
        index.file(&mut consumer, OURS);
        assert_eq!((index.counts().awaiting, index.counts().running), (0, 0));
    }
}
