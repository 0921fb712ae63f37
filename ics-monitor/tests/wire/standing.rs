//! What the provider client tells of our own validator, and of what decides a launch.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ics_core::id::ConsumerId;
use ics_core::snapshot::{Bar, Bond, Decimal, Snapshot, Standing};
use ics_fixtures::{recorded, recorded_json};
use ics_monitor::provider::Provider;
use ics_monitor::wire::provider::PowerShapingParameters;
use ics_monitor::wire::query::{QueryConsumerChainResponse, QueryParamsResponse};
use ics_monitor::wire::sdk::{
    QuerySigningInfoResponse, QueryValidatorResponse, Validator, ValidatorSigningInfo,
};
use prost::Message;

use crate::node::Node;
use crate::provider::{AT, local, query, snapshot, value};

#[tokio::test]
async fn a_consumer_before_launch_tells_what_decides_the_launch() {
    let snapshot = snapshot("A2-initialized", 0, "alice").await;
    let cli = recorded_json("cli/A2-initialized.consumer-chain.json");
    let unbonding = format!("{}s", snapshot.unbonding_period.as_secs());
    assert_eq!(cli["init_params"]["unbonding_period"], unbonding);
    let fraction = Decimal::parse("0.66").expect("a decimal");
    assert_eq!(snapshot.trusting_period_fraction, fraction);
    assert!(
        snapshot
            .validators
            .members()
            .iter()
            .all(|member| member.active)
    );
    let bonded = Standing {
        bond: Bond::Bonded,
        jailed: false,
        tombstoned: false,
    };
    assert_eq!((snapshot.standing, snapshot.barred), (Some(bonded), None));
}

/// Reads the consumer of `A2-initialized` as alice, with some answers changed; `None` leaves an
/// answer as it is. Tells also which paths were asked.
async fn changed(
    change: impl Fn(&str, &[u8]) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (Snapshot, Vec<String>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let node = Node::start(move |_, params| {
        let path = params["path"].as_str().expect("a path");
        seen.lock().expect("no panic").push(path.to_owned());
        let answer = query("A2-initialized", params)?;
        let bytes = answer["response"]["value"].as_str().unwrap_or_default();
        let bytes = BASE64.decode(bytes).expect("base64");
        Ok(match change(path, &bytes) {
            Some(bytes) => value(&bytes, &params["height"])?,
            None => answer,
        })
    })
    .await;
    let provider = Provider::new(node.rpc());
    let alice = local("alice");
    for _ in 0..2 {
        let read = provider.consumer(ConsumerId::new(0), AT, &alice);
        read.await.expect("answers").expect("a consumer");
    }
    let read = provider.consumer(ConsumerId::new(0), AT, &alice);
    let snapshot = read.await.expect("answers").expect("a consumer");
    let asked = asked.lock().expect("no panic").clone();
    (snapshot, asked)
}

/// The answer about the consumer, with other power shaping.
fn shaped(bytes: &[u8], change: impl Fn(&mut PowerShapingParameters)) -> Option<Vec<u8>> {
    let mut answer = QueryConsumerChainResponse::decode(bytes).expect("an answer");
    change(answer.power_shaping_params.get_or_insert_default());
    Some(answer.encode_to_vec())
}

#[tokio::test]
async fn a_jailed_or_tombstoned_validator_is_seen_as_one() {
    let (snapshot, _) = changed(|path, bytes| match path {
        "/cosmos.staking.v1beta1.Query/Validator" => {
            let mut answer = QueryValidatorResponse::decode(bytes).expect("an answer");
            let validator = answer.validator.as_mut().expect("a validator");
            (validator.jailed, validator.status) = (true, Validator::UNBONDING);
            Some(answer.encode_to_vec())
        }
        "/cosmos.slashing.v1beta1.Query/SigningInfo" => {
            let val_signing_info = Some(ValidatorSigningInfo { tombstoned: true });
            Some(QuerySigningInfoResponse { val_signing_info }.encode_to_vec())
        }
        _ => None,
    })
    .await;
    let expected = Standing {
        bond: Bond::Unbonding,
        jailed: true,
        tombstoned: true,
    };
    assert_eq!(snapshot.standing, Some(expected));
}

#[tokio::test]
async fn what_is_the_same_for_all_consumers_is_asked_once_a_height() {
    let (_, asked) = changed(|_, _| None).await;
    let count = |path: &str| asked.iter().filter(|it| it.ends_with(path)).count();
    assert_eq!(count("QueryConsumerChain"), 3);
    for once in [
        "SigningInfo",
        "Query/Validator",
        "slashing.v1beta1.Query/Params",
        "QueryParams",
    ] {
        assert_eq!(count(once), 1, "{once}");
    }
    assert_eq!(count("Query/Validators"), 0);
}

#[tokio::test]
async fn power_shaping_that_keeps_us_out_is_named() {
    let me = local("alice")
        .provider_key
        .address()
        .to_bech32("cosmosvalcons");
    let bar = async |change: fn(&mut PowerShapingParameters, String)| {
        let me = me.clone();
        let (snapshot, _) = changed(move |path, bytes| {
            let change = |shaping: &mut _| change(shaping, me.clone());
            path.ends_with("QueryConsumerChain")
                .then(|| shaped(bytes, change))
                .flatten()
        })
        .await;
        snapshot.barred
    };
    assert_eq!(
        bar(|it, me| it.denylist = vec![me]).await,
        Some(Bar::Denylist)
    );
    assert_eq!(bar(|it, me| it.allowlist = vec![me]).await, None);
    let other = bar(|it, _| it.allowlist = vec!["cosmosvalcons1x".into()]).await;
    assert_eq!(other, Some(Bar::Allowlist));
    assert_eq!(bar(|it, _| it.min_stake = 500_000_000).await, None);
    assert_eq!(
        bar(|it, _| it.min_stake = 500_000_001).await,
        Some(Bar::MinStake)
    );
}

#[tokio::test]
async fn inactive_members_are_told_from_active_ones_where_they_may_validate() {
    let active = async |max: i64| {
        let (snapshot, _) = changed(move |path, bytes| match path.rsplit('/').next() {
            Some("QueryConsumerChain") => shaped(bytes, |it| it.allow_inactive_vals = true),
            Some("QueryParams") => {
                let mut answer = QueryParamsResponse::decode(bytes).expect("an answer");
                let params = answer.params.as_mut().expect("parameters");
                params.max_provider_consensus_validators = max;
                Some(answer.encode_to_vec())
            }
            Some("QueryConsumerValidators") => {
                Some(recorded("grpc/D1-topn-initialized.consumer_validators.bin"))
            }
            _ => None,
        })
        .await;
        let members = snapshot.validators.members().iter();
        let mut members: Vec<_> = members.map(|it| (it.moniker.clone(), it.active)).collect();
        members.sort();
        members
    };
    let member = |name: &str, active| (name.to_owned(), active);
    let all = [member("alice", true), member("bob", true)];
    assert_eq!(active(180).await, all);
    assert_eq!(active(2).await, all);
    assert_eq!(
        active(1).await,
        [member("alice", true), member("bob", false)]
    );
}
