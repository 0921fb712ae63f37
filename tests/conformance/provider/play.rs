//! Plays a script and writes down what a client is told.

use std::collections::BTreeMap;
use std::time::Duration;

use cosmrs::proto::cosmos::base::v1beta1::Coin;
use cosmrs::proto::cosmos::gov::v1::{MsgSubmitProposal, MsgVote};
use ics_core::event::Event;
use ics_core::id::ConsumerId;
use ics_core::phase::Phase;
use ics_core::time::{Height, UnixTime};
use ics_monitor::feed::{Feed, FeedItem, FeedSettings, follow};
use ics_monitor::rpc::Rpc;
use ics_monitor::tx::Message;
use prost::Message as _;

use crate::look::View;
use crate::message::written;
use crate::names::Names;
use crate::script::{Line, Numbered, Order, Script};
use crate::signed::any;
use crate::target::{Target, VOTING};

/// The provider module's events; others are not compared.
pub(crate) const EVENTS: [&str; 8] = [
    "assign_consumer_key",
    "consumer_client_created",
    "create_consumer",
    "opt_in",
    "opt_out",
    "remove_consumer",
    "set_consumer_commission_rate",
    "update_consumer",
];

/// How often the chain is looked at for one thing.
const LOOKS: usize = 2_000;
/// How long the feed may take to tell of a block that there is.
const PATIENCE: Duration = Duration::from_secs(30);
/// Who agrees to every proposal: alice alone has half of the power, and nobody disagrees.
const VOTER: &str = "alice";

/// Why a script was not played to its end.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The machine was too slow for a line that has to be done in time.
    Late(String),
    /// Something is wrong.
    Wrong(String),
}

impl From<String> for Ended {
    fn from(what: String) -> Self {
        Self::Wrong(what)
    }
}

/// Plays a script and returns what was told, a block of lines for each of its own.
pub(crate) async fn play(script: &Script, target: &Target) -> Result<String, Ended> {
    let settings = FeedSettings {
        // The embedded chain makes no block that nobody waits for.
        min_silence: 2 * PATIENCE,
        ..FeedSettings::default()
    };
    let mut feed = follow(target.provider.rpc().clone(), settings);
    let (read, start) = match feed.next().await {
        Some(FeedItem::Resync { height, time, .. }) => (height, time),
        other => return Err(Ended::Wrong(format!("the feed begins with {other:?}"))),
    };
    let mut player = Player {
        names: Names::of(target).await,
        target,
        feed,
        marked: start,
        now: start,
        read,
        epoch_ends: None,
        spawns: None,
        launches: false,
        created: 0,
        called: BTreeMap::new(),
        proposals: 0,
        votes: Vec::new(),
        events: BTreeMap::new(),
        known: BTreeMap::new(),
        told: String::new(),
    };
    for line in &script.lines {
        player.told.push_str(&format!("> {}\n", line.text));
        if let Err(ended) = player.line(line).await {
            let told = &player.told[player.told.rfind("\n> ").unwrap_or_default()..];
            let at = |what| format!("line {}: {what}\n{told}", line.number);
            return Err(match ended {
                Ended::Late(what) => Ended::Late(at(what)),
                Ended::Wrong(what) => Ended::Wrong(at(what)),
            });
        }
    }
    Ok(player.told)
}

pub(crate) struct Player<'a> {
    pub(crate) target: &'a Target,
    names: Names,
    /// The chain's blocks, as the monitor follows them.
    feed: Feed,
    /// The time that was noted last.
    marked: UnixTime,
    /// The time of the last block that was read, and the block.
    pub(crate) now: UnixTime,
    read: Height,
    /// Until when a hurried line must be done.
    epoch_ends: Option<Height>,
    spawns: Option<UnixTime>,
    /// Whether a consumer launches in the next block.
    launches: bool,
    created: u64,
    /// What the script calls consumers.
    called: BTreeMap<String, String>,
    proposals: u64,
    /// What is voted on: until when, and about which consumer.
    votes: Vec<(UnixTime, Order)>,
    /// What blocks did beside their transactions and was not told yet, by consumer.
    events: BTreeMap<String, Vec<String>>,
    /// What was told before, by what it is about.
    known: BTreeMap<String, Vec<String>>,
    told: String,
}

