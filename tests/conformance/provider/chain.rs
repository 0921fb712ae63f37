//! All that is asked of a provider beside single consumers: lists, validators, parameters.

use cosmrs::proto::cosmos::bank::v1beta1::{QueryBalanceRequest, QueryBalanceResponse};
use ics_core::id::{ChainId, ConsumerId};
use ics_core::key::PublicKey;
use ics_core::peers::NodeId;
use ics_core::snapshot::LocalValidator;
use ics_fixtures::cast::Cast;
use ics_monitor::provider::Provider;
use ics_monitor::wire::base::PageRequest;
use ics_monitor::wire::query::{
    QueryConsumerChainsRequest, QueryConsumerChainsResponse, QueryParamsRequest,
    QueryParamsResponse, SERVICE,
};
use ics_monitor::wire::sdk::{
    QuerySigningInfoRequest, QuerySigningInfoResponse, QuerySlashingParamsRequest,
    QuerySlashingParamsResponse, QueryValidatorsRequest, QueryValidatorsResponse,
};
use prost::Message;

use crate::look::{View, infraction, lossy, metadata, sorted};

/// Consumers on a page: few, so that there are several pages.
const PAGE: u64 = 3;

/// A request or an answer of texts in its first field.
#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(string, repeated, tag = "1")]
    texts: Vec<String>,
}

