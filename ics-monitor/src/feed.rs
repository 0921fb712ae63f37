//! The block feed: every height of the provider with its events, in order, none left out silently.
//!
//! One subscription to headers says that a height exists; its events are fetched by HTTP. So a
//! frame that is lost, a subscription that is cancelled or a connection that breaks is nothing but
//! a gap between two heights, and gaps are filled by fetching, or announced.

mod frame;
mod pace;
mod socket;

use std::collections::BTreeSet;
use std::time::Duration;

use ics_core::event::Event;
use ics_core::failure::Failure;
use ics_core::time::{Height, UnixTime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::frame::Header;
use self::pace::Pace;
use self::socket::Socket;
use crate::retry::{Backoff, until_deadline};
use crate::rpc::Rpc;

/// How the feed treats a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSettings {
    /// The wait before the first new connection.
    pub reconnect_min: Duration,
    /// The longest wait between two connections.
    pub reconnect_max: Duration,
    /// How long one block is asked for before it is given up and a resync takes its place.
    pub block_deadline: Duration,
    /// How many items wait for their reader before the feed pauses; at least 1.
    pub buffer: usize,
    /// How many missing blocks are fetched one by one; beyond, a resync takes their place.
    pub max_backfill: u64,
    /// A connection without a header for at least this long is given up, ...
    pub min_silence: Duration,
    /// ... or for this many of the chain's block intervals, if that is longer, ...
    pub silent_intervals: u32,
    /// ... but never for longer than this.
    pub max_silence: Duration,
    /// A connection without any frame for this long is pinged.
    pub ping_every: Duration,
}

impl Default for FeedSettings {
    fn default() -> Self {
        Self {
            reconnect_min: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(30),
            block_deadline: Duration::from_secs(10),
            buffer: 64,
            max_backfill: 200,
            min_silence: Duration::from_secs(10),
            silent_intervals: 5,
            max_silence: Duration::from_secs(300),
            ping_every: Duration::from_secs(15),
        }
    }
}

impl FeedSettings {
    /// How long a chain with blocks of this interval may be silent.
    fn silence(&self, interval: Duration) -> Duration {
        let patience = interval.saturating_mul(self.silent_intervals);
        patience.min(self.max_silence).max(self.min_silence)
    }
}

/// News of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedItem {
    /// The block after the one before.
    Block {
        /// Its height.
        height: Height,
        /// The time in its header.
        time: UnixTime,
        /// What it says to the core: sorted, each once.
        events: Vec<Event>,
    },
    /// The connection was lost, or the node is not what it was; for people.
    Lost(String),
    /// Blocks before this height may be missing: look at everything. The next block is the one
    /// after it.
    Resync {
        /// The newest height.
        height: Height,
        /// The time in its header.
        time: UnixTime,
        /// Why; for people.
        reason: String,
    },
}

/// The receiving end of a feed. Dropping it ends the feed.
#[derive(Debug)]
pub struct Feed {
    items: mpsc::Receiver<FeedItem>,
    task: JoinHandle<()>,
}

