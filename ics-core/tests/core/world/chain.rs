//! A provider chain in memory: the lifecycle rules of ICS v7, one block at a time.

mod reading;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use ics_core::action::Tx;
use ics_core::event::Event;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{Address, PublicKey};
use ics_core::peers::NodeId;
use ics_core::phase::Phase;
use ics_core::snapshot::{Decimal, LocalValidator};
use ics_core::time::{Height, UnixTime};

pub(crate) use self::reading::snapshot;

/// How many launches and deletions a block does.
const PER_BLOCK: usize = 200;
/// How many heights can be asked for.
const KEPT: usize = 20;
/// How long a stopped consumer stays where nothing else is said.
const UNBONDING: Duration = Duration::from_secs(120);
/// The height before the first block.
const BEFORE: Height = Height(100);
/// How many blocks an epoch has.
pub(crate) const EPOCH: u64 = 10;
/// How many blocks later a consumer hears of its new set.
const RELAY: u64 = 10;

/// A validator, by its number; 0 is ours.
pub(crate) type Index = usize;

/// All consumers at one height.
pub(crate) type Consumers = BTreeMap<ConsumerId, Rc<Record>>;

/// What the chain holds of one consumer.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) phase: Phase,
    pub(crate) chain_id: String,
    pub(crate) owner: String,
    pub(crate) spawn: Option<UnixTime>,
    pub(crate) removal: Option<UnixTime>,
    pub(crate) created: Height,
    pub(crate) launched: Option<Height>,
    pub(crate) top_n: u32,
    pub(crate) downtime_slash: Decimal,
    pub(crate) connection_id: String,
    pub(crate) newer_provider: bool,
    pub(crate) unbonding: Duration,
    /// Its denylist.
    pub(crate) denied: BTreeSet<Index>,
    /// What all validators publish in place of where their nodes are.
    pub(crate) details: Option<&'static str>,
    /// Validators outside the provider's active set, which it allows.
    pub(crate) inactive: BTreeSet<Index>,
    pub(crate) opted_in: BTreeSet<Index>,
    pub(crate) assigned: BTreeMap<Index, PublicKey>,
    used: BTreeSet<PublicKey>,
    /// The set of the last epoch.
    pub(crate) set: Vec<(Index, PublicKey)>,
    /// The consumer's own set.
    pub(crate) own_set: Vec<PublicKey>,
    relayed: VecDeque<(Height, Vec<PublicKey>)>,
}

/// What the chain was at one height.
#[derive(Clone, Debug)]
struct Moment {
    height: Height,
    consumers: Rc<Consumers>,
    jailed: BTreeSet<Index>,
    /// Those that are in no set, the jailed among them.
    idle: BTreeSet<Index>,
}

/// What an owner, another validator or we ourselves ask of the chain; done in the next block.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Create(ConsumerId, Box<Record>),
    Update(ConsumerId, fn(&mut Record)),
    /// Jails or unjails a validator.
    Jail(Index, bool),
    Spawn(ConsumerId, Option<UnixTime>),
    Remove(ConsumerId),
    /// The provider stops it by itself, with this event or none.
    Stop(ConsumerId, Option<Event>),
    /// Takes a validator's bond, or gives it back.
    Bond(Index, bool),
    OptIn(ConsumerId, Index),
    OptOut(ConsumerId, Index),
    /// Our validator assigns a key by another way than the monitor.
    Assign(ConsumerId, PublicKey),
    Ours(u64, Tx),
}

#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) height: Height,
    pub(crate) time: UnixTime,
    /// Shared with the history, which differs from block to block in few of them.
    pub(crate) consumers: Consumers,
    pub(crate) tokens: Vec<u128>,
    /// Who is jailed: out of the bonded set at once.
    pub(crate) jailed: BTreeSet<Index>,
    /// Who has too little stake.
    pub(super) unbonded: BTreeSet<Index>,
    pub(crate) asked: Vec<Ask>,
    /// What is asked in the blocks to come, by their number from the start.
    planned: BTreeMap<Height, Vec<Ask>>,
    /// What became of our transactions: the block, or the refusal.
    pub(crate) results: BTreeMap<u64, Result<Height, String>>,
    history: VecDeque<Moment>,
    /// How long a stopped consumer stays.
    pub(crate) unbonding: Duration,
    /// Our transactions succeed and change nothing.
    pub(crate) void: bool,
    /// How often an opt-in of ours succeeded.
    pub(crate) opt_ins: BTreeMap<ConsumerId, u32>,
}

