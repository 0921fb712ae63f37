//! The embedded provider of one run: its clock, its owner and its other validator, who all act past
//! the node, so that no fault touches them and no event tells of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ics_core::artifact::Digest;
use ics_core::id::ConsumerId;
use ics_core::key::{Form, PublicKey};
use ics_core::phase::Phase;
use ics_core::time::UnixTime;
use ics_fixtures::cast::{Cast, initialization};
use ics_fixtures::chain::{Address, Chain, Msg, MsgOptIn, MsgRemoveConsumer, Params, State};
use ics_fixtures::node::Node;
use ics_monitor::wire::base::KeySum;
use ics_monitor::wire::tx::MsgUpdateConsumer;
use tokio::time::{Interval, MissedTickBehavior};

use crate::story::{Life, Story};

/// How often a block is made.
pub(crate) const BLOCK: Duration = Duration::from_millis(100);
/// How long after its stop a consumer is deleted.
const UNBONDING: Duration = Duration::from_millis(1_500);
/// What the poor account gets, in the end.
const COINS: u128 = 1_000_000_000;

/// The provider of one run.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) node: Node,
    pub(crate) cast: Cast,
    folder: PathBuf,
    /// What the chain's clock shows at its beginning.
    began: UnixTime,
    /// How many block intervals have passed.
    ticks: AtomicU32,
}

impl Provider {
    pub(crate) async fn start(folder: PathBuf, story: &Story) -> Self {
        let cast = Cast::write(&folder, "cosmos").expect("written");
        let params = Params {
            unbonding: UNBONDING,
            min_gas_price: 1_000_000_000_000_000,
            ..Params::default()
        };
        let now = skewed(story.skew);
        let mut chain = Chain::new(cast.genesis("provider-1", now, params));
        let alice = cast.address("alice");
        if story.funded.is_some() {
            chain.change(|state| state.account(&alice).coins.clear());
        }
        chain.step(now);
        let node = Node::start(chain, ([127, 0, 0, 1], 0).into()).await;
        Self {
            node: node.expect("a node"),
            cast,
            folder,
            began: now,
            ticks: AtomicU32::new(0),
        }
    }

    /// The run's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets the time of one block pass.
    pub(crate) fn tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// How long the run has lasted, in blocks: on a slow machine all takes longer, and no story
    /// becomes another.
    pub(crate) fn elapsed(&self) -> Duration {
        BLOCK * self.ticks.load(Ordering::Relaxed)
    }

    /// Makes a block and, unless its header is lost on the way, tells its subscribers.
    pub(crate) fn step(&self, told: bool) {
        let now = self.began + self.elapsed();
        if told {
            self.node.step(now);
        } else {
            self.node.with(|chain| {
                chain.step(now);
            });
        }
    }

    fn run(&self, msg: &Msg) {
        self.node.with(|chain| {
            chain.change(|state| {
                state.run(msg).expect("the script is right");
            });
        });
    }

    /// Creates the consumer of a life. Returns its id.
    pub(crate) fn create(&self, seed: u64, life: &Life) -> ConsumerId {
        // Another may have been created since the newest block.
        let id = self.node.with(|chain| chain.state().consumers().len());
        let chain_id = format!("fault-{seed}-{id}-1");
        let spawn = if life.fails_first {
            self.began
        } else {
            self.began + life.spawn
        };
        let hash = self.write_genesis(id, &chain_id);
        let parameters = initialization(&chain_id, hash, Some(spawn));
        self.run(&Msg::Create(self.cast.creation(&chain_id, parameters)));
        ConsumerId::new(id as u64)
    }

    /// Gives a consumer that failed to launch another spawn time.
    pub(crate) fn respawn(&self, id: ConsumerId, life: &Life) {
        let chain_id = self.look(|state| state.chain_id_of(&id.to_string()).unwrap_or_default());
        let hash = self.write_genesis(id.number() as usize, &chain_id);
        self.run(&Msg::Update(MsgUpdateConsumer {
            owner: self.cast.account("owner").address_text(),
            consumer_id: id.to_string(),
            initialization_parameters: Some(initialization(
                &chain_id,
                hash,
                Some(self.began + life.spawn),
            )),
            ..MsgUpdateConsumer::default()
        }));
    }

