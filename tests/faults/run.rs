//! One run: a story with faults, then none, then the end is looked at.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ics_core::id::ConsumerId;
use ics_core::keystore::{KeyOrigin, KeyRef, KeyStore as _};
use ics_core::node::Program;
use ics_core::phase::Phase;
use ics_fixtures::local::InProcess;
use ics_monitor::keystore::FileKeyStore;
use tokio::sync::Notify;

use crate::counts::Counts;
use crate::dice::Dice;
use crate::kill::Kill;
use crate::lives::{Now, Setting};
use crate::network::{self, LIE, Network};
use crate::observer::{Sent, node_folder, unfit, wrong_keys};
use crate::own_sets::OwnSets;
use crate::provider::{Provider, ticks};
use crate::seams::Trouble;
use crate::story::{Life, Story};

/// How long the world may take to fit once nothing more is done to it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it must then stay so.
const STAYS: Duration = Duration::from_millis(500);

/// How long before its launch a consumer must be opted in to where nothing is in the way any more.
pub(crate) const ENOUGH: Duration = Duration::from_millis(5_000);

/// Each run has an address of its own: nodes of several would want the same ports.
static ADDRESSES: AtomicU32 = AtomicU32::new(0);

/// One consumer of a story, and how far it is.
struct Played {
    life: Life,
    id: Option<ConsumerId>,
    joined: bool,
    respawned: bool,
    rekeyed: Option<KeyRef>,
    stopped: bool,
    /// Whether its node's data were lost, so that its key may not sign any more.
    lost: bool,
}

struct Player {
    seed: u64,
    story: Story,
    dice: Dice,
    provider: Arc<Provider>,
    processes: Arc<InProcess>,
    network: Arc<Network>,
    trouble: Arc<Trouble>,
    counts: Arc<Counts>,
    now: Arc<Mutex<Now>>,
    own_sets: OwnSets,
    consumers: Vec<Played>,
    funded: bool,
    faulty: bool,
    back: Duration,
}

/// Plays the story of a seed. Returns what was wrong at its end.
pub(crate) async fn run(seed: u64, counts: Arc<Counts>) -> Vec<String> {
    let story = Story::of(seed);
    let folder = tempfile::Builder::new()
        .prefix("ics-faults-")
        .tempdir_in(fast_disk())
        .expect("a folder");
    let provider = Arc::new(Provider::start(folder.path().to_owned(), &story).await);
    let kill = Arc::new(Kill::default());
    let (rate, noted) = (story.rate, Arc::clone(&counts));
    let network = Arc::new(Network::new(seed, &story, Arc::clone(&kill), noted));
    let trouble = Trouble::new(seed, rate, Arc::clone(&kill), Arc::clone(&counts));
    let trouble = Arc::new(trouble);
    let processes = Arc::new(InProcess::default());
    let setting = Setting {
        folder: folder.path().to_owned(),
        url: provider.node.url(),
        cast: provider.cast.clone(),
        address: address(),
        processes: processes.clone(),
        program: program(),
        trouble: Arc::clone(&trouble),
    };
    provider.node.set_faults(Some(network.clone()));
    let now = Arc::<Mutex<Now>>::default();
    let healed = Arc::new(Notify::new());
    let lives = tokio::spawn(live_and_die(
        setting,
        Arc::clone(&now),
        kill,
        Dice::new(seed.rotate_left(31)),
        Arc::clone(&counts),
        Arc::clone(&healed),
    ));
    let played = |life: &Life| Played {
        life: life.clone(),
        id: None,
        joined: false,
        respawned: false,
        rekeyed: None,
        stopped: false,
        lost: false,
    };
    let mut player = Player {
        seed,
        dice: Dice::new(seed.rotate_left(47)),
        provider,
        processes,
        network,
        trouble,
        counts,
        now,
        own_sets: OwnSets::default(),
        consumers: story.lives.iter().map(played).collect(),
        funded: story.funded.is_none(),
        faulty: true,
        back: Duration::ZERO,
        story,
    };
    let wrong = player.play(&healed).await;
    lives.abort();
    // Its end, so that the key store is free and nothing writes into the folder any more.
    let ended = lives.await;
    let mut wrong = wrong;
    if let Err(error) = ended
        && error.is_panic()
    {
        wrong.push(format!("the monitor panicked: {error}"));
    }
    wrong.extend(player.look_at_keys(&folder.path().join("keys")).await);
    wrong
}

