//! The provider chain as this program asks it: everything by CometBFT RPC, pinned to a height.
//!
//! What decides is read by `abci_query` on the paths of the chain's own queries, in protobuf, so
//! one snapshot is of one height and no gRPC port is needed. Scans of the store are only hints.

mod ask;
mod detail;
mod launch;
mod observe;
mod pages;
mod pinned;
mod proof;
mod shared;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::key::{Address, Prefixes};
use ics_core::phase::Phase;
use ics_core::select::Candidate;
use ics_core::snapshot::{LocalValidator, Snapshot};
use ics_core::time::{Height, UnixTime};
use prost::Message;

use self::ask::{ask, ask_required, excerpt};
pub use self::detail::{
    ConsumerDetail, ConsumerEntry, ConsumerMember, PowerShaping, StakingValidator,
};
pub use self::launch::LaunchGenesis;
use self::observe::{Context, Records, lossy};
use self::pages::{next_page, page};
use self::pinned::Pinned;
use self::shared::{Asked, Shared};
use crate::rpc::{NodeInfo, Rpc};
use crate::wire::decode_known;
use crate::wire::query::{QueryConsumerChainsRequest, QueryConsumerChainsResponse, SERVICE};
use crate::wire::sdk::{Pairs, QueryValidatorRequest, QueryValidatorResponse, Validator};

/// Consumers on one page: each may legally take 170 KB.
const CONSUMERS_PER_PAGE: u64 = 50;

/// Validators on one page.
const VALIDATORS_PER_PAGE: u64 = 200;

/// The path of one staking validator.
const STAKING_VALIDATOR: &str = "/cosmos.staking.v1beta1.Query/Validator";

/// The path of all staking validators.
const STAKING_VALIDATORS: &str = "/cosmos.staking.v1beta1.Query/Validators";

/// A client of one provider, over one node.
///
/// Cloning and making it cost nothing; it holds no state but what was last read for all consumers
/// of one height.
#[derive(Clone, Debug)]
pub struct Provider {
    rpc: Rpc,
    shared: Arc<Shared>,
    prefixes: Prefixes,
}

impl Provider {
    /// A client over this node, of a provider with the prefixes of the Cosmos Hub.
    #[must_use]
    pub fn new(rpc: Rpc) -> Self {
        Self {
            rpc,
            shared: Arc::default(),
            prefixes: Prefixes::default(),
        }
    }

    /// The same client, of a provider with other prefixes.
    #[must_use]
    pub fn with_prefixes(self, prefixes: Prefixes) -> Self {
        // What was read with other prefixes may have been misread.
        Self {
            prefixes,
            shared: Arc::default(),
            ..self
        }
    }

    /// The node that is asked.
    #[must_use]
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The prefixes of the provider's addresses.
    #[must_use]
    pub fn prefixes(&self) -> &Prefixes {
        &self.prefixes
    }

    /// What the node says of itself and its chain.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached.
    pub async fn chain(&self) -> Result<NodeInfo, Failure> {
        self.rpc.status().await
    }

    /// The newest height whose state can be asked for, and its block's time.
    ///
    /// `/status` may name a block that the application has not committed yet; this does not.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached.
    pub async fn latest(&self) -> Result<(Height, UnixTime), Failure> {
        let height = self.rpc.committed_height().await?;
        Ok((height, self.rpc.block_time(height).await?))
    }

    /// The phases of all consumers, as a hint where to look.
    ///
    /// One scan of the store tells them, but it reads the live tree and not a height
    /// (`iavl/store.go`, `/subspace`), and blocks are written to that tree before they are
    /// committed: nothing may be decided on it. Where a node refuses scans, or answers none, the
    /// paged list is read instead.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached.
    pub async fn phases(&self) -> Result<BTreeMap<ConsumerId, Phase>, Failure> {
        if let Some(phases) = self.scan_phases().await {
            return Ok(phases);
        }
        let height = self.rpc.committed_height().await?;
        let entries = self.list(height).await?.into_iter();
        Ok(entries
            .filter_map(|entry| Some((entry.consumer_id, entry.phase?)))
            .collect())
    }