pub(crate) fn provider_key(index: Index) -> PublicKey {
    PublicKey::new([u8::try_from(index).expect("few validators") + 200; 32])
}

pub(crate) fn operator(index: Index) -> Address {
    Address::new([u8::try_from(index).expect("few validators") + 1; 20]).expect("20 bytes")
}

pub(crate) fn local() -> LocalValidator {
    LocalValidator {
        operator: operator(0),
        chain_id: ChainId::new("provider-1").expect("a chain id"),
        provider_key: provider_key(0),
        node_id: NodeId::new([0; 20]),
    }
}

impl Record {
    /// A consumer of this owner, without a spawn time.
    pub(crate) fn new(chain_id: &str, owner: &str) -> Self {
        Self {
            phase: Phase::Registered,
            chain_id: chain_id.into(),
            owner: owner.into(),
            spawn: None,
            removal: None,
            created: Height(0),
            launched: None,
            top_n: 0,
            downtime_slash: Decimal::default(),
            connection_id: String::new(),
            newer_provider: false,
            unbonding: Duration::from_secs(1_728_000),
            denied: BTreeSet::new(),
            details: None,
            inactive: BTreeSet::new(),
            opted_in: BTreeSet::from([1]),
            assigned: BTreeMap::new(),
            used: BTreeSet::new(),
            set: Vec::new(),
            own_set: Vec::new(),
            relayed: VecDeque::new(),
        }
    }

    pub(crate) fn spawning(mut self, at: UnixTime) -> Self {
        self.spawn = Some(at);
        self.phase = Phase::Initialized;
        self
    }

    fn key(&self, index: Index) -> PublicKey {
        let assigned = self.assigned.get(&index).copied();
        assigned.unwrap_or_else(|| provider_key(index))
    }

    /// The set that would launch or validate now, of those that are bonded. Top N takes everyone.
    pub(crate) fn next_set(&self, count: usize, idle: &BTreeSet<Index>) -> Vec<(Index, PublicKey)> {
        let takes = |index: &Index| {
            let kept_out = idle.contains(index) || self.denied.contains(index);
            !kept_out && (self.top_n > 0 || self.opted_in.contains(index))
        };
        let members = (0..count).filter(takes);
        members.map(|index| (index, self.key(index))).collect()
    }

    /// Whether the provider can make a client of it, if it has to.
    fn client_is_valid(&self) -> bool {
        let chain_id = ChainId::new(self.chain_id.clone()).expect("a chain id");
        let trusted = self.unbonding.as_nanos() * 66 / 100;
        let client = chain_id.revision() == 1 && trusted > 0;
        client || !self.connection_id.is_empty()
    }

    fn keys(&self) -> Vec<PublicKey> {
        self.set.iter().map(|(_, key)| *key).collect()
    }

    /// Whether the provider counts on us, or the consumer itself still does.
    pub(crate) fn counts_on_us(&self) -> bool {
        self.opted_in.contains(&0) || self.set.iter().any(|(index, _)| *index == 0)
    }
}

impl Chain {
    pub(crate) fn new(time: UnixTime) -> Self {
        Self {
            height: BEFORE,
            time,
            consumers: BTreeMap::new(),
            tokens: vec![40, 30, 30],
            jailed: BTreeSet::new(),
            unbonded: BTreeSet::new(),
            asked: Vec::new(),
            planned: BTreeMap::new(),
            results: BTreeMap::new(),
            history: VecDeque::new(),
            unbonding: UNBONDING,
            void: false,
            opt_ins: BTreeMap::new(),
        }
    }

    pub(crate) fn ask(&mut self, ask: Ask) {
        self.asked.push(ask);
    }

    /// Asks for something in the block with this number from the start.
    pub(crate) fn plan(&mut self, block: u64, ask: Ask) {
        let height = Height(BEFORE.0 + block);
        self.planned.entry(height).or_default().push(ask);
    }

