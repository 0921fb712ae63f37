//! From the provider's records to the core's snapshot: everything is checked here, once.

use std::collections::BTreeSet;
use std::time::Duration;

use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{Address, PublicKey};
use ics_core::peers::Published;
use ics_core::phase::Phase;
use ics_core::snapshot::{
    Bar, Bond, ConsumerValidator, Decimal, Infraction, InitialHeight, LocalValidator, Punishment,
    Snapshot, Standing,
};
use ics_core::time::{Height, UnixTime};

use super::Prefixes;
use super::ask::excerpt;
use super::shared::Own;
use crate::wire::base;
use crate::wire::genesis::ConsumerGenesisState;
use crate::wire::provider::{ConsumerInitializationParameters, SlashJailParameters};
use crate::wire::query::{
    PairValConAddrProviderAndConsumer, Params, QueryConsumerChainResponse,
    QueryConsumerValidatorsValidator,
};
use crate::wire::sdk::{SlashingParams, Validator};

/// How long the provider jails for signing twice: `i64::MAX` nanoseconds
/// (`DefaultConsumerInfractionParameters`, `x/ccv/provider/types/provider.go`).
const DOUBLE_SIGN_JAIL: Duration = Duration::from_nanos(i64::MAX as u64);

/// What decisions need to know beside the consumer's own records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) local: &'a LocalValidator,
    pub(super) own: Option<&'a Own>,
    pub(super) params: &'a Params,
    /// All bonded validators, where it matters which of them are active.
    pub(super) bonded: Option<&'a [Validator]>,
}

/// All records of one consumer, read at one height.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) consumer_id: ConsumerId,
    pub(super) height: Height,
    pub(super) chain: QueryConsumerChainResponse,
    pub(super) phase: Phase,
    pub(super) validators: Vec<QueryConsumerValidatorsValidator>,
    pub(super) assigned: Vec<PairValConAddrProviderAndConsumer>,
    pub(super) opted_in: Vec<String>,
    pub(super) genesis: Option<ConsumerGenesisState>,
    pub(super) slashing: SlashingParams,
    pub(super) removal_time: Option<UnixTime>,
    pub(super) newer_provider: bool,
}

impl Records {
    /// What the core decides on.
    pub(super) fn snapshot(
        &self,
        context: &Context<'_>,
        prefixes: &Prefixes,
    ) -> Result<Snapshot, Failure> {
        let init = self.init();
        let address = context.local.provider_key.address();
        let fraction = &context.params.trusting_period_fraction;
        let snapshot = Snapshot {
            height: self.height,
            consumer_id: self.consumer_id,
            chain_id: self.chain_id()?,
            phase: self.phase,
            owner: self.chain.owner_address.clone(),
            spawn_time: self.spawn_time()?,
            initial_height: initial_height(&init),
            genesis_hash: init.genesis_hash,
            binary_hash: init.binary_hash,
            unbonding_period: init
                .unbonding_period
                .and_then(base::Duration::to_std)
                .unwrap_or_default(),
            trusting_period_fraction: Decimal::parse(fraction).ok_or_else(|| {
                self.refuse("the provider's trusting_period_fraction is no decimal")
            })?,
            connection_id: init.connection_id,
            top_n: self.top_n(),
            infraction: self.infraction()?,
            provider_infraction: self.provider_infraction()?,
            launched_at: self.launched_at(),
            removal_time: self.removal_time,
            standing: context.own.map(standing),
            barred: self.barred(context.own, &address, prefixes)?,
            opted_in: self.is_opted_in(&address, prefixes)?,
            assigned_key: self.assigned_key(&address, prefixes)?,
            validators: self.snapshot_validators(context, prefixes)?.into(),
            newer_provider: self.newer_provider,
        };
        Ok(snapshot.abridged(context.local))
    }

    /// The initialization parameters; the provider leaves them empty where there are none.
    pub(super) fn init(&self) -> ConsumerInitializationParameters {
        self.chain.init_params.clone().unwrap_or_default()
    }

    pub(super) fn chain_id(&self) -> Result<ChainId, Failure> {
        let text = String::from_utf8(self.chain.chain_id.clone())
            .map_err(|_| self.refuse("its chain id is not UTF-8"))?;
        ChainId::new(text).map_err(|error| self.refuse(&error.to_string()))
    }

