//! The message of each order of a script.

use std::time::Duration;

use cosmrs::proto::cosmos::base::v1beta1::Coin;
use cosmrs::proto::cosmos::slashing::v1beta1::MsgUnjail;
use cosmrs::proto::cosmos::staking::v1beta1::MsgDelegate;
use ics_core::key::Form;
use ics_core::snapshot::Decimal;
use ics_core::time::UnixTime;
use ics_monitor::tx::Message;
use ics_monitor::wire::base::{Duration as WireDuration, Height as WireHeight};
use ics_monitor::wire::provider::{
    AllowlistedRewardDenoms, ConsumerInitializationParameters, ConsumerMetadata,
    InfractionParameters, PowerShapingParameters, SlashJailParameters,
};
use ics_monitor::wire::tx::{
    MsgAssignConsumerKey, MsgCreateConsumer, MsgOptIn, MsgOptOut, MsgRemoveConsumer,
    MsgUpdateConsumer, message,
};
use prost::Message as _;

use crate::names::script_key;
use crate::script::{Order, Settings};
use crate::target::Target;

/// The account of the governance module.
pub(crate) const GOV: &str = "cosmos10d07y265gmmuvt4z0w9aw880jnsr700j6zn9kn";

/// `MsgSetConsumerCommissionRate`.
#[derive(Clone, PartialEq, prost::Message)]
struct Rate {
    #[prost(string, tag = "1")]
    provider_addr: String,
    #[prost(string, tag = "3")]
    rate: String,
    #[prost(string, tag = "4")]
    signer: String,
    #[prost(string, tag = "5")]
    consumer_id: String,
}

/// The message, and when a consumer is to launch by it.
pub(crate) async fn written(
    target: &Target,
    order: &Order,
) -> Result<(Message, Option<UnixTime>), String> {
    let Order {
        kind, who, what, ..
    } = order;
    let id = || what.clone();
    let settings = &order.settings;
    let (signer, operator) = match who.as_str() {
        "gov" => (GOV.to_owned(), String::new()),
        _ => {
            let whose = settings.get("for").unwrap_or(who);
            (
                target.signer(who)?.account(),
                target.signer(whose)?.operator(),
            )
        }
    };
    let key = match settings.get("key") {
        None => String::new(),
        Some(key) => self::key(target, key).await?,
    };
    let mut spawn = None;
    let written = match kind.as_str() {
        "assign" => message(&MsgAssignConsumerKey {
            provider_addr: operator,
            consumer_key: key,
            signer,
            consumer_id: id(),
            ..MsgAssignConsumerKey::default()
        }),
        "commission" => {
            let rate = settings.get("rate").and_then(|text| Decimal::parse(text));
            let rate = Rate {
                provider_addr: operator,
                rate: rate.ok_or("it sets no rate")?.to_atto_digits(),
                signer,
                consumer_id: id(),
            };
            Message {
                type_url: "/interchain_security.ccv.provider.v1.MsgSetConsumerCommissionRate"
                    .into(),
                value: rate.encode_to_vec(),
            }
        }
        "opt-in" => message(&MsgOptIn {
            provider_addr: operator,
            consumer_key: key,
            signer,
            consumer_id: id(),
            ..MsgOptIn::default()
        }),
        "opt-out" => message(&MsgOptOut {
            provider_addr: operator,
            signer,
            consumer_id: id(),
            ..MsgOptOut::default()
        }),
        "delegate" | "undelegate" => {
            let amount = settings.get("amount").ok_or("it sets no amount")?;
            let coin = Coin {
                denom: "stake".into(),
                amount: amount.clone(),
            };
            let delegate = MsgDelegate {
                delegator_address: signer,
                validator_address: target.signer(what)?.operator(),
                amount: Some(coin),
            };
            let name = if kind == "delegate" {
                "MsgDelegate"
            } else {
                "MsgUndelegate"
            };
            Message {
                type_url: format!("/cosmos.staking.v1beta1.{name}"),
                value: delegate.encode_to_vec(),
            }
        }
        "unjail" => Message {
            type_url: "/cosmos.slashing.v1beta1.MsgUnjail".into(),
            value: MsgUnjail {
                validator_addr: target.signer(what)?.operator(),
            }
            .encode_to_vec(),
        },
        "remove" => message(&MsgRemoveConsumer {
            consumer_id: id(),
            owner: signer,
        }),
        "create" => {
            let fields = Fields::read(target, settings, what).await?;
            spawn = fields.spawn();
            let unless = |name: &str| settings.get(name).is_none_or(|value| value != "none");
            let init = fields.init.or_else(|| Some(init_params(what)));
            let metadata = fields.metadata.or_else(|| Some(metadata("a name")));
            message(&MsgCreateConsumer {
                submitter: signer,
                chain_id: id(),
                metadata: metadata.filter(|_| unless("metadata")),
                initialization_parameters: init.filter(|_| unless("init")),
                power_shaping_parameters: fields.shaping,
                allowlisted_reward_denoms: fields.denoms,
                infraction_parameters: fields.infraction,
            })
        }
        _ => {
            let new_chain = settings.get("chain").cloned().unwrap_or_default();
            let fields = Fields::read(target, settings, &new_chain).await?;
            spawn = fields.spawn();
            let owner = match settings.get("owner").map(String::as_str) {
                None => String::new(),
                Some("gov") => GOV.to_owned(),
                Some(name) => target
                    .signer(name)
                    .map_or_else(|_| name.to_owned(), |new| new.account()),
            };
            message(&MsgUpdateConsumer {
                owner: signer,
                consumer_id: id(),
                new_owner_address: owner,
                metadata: fields.metadata,
                initialization_parameters: fields.init,
                power_shaping_parameters: fields.shaping,
                allowlisted_reward_denoms: fields.denoms,
                new_chain_id: new_chain,
                infraction_parameters: fields.infraction,
            })
        }
    };
    Ok((written, spawn))
}