    /// Makes the next block and returns its events.
    pub(crate) fn block(&mut self, time: UnixTime) -> Vec<Event> {
        self.height.0 += 1;
        self.time = time;
        let mut events = self.launch_due();
        self.delete_due();
        let planned = self.planned.remove(&self.height).unwrap_or_default();
        for ask in std::mem::take(&mut self.asked).into_iter().chain(planned) {
            events.extend(self.execute(ask));
        }
        if self.height.0.is_multiple_of(EPOCH) {
            self.end_epoch();
        }
        for record in self.consumers.values_mut() {
            let due = |record: &Record| {
                let first = record.relayed.front();
                first.is_some_and(|(at, _)| *at <= self.height)
            };
            while due(record) {
                let record = Rc::make_mut(record);
                if let Some((_, keys)) = record.relayed.pop_front() {
                    record.own_set = keys;
                }
            }
        }
        self.history.push_back(Moment {
            height: self.height,
            consumers: self.consumers.clone().into(),
            jailed: self.jailed.clone(),
            idle: self.idle(),
        });
        if self.history.len() > KEPT {
            self.history.pop_front();
        }
        events
    }

    fn launch_due(&mut self) -> Vec<Event> {
        let mut due: Vec<_> = self
            .consumers
            .iter()
            .filter(|(_, r)| r.phase == Phase::Initialized)
            .filter_map(|(id, r)| Some((r.spawn.filter(|spawn| *spawn <= self.time)?, *id)))
            .collect();
        due.sort();
        let mut events = Vec::new();
        for (_, id) in due.into_iter().take(PER_BLOCK) {
            let (count, height) = (self.tokens.len(), self.height);
            let idle = self.idle();
            let Some(record) = self.record_mut(id) else {
                continue;
            };
            let set = record.next_set(count, &idle);
            let active = |(index, _): &(Index, PublicKey)| !record.inactive.contains(index);
            if !set.iter().any(active) || !record.client_is_valid() {
                record.phase = Phase::Registered;
                record.spawn = None;
                continue;
            }
            record.phase = Phase::Launched;
            record.launched = Some(height);
            record.set = set;
            record.own_set = record.keys();
            // A reused connection has its client: no event tells of the making of one.
            if record.connection_id.is_empty() {
                events.push(Event::Touched(id));
            }
        }
        events
    }

    fn delete_due(&mut self) {
        for record in self.consumers.values_mut() {
            if record.phase == Phase::Stopped && record.removal.is_some_and(|at| at <= self.time) {
                let record = Rc::make_mut(record);
                record.phase = Phase::Deleted;
                record.removal = None;
                record.launched = None;
                record.opted_in.clear();
                record.assigned.clear();
                record.set.clear();
            }
        }
    }

    fn end_epoch(&mut self) {
        let (count, height, idle) = (self.tokens.len(), self.height, self.idle());
        for record in self.consumers.values_mut() {
            if record.phase != Phase::Launched {
                continue;
            }
            let record = Rc::make_mut(record);
            if record.top_n > 0 {
                record.opted_in.extend(0..count);
            }
            let set = record.next_set(count, &idle);
            if set != record.set {
                record.set = set;
                let keys = record.keys();
                // CometBFT refuses a set without validators: the chain halts with the last one.
                if !keys.is_empty() {
                    let heard = Height(height.0.saturating_add(RELAY));
                    record.relayed.push_back((heard, keys));
                }
            }
        }
    }

