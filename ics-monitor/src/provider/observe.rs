//! From the provider's records to the core's snapshot: everything is checked here, once.

use std::time::Duration;

use ics_core::failure::Failure;
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::{Address, PublicKey};
use ics_core::peers::Published;
use ics_core::phase::Phase;
use ics_core::snapshot::{
    ConsumerValidator, Decimal, Infraction, InitialHeight, LocalValidator, Punishment, Snapshot,
};
use ics_core::time::{Height, UnixTime};

use super::Prefixes;
use super::ask::excerpt;
use crate::wire::base;
use crate::wire::genesis::ConsumerGenesisState;
use crate::wire::provider::{ConsumerInitializationParameters, SlashJailParameters};
use crate::wire::query::{
    PairValConAddrProviderAndConsumer, QueryConsumerChainResponse, QueryConsumerValidatorsValidator,
};
use crate::wire::sdk::SlashingParams;

/// How long the provider jails for signing twice: `i64::MAX` nanoseconds
/// (`DefaultConsumerInfractionParameters`, `x/ccv/provider/types/provider.go`).
const DOUBLE_SIGN_JAIL: Duration = Duration::from_nanos(i64::MAX as u64);

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
        local: &LocalValidator,
        prefixes: &Prefixes,
    ) -> Result<Snapshot, Failure> {
        let init = self.init();
        let address = local.provider_key.address();
        Ok(Snapshot {
            height: self.height,
            consumer_id: self.consumer_id,
            chain_id: self.chain_id()?,
            phase: self.phase,
            owner: self.chain.owner_address.clone(),
            spawn_time: self.spawn_time()?,
            initial_height: initial_height(&init),
            genesis_hash: init.genesis_hash,
            binary_hash: init.binary_hash,
            connection_id: init.connection_id,
            top_n: self.top_n(),
            infraction: self.infraction()?,
            provider_infraction: self.provider_infraction()?,
            launched_at: self.launched_at(),
            removal_time: self.removal_time,
            opted_in: self.is_opted_in(&address, prefixes)?,
            assigned_key: self.assigned_key(&address, prefixes)?,
            validators: self.validators(prefixes)?,
            newer_provider: self.newer_provider,
        })
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