    /// The other validator takes part.
    pub(crate) fn join(&self, id: ConsumerId) {
        let account = self.cast.account("bob");
        self.run(&Msg::OptIn(MsgOptIn {
            provider_addr: account.operator_text(),
            signer: account.address_text(),
            consumer_id: id.to_string(),
            ..MsgOptIn::default()
        }));
    }

    /// Our validator gets another key, by hand.
    pub(crate) fn assign(&self, id: ConsumerId, key: PublicKey) {
        let account = self.cast.account("alice");
        self.run(&Msg::AssignKey(MsgOptIn {
            provider_addr: account.operator_text(),
            signer: account.address_text(),
            consumer_id: id.to_string(),
            consumer_key: key.to_form(Form::Sdk),
            ..MsgOptIn::default()
        }));
    }

    /// The owner stops a consumer.
    pub(crate) fn remove(&self, id: ConsumerId) {
        self.run(&Msg::Remove(MsgRemoveConsumer {
            consumer_id: id.to_string(),
            owner: self.cast.account("owner").address_text(),
        }));
    }

    /// Our account gets coins.
    pub(crate) fn fund(&self) {
        let alice = self.cast.address("alice");
        self.node.with(|chain| {
            chain.change(|state| {
                state.account(&alice).coins.insert("stake".into(), COINS);
            });
        });
    }

    /// Somebody else sends a transaction from our account.
    pub(crate) fn interfere(&self) {
        let alice = self.cast.address("alice");
        self.node.with(|chain| {
            chain.change(|state| state.account(&alice).sequence += 1);
        });
    }

    /// Looks at what the newest block left.
    pub(crate) fn look<T>(&self, what: impl FnOnce(&State) -> T) -> T {
        self.node.with(|chain| {
            let latest = chain.latest().expect("a block");
            what(&latest.state)
        })
    }

    pub(crate) fn phase(&self, id: ConsumerId) -> Option<Phase> {
        self.look(|state| state.phase(&id.to_string()))
    }

    /// Our validator's address in its provider consensus key.
    pub(crate) fn our_consensus(&self) -> Address {
        let key = Cast::provider_public_key("alice").address();
        key.as_bytes().try_into().expect("20 bytes")
    }

    /// What our validator signs a consumer with, if it is in its set.
    pub(crate) fn our_key(&self, id: ConsumerId) -> Option<PublicKey> {
        let ours = self.our_consensus();
        let set = self.look(|state| state.validator_set(&id.to_string()));
        let member = set.into_iter().find(|it| it.provider_cons_addr == ours)?;
        key_of(member.public_key)
    }

    /// The key that our validator is assigned for a consumer.
    pub(crate) fn assigned(&self, id: ConsumerId) -> Option<PublicKey> {
        let ours = self.our_consensus();
        key_of(self.look(|state| state.assigned_key(&id.to_string(), &ours)))
    }

    /// The keys of a consumer's set.
    pub(crate) fn set(&self, id: ConsumerId) -> Vec<(PublicKey, i64)> {
        let set = self.look(|state| state.validator_set(&id.to_string()));
        let member =
            |it: ics_fixtures::chain::ConsensusValidator| Some((key_of(it.public_key)?, it.power));
        set.into_iter().filter_map(member).collect()
    }

    fn write_genesis(&self, id: usize, chain_id: &str) -> [u8; 32] {
        let text = serde_json::json!({
            "genesis_time": "2026-01-01T00:00:00Z",
            "chain_id": chain_id,
            "initial_height": 1,
            "app_state": {"ccvconsumer": {}},
        })
        .to_string();
        fs::write(self.folder.join(format!("pre-{id}.json")), &text).expect("written");
        *Digest::of(text.as_bytes()).as_bytes()
    }
}

fn key_of(key: Option<ics_monitor::wire::base::PublicKey>) -> Option<PublicKey> {
    match key?.sum? {
        KeySum::Ed25519(bytes) => PublicKey::from_slice(&bytes).ok(),
        KeySum::Secp256k1(_) => None,
    }
}

/// When blocks are made: one that is late puts off all that follow, so that a slow machine plays the
/// same story.
pub(crate) fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(BLOCK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Our time, as the chain's clock shows it.
fn skewed(millis: i64) -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = UnixTime::new(0, 0) + since.unwrap_or_default();
    let by = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { now - by } else { now + by }
}