    pub(super) fn spawn_time(&self) -> Result<Option<UnixTime>, Failure> {
        let Some(stamp) = self.init().spawn_time else {
            return Ok(None);
        };
        let time = stamp
            .to_unix()
            .ok_or_else(|| self.refuse("its spawn time has impossible nanoseconds"))?;
        Ok(Some(time).filter(|time| *time != UnixTime::GO_ZERO))
    }

    pub(super) fn top_n(&self) -> u32 {
        let shaping = self.chain.power_shaping_params.as_ref();
        shaping.map_or(0, |shaping| shaping.top_n)
    }

    /// Whether validators outside the provider's active set may validate.
    pub(super) fn allows_inactive(&self) -> bool {
        let shaping = self.chain.power_shaping_params.as_ref();
        shaping.is_some_and(|shaping| shaping.allow_inactive_vals)
    }

    /// What keeps our validator out of the set (`CanValidateChain` and `FulfillsMinStake`,
    /// `x/ccv/provider/keeper/power_shaping.go`).
    fn barred(
        &self,
        own: Option<&Own>,
        address: &Address,
        prefixes: &Prefixes,
    ) -> Result<Option<Bar>, Failure> {
        let Some(shaping) = &self.chain.power_shaping_params else {
            return Ok(None);
        };
        let text = address.to_bech32(&prefixes.consensus);
        if !shaping.allowlist.is_empty() && !shaping.allowlist.contains(&text) {
            return Ok(Some(Bar::Allowlist));
        }
        if shaping.denylist.contains(&text) {
            return Ok(Some(Bar::Denylist));
        }
        let tokens = own.map(|own| self.tokens(&own.validator)).transpose()?;
        let low = tokens.is_some_and(|tokens| tokens < shaping.min_stake.into());
        Ok(low.then_some(Bar::MinStake))
    }

    fn tokens(&self, validator: &Validator) -> Result<u128, Failure> {
        let refuse = |_| self.refuse("a validator's tokens are no amount below 2^128");
        validator.tokens.parse().map_err(refuse)
    }

    /// The set, with who of it makes the provider's blocks.
    ///
    /// The provider's order among equal tokens is not that of the tokens: of those that are equal
    /// at the limit all are taken for active.
    fn snapshot_validators(
        &self,
        context: &Context<'_>,
        prefixes: &Prefixes,
    ) -> Result<Vec<ConsumerValidator>, Failure> {
        let mut set = self.validators(prefixes)?;
        let Some(bonded) = context.bonded else {
            return Ok(set);
        };
        let tokens = bonded.iter().map(|it| Ok((it, self.tokens(it)?)));
        let mut tokens = tokens.collect::<Result<Vec<_>, Failure>>()?;
        tokens.sort_by_key(|(_, tokens)| std::cmp::Reverse(*tokens));
        let max = context.params.max_provider_consensus_validators;
        let last = usize::try_from(max).unwrap_or(0).checked_sub(1);
        let least = last.and_then(|last| tokens.get(last)).map(|(_, it)| *it);
        let active: BTreeSet<_> = tokens
            .iter()
            .take_while(|(_, tokens)| least.is_none_or(|least| *tokens >= least))
            .map(|(validator, _)| validator.operator_address.as_str())
            .collect();
        for validator in &mut set {
            let operator = validator.operator.to_bech32(&prefixes.operator);
            validator.active = active.contains(operator.as_str());
        }
        Ok(set)
    }

    /// The consumer's own punishments; where it has none, the provider's apply.
    pub(super) fn infraction(&self) -> Result<Infraction, Failure> {
        let default = self.provider_infraction()?;
        let own = self.chain.infraction_parameters.clone().unwrap_or_default();
        let read = |own: Option<SlashJailParameters>, default| match own {
            Some(own) => self.punishment(&own.slash_fraction, own.jail_duration, own.tombstone),
            None => Ok(default),
        };
        Ok(Infraction {
            double_sign: read(own.double_sign, default.double_sign)?,
            downtime: read(own.downtime, default.downtime)?,
        })
    }