impl Player<'_> {
    pub(crate) fn rpc(&self) -> &Rpc {
        self.target.provider.rpc()
    }

    pub(crate) fn tell(&mut self, line: impl AsRef<str>) {
        self.told.push_str("  ");
        for c in self.names.name(line.as_ref()).chars() {
            match c {
                // Bytes that are no text.
                _ if c.is_control() => self.told.extend(c.escape_default()),
                _ => self.told.push(c),
            }
        }
        self.told.push('\n');
    }

    async fn line(&mut self, line: &Numbered) -> Result<(), Ended> {
        match &line.line {
            Line::Send { order, forced } => self.order(&self.resolved(order), *forced).await?,
            Line::Govern(order) => self.govern(&self.resolved(order)).await?,
            Line::Mark => self.marked = self.now,
            Line::Count => self.count().await?,
            Line::Look(None) => self.look_at_all().await?,
            Line::Look(Some(id)) => {
                let (id, height) = (self.called(id), self.latest().await?);
                self.look(&id, height).await?;
                self.look_as_monitor(&id).await?;
            }
            Line::Wait(id, phase) => self.wait(&self.called(id), *phase).await?,
            Line::Until(seconds) => {
                let end = self.marked + Duration::from_secs(*seconds);
                self.blocks_until(|_, now| now > end).await?;
            }
            Line::Epoch => {
                let height = self.latest().await?;
                let length = self.target.provider.blocks_per_epoch(height).await;
                let length = length.map_err(|failure| failure.to_string())?;
                let ends = Height(height.0.next_multiple_of(length));
                self.blocks_until(|height, _| height > ends).await?;
                self.epoch_ends = Some(Height(self.read.0.next_multiple_of(length)));
                self.spawns = None;
            }
        }
        if line.hurried {
            self.hurry()?;
        }
        Ok(())
    }

    /// Whether what was read last is still in time.
    fn hurry(&self) -> Result<(), Ended> {
        if self.epoch_ends.is_some_and(|ends| self.read >= ends) {
            return Err(Ended::Late("the epoch is over".into()));
        }
        if self.spawns.is_some_and(|spawns| self.now >= spawns) {
            return Err(Ended::Late("the spawn time has come".into()));
        }
        Ok(())
    }

    async fn order(&mut self, order: &Order, forced: bool) -> Result<(), Ended> {
        let (message, spawn) = written(self.target, order).await?;
        let Some(height) = self.send(&order.who, &[message], order, forced).await? else {
            return Ok(());
        };
        self.by(spawn);
        if order.is_of_staking() {
            return self.look_at_validators().await;
        }
        // The store may be a block ahead, where this launches already.
        self.launches = spawn.is_some_and(|at| at != UnixTime::GO_ZERO && at <= self.now);
        let id = self.id(order);
        let looked = self.look(&id, height).await;
        self.launches = false;
        looked
    }

    async fn look_at_validators(&mut self) -> Result<(), Ended> {
        // Power counts from the block after the next.
        let height = Height(self.read.0 + 2);
        self.blocks_until(|read, _| read >= height).await?;
        let view = View::at(self.target, &self.names, self.read, self.now);
        let lines = view.validators().await?;
        self.tell_changes("validators", lines);
        Ok(())
    }

    /// From here on what is hurried must be done before a spawn time, if that is to come.
    fn by(&mut self, spawn: Option<UnixTime>) {
        if let Some(spawn) = spawn.filter(|spawn| *spawn > self.now) {
            self.spawns = Some(spawn);
            self.epoch_ends = None;
        }
    }

    /// Which consumer an order was about.
    fn id(&mut self, order: &Order) -> String {
        if order.kind != "create" {
            return order.what.clone();
        }
        let id = self.created.to_string();
        self.created += 1;
        if let Some(name) = order.settings.get("as") {
            self.called.insert(name.clone(), id.clone());
        }
        id
    }

    /// An order about a consumer by its id.
    fn resolved(&self, order: &Order) -> Order {
        let mut order = order.clone();
        if order.kind != "create" {
            order.what = self.called(&order.what);
        }
        order
    }

    /// The id of what the script calls by a name.
    fn called(&self, name: &str) -> String {
        let id = self.called.get(name);
        id.cloned().unwrap_or_else(|| name.to_owned())
    }

    /// Reads the blocks up to a height as the feed tells them: each in its turn, its time after
    /// that of the one before, its state and its events there to be asked.
    pub(crate) async fn read_blocks(&mut self, end: Height) -> Result<(), Ended> {
        while self.read < end {
            let next = Height(self.read.0 + 1);
            let item = tokio::time::timeout(PATIENCE, self.feed.next()).await;
            let events = match item.ok().flatten() {
                Some(FeedItem::Block {
                    height,
                    time,
                    events,
                }) if height == next && time > self.now => {
                    (self.read, self.now) = (height, time);
                    events
                }
                Some(FeedItem::Lost(why)) => return Err(Ended::Late(why)),
                other => {
                    let now = self.now;
                    let what = format!("in place of {next}, after {now:?}, it tells {other:?}");
                    return Err(Ended::Wrong(what));
                }
            };
            let length = self.target.provider.blocks_per_epoch(next).await;
            length.map_err(|failure| format!("block {next} was told of: {failure}"))?;
            self.read_events(next).await?;
            for event in events {
                if let Event::Created(id) | Event::Touched(id) = event {
                    let told = self.events.entry(id.to_string()).or_default();
                    told.push(format!("feed: {event:?}"));
                }
            }
        }
        Ok(())
    }

    /// Reads what a block did beside its transactions.
    async fn read_events(&mut self, height: Height) -> Result<(), Ended> {
        let events = self.rpc().block_events(height).await;
        for event in events.map_err(|failure| failure.to_string())? {
            let value = |name: &str| {
                let found = event.attributes.iter().find(|(key, _)| key == name);
                found.map(|(_, value)| value.clone())
            };
            if value("mode").is_some() && EVENTS.contains(&event.kind.as_str()) {
                let id = value("consumer_id").unwrap_or_default();
                let line = self.event(&event);
                self.events.entry(id).or_default().push(line);
            }
        }
        Ok(())
    }

    async fn latest(&self) -> Result<Height, Ended> {
        let latest = self.target.provider.latest().await;
        Ok(latest.map_err(|failure| failure.to_string())?.0)
    }

    /// Reads blocks until there is one that will do.
    async fn blocks_until(
        &mut self,
        enough: impl Fn(Height, UnixTime) -> bool,
    ) -> Result<(), Ended> {
        for _ in 0..LOOKS {
            let latest = self.latest().await?;
            self.read_blocks(latest).await?;
            if enough(self.read, self.now) {
                return Ok(());
            }
            self.target.next_block().await;
        }
        Err(Ended::Wrong("that block does not come".into()))
    }

    async fn wait(&mut self, id: &str, phase: Phase) -> Result<(), Ended> {
        let consumer = ConsumerId::new(id.parse().map_err(|_| format!("{id} is no id"))?);
        for _ in 0..LOOKS {
            let phases = self
                .target
                .provider
                .phases()
                .await
                .map_err(|e| e.to_string())?;
            if phases.get(&consumer) == Some(&phase) {
                // The scan may be ahead of the newest block.
                let next = Height(self.latest().await?.0 + 1);
                self.blocks_until(|height, _| height >= next).await?;
                return self.look(id, self.read).await;
            }
            self.target.next_block().await;
        }
        Err(Ended::Wrong("it does not come".into()))
    }

    async fn govern(&mut self, order: &Order) -> Result<(), Ended> {
        let (proposed, spawn) = written(self.target, order).await?;
        let submit = MsgSubmitProposal {
            messages: vec![any(&proposed)],
            initial_deposit: vec![Coin {
                denom: "stake".into(),
                amount: "10000000".into(),
            }],
            proposer: self.target.signer("owner")?.account(),
            title: "a title".into(),
            summary: "a summary".into(),
            ..MsgSubmitProposal::default()
        };
        let wrap = |name: &str, value| Message {
            type_url: format!("/cosmos.gov.v1.{name}"),
            value,
        };
        let submit = wrap("MsgSubmitProposal", submit.encode_to_vec());
        let plain = Order {
            settings: BTreeMap::new(),
            ..order.clone()
        };
        if self
            .send("owner", &[submit], &plain, false)
            .await?
            .is_none()
        {
            return Ok(());
        }
        self.proposals += 1;
        let ends = self.now + VOTING;
        let vote = MsgVote {
            proposal_id: self.proposals,
            voter: self.target.signer(VOTER)?.account(),
            option: 1,
            metadata: String::new(),
        };
        let vote = wrap("MsgVote", vote.encode_to_vec());
        self.send(VOTER, &[vote], &plain, false).await?;
        if self.now >= ends {
            return Err(Ended::Late("the vote is over".into()));
        }
        self.votes.push((ends, order.clone()));
        self.by(spawn);
        Ok(())
    }

    /// Waits until all votes are counted, and tells what became of them.
    async fn count(&mut self) -> Result<(), Ended> {
        for (ends, order) in std::mem::take(&mut self.votes) {
            self.blocks_until(|_, now| now >= ends).await?;
            let id = self.id(&order);
            self.look(&id, self.read).await?;
        }
        Ok(())
    }

    /// Tells what has changed about a consumer since it was last told of.
    async fn look(&mut self, id: &str, height: Height) -> Result<(), Ended> {
        self.read_blocks(height).await?;
        for event in self.events.remove(id).unwrap_or_default() {
            self.tell(event);
        }
        let view = View::at(self.target, &self.names, height, self.now);
        let lines = view.consumer(id).await?;
        self.tell_changes(id, lines);
        if self.launches {
            return Ok(());
        }
        let view = View::at(self.target, &self.names, height, self.now);
        let stored = view.stored(id).await?;
        self.tell_changes(&format!("{id} stored"), stored);
        Ok(())
    }

    /// Tells what the monitor's own reading makes of a consumer, if it can be one.
    async fn look_as_monitor(&mut self, id: &str) -> Result<(), Ended> {
        // Another spelling of an id is no consumer's.
        if let Ok(consumer) = id.parse::<u64>()
            && consumer.to_string() == id
        {
            let view = View::at(self.target, &self.names, self.read, self.now);
            let lines = view.read(consumer).await?;
            self.tell_changes(&format!("{id} as the monitor reads it"), lines);
        }
        Ok(())
    }

    async fn look_at_all(&mut self) -> Result<(), Ended> {
        let height = self.latest().await?;
        self.read_blocks(height).await?;
        for id in 0..self.created {
            self.look(&id.to_string(), height).await?;
            self.look_as_monitor(&id.to_string()).await?;
        }
        let view = View::at(self.target, &self.names, height, self.now);
        for (about, lines) in view.all().await? {
            self.tell_changes(&about, lines);
        }
        Ok(())
    }

    /// Tells what is new and what is gone.
    fn tell_changes(&mut self, about: &str, lines: Vec<String>) {
        let lines: Vec<String> = lines.iter().map(|line| self.names.name(line)).collect();
        let before = self.known.insert(about.to_owned(), lines.clone());
        let before = before.unwrap_or_default();
        for gone in before.iter().filter(|line| !lines.contains(line)) {
            self.tell(format!("{about} - {gone}"));
        }
        for new in lines.iter().filter(|line| !before.contains(line)) {
            self.tell(format!("{about} + {new}"));
        }
    }
}