/// One life after another. Each dies at a boundary of its actions or after some time, until the
/// faults are over; the last goes on.
async fn live_and_die(
    setting: Setting,
    now: Arc<Mutex<Now>>,
    kill: Arc<Kill>,
    dice: Dice,
    counts: Arc<Counts>,
    healed: Arc<Notify>,
) {
    let mut over = false;
    loop {
        kill.never();
        match dice.roll(10) {
            _ if over => {}
            0..=4 => kill.after(dice.roll(24)),
            5..=6 => kill.at_broadcast(),
            _ => {}
        }
        let at_any_time = dice.millis(300, 8_000);
        let faulty = !over;
        tokio::select! {
            () = setting.live(&now) => {}
            () = kill.struck() => counts.note("a death at a boundary"),
            () = tokio::time::sleep(at_any_time), if faulty => counts.note("a death at any time"),
            () = healed.notified(), if faulty => {
                over = true;
                // The faults end with one more start, so that every run has two lives at least.
                counts.note("a start after the faults");
            }
        }
    }
}

impl Player {
    /// Plays the story to its end and waits until all fits what the chain says.
    async fn play(&mut self, healed: &Notify) -> Vec<String> {
        let mut ticks = ticks();
        let nodes = self.nodes();
        let (mut unfits, mut since) = (Vec::new(), None);
        let end = self.story.end() + PATIENCE;
        while self.provider.elapsed() < end {
            ticks.tick().await;
            self.provider.tick();
            let at = self.provider.elapsed();
            self.fault(at, healed);
            for which in 0..self.consumers.len() {
                self.act(which, at).await;
            }
            if self.story.funded.is_some_and(|funded| funded <= at) && !self.funded {
                self.funded = true;
                self.provider.fund();
                self.counts.note("an account without funds, then funded");
            }
            for run in self.processes.runs() {
                let cast = self.provider.cast.clone();
                self.own_sets
                    .serve(&run.folder, &self.provider, &cast)
                    .await;
            }
            if self.faulty || self.consumers.iter().any(|it| !it.is_over(&self.provider)) {
                continue;
            }
            let played = self.consumers.iter();
            let of_one = |it: &Played| {
                let folder = node_folder(&nodes, it.id?);
                unfit(&self.provider, &self.processes, &folder, it.id?, it.lost)
            };
            unfits = played.filter_map(of_one).collect();
            match (unfits.is_empty(), since) {
                (true, None) => since = Some(at),
                (true, Some(fits)) if at > fits + STAYS => return self.verdict(),
                (true, Some(_)) => {}
                (false, _) => since = None,
            }
        }
        unfits.extend(self.verdict());
        unfits.push(format!("not within {PATIENCE:?}"));
        let now = self.now.lock().expect("no panic holds it");
        if let Some(statuses) = &now.statuses {
            for status in statuses.borrow().values() {
                unfits.push(format!("the monitor says: {status:?}"));
            }
        }
        unfits
    }

    /// What may never be, whatever happened.
    fn verdict(&self) -> Vec<String> {
        let mut wrong = self.processes.wrong();
        let told = self.counts.all();
        let lies = told.iter().filter(|(_, kind)| *kind == LIE).count();
        wrong.extend(Sent::read(&self.provider).wrong(lies));
        for played in &self.consumers {
            let id = played.id.expect("it was created");
            let took_part = self.provider.look(|state| {
                let ours = self.provider.our_consensus();
                state.is_opted_in(&id.to_string(), &ours)
            });
            if took_part || self.provider.phase(id) == Some(Phase::Deleted) {
                continue;
            }
            let enough = played.life.spawn.saturating_sub(ENOUGH);
            let quiet = self.story.faults_until.is_none_or(|until| until < enough);
            let poor = self.story.funded.is_some_and(|funded| funded > enough);
            if quiet && !poor {
                wrong.push(format!(
                    "consumer {id} launched without us, with time enough"
                ));
            } else {
                self.counts.note("(a launch missed for faults or funds)");
            }
        }
        wrong
    }

    /// What goes wrong between two blocks, and the block.
    fn fault(&mut self, at: Duration, healed: &Notify) {
        let over = self.story.faults_until.is_none_or(|until| until <= at);
        if over && self.faulty {
            self.faulty = false;
            self.network.heal();
            self.trouble.heal();
            healed.notify_one();
        }
        if self.faulty {
            if self.dice.happens(15) {
                self.counts.note("a cancelled subscription");
                self.provider.node.cancel_subscriptions();
            }
            if self.dice.happens(15) {
                self.counts.note("a cut socket");
                self.provider.node.hang_up();
            }
            if self.dice.happens(20) {
                self.counts.note("another client on the account");
                self.provider.interfere();
            }
            if self.dice.happens(10) && at > self.back {
                self.counts.note("a restart of the provider");
                self.back = at + network::restart(&self.dice);
                self.network.set_away(true);
                self.provider.node.hang_up();
                self.provider.node.with(|chain| chain.forget_waiting());
            }
            if at > self.back {
                self.network.set_away(false);
            }
            if self.dice.happens(20) {
                self.counts.note("a folder of artifacts that is gone");
                self.lose_artifacts();
            }
            if self.dice.happens(20) {
                self.lose_data();
            }
        }
        // A chain that is away makes no blocks.
        if !self.faulty || at > self.back {
            let told = !(self.faulty && self.dice.happens(30));
            if !told {
                self.counts.note("a header that got lost");
            }
            self.provider.step(told);
        }
    }

