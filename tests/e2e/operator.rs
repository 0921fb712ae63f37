//! What operators and governance decide: orders for single consumers, a pre-CCV file that is put
//! right, a consumer that a proposal makes Top N. All at once, on one provider.

#![expect(
    clippy::print_stderr,
    reason = "a run with --nocapture shows the figures"
)]

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use ics_tests::process::Lifetime;
use ics_tests::provider::Profile;
use ics_tests::world::{Consumer, ConsumerSpec, World, WorldSpec, height_in};
use ics_tests::{Error, wait};
use serde_json::json;
use sha2::{Digest, Sha256};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn orders_repairs_and_proposals_are_followed() -> Result<(), Error> {
    let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
    let spec = WorldSpec {
        profile: Profile::Long,
        lifetime: Lifetime::Tied,
        name: "operate".into(),
    };
    let mut world = World::start(spec, folder.path()).await?;
    world.start_monitors(&["alice", "bob", "charlie"]).await?;
    futures::try_join!(
        orders_stand_above_rules_and_selection(&world),
        nothing_is_opted_in_to_before_it_is_ready(&world),
        a_proposal_is_followed_at_its_block(&world),
    )?;
    world.stop().await
}

/// Charlie is not selected but ordered in, bob is selected but ordered out, and joins late.
async fn orders_stand_above_rules_and_selection(world: &World) -> Result<(), Error> {
    let consumer = world.create_consumer("order-1", None).await?;
    world.order("bob", "opt-out", &consumer).await?;
    let ordered = "ignored: the operator ordered opt-out";
    world.notice("bob", &consumer, ordered, MINUTE).await?;
    world
        .set_spawn_time(&consumer, Duration::from_secs(12))
        .await?;
    world
        .notice("charlie", &consumer, "not selected", MINUTE)
        .await?;
    world.order("charlie", "opt-in", &consumer).await?;
    world
        .wait_for_members(&consumer, &["alice", "charlie"], MINUTE)
        .await?;
    world.wait_for_phase(&consumer, "LAUNCHED", MINUTE).await?;
    for name in ["alice", "charlie"] {
        world.wait_for_blocks(name, &consumer, 3).await?;
        signs_with_its_only_key(world, name, &consumer).await?;
    }
    assert_eq!(world.opt_ins("bob", &consumer).await?, []);
    assert!(world.container("bob", &consumer).await?.is_none());

    let order = Instant::now();
    world.order("bob", "opt-in", &consumer).await?;
    world
        .notice("bob", &consumer, "running: the node runs", MINUTE)
        .await?;
    eprintln!(
        "bob's late node ran {:.1?} after the order",
        order.elapsed()
    );
    world
        .wait_for_members(&consumer, &["alice", "bob", "charlie"], MINUTE)
        .await?;
    signs_with_its_only_key(world, "bob", &consumer).await?;
    let reached = world.consumer_rpc("alice", &consumer)?.height().await?;
    world.wait_for_blocks("bob", &consumer, reached).await?;
    let peers = world
        .consumer_rpc("bob", &consumer)?
        .get("net_info")
        .await?;
    assert_ne!(peers["n_peers"], "0");

    let order = Instant::now();
    world.order("bob", "opt-out", &consumer).await?;
    wait::until("bob's node stopped", MINUTE * 2, async || {
        let state = world.container("bob", &consumer).await?;
        let state = state.and_then(|container| container.state);
        Ok((state.and_then(|state| state.running) == Some(false)).then_some(()))
    })
    .await?;
    eprintln!("bob's node stopped {:.1?} after the order", order.elapsed());
    let members = world.members(&consumer).await?;
    assert!(
        members.iter().all(|member| member.name != "bob"),
        "{members:?}"
    );
    assert!(
        world.has_volume("bob", &consumer).await?,
        "its data are kept"
    );
    Ok(())
}

/// A file with another hash, then a port in use: both are named, and when they are put right the
/// opt-ins follow by themselves.
async fn nothing_is_opted_in_to_before_it_is_ready(world: &World) -> Result<(), Error> {
    let wrong = b"{\"chain_id\": \"pending-1\", \"app_state\": {}}";
    let spec = ConsumerSpec {
        chain_id: "pending-1",
        spawn_in: Some(Duration::from_secs(25)),
        found_instead: Some(wrong),
    };
    let consumer = world.create(spec).await?;
    let (address, port) = (world.address("bob")?, consumer.ports["p2p"].as_u64());
    let port = port
        .and_then(|port| u16::try_from(port).ok())
        .expect("a port");
    let holder = TcpListener::bind((address, port)).expect("a free port of an address of our own");
    for name in ["alice", "bob"] {
        let line = world
            .notice(name, &consumer, "allowed, not ready: ", MINUTE)
            .await?;
        let path = consumer.pre_ccv.to_string_lossy();
        for part in [
            &*path,
            &hex::encode(Sha256::digest(wrong)),
            &consumer.sha256,
        ] {
            assert!(line.contains(part), "no {part} in {line}");
        }
    }
    fs::copy(&consumer.made, &consumer.pre_ccv).expect("our own file");
    world
        .wait_for_members(&consumer, &["alice"], MINUTE)
        .await?;
    let line = format!("allowed, not ready: port {port} on {address} is in use");
    world.notice("bob", &consumer, &line, MINUTE).await?;
    assert_eq!(world.opt_ins("bob", &consumer).await?, []);
    drop(holder);
    world
        .wait_for_members(&consumer, &["alice", "bob"], MINUTE)
        .await?;
    world.wait_for_phase(&consumer, "LAUNCHED", MINUTE).await?;
    for name in ["alice", "bob"] {
        world.wait_for_blocks(name, &consumer, 3).await?;
        signs_with_its_only_key(world, name, &consumer).await?;
    }
    Ok(())
}