    /// `None` where the scan is refused, empty or not as expected: then the list tells the truth.
    async fn scan_phases(&self) -> Option<BTreeMap<ConsumerId, Phase>> {
        let prefix = vec![store::PHASE_PREFIX];
        let path = "/store/provider/subspace";
        let answer = self.rpc.abci_query(path, prefix, None).await.ok()?;
        if answer.code != 0 || answer.value.is_empty() {
            return None;
        }
        store::phases(&Pairs::decode(answer.value.as_slice()).ok()?)
    }

    /// One consumer at one height, with what concerns our validator; `None` if the provider does
    /// not know the id at that height.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached or does not have the height yet; permanent, if it
    /// no longer has it, or an answer is not what interchain-security v7 gives.
    pub async fn consumer(
        &self,
        id: ConsumerId,
        height: Height,
        local: &LocalValidator,
    ) -> Result<Option<Snapshot>, Failure> {
        let Some(records) = self.records(id, height).await? else {
            return Ok(None);
        };
        let (asked, shared) = (self.asked(height), self.shared.at(height));
        let own = shared.own(asked, local, &self.prefixes).await?;
        let params = shared.params(asked).await?;
        // Only a consumer that allows inactive validators can have a set without an active one.
        let bonded = if records.phase.is_prelaunch() && records.allows_inactive() {
            Some(shared.bonded(asked).await?)
        } else {
            None
        };
        let context = Context {
            local,
            own: own.as_ref(),
            params,
            bonded,
        };
        Ok(Some(records.snapshot(&context, &self.prefixes)?))
    }

    /// One consumer at one height, as people want to see it; `None` if the provider does not know
    /// the id at that height.
    ///
    /// # Errors
    /// As [`Self::consumer`].
    pub async fn detail(
        &self,
        id: ConsumerId,
        height: Height,
    ) -> Result<Option<ConsumerDetail>, Failure> {
        match self.records(id, height).await? {
            Some(records) => Ok(Some(ConsumerDetail::read(&records, &self.prefixes)?)),
            None => Ok(None),
        }
    }

    async fn records(&self, id: ConsumerId, height: Height) -> Result<Option<Records>, Failure> {
        let shared = self.shared.at(height);
        let pinned = Pinned {
            rpc: &self.rpc,
            id,
            height,
            shared: &shared,
        };
        pinned.records().await
    }

    /// All bonded validators at a height.
    ///
    /// # Errors
    /// As [`Self::consumer`].
    pub async fn bonded(&self, height: Height) -> Result<Vec<Candidate>, Failure> {
        let shared = self.shared.at(height);
        let bonded = shared.bonded(self.asked(height)).await?;
        bonded.iter().map(|it| self.candidate(it)).collect()
    }