/// What creating and updating have in common; `None` where nothing is said.
#[derive(Default)]
struct Fields {
    metadata: Option<ConsumerMetadata>,
    init: Option<ConsumerInitializationParameters>,
    shaping: Option<PowerShapingParameters>,
    denoms: Option<AllowlistedRewardDenoms>,
    infraction: Option<InfractionParameters>,
}

impl Fields {
    fn spawn(&self) -> Option<UnixTime> {
        self.init.as_ref()?.spawn_time?.to_unix()
    }

    async fn read(target: &Target, settings: &Settings, chain_id: &str) -> Result<Self, String> {
        let mut fields = Self::default();
        for (name, value) in settings {
            match name.as_str() {
                "metadata" => fields.metadata = Some(metadata(value)),
                "description" => {
                    let said = fields.metadata.get_or_insert_with(|| metadata("a name"));
                    said.description = value.as_bytes().to_vec();
                }
                "about" => {
                    let said = fields.metadata.get_or_insert_with(|| metadata("a name"));
                    said.metadata = value.as_bytes().to_vec();
                }
                "denoms" => {
                    let denom = |_| format!("ibc/{}", "A1".repeat(32));
                    let denoms = match value.parse::<usize>() {
                        Ok(count) => (0..count).map(denom).collect(),
                        Err(_) => vec![value.clone()],
                    };
                    fields.denoms = Some(AllowlistedRewardDenoms { denoms });
                }
                // These are read elsewhere.
                "as" | "chain" | "for" | "init" | "key" | "owner" => {}
                _ => {
                    if !fields.shape(target, name, value).await?
                        && !fields.punish(name, value)?
                        && !fields.begin(target, name, value, chain_id).await?
                    {
                        return Err(format!("{name} is nothing that can be set"));
                    }
                }
            }
        }
        Ok(fields)
    }