    /// Does what the story has for a consumer now.
    async fn act(&mut self, which: usize, at: Duration) {
        let (seed, provider) = (self.seed, &self.provider);
        let played = &mut self.consumers[which];
        let Some(id) = played.id else {
            if played.life.created <= at {
                played.id = Some(provider.create(seed, &played.life));
            }
            return;
        };
        let phase = provider.phase(id);
        if played.life.fails_first && !played.respawned {
            if phase == Some(Phase::Registered) {
                played.respawned = true;
                self.counts.note("(a failed launch)");
                provider.respawn(id, &played.life);
            }
            return;
        }
        if !played.joined && phase.is_some() {
            played.joined = true;
            provider.join(id);
        }
        if phase != Some(Phase::Launched) {
            return;
        }
        let due = |time: Option<Duration>| time.is_some_and(|time| time <= at);
        if due(played.life.rekeyed) && played.rekeyed.is_none() {
            let keys = self.now.lock().expect("no panic holds it").keys.clone();
            // Once the first key is in use, what the store prepares is another.
            if let (Some(keys), Some(first)) = (keys, provider.our_key(id))
                && provider.assigned(id) == Some(first)
                && let Ok(key) = keys.prepare(id, KeyOrigin::Fresh).await
                && key.public_key != first
            {
                provider.assign(id, key.public_key);
                played.rekeyed = Some(key);
                self.counts.note("(a key that changed)");
            }
        }
        if due(played.life.stopped) && !played.stopped {
            played.stopped = true;
            provider.remove(id);
            self.counts.note("(a stop and a deletion)");
        }
    }

    /// Takes the folder away in one step. Every life makes it anew, and what was in it.
    fn lose_artifacts(&self) {
        let folder = self.provider.folder();
        let aside = folder.join(format!("aside-{}", self.dice.roll(u64::MAX)));
        // There is none before the first life.
        std::fs::rename(folder.join("artifacts"), aside).ok();
    }

    /// Removes all data of a node, which goes on with what it has in memory.
    fn lose_data(&mut self) {
        let which = self.dice.roll(self.consumers.len() as u64);
        let nodes = self.nodes();
        let played = &mut self.consumers[usize::try_from(which).expect("few")];
        let Some(id) = played.id else { return };
        let aside = format!("lost-{}", self.dice.roll(u64::MAX));
        // In one step: what is being written there fails, or is lost with it.
        if std::fs::rename(node_folder(&nodes, id), nodes.join(aside)).is_ok() {
            self.counts.note("a node's data that were lost");
            played.lost = true;
        }
    }

    fn nodes(&self) -> PathBuf {
        self.provider.folder().join("nodes")
    }

    /// Opens the key store as the next monitor would.
    async fn look_at_keys(&self, folder: &std::path::Path) -> Vec<String> {
        let sent = Sent::read(&self.provider);
        for _ in 0..1_000 {
            if let Ok(keys) = FileKeyStore::open(folder) {
                let mut named = sent.named;
                for played in &self.consumers {
                    named.extend(played.rekeyed);
                }
                let lost = |it: &&Played| it.lost;
                let lost = self.consumers.iter().filter(lost).filter_map(|it| it.id);
                let lost: Vec<_> = lost.collect();
                return wrong_keys(&self.provider, &keys, named, &lost).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        vec!["the key store cannot be opened".into()]
    }
}

impl Played {
    /// Whether its owner and we do nothing more about it, and the chain has done what follows.
    fn is_over(&self, provider: &Provider) -> bool {
        let Some(phase) = self.id.and_then(|id| provider.phase(id)) else {
            return false;
        };
        let at = provider.elapsed();
        let wanted = match self.life.stopped {
            Some(_) => Phase::Deleted,
            None => Phase::Launched,
        };
        // A key can only be changed by hand where there is one.
        let rekeyed = self.life.rekeyed.is_none_or(|time| time <= at);
        phase == wanted && rekeyed
    }
}

/// A folder in memory where there is one: hundreds of key stores sync at once.
pub(crate) fn fast_disk() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    }
}

/// A program that is there; its double runs.
pub(crate) fn program() -> Program {
    Program {
        image: "/bin/sh".into(),
        command: vec!["/bin/sh".into()],
        home: "/data".into(),
    }
}

pub(crate) fn address() -> IpAddr {
    let [_, a, b, c] = (ADDRESSES.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 64 + a, b, c))
}