/// No transaction tells of what a proposal does, only the block that executes it. Those whom Top N
/// takes in without asking assign a fresh key in time.
async fn a_proposal_is_followed_at_its_block(world: &World) -> Result<(), Error> {
    let consumer = world.create_consumer("governed-1", None).await?;
    let query = ["query", "auth", "module-account", "gov"];
    let gov = world.chain.query(&query).await?["account"]["value"]["address"].take();
    world
        .update(&consumer, json!({"new_owner_address": gov}))
        .await?;
    let proposal = json!({
        "messages": [{
            "@type": "/interchain_security.ccv.provider.v1.MsgUpdateConsumer",
            "owner": gov,
            "consumer_id": consumer.id,
            "initialization_parameters": as_proto(&consumer, Duration::from_secs(22)),
            "power_shaping_parameters": {"top_N": 66},
        }],
        "deposit": "1stake",
        "title": "Top N",
        "summary": "66% of the provider's power must validate it",
    });
    let file = world.folder().join("proposal.json");
    fs::write(&file, proposal.to_string()).expect("our own folder");
    let submit = ["gov", "submit-proposal", &file.to_string_lossy()];
    let submitted = world.chain.tx("relayer", &submit).await?;
    // Half of the stake is a quorum by itself. Alice's monitor may use her account, too.
    wait::until("alice's vote", MINUTE, async || {
        world
            .chain
            .tx("alice", &["gov", "vote", "1", "yes"])
            .await
            .map(Some)
    })
    .await?;
    let line = world
        .notice("alice", &consumer, "INITIALIZED at height", MINUTE)
        .await?;
    let noticed = height_in(&line)?;
    let executed = world
        .first_height(&consumer, "INITIALIZED", submitted.height)
        .await?;
    eprintln!("FIGURE proposal: executed at height {executed}, noticed at height {noticed}");
    assert_eq!(noticed, executed);

    world.wait_for_phase(&consumer, "LAUNCHED", MINUTE).await?;
    let members = world.members(&consumer).await?;
    let names: Vec<_> = members.iter().map(|member| &member.name).collect();
    assert_eq!(names, ["alice", "bob"]);
    for member in &members {
        assert_ne!(
            member.key,
            world.chain.consensus_key(&member.name)?,
            "a fresh key"
        );
        assert_eq!(
            world.opt_ins(&member.name, &consumer).await?,
            [],
            "nobody asked"
        );
        world.wait_for_blocks(&member.name, &consumer, 3).await?;
        assert_eq!(
            signer(world, &member.name, &consumer).await?,
            format!("key {}", member.key)
        );
    }
    Ok(())
}

/// The initialization parameters in the JSON of the wire.
fn as_proto(consumer: &Consumer, spawn_in: Duration) -> serde_json::Value {
    let mut parameters = consumer.parameters(spawn_in);
    for (name, period) in [
        ("unbonding_period", "1728000s"),
        ("ccv_timeout_period", "2419200s"),
        ("transfer_timeout_period", "3600s"),
    ] {
        parameters[name] = period.into();
    }
    // The hex of the hash taken for base64, as the chain's own command line does.
    parameters["genesis_hash"] = consumer.sha256.as_str().into();
    parameters
}

async fn signs_with_its_only_key(
    world: &World,
    name: &str,
    consumer: &Consumer,
) -> Result<(), Error> {
    let opt_ins = world.opt_ins(name, consumer).await?;
    assert_eq!(opt_ins.len(), 1, "{opt_ins:?}");
    assert_ne!(opt_ins[0].key, world.chain.consensus_key(name)?);
    assert_eq!(
        signer(world, name, consumer).await?,
        format!("key {}", opt_ins[0].key)
    );
    Ok(())
}

/// What a validator's container says that it signs with.
async fn signer(world: &World, name: &str, consumer: &Consumer) -> Result<String, Error> {
    let container = world.container(name, consumer).await?;
    let labels = container.and_then(|it| it.config).and_then(|it| it.labels);
    let signer = labels.and_then(|mut labels| labels.remove("ics-monitor.signer"));
    signer.ok_or_else(|| Error::Reply(format!("no container of {name} for {}", consumer.id)))
}