    async fn shape(&mut self, target: &Target, name: &str, value: &str) -> Result<bool, String> {
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| not("a number", name, value))
        };
        let mut params = self.shaping.clone().unwrap_or_default();
        match name {
            "topn" => params.top_n = number()? as u32,
            "power-cap" => params.validators_power_cap = number()? as u32,
            "set-cap" => params.validator_set_cap = number()? as u32,
            "min-stake" => params.min_stake = number()?,
            "inactive" => params.allow_inactive_vals = value == "yes",
            "allow" => params.allowlist = addresses(target, value).await?,
            "deny" => params.denylist = addresses(target, value).await?,
            "priority" => params.prioritylist = addresses(target, value).await?,
            _ => return Ok(false),
        }
        self.shaping = Some(params);
        Ok(true)
    }

    fn punish(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let Some((what, field)) = name.split_once('.') else {
            return Ok(false);
        };
        let all = self.infraction.get_or_insert_default();
        let part = match what {
            "double-sign" => &mut all.double_sign,
            "downtime" => &mut all.downtime,
            _ => return Ok(false),
        };
        let part = part.get_or_insert_with(|| SlashJailParameters {
            slash_fraction: b"0".to_vec(),
            jail_duration: Some(WireDuration {
                seconds: 60,
                nanos: 0,
            }),
            tombstone: false,
        });
        match field {
            "slash" => {
                let digits = match value.strip_prefix('-') {
                    Some(value) => format!("-{}", atto(name, value)?),
                    None => atto(name, value)?,
                };
                part.slash_fraction = digits.into_bytes();
            }
            "jail" => part.jail_duration = Some(seconds(name, value)?),
            "tombstone" => part.tombstone = value == "yes",
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn begin(
        &mut self,
        target: &Target,
        name: &str,
        value: &str,
        chain_id: &str,
    ) -> Result<bool, String> {
        let number = || {
            value
                .parse::<i64>()
                .map_err(|_| not("a number", name, value))
        };
        let mut params = self.init.clone().unwrap_or_else(|| init_params(chain_id));
        let height = params.initial_height.get_or_insert_default();
        match name {
            "spawn" => params.spawn_time = Some(spawn(target, value).await?.into()),
            "revision" => height.revision_number = number()? as u64,
            "height" => height.revision_height = number()? as u64,
            "genesis-hash" => params.genesis_hash = value.as_bytes().to_vec(),
            "binary-hash" => params.binary_hash = value.as_bytes().to_vec(),
            "unbonding" => params.unbonding_period = Some(seconds(name, value)?),
            "ccv-timeout" => params.ccv_timeout_period = Some(seconds(name, value)?),
            "transfer-timeout" => params.transfer_timeout_period = Some(seconds(name, value)?),
            "fraction" => params.consumer_redistribution_fraction = value.to_owned(),
            "distribution" => params.blocks_per_distribution_transmission = number()?,
            "entries" => params.historical_entries = number()?,
            "channel" => params.distribution_transmission_channel = value.to_owned(),
            "connection" => params.connection_id = value.to_owned(),
            _ => return Ok(false),
        }
        self.init = Some(params);
        Ok(true)
    }
}

fn not(what: &str, name: &str, value: &str) -> String {
    format!("{name}={value} is not {what}")
}

fn atto(name: &str, value: &str) -> Result<String, String> {
    let number = Decimal::parse(value).ok_or_else(|| not("a number", name, value))?;
    Ok(number.to_atto_digits())
}

fn seconds(name: &str, value: &str) -> Result<WireDuration, String> {
    let seconds = value.parse().map_err(|_| not("seconds", name, value))?;
    Ok(WireDuration { seconds, nanos: 0 })
}

/// An instant: `zero`, `past`, seconds from now on (`+5`), or a date.
async fn spawn(target: &Target, text: &str) -> Result<UnixTime, String> {
    match text {
        "zero" => return Ok(UnixTime::GO_ZERO),
        "past" => return Ok(UnixTime::new(0, 0)),
        _ => {}
    }
    if let Some(seconds) = text.strip_prefix('+') {
        let seconds = seconds.parse().map_err(|_| not("a time", "spawn", text))?;
        let (_, now) = target.provider.latest().await.map_err(|e| e.to_string())?;
        return Ok(now + Duration::from_secs(seconds));
    }
    UnixTime::from_rfc3339(text).ok_or_else(|| not("a time", "spawn", text))
}

/// Consensus addresses of validators, by name, or as they are.
async fn addresses(target: &Target, names: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        found.push(match target.signer(name) {
            Ok(_) => provider_key(target, name)
                .await?
                .address()
                .to_bech32("cosmosvalcons"),
            Err(_) => name.to_owned(),
        });
    }
    Ok(found)
}

async fn provider_key(target: &Target, who: &str) -> Result<ics_core::key::PublicKey, String> {
    let found = target
        .provider
        .validator(&target.signer(who)?.address)
        .await;
    let found = found.map_err(|failure| failure.to_string())?;
    Ok(found
        .ok_or_else(|| format!("{who} is no validator"))?
        .consensus_key)
}

/// A key by number, the one that a validator signs the provider's blocks with, or one that is none.
async fn key(target: &Target, name: &str) -> Result<String, String> {
    let json = |kind: &str, key: &str| format!("{{\"@type\":\"{kind}\",\"key\":\"{key}\"}}");
    Ok(match name {
        "garbage" => "{".to_owned(),
        "secp256k1" => json(
            "/cosmos.crypto.secp256k1.PubKey",
            &script_key(0).to_base64(),
        ),
        "short" => json("/cosmos.crypto.ed25519.PubKey", "AAAA"),
        "no-base64" => json("/cosmos.crypto.ed25519.PubKey", "?"),
        _ => {
            let key = match name.strip_prefix("provider:") {
                Some(who) => provider_key(target, who).await?,
                None => script_key(name.parse().map_err(|_| not("a key", "key", name))?),
            };
            key.to_form(Form::Sdk)
        }
    })
}

fn metadata(name: &str) -> ConsumerMetadata {
    ConsumerMetadata {
        name: name.as_bytes().to_vec(),
        description: b"a description".to_vec(),
        metadata: b"more".to_vec(),
    }
}

/// What is valid for this chain id, without a spawn time.
fn init_params(chain_id: &str) -> ConsumerInitializationParameters {
    let seconds = |seconds| Some(WireDuration { seconds, nanos: 0 });
    let revision = chain_id
        .rsplit_once('-')
        .and_then(|(_, number)| number.parse().ok());
    // What is updated and not renamed has revision 1, but for those whose line says another one.
    let default = u64::from(chain_id.is_empty());
    ConsumerInitializationParameters {
        initial_height: Some(WireHeight {
            revision_number: revision.unwrap_or(default),
            revision_height: 1,
        }),
        genesis_hash: vec![7; 32],
        binary_hash: vec![8; 32],
        spawn_time: Some(UnixTime::GO_ZERO.into()),
        unbonding_period: seconds(1_728_000),
        ccv_timeout_period: seconds(2_419_200),
        transfer_timeout_period: seconds(3_600),
        consumer_redistribution_fraction: "0.75".into(),
        blocks_per_distribution_transmission: 1_000,
        historical_entries: 10_000,
        ..ConsumerInitializationParameters::default()
    }
}
