//! An embedded provider with many consumers, whose blocks are made by the clock.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ics_core::phase::Phase;
use ics_core::snapshot::Decimal;
use ics_core::time::UnixTime;
use ics_fixtures::cast::Cast;
use ics_fixtures::chain::{Block, Chain, Params};
use ics_fixtures::node::Node;
use ics_monitor::rpc::Rpc;
use ics_monitor::tx::{FeeSettings, Message, Sender};
use ics_monitor::wire::base::{Duration as WireDuration, Height as WireHeight};
use ics_monitor::wire::provider::{ConsumerInitializationParameters, ConsumerMetadata};
use ics_monitor::wire::tx::{MsgCreateConsumer, MsgOptIn, MsgRemoveConsumer, message};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// How often blocks are made while consumers are created.
const HASTE: Duration = Duration::from_millis(20);
/// How many messages one transaction carries.
const MESSAGES: usize = 200;

/// The provider, and those who act on it.
pub(crate) struct Embedded {
    pub(crate) node: Arc<Node>,
    pub(crate) cast: Cast,
    pub(crate) folder: TempDir,
    blocks: Option<JoinHandle<()>>,
}

impl Embedded {
    /// A provider without consumers, whose time was an hour ago and nearly stands still until
    /// [`Self::pace`] is called, so that none launches before all are as they should be.
    pub(crate) async fn start(params: Params) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let cast = Cast::write(folder.path(), "cosmos").expect("written");
        let start = past();
        let chain = Chain::new(cast.genesis("provider-1", start, params));
        let node = Node::start(chain, ([127, 0, 0, 1], 0).into()).await;
        let mut embedded = Self {
            node: Arc::new(node.expect("a node")),
            cast,
            folder,
            blocks: None,
        };
        let time = (1..).map(move |block| start + Duration::from_millis(block));
        embedded.make_blocks(HASTE, time, |_, _| {});
        embedded
    }

    /// Makes a block so often from now on, and shows each to a listener, with the moment at which
    /// its subscribers had been told.
    pub(crate) fn pace(
        &mut self,
        interval: Duration,
        listen: impl FnMut(&Block, Instant) + Send + 'static,
    ) {
        self.make_blocks(interval, std::iter::repeat_with(now), listen);
    }

    fn make_blocks(
        &mut self,
        interval: Duration,
        times: impl Iterator<Item = UnixTime> + Send + 'static,
        mut listen: impl FnMut(&Block, Instant) + Send + 'static,
    ) {
        if let Some(blocks) = self.blocks.take() {
            blocks.abort();
        }
        let node = Arc::clone(&self.node);
        self.blocks = Some(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for time in times {
                ticks.tick().await;
                let block = node.step(time);
                listen(&block, Instant::now());
            }
        }));
    }

    /// A sender of one of the cast.
    pub(crate) fn sender(&self, name: &str) -> Sender {
        let fees = FeeSettings {
            gas_price: "0stake".parse().expect("a price"),
            gas_adjustment: Decimal::parse("1.2").expect("a number"),
            max_fee: 0,
        };
        let rpc = Rpc::new(&self.node.url()).expect("an address");
        Sender::new(rpc, self.cast.account(name), "provider-1".into(), fees)
    }

    /// Sends messages of one account, so many in a transaction.
    pub(crate) async fn send(&self, name: &str, messages: Vec<Message>) {
        let sender = self.sender(name);
        for some in messages.chunks(MESSAGES) {
            sender.send(some.to_vec(), "").await.expect("it is taken");
        }
    }

    /// The message that creates a consumer.
    pub(crate) fn create(&self, number: u64, spawn: Option<UnixTime>) -> Message {
        message(&MsgCreateConsumer {
            submitter: self.cast.account("owner").address_text(),
            chain_id: format!("scale-{number}-1"),
            metadata: Some(ConsumerMetadata {
                name: b"scale".to_vec(),
                description: b"one of many".to_vec(),
                metadata: b"{}".to_vec(),
            }),
            initialization_parameters: Some(initialization(spawn)),
            ..MsgCreateConsumer::default()
        })
    }

    /// The message by which a validator opts in.
    pub(crate) fn opt_in(&self, name: &str, consumer: u64) -> Message {
        let account = self.cast.account(name);
        message(&MsgOptIn {
            provider_addr: account.operator_text(),
            signer: account.address_text(),
            consumer_id: consumer.to_string(),
            ..MsgOptIn::default()
        })
    }

    /// The message that stops a consumer.
    pub(crate) fn remove(&self, consumer: u64) -> Message {
        message(&MsgRemoveConsumer {
            consumer_id: consumer.to_string(),
            owner: self.cast.account("owner").address_text(),
        })
    }

    /// How many consumers are in a phase.
    pub(crate) fn count(&self, phase: Phase) -> usize {
        let consumers = self.node.with(|chain| chain.state().consumers());
        consumers.iter().filter(|(_, it)| *it == phase).count()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(blocks) = self.blocks.take() {
            blocks.abort();
        }
    }
}

fn initialization(spawn: Option<UnixTime>) -> ConsumerInitializationParameters {
    let seconds = |seconds| Some(WireDuration { seconds, nanos: 0 });
    ConsumerInitializationParameters {
        initial_height: Some(WireHeight {
            revision_number: 1,
            revision_height: 1,
        }),
        genesis_hash: vec![7; 32],
        spawn_time: spawn.map(Into::into),
        unbonding_period: seconds(1_728_000),
        ccv_timeout_period: seconds(2_419_200),
        transfer_timeout_period: seconds(3_600),
        consumer_redistribution_fraction: "0.75".into(),
        blocks_per_distribution_transmission: 1_000,
        historical_entries: 10_000,
        ..ConsumerInitializationParameters::default()
    }
}

/// An hour ago: the time at which consumers are created.
pub(crate) fn past() -> UnixTime {
    let an_hour = Duration::from_secs(3600);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::new(0, 0) + since.unwrap_or_default().saturating_sub(an_hour)
}

/// The time now.
pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::new(0, 0) + since.unwrap_or_default()
}
