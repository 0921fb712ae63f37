//! All records of one consumer, asked for at one height, side by side.

use futures::try_join;
use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::phase::Phase;
use ics_core::time::{Height, UnixTime};
use prost::Message;

use super::ask::{ask, excerpt};
use super::observe::Records;
use super::shared::{Asked, AtHeight};
use super::store;
use crate::rpc::Rpc;
use crate::wire::query::{
    QueryAllPairsValConsAddrByConsumerRequest, QueryAllPairsValConsAddrByConsumerResponse,
    QueryConsumerChainOptedInValidatorsRequest, QueryConsumerChainOptedInValidatorsResponse,
    QueryConsumerChainRequest, QueryConsumerChainResponse, QueryConsumerGenesisRequest,
    QueryConsumerGenesisResponse, QueryConsumerValidatorsRequest, QueryConsumerValidatorsResponse,
    SERVICE,
};
use crate::wire::{Decoded, decode};

/// The queries about one consumer at one height.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinned<'a> {
    pub(super) rpc: &'a Rpc,
    pub(super) id: ConsumerId,
    pub(super) height: Height,
    pub(super) shared: &'a AtHeight,
}

/// A message, and whether it held fields that this program does not know.
type Part<M> = (M, bool);

impl Pinned<'_> {
    /// Everything; `None` if the provider does not know the consumer at that height.
    pub(super) async fn records(&self) -> Result<Option<Records>, Failure> {
        let request = QueryConsumerChainRequest {
            consumer_id: self.id.to_string(),
        };
        let Some(chain) = self.find("QueryConsumerChain", &request).await? else {
            return Ok(None);
        };
        let (chain, newer) = Decoded::<QueryConsumerChainResponse>::into_parts(chain);
        let phase = self.phase(&chain)?;
        let asked = Asked {
            rpc: self.rpc,
            height: self.height,
        };
        let removal_time = async { Ok(self.removal_time(phase).await) };
        let (validators, assigned, opted_in, genesis, slashing, removal_time) = try_join!(
            self.validators(phase),
            self.assigned(phase),
            self.opted_in(phase),
            self.genesis(phase),
            self.shared.slashing(asked),
            removal_time,
        )?;
        Ok(Some(Records {
            consumer_id: self.id,
            height: self.height,
            chain,
            phase,
            newer_provider: newer || validators.1 || assigned.1 || opted_in.1 || genesis.1,
            validators: validators.0.validators,
            assigned: assigned.0.pair_val_con_addr,
            opted_in: opted_in.0.validators_provider_addresses,
            genesis: genesis.0.genesis_state,
            slashing: slashing.clone(),
            removal_time,
        }))
    }

    /// The phase in a record that is of this consumer.
    fn phase(&self, chain: &QueryConsumerChainResponse) -> Result<Phase, Failure> {
        if chain.consumer_id != self.id.to_string() {
            return Err(Failure::transient(format!(
                "{}: asked for consumer {}, answered for {}",
                self.rpc.url(),
                self.id,
                excerpt(&chain.consumer_id)
            )));
        }
        Phase::from_name(&chain.phase).ok_or_else(|| {
            Failure::permanent(format!(
                "consumer {}: the provider calls its phase {}, which this program does not know; \
                 upgrade it",
                self.id,
                excerpt(&chain.phase)
            ))
        })
    }

    /// When a stopped consumer is to be deleted, if the node answers store queries.
    async fn removal_time(&self, phase: Phase) -> Option<UnixTime> {
        if phase != Phase::Stopped {
            return None;
        }
        let key = store::removal_time_key(self.id);
        let path = "/store/provider/key";
        let answer = self
            .rpc
            .abci_query(path, key, Some(self.height))
            .await
            .ok()?;
        if answer.code != 0 || answer.height != self.height {
            return None;
        }
        store::go_time(&answer.value)
    }

    /// Asks a query of the provider module; `None` if it knows no such thing.
    async fn find<M: Message + Default>(
        &self,
        query: &str,
        request: &impl Message,
    ) -> Result<Option<Decoded<M>>, Failure> {
        let path = format!("{SERVICE}/{query}");
        let bytes = ask(self.rpc, &path, request, Some(self.height)).await?;
        bytes.map(|bytes| decode(&path, &bytes)).transpose()
    }

    /// As [`Self::find`], an absent answer being an empty one.
    async fn part<M: Message + Default>(
        &self,
        query: &str,
        request: &impl Message,
    ) -> Result<Part<M>, Failure> {
        let found = self.find(query, request).await?;
        Ok(found.map(Decoded::into_parts).unwrap_or_default())
    }

    /// Not asked of stopped consumers, which have none, and of deleted ones, for which the
    /// provider computes a set that will never be (`QueryConsumerValidators`, `grpc_query.go`).
    async fn validators(
        &self,
        phase: Phase,
    ) -> Result<Part<QueryConsumerValidatorsResponse>, Failure> {
        if phase > Phase::Launched {
            return Ok(Part::default());
        }
        let request = QueryConsumerValidatorsRequest {
            consumer_id: self.id.to_string(),
        };
        self.part("QueryConsumerValidators", &request).await
    }

    async fn assigned(
        &self,
        phase: Phase,
    ) -> Result<Part<QueryAllPairsValConsAddrByConsumerResponse>, Failure> {
        if phase == Phase::Deleted {
            return Ok(Part::default());
        }
        let request = QueryAllPairsValConsAddrByConsumerRequest {
            consumer_id: self.id.to_string(),
        };
        self.part("QueryAllPairsValConsAddrByConsumer", &request)
            .await
    }

    /// The provider answers an error for stopped and deleted consumers.
    async fn opted_in(
        &self,
        phase: Phase,
    ) -> Result<Part<QueryConsumerChainOptedInValidatorsResponse>, Failure> {
        if phase > Phase::Launched {
            return Ok(Part::default());
        }
        let request = QueryConsumerChainOptedInValidatorsRequest {
            consumer_id: self.id.to_string(),
        };
        self.part("QueryConsumerChainOptedInValidators", &request)
            .await
    }

    async fn genesis(&self, phase: Phase) -> Result<Part<QueryConsumerGenesisResponse>, Failure> {
        if !matches!(phase, Phase::Launched | Phase::Stopped) {
            return Ok(Part::default());
        }
        let request = QueryConsumerGenesisRequest {
            consumer_id: self.id.to_string(),
        };
        self.part("QueryConsumerGenesis", &request).await
    }
}