impl View<'_> {
    /// What there is to know beside single consumers, each part by its name.
    pub(crate) async fn all(&self) -> Result<Vec<(String, Vec<String>)>, String> {
        let mut all = vec![
            ("chain".to_owned(), self.chain_itself().await?),
            ("validators".to_owned(), self.validators().await?),
            ("list".to_owned(), self.list(0).await?),
        ];
        // The last two are none.
        for phase in (1..=6).chain([-1]) {
            all.push((format!("list {phase}"), self.list(phase).await?));
        }
        Ok(all)
    }

    /// A consumer as the monitors of alice and charlie read it, which must understand all of it.
    pub(crate) async fn read(&self, id: u64) -> Result<Vec<String>, String> {
        let (provider, id) = (&self.target.provider, ConsumerId::new(id));
        let created = provider.created_at(id).await.map_err(|e| e.to_string())?;
        let detail = provider
            .detail(id, self.height)
            .await
            .map_err(|e| e.to_string())?;
        let mut lines = vec![format!(
            "created in a block that is found: {}, shown: {}",
            created.is_some(),
            detail.is_some()
        )];
        for name in ["alice", "charlie"] {
            let local = LocalValidator {
                operator: self.target.signer(name)?.address.clone(),
                chain_id: ChainId::new("provider-1").map_err(|error| error.to_string())?,
                provider_key: self.provider_key(name).await?,
                node_id: NodeId::new([0; 20]),
            };
            // The parameters and our validator are remembered for a height, whoever asked.
            let reader = Provider::new(provider.rpc().clone());
            let read = reader.consumer(id, self.height, &local).await;
            let Some(read) = read.map_err(|failure| failure.to_string())? else {
                lines.push(format!("{name}: nothing"));
                continue;
            };
            lines.push(format!(
                "{name}: {}, launched {}, to be deleted {}, {:?}, {:?}, opted in {}, with {}, power {:?}, \
                 newer {}, {:?} beside {:?}",
                read.phase,
                read.launched_at.is_some(),
                read.removal_time.is_some(),
                read.standing,
                read.barred,
                read.opted_in,
                self.names.key(read.assigned_key.as_ref()),
                read.member(&local).map(|member| member.power),
                read.newer_provider,
                read.infraction,
                read.provider_infraction,
            ));
        }
        Ok(lines)
    }

    async fn chain_itself(&self) -> Result<Vec<String>, String> {
        let params = format!("{SERVICE}/QueryParams");
        let params = self
            .ask::<QueryParamsResponse>(&params, &QueryParamsRequest {})
            .await?;
        let path = "/cosmos.slashing.v1beta1.Query/Params";
        let slashing =
            self.ask::<QuerySlashingParamsResponse>(path, &QuerySlashingParamsRequest {});
        let mut lines = vec![format!("{params:?}"), format!("{:?}", slashing.await?)];
        for name in ["owner", "nobody"] {
            let request = QueryBalanceRequest {
                address: self.target.signer(name)?.account(),
                denom: "stake".into(),
            };
            let path = "/cosmos.bank.v1beta1.Query/Balance";
            let answer = self.ask::<QueryBalanceResponse>(path, &request).await?;
            lines.push(format!("{name} has {answer:?}"));
        }
        Ok(lines)
    }

    async fn provider_key(&self, name: &str) -> Result<PublicKey, String> {
        let found = self
            .target
            .provider
            .validator(&self.target.signer(name)?.address)
            .await;
        let found = found.map_err(|failure| failure.to_string())?;
        Ok(found.ok_or("no validator")?.consensus_key)
    }

    /// The provider's validators, whether they make its blocks, and what they have to validate.
    pub(crate) async fn validators(&self) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        for status in ["", "BOND_STATUS_BONDED", "BOND_STATUS_UNBONDING", "bonded"] {
            let request = QueryValidatorsRequest {
                status: status.to_owned(),
                pagination: None,
            };
            let path = "/cosmos.staking.v1beta1.Query/Validators";
            let found = match self.ask::<QueryValidatorsResponse>(path, &request).await? {
                Ok(answer) => answer.validators,
                Err(refused) => {
                    lines.push(format!("{status:?}: {refused}"));
                    continue;
                }
            };
            lines.extend(sorted(found.iter().map(|validator| {
                let key = validator.to_ed25519();
                let said = validator.description.clone().unwrap_or_default();
                self.names.name(&format!(
                    "{status:?}: {} with {}, {:?} {:?}, {} tokens, status {}, jailed {}",
                    validator.operator_address,
                    self.names.key(key.as_ref()),
                    lossy(&said.moniker),
                    lossy(&said.details),
                    validator.tokens,
                    validator.status,
                    validator.jailed,
                ))
            })));
        }
        for name in Cast::validators() {
            let key = self.provider_key(name).await?;
            let cons_address = key.address().to_bech32("cosmosvalcons");
            let path = "/cosmos.slashing.v1beta1.Query/SigningInfo";
            let request = QuerySigningInfoRequest {
                cons_address: cons_address.clone(),
            };
            let answer = self.ask::<QuerySigningInfoResponse>(path, &request).await?;
            lines.push(format!("{name}: {answer:?}"));
            let path = format!("{SERVICE}/QueryConsumerChainsValidatorHasToValidate");
            let request = Texts {
                texts: vec![cons_address],
            };
            let answer = self.ask::<Texts>(&path, &request).await?;
            lines.push(format!(
                "{name} has to validate {:?}",
                answer.map(|answer| answer.texts)
            ));
        }
        let comet = self
            .target
            .provider
            .rpc()
            .validators(Some(self.height))
            .await;
        let comet = comet.map_err(|failure| failure.to_string())?;
        lines.extend(comet.iter().map(|validator| {
            let key = self.names.key(Some(&validator.public_key));
            format!("blocks are made with power {} by {key}", validator.power)
        }));
        Ok(lines)
    }

    /// The list of consumers in a phase, or of all.
    async fn list(&self, phase: i32) -> Result<Vec<String>, String> {
        let (mut lines, mut key) = (Vec::new(), Vec::new());
        for page in 0.. {
            let request = QueryConsumerChainsRequest {
                phase,
                pagination: Some(PageRequest {
                    key: key.clone(),
                    limit: PAGE,
                    ..PageRequest::default()
                }),
            };
            let path = format!("{SERVICE}/QueryConsumerChains");
            let answer = self
                .ask::<QueryConsumerChainsResponse>(&path, &request)
                .await??;
            for mut chain in answer.chains {
                let id = chain.consumer_id.clone();
                if phase != 0 {
                    lines.push(format!("page {page}: {id}"));
                    continue;
                }
                let name = metadata(chain.metadata.take().as_ref());
                for list in [
                    &mut chain.allowlist,
                    &mut chain.denylist,
                    &mut chain.prioritylist,
                ] {
                    // By address, which differs.
                    list.sort_by_key(|address| self.names.consensus(address));
                }
                let punished = infraction(chain.infraction_parameters.take().as_ref()).join(", ");
                lines.push(format!("page {page}: {chain:?}, {name}, {punished}"));
            }
            let pages = answer.pagination.unwrap_or_default();
            key = pages.next_key;
            lines.push(format!(
                "page {page} of {}: next {}",
                pages.total,
                hex::encode(&key)
            ));
            if key.is_empty() {
                break;
            }
        }
        Ok(lines)
    }
}
