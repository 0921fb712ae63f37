//! The loop: one owner of the machine, everything else is a task that reports back to it.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ics_core::action::{Action, Input, Level, Notice, OpId, Outcome};
use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::machine::Machine;
use ics_core::policy::Policy;
use ics_core::snapshot::LocalValidator;
use ics_core::status::{ConsumerStatus, Stage};
use ics_core::time::{Height, UnixTime};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::effects::{Backends, Effects};
use crate::feed::{self, FeedItem, FeedSettings};
use crate::overrides::Overrides;
use crate::rpc::Rpc;

/// How often the overrides file is looked at.
const OVERRIDES_EVERY: Duration = Duration::from_secs(1);
/// For how many blocks the time of arrival is remembered.
const ARRIVALS: usize = 1000;
/// How many notices one who listens may be behind.
const NOTICES: usize = 1000;

/// What all consumers look like; each status is shared until it changes.
pub type Statuses = BTreeMap<ConsumerId, Arc<ConsumerStatus>>;

/// Follows one provider and runs one validator's nodes.
pub struct Monitor {
    machine: Machine,
    effects: Arc<Effects>,
    rpc: Rpc,
    policy: Policy,
    overrides: Overrides,
    running: JoinSet<Option<(OpId, Outcome)>>,
    statuses: watch::Sender<Statuses>,
    notices: broadcast::Sender<Notice>,
    /// When each of the newest blocks came.
    arrivals: VecDeque<(Height, Instant)>,
}

impl Monitor {
    /// A monitor that does nothing before [`Monitor::run`].
    ///
    /// # Errors
    /// If the operator's overrides cannot be read.
    pub fn new(
        local: LocalValidator,
        policy: Policy,
        data_dir: &Path,
        backends: Backends,
    ) -> Result<Self, Failure> {
        let mut overrides = Overrides::new(data_dir);
        let policy = Policy {
            overrides: overrides.read()?,
            ..policy
        };
        Ok(Self {
            machine: Machine::new(local.clone(), policy.clone()),
            rpc: backends.provider.rpc().clone(),
            effects: Arc::new(Effects::new(backends, local)),
            policy,
            overrides,
            running: JoinSet::new(),
            statuses: watch::Sender::new(Statuses::new()),
            notices: broadcast::Sender::new(NOTICES),
            arrivals: VecDeque::new(),
        })
    }

    /// What all consumers look like, now and at every change.
    #[must_use]
    pub fn statuses(&self) -> watch::Receiver<Statuses> {
        self.statuses.subscribe()
    }

    /// What people are told from now on, as it is logged. Who is a thousand notices behind loses the
    /// oldest.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Runs until `shutdown` is done. What is under way then is dropped: everything that was
    /// begun is found on chain or at the deployer by the next run.
    ///
    /// # Errors
    /// If the feed ended, which it does only by a defect.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), Failure> {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut feed = feed::follow(self.rpc.clone(), FeedSettings::default());
        let mut look = tokio::time::interval(OVERRIDES_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let tick = self.until_tick();
            let input = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                item = feed.next() => match item {
                    Some(item) => self.on_feed(item),
                    None => return Err(Failure::unknown("the block feed ended by itself")),
                },
                Some(ended) = self.running.join_next() => match ended {
                    Ok(Some((op, outcome))) => Some(Input::Done { op, outcome }),
                    Ok(None) | Err(_) => None,
                },
                _ = look.tick() => self.changed_policy(),
                () = tokio::time::sleep(tick) => Some(Input::Tick),
            };
            if let Some(input) = input {
                self.step(input);
            }
        }
    }

    fn step(&mut self, input: Input) {
        let applied = match &input {
            Input::Done {
                outcome: Outcome::Applied(node),
                ..
            } => Some(node.consumer_id),
            _ => None,
        };
        for action in self.machine.step(now(), input) {
            match action {
                Action::Notify(notice) => {
                    say(&notice);
                    // Nobody may be listening.
                    let _ = self.notices.send(notice);
                }
                action => {
                    tracing::debug!(?action, "starts");
                    self.running
                        .spawn(Arc::clone(&self.effects).perform(action));
                }
            }
        }
        self.statuses.send_if_modified(|all| {
            let mut changed = self.machine.changed().peekable();
            let any = changed.peek().is_some();
            all.extend(changed.map(|status| (status.consumer_id, status)));
            any
        });
        if let Some(id) = applied
            && let Some(status) = self.statuses.borrow().get(&id)
        {
            self.say_started(status);
        }
    }

    fn on_feed(&mut self, item: FeedItem) -> Option<Input> {
        match item {
            FeedItem::Block {
                height,
                time,
                events,
            } => {
                tracing::debug!(%height, %time, ?events, "block");
                self.arrivals.push_back((height, Instant::now()));
                if self.arrivals.len() > ARRIVALS {
                    self.arrivals.pop_front();
                }
                Some(Input::Block {
                    height,
                    time,
                    events,
                })
            }
            FeedItem::Resync {
                height,
                time,
                reason,
            } => {
                tracing::info!(%height, %time, reason, "follows the provider");
                Some(Input::Resync { height, time })
            }
            FeedItem::Lost(why) => {
                tracing::warn!(why, "lost the provider; reconnecting");
                None
            }
        }
    }

    fn changed_policy(&mut self) -> Option<Input> {
        let overrides = match self.overrides.has_changed() {
            Ok(false) => return None,
            Ok(true) => self.overrides.read(),
            Err(failure) => Err(failure),
        };
        match overrides {
            Ok(overrides) => {
                self.policy.overrides = overrides;
                tracing::info!("the operator's overrides changed");
                Some(Input::Policy(Box::new(self.policy.clone())))
            }
            Err(failure) => {
                tracing::error!(%failure, "keeps the overrides that were read last");
                None
            }
        }
    }

    /// Says how long it took from the header that launched a consumer to its node.
    fn say_started(&self, status: &ConsumerStatus) {
        let consumer = status.consumer_id;
        let launched = status.launched_at;
        let arrival = self
            .arrivals
            .iter()
            .find(|(height, _)| Some(*height) == launched);
        match arrival {
            Some((height, came)) if status.stage == Stage::Running => {
                let after = came.elapsed().as_millis();
                tracing::info!(%consumer, launched_at = %height, after_header_ms = after, "node started");
            }
            // Launched before this run: the node may well have been found as it should be.
            _ => tracing::info!(%consumer, "node is as it should be"),
        }
    }

    fn until_tick(&self) -> Duration {
        match self.machine.next_tick() {
            Some(at) => at.since(now()),
            None => Duration::from_secs(3600),
        }
    }
}

fn now() -> UnixTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime::new(
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        since.subsec_nanos(),
    )
}

fn say(notice: &Notice) {
    let consumer = notice
        .consumer_id
        .map(|id| id.to_string())
        .unwrap_or_default();
    let text = &notice.text;
    match notice.level {
        Level::Info => tracing::info!(consumer, "{text}"),
        Level::Warning => tracing::warn!(consumer, "{text}"),
        Level::Critical => tracing::error!(consumer, "{text}"),
    }
}
