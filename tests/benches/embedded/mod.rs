//! An embedded provider with many consumers, whose blocks are made by the clock.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ics_core::id::ConsumerId;
use ics_core::phase::Phase;
use ics_core::time::UnixTime;
use ics_fixtures::cast::{Cast, initialization};
use ics_fixtures::chain::{Block, Chain, Params};
use ics_fixtures::node::Node;
use ics_monitor::tx::{Message, Sender};
use ics_monitor::wire::tx::message;
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
        self.cast
            .sender(name, &self.node.url(), "provider-1", "0stake")
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
        let chain_id = format!("scale-{number}-1");
        let parameters = initialization(&chain_id, [7; 32], spawn);
        message(&self.cast.creation(&chain_id, parameters))
    }

    /// The message by which a validator opts in.
    pub(crate) fn opt_in(&self, name: &str, consumer: u64) -> Message {
        message(&self.cast.opt_in(name, ConsumerId::new(consumer), None))
    }

    /// The message that stops a consumer.
    pub(crate) fn remove(&self, consumer: u64) -> Message {
        message(&self.cast.removal(ConsumerId::new(consumer)))
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
