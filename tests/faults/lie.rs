//! A node that lies about a launch genesis, in all its answers alike, is caught by the proof against
//! the application hash in the next header.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_core::phase::Phase;
use ics_fixtures::cast::Cast;
use ics_fixtures::local::InProcess;
use ics_fixtures::node::{Asked, Fault, Faults};
use serde_json::Value;

use crate::counts::Counts;
use crate::kill::Kill;
use crate::lives::{Now, Setting};
use crate::observer::{node_folder, unfit};
use crate::provider::{Provider, ticks};
use crate::run::{address, fast_disk, program};
use crate::seams::Trouble;
use crate::story::{Life, Story};

/// Says in all its answers that another validator is in the first set, with its real power.
#[derive(Debug)]
struct Liar;

impl Faults for Liar {
    fn on(&self, asked: &Asked<'_>) -> Fault {
        let path = asked.params.get("path").and_then(Value::as_str);
        let of_genesis = ["QueryConsumerGenesis", "/store/provider/key"];
        if !path.is_some_and(|path| of_genesis.iter().any(|it| path.ends_with(it))) {
            return Fault::None;
        }
        Fault::Change(Arc::new(|answer| {
            let Some(Value::String(text)) = answer.pointer_mut("/response/value") else {
                return;
            };
            let mut bytes = BASE64.decode(&*text).expect("base64");
            let bob = *Cast::provider_public_key("bob").as_bytes();
            let place = bytes.windows(32).position(|window| window == bob);
            if let Some(place) = place {
                bytes[place..place + 32].copy_from_slice(&[0xee; 32]);
                *text = BASE64.encode(bytes);
            }
        }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lies_about_a_launch_genesis_is_caught_by_the_proof() {
    let story = Story {
        lives: Vec::new(),
        faults_until: None,
        funded: None,
        skew: 0,
        rate: 0,
        lies: false,
    };
    let folder = tempfile::tempdir_in(fast_disk()).expect("a folder");
    let provider = Provider::start(folder.path().to_owned(), &story).await;
    let (kill, counts) = (Arc::<Kill>::default(), Arc::<Counts>::default());
    let processes = Arc::new(InProcess::default());
    let setting = Setting {
        folder: folder.path().to_owned(),
        url: provider.node.url(),
        cast: provider.cast.clone(),
        address: address(),
        processes: processes.clone(),
        program: program(),
        trouble: Arc::new(Trouble::new(0, 0, kill, counts)),
    };
    let now = Arc::<Mutex<Now>>::default();
    let seen = Arc::clone(&now);
    let life = tokio::spawn(async move { setting.live(&seen).await });
    let id = provider.create(
        0,
        &Life {
            created: Duration::ZERO,
            fails_first: false,
            spawn: Duration::from_secs(4),
            rekeyed: None,
            stopped: None,
        },
    );
    provider.join(id);
    provider.node.set_faults(Some(Arc::new(Liar)));
    let mut ticks = ticks();
    let caught = loop {
        ticks.tick().await;
        provider.tick();
        provider.step(true);
        assert!(provider.elapsed() < Duration::from_secs(60), "not caught");
        let now = now.lock().expect("no panic holds it");
        let Some(statuses) = &now.statuses else {
            continue;
        };
        let statuses = statuses.borrow();
        let alarms = statuses.get(&id).into_iter().flat_map(|it| &it.alarms);
        let mut texts = alarms.map(|alarm| alarm.text.clone());
        if let Some(text) = texts.find(|text| text.contains("its proof against")) {
            break text;
        }
    };
    assert!(caught.contains("is false"), "{caught}");
    assert_eq!(provider.phase(id), Some(Phase::Launched));
    assert!(provider.our_key(id).is_some(), "the consumer counts on us");
    assert_eq!(processes.runs(), Vec::new(), "nothing ran on a lie");
    // Once it tells the truth, the node is started.
    provider.node.set_faults(None);
    let node = node_folder(&folder.path().join("nodes"), id);
    while let Some(unfit) = unfit(&provider, &processes, &node, id, false) {
        ticks.tick().await;
        provider.tick();
        provider.step(true);
        assert!(provider.elapsed() < Duration::from_secs(60), "{unfit}");
    }
    life.abort();
}