impl Feed {
    /// The next item: first a resync at the newest height, then blocks without a gap, or news.
    ///
    /// `None` only if the runtime that runs the feed shuts down. May be cancelled without loss.
    pub async fn next(&mut self) -> Option<FeedItem> {
        self.items.recv().await
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts to follow a node; it goes on, whatever the node does, until the feed is dropped.
///
/// # Panics
/// Outside of a tokio runtime.
#[must_use]
pub fn follow(rpc: Rpc, settings: FeedSettings) -> Feed {
    let (sender, items) = mpsc::channel(settings.buffer.max(1));
    let follower = Follower {
        address: socket::address(rpc.url()),
        rpc,
        settings,
        items: sender,
        last: None,
        is_behind: false,
    };
    let task = tokio::spawn(follower.run());
    Feed { items, task }
}

/// Nobody reads the feed any more.
struct Unread;

/// The task behind a feed.
struct Follower {
    rpc: Rpc,
    address: String,
    settings: FeedSettings,
    items: mpsc::Sender<FeedItem>,
    /// The last height that was handed out.
    last: Option<Height>,
    /// Whether it was said that the node is below that height.
    is_behind: bool,
}

impl Follower {
    async fn run(mut self) {
        let mut backoff = Backoff::new(self.settings.reconnect_min, self.settings.reconnect_max);
        let mut pace = Pace::default();
        loop {
            let before = self.last;
            let Ok(reason) = self.connection(&mut pace).await else {
                return;
            };
            if self.last != before {
                backoff.reset();
            }
            if self.send(FeedItem::Lost(reason)).await.is_err() {
                return;
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// One connection from its start to its end; returns why it ended.
    async fn connection(&mut self, pace: &mut Pace) -> Result<String, Unread> {
        let mut socket = match Socket::open(&self.address).await {
            Ok(socket) => socket,
            Err(reason) => return Ok(reason),
        };
        // Asked after subscribing, so that no height falls between the two.
        let newest = match self.newest(pace).await {
            Ok(newest) => newest,
            Err(failure) => return Ok(failure.message),
        };
        let address = self.address.clone();
        let settings = self.settings.clone();
        let (sender, receiver) = watch::channel(newest);
        // Side by side in one task: while blocks are fetched or wait for their reader, the socket
        // still takes headers and answers pings.
        tokio::select! {
            reason = socket.read(&settings, pace, sender) => Ok(format!("{address}: {reason}")),
            unread = self.fill(receiver) => Err(unread),
        }
    }

    /// The newest block that the application has committed.
    async fn newest(&self, pace: &mut Pace) -> Result<Header, Failure> {
        let height = self.rpc.committed_height().await?;
        let time = self.rpc.block_time(height).await?;
        if pace.is_unknown() && height.0 > 1 {
            // Without it a chain whose blocks take long would look dead before its first header.
            if let Ok(before) = self.rpc.block_time(Height(height.0 - 1)).await {
                pace.note(time.since(before));
            }
        }
        Ok(Header { height, time })
    }

    /// Hands out everything up to the newest header, again and again.
    async fn fill(&mut self, mut newest: watch::Receiver<Header>) -> Unread {
        newest.mark_changed();
        loop {
            if newest.changed().await.is_err() {
                // The sender lives as long as this future does.
                return Unread;
            }
            let header = *newest.borrow_and_update();
            if let Err(unread) = self.advance(header).await {
                return unread;
            }
        }
    }

    async fn advance(&mut self, newest: Header) -> Result<(), Unread> {
        let Some(last) = self.last else {
            return self.resync(newest, "start".into()).await;
        };
        if newest.height <= last {
            return self.wait_behind(newest.height, last).await;
        }
        self.is_behind = false;
        let missing = newest.height.0 - last.0 - 1;
        if missing > self.settings.max_backfill {
            let reason = format!("{missing} blocks missed");
            return self.resync(newest, reason).await;
        }
        for height in (last.0 + 1..=newest.height.0).map(Height) {
            match self.block(height, newest).await {
                Ok(item) => self.hand_out(height, item).await?,
                Err(failure) => return self.resync(newest, failure.message).await,
            }
        }
        Ok(())
    }

    /// A node that is below the last height was replaced or restored: it is said once, and nothing
    /// is handed out until the node has passed that height.
    async fn wait_behind(&mut self, height: Height, last: Height) -> Result<(), Unread> {
        if height == last || self.is_behind {
            return Ok(());
        }
        self.is_behind = true;
        let reason = format!(
            "{}: the node is at height {height}, but {last} was already seen; waiting until it \
             has passed that",
            self.rpc.url()
        );
        self.send(FeedItem::Lost(reason)).await
    }

    async fn block(&self, height: Height, newest: Header) -> Result<FeedItem, Failure> {
        let deadline = self.settings.block_deadline;
        let time = if height == newest.height {
            newest.time
        } else {
            until_deadline(deadline, async || {
                unless_gone(self.rpc.block_time(height).await)
            })
            .await?
        };
        let raw = until_deadline(deadline, async || {
            unless_gone(self.rpc.block_events(height).await)
        })
        .await?;
        let events: BTreeSet<Event> = raw
            .iter()
            .filter_map(|event| {
                let attributes = event.attributes.iter();
                Event::read(
                    &event.kind,
                    attributes.map(|(k, v)| (k.as_str(), v.as_str())),
                )
            })
            .collect();
        Ok(FeedItem::Block {
            height,
            time,
            events: events.into_iter().collect(),
        })
    }

    async fn resync(&mut self, newest: Header, reason: String) -> Result<(), Unread> {
        let item = FeedItem::Resync {
            height: newest.height,
            time: newest.time,
            reason,
        };
        self.hand_out(newest.height, item).await
    }

    /// Nothing may wait between the two lines: a cancelled one would repeat or lose a height.
    async fn hand_out(&mut self, height: Height, item: FeedItem) -> Result<(), Unread> {
        self.send(item).await?;
        self.last = Some(height);
        Ok(())
    }

    async fn send(&self, item: FeedItem) -> Result<(), Unread> {
        self.items.send(item).await.map_err(|_| Unread)
    }
}

/// Makes a failure final if the node says that it does not have the block, or keeps no results.
///
/// Texts: `rpc/core/env.go` and `state/errors.go` of CometBFT 0.38.
fn unless_gone<T>(answer: Result<T, Failure>) -> Result<T, Failure> {
    const GONE: [&str; 3] = [
        "lowest height is",
        "could not find results",
        "not persisting",
    ];
    answer.map_err(|failure| {
        if GONE.iter().any(|text| failure.message.contains(text)) {
            return Failure::permanent(failure.message);
        }
        failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_follows_the_chain_within_its_bounds() {
        let settings = FeedSettings::default();
        let silence = |seconds| settings.silence(Duration::from_secs(seconds)).as_secs();
        assert_eq!((silence(0), silence(1), silence(6)), (10, 10, 30));
        assert_eq!((silence(3600), silence(u64::MAX)), (300, 300));
    }
}