    fn execute(&mut self, ask: Ask) -> Option<Event> {
        match ask {
            Ask::Create(id, record) => {
                let created = self.height;
                let record = Record { created, ..*record };
                self.consumers.insert(id, Rc::new(record));
                Some(Event::Created(id))
            }
            Ask::Update(id, change) => {
                change(self.record_mut(id)?);
                Some(Event::Touched(id))
            }
            Ask::Jail(index, jailed) => {
                if jailed {
                    self.jailed.insert(index);
                } else {
                    self.jailed.remove(&index);
                }
                None
            }
            Ask::Spawn(id, spawn) => {
                let record = self.record_mut(id)?;
                if !record.phase.is_prelaunch() {
                    return None;
                }
                record.spawn = spawn;
                record.phase = match spawn {
                    Some(_) => Phase::Initialized,
                    None => Phase::Registered,
                };
                Some(Event::Touched(id))
            }
            Ask::Remove(id) => {
                self.stop(id)?;
                Some(Event::Touched(id))
            }
            Ask::Stop(id, event) => {
                self.stop(id)?;
                event
            }
            Ask::Bond(index, bonded) => {
                if bonded {
                    self.unbonded.remove(&index);
                } else {
                    self.unbonded.insert(index);
                }
                None
            }
            Ask::OptIn(id, index) => {
                self.opt_in(id, index, None).ok()?;
                Some(Event::Touched(id))
            }
            Ask::OptOut(id, index) => {
                self.opt_out(id, index).ok()?;
                Some(Event::Touched(id))
            }
            Ask::Assign(id, key) => {
                self.assign(id, 0, key).ok()?;
                Some(Event::Touched(id))
            }
            Ask::Ours(number, tx) => {
                let result = match tx {
                    _ if self.void => Ok(()),
                    Tx::AssignKey(key) => self.assign(key.consumer_id, 0, key.public_key),
                    Tx::OptIn { consumer_id, key } => {
                        let result = self.opt_in(consumer_id, 0, key.map(|key| key.public_key));
                        if result.is_ok() {
                            *self.opt_ins.entry(consumer_id).or_default() += 1;
                        }
                        result
                    }
                    Tx::OptOut(id) => self.opt_out(id, 0),
                };
                let touched = result.is_ok();
                self.results.insert(number, result.map(|()| self.height));
                touched.then(|| Event::Touched(tx.consumer_id()))
            }
        }
    }

    fn stop(&mut self, id: ConsumerId) -> Option<()> {
        let removal = self.time + self.unbonding;
        let record = self.record_mut(id)?;
        if record.phase != Phase::Launched {
            return None;
        }
        record.phase = Phase::Stopped;
        record.removal = Some(removal);
        Some(())
    }

    /// Those that are in no set.
    fn idle(&self) -> BTreeSet<Index> {
        self.jailed.union(&self.unbonded).copied().collect()
    }

    fn record_mut(&mut self, id: ConsumerId) -> Option<&mut Record> {
        self.consumers.get_mut(&id).map(Rc::make_mut)
    }

    fn active(&mut self, id: ConsumerId) -> Result<&mut Record, String> {
        let record = self.record_mut(id).ok_or("code 27")?;
        match record.phase {
            Phase::Registered | Phase::Initialized | Phase::Launched => Ok(record),
            Phase::Stopped | Phase::Deleted => Err("code 27".into()),
        }
    }

    fn opt_in(&mut self, id: ConsumerId, by: Index, key: Option<PublicKey>) -> Result<(), String> {
        self.active(id)?;
        if let Some(key) = key {
            self.assign(id, by, key)?;
        }
        self.active(id)?.opted_in.insert(by);
        Ok(())
    }

    fn opt_out(&mut self, id: ConsumerId, by: Index) -> Result<(), String> {
        let record = self.active(id)?;
        match record.phase {
            Phase::Launched if record.top_n > 0 => Err("code 20".into()),
            Phase::Launched => {
                record.opted_in.remove(&by);
                Ok(())
            }
            _ => Err("code 27".into()),
        }
    }

    /// A key that is or was in use is refused, also if it is assigned already. Our provider key is
    /// refused as long as it stands.
    fn assign(&mut self, id: ConsumerId, by: Index, key: PublicKey) -> Result<(), String> {
        let record = self.active(id)?;
        let old = record.assigned.get(&by).copied();
        if key == provider_key(by) && old.is_none() {
            return Err("code 11".into());
        }
        if record.used.contains(&key) {
            return Err("code 10".into());
        }
        // Before launch nothing can come to rest on the old one.
        if let Some(old) = old.filter(|_| record.phase.is_prelaunch()) {
            record.used.remove(&old);
        }
        record.used.insert(key);
        record.assigned.insert(by, key);
        Ok(())
    }
}