    fn asked(&self, height: Height) -> Asked<'_> {
        let rpc = &self.rpc;
        Asked { rpc, height }
    }

    fn candidate(&self, validator: &Validator) -> Result<Candidate, Failure> {
        let text = &validator.operator_address;
        let operator = Address::from_bech32(text, &self.prefixes.operator).map_err(|error| {
            Failure::permanent(format!(
                "validators of the provider: {}; set the provider's address prefix",
                excerpt(&error.to_string())
            ))
        })?;
        let tokens = validator.tokens.parse().map_err(|_| {
            Failure::permanent(format!(
                "validator {text} of the provider: its tokens {} are no amount below 2^128",
                excerpt(&validator.tokens)
            ))
        })?;
        Ok(Candidate { operator, tokens })
    }

    /// The height of the block that created a consumer; `None` where the node keeps no index, or
    /// no longer has that block.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached.
    pub async fn created_at(&self, id: ConsumerId) -> Result<Option<Height>, Failure> {
        let (key, value) = ("create_consumer.consumer_id", id.to_string());
        let txs = match self.rpc.tx_search(key, &value).await {
            Ok(txs) => txs,
            Err(failure) if is_unindexed(&failure) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let by_tx = txs.iter().filter(|tx| tx.code == 0).map(|tx| tx.height);
        if let Some(height) = by_tx.min() {
            return Ok(Some(height));
        }
        // A governance proposal creates it in the block's end, where no transaction tells.
        match self.rpc.block_search(key, &value).await {
            Ok(heights) => Ok(heights.into_iter().min()),
            Err(failure) if is_unindexed(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// A validator of the provider now; `None` if there is none with this operator address.
    ///
    /// # Errors
    /// Transient, if the node cannot be reached; permanent, if its consensus key is not ed25519.
    pub async fn validator(&self, operator: &Address) -> Result<Option<StakingValidator>, Failure> {
        let text = operator.to_bech32(&self.prefixes.operator);
        let request = QueryValidatorRequest {
            validator_addr: text.clone(),
        };
        let Some(bytes) = ask(&self.rpc, STAKING_VALIDATOR, &request, None).await? else {
            return Ok(None);
        };
        let answer = decode_known::<QueryValidatorResponse>(STAKING_VALIDATOR, &bytes)?;
        let Some(validator) = answer.validator else {
            return Ok(None);
        };
        let consensus_key = validator.to_ed25519().ok_or_else(|| {
            Failure::permanent(format!(
                "validator {text} has a consensus key that is not ed25519, which this program \
                 cannot run"
            ))
        })?;
        let Candidate { operator, tokens } = self.candidate(&validator)?;
        let description = validator.description.unwrap_or_default();
        Ok(Some(StakingValidator {
            operator,
            consensus_key,
            moniker: lossy(&description.moniker),
            details: lossy(&description.details),
            jailed: validator.jailed,
            bonded: validator.status == Validator::BONDED,
            tokens,
        }))
    }

    /// All consumers at a height, deleted ones included, by id.
    ///
    /// # Errors
    /// As [`Self::consumer`].
    pub async fn list(&self, height: Height) -> Result<Vec<ConsumerEntry>, Failure> {
        let path = format!("{SERVICE}/QueryConsumerChains");
        let mut entries = Vec::new();
        let mut next = Some(Vec::new());
        while let Some(key) = next {
            let request = QueryConsumerChainsRequest {
                phase: 0,
                pagination: Some(page(key.clone(), CONSUMERS_PER_PAGE)),
            };
            let bytes = ask_required(&self.rpc, &path, &request, Some(height)).await?;
            let answer = decode_known::<QueryConsumerChainsResponse>(&path, &bytes)?;
            for chain in answer.chains {
                let consumer_id = chain.consumer_id.parse().map_err(|error| {
                    Failure::permanent(format!("{path}: {}", excerpt(&format!("{error}"))))
                })?;
                entries.push(ConsumerEntry {
                    consumer_id,
                    chain_id: lossy(&chain.chain_id),
                    name: lossy(&chain.metadata.unwrap_or_default().name),
                    phase: Phase::from_name(&chain.phase),
                    top_n: chain.top_n,
                });
            }
            next = next_page(&path, &key, answer.pagination)?;
        }
        entries.sort_by_key(|entry| entry.consumer_id);
        Ok(entries)
    }

    /// How many blocks an epoch has: consumers' validator sets change at heights that it divides.
    ///
    /// # Errors
    /// As [`Self::consumer`].
    pub async fn blocks_per_epoch(&self, height: Height) -> Result<u64, Failure> {
        let shared = self.shared.at(height);
        let blocks = shared.params(self.asked(height)).await?.blocks_per_epoch;
        u64::try_from(blocks)
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| {
                Failure::permanent(format!(
                    "parameters of the provider: {blocks} blocks are no epoch"
                ))
            })
    }
}

/// Whether the node keeps no index (`rpc/core/tx.go` and `blocks.go` of CometBFT).
fn is_unindexed(failure: &Failure) -> bool {
    failure.message.contains("indexing is disabled")
}