    fn provider_infraction(&self) -> Result<Infraction, Failure> {
        let jail = base::Duration::from(DOUBLE_SIGN_JAIL);
        let slashing = &self.slashing;
        Ok(Infraction {
            double_sign: self.punishment(&slashing.slash_fraction_double_sign, Some(jail), true)?,
            downtime: self.punishment(
                &slashing.slash_fraction_downtime,
                slashing.downtime_jail_duration,
                false,
            )?,
        })
    }

    fn punishment(
        &self,
        slash: &[u8],
        jail: Option<base::Duration>,
        tombstone: bool,
    ) -> Result<Punishment, Failure> {
        let slash = Decimal::from_atto_digits(slash)
            .ok_or_else(|| self.refuse("a slash fraction is no decimal of 18 places"))?;
        let jail = jail
            .unwrap_or_default()
            .to_std()
            .ok_or_else(|| self.refuse("a jail duration is negative or impossible"))?;
        Ok(Punishment {
            slash,
            jail,
            tombstone,
        })
    }

    /// The height of the launch block: the provider's client of itself in the stored genesis.
    pub(super) fn launched_at(&self) -> Option<Height> {
        let client = self
            .genesis
            .as_ref()?
            .provider
            .as_ref()?
            .client_state
            .as_ref()?;
        let height = client.latest_height?.revision_height;
        (height > 0).then_some(Height(height))
    }

    fn is_opted_in(&self, address: &Address, prefixes: &Prefixes) -> Result<bool, Failure> {
        for text in &self.opted_in {
            if self.address(text, &prefixes.consensus)? == *address {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn assigned_key(
        &self,
        address: &Address,
        prefixes: &Prefixes,
    ) -> Result<Option<PublicKey>, Failure> {
        for pair in &self.assigned {
            if self.address(&pair.provider_address, &prefixes.consensus)? == *address {
                let key = pair.consumer_key.as_ref().and_then(|key| key.to_ed25519());
                return key.map(Some).ok_or_else(|| {
                    self.refuse("our assigned key is no ed25519 key, which alone is assignable")
                });
            }
        }
        Ok(None)
    }

    /// The set, without the validators whose key is not ed25519: none of them is ours.
    pub(super) fn validators(
        &self,
        prefixes: &Prefixes,
    ) -> Result<Vec<ConsumerValidator>, Failure> {
        let chain_id = self.chain_id()?;
        let mut set = Vec::with_capacity(self.validators.len());
        for validator in &self.validators {
            let key = validator
                .consumer_key
                .as_ref()
                .and_then(|key| key.to_ed25519());
            let Some(consumer_key) = key else { continue };
            let description = validator.description.clone().unwrap_or_default();
            let moniker = lossy(&description.moniker);
            let details = lossy(&description.details);
            set.push(ConsumerValidator {
                provider_address: self.address(&validator.provider_address, &prefixes.consensus)?,
                operator: self.address(&validator.provider_operator_address, &prefixes.operator)?,
                consumer_key,
                power: u64::try_from(validator.consumer_power)
                    .map_err(|_| self.refuse("a validator has negative power"))?,
                // Which are not matters only where the consumer allows inactive ones.
                active: true,
                published: Published::read(&details, &moniker, &chain_id),
                moniker,
            });
        }
        Ok(set)
    }

    fn address(&self, text: &str, prefix: &str) -> Result<Address, Failure> {
        Address::from_bech32(text, prefix).map_err(|error| {
            self.refuse(&format!(
                "{}; set the provider's address prefix",
                excerpt(&error.to_string())
            ))
        })
    }

    fn refuse(&self, reason: &str) -> Failure {
        Failure::permanent(format!(
            "consumer {} at height {}: {reason}",
            self.consumer_id, self.height
        ))
    }
}

/// How our validator stands.
fn standing(own: &Own) -> Standing {
    Standing {
        bond: match own.validator.status {
            Validator::BONDED => Bond::Bonded,
            Validator::UNBONDING => Bond::Unbonding,
            _ => Bond::Unbonded,
        },
        jailed: own.validator.jailed,
        tombstoned: own.tombstoned,
    }
}

/// The consumer's first block; zero where that is not said.
pub(super) fn initial_height(init: &ConsumerInitializationParameters) -> InitialHeight {
    let height = init.initial_height.unwrap_or_default();
    InitialHeight {
        revision: height.revision_number,
        height: height.revision_height,
    }
}

/// Text that a stranger wrote, with what is not UTF-8 replaced.
pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
