//! All that the monitor and its CLI ask of a provider at one height, line by line.

use futures::future::try_join_all;
use ics_core::genesis::Trust;
use ics_core::id::ConsumerId;
use ics_core::time::{Height, UnixTime};
use ics_monitor::wire::base::Timestamp;
use ics_monitor::wire::provider::{
    ConsumerInitializationParameters, ConsumerMetadata, InfractionParameters, SlashJailParameters,
};
use ics_monitor::wire::query::{
    QueryAllPairsValConsAddrByConsumerResponse, QueryConsumerChainOptedInValidatorsResponse,
    QueryConsumerChainRequest, QueryConsumerChainResponse, QueryConsumerGenesisResponse,
    QueryConsumerValidatorsResponse, SERVICE,
};
use ics_monitor::wire::sdk::Pairs;
use prost::Message;

use crate::names::{Names, time};
use crate::target::Target;

/// What is found under one prefix of the provider's store (`x/ccv/provider/types/keys.go`).
struct Scan {
    prefix: u8,
    what: &'static str,
    /// Whether the consumer's id follows the prefix with its length before it, or alone.
    has_length: bool,
}

const fn scan(prefix: u8, what: &'static str, has_length: bool) -> Scan {
    Scan {
        prefix,
        what,
        has_length,
    }
}

const SCANS: [Scan; 13] = [
    scan(0x07, "client", false),
    scan(0x0e, "genesis", false),
    scan(0x16, "assigned key", true),
    scan(0x17, "by consumer address", true),
    scan(0x20, "opted in", true),
    scan(0x24, "allowlist", true),
    scan(0x25, "denylist", true),
    scan(0x27, "commission", true),
    scan(0x28, "least power", true),
    scan(0x31, "phase", true),
    scan(0x32, "removal time", true),
    scan(0x38, "prioritylist", true),
    scan(0x3a, "queued infraction", true),
];

/// Queues, by time: of launches, deletions and changes of infraction parameters.
const QUEUES: [(u8, &str); 3] = [
    (0x33, "to launch"),
    (0x34, "to be deleted"),
    (0x3b, "to change"),
];

/// `ConsumerIds`.
#[derive(Clone, PartialEq, Message)]
struct Ids {
    #[prost(string, repeated, tag = "1")]
    ids: Vec<String>,
}

/// The provider at one height.
pub(crate) struct View<'a> {
    pub(crate) target: &'a Target,
    pub(crate) names: &'a Names,
    pub(crate) height: Height,
    now: UnixTime,
}

impl<'a> View<'a> {
    pub(crate) const fn at(
        target: &'a Target,
        names: &'a Names,
        height: Height,
        now: UnixTime,
    ) -> Self {
        Self {
            target,
            names,
            height,
            now,
        }
    }

    /// Asks a query; what it refuses is an answer, too.
    pub(crate) async fn ask<M: Message + Default>(
        &self,
        path: &str,
        request: &impl Message,
    ) -> Result<Result<M, String>, String> {
        let rpc = self.target.provider.rpc();
        let asked = rpc
            .abci_query(path, request.encode_to_vec(), Some(self.height))
            .await;
        let answer = asked.map_err(|failure| format!("{path}: {failure}"))?;
        if answer.code != 0 {
            let (code, log) = (answer.code, &answer.log);
            return Ok(Err(format!("{} {code}: {log}", answer.codespace)));
        }
        let decoded = M::decode(&*answer.value).map_err(|error| format!("{path}: {error}"))?;
        if path.starts_with(SERVICE) && decoded.encode_to_vec() != answer.value && !is_partial(path)
        {
            return Err(format!("{path}: the answer has fields that are not known"));
        }
        Ok(Ok(decoded))
    }

    async fn of_consumer<M: Message + Default>(
        &self,
        query: &str,
        id: &str,
    ) -> Result<Result<M, String>, String> {
        let request = QueryConsumerChainRequest {
            consumer_id: id.to_owned(),
        };
        self.ask(&format!("{SERVICE}/{query}"), &request).await
    }

    /// What is answered about a consumer at this height.
    pub(crate) async fn consumer(&self, id: &str) -> Result<Vec<String>, String> {
        let (chain, set, opted_in, keys, genesis) = futures::try_join!(
            self.chain(id),
            self.set(id),
            self.opted_in(id),
            self.keys(id),
            self.genesis(id),
        )?;
        Ok([chain, set, opted_in, keys, genesis].concat())
    }

    async fn chain(&self, id: &str) -> Result<Vec<String>, String> {
        let chain = self
            .of_consumer::<QueryConsumerChainResponse>("QueryConsumerChain", id)
            .await?;
        let chain = match chain {
            Ok(chain) => chain,
            Err(refused) => return Ok(vec![format!("chain: {refused}")]),
        };
        let mut lines = vec![
            format!(
                "id {}, chain id {:?}",
                chain.consumer_id,
                lossy(&chain.chain_id)
            ),
            format!("owner {}", chain.owner_address),
            chain.phase,
            format!("client {:?}", chain.client_id),
            metadata(chain.metadata.as_ref()),
            format!("{:?}", chain.power_shaping_params),
        ];
        lines.extend(init(chain.init_params.as_ref(), self.now));
        lines.extend(infraction(chain.infraction_parameters.as_ref()));
        Ok(lines)
    }

    async fn set(&self, id: &str) -> Result<Vec<String>, String> {
        let query = "QueryConsumerValidators";
        let set = match self
            .of_consumer::<QueryConsumerValidatorsResponse>(query, id)
            .await?
        {
            Ok(set) => set,
            Err(refused) => return Ok(vec![format!("validators: {refused}")]),
        };
        let member = |member: &ics_monitor::wire::query::QueryConsumerValidatorsValidator| {
            let key = member
                .consumer_key
                .as_ref()
                .and_then(|key| key.to_ed25519());
            let description = member.description.clone().unwrap_or_default();
            format!(
                "validator {}: power {} with {}; operator {} ({:?} {:?}), power {}, {} tokens, \
                 rates {} of {}, status {}, jailed {}, validates {}, unused {} {:?}",
                self.names.consensus(&member.provider_address),
                member.consumer_power,
                self.names.key(key.as_ref()),
                member.provider_operator_address,
                lossy(&description.moniker),
                lossy(&description.details),
                member.provider_power,
                member.provider_tokens,
                member.consumer_commission_rate,
                member.provider_commission_rate,
                member.status,
                member.jailed,
                member.validates_current_epoch,
                member.power,
                member.rate,
            )
        };
        Ok(sorted(set.validators.iter().map(member)))
    }

    async fn opted_in(&self, id: &str) -> Result<Vec<String>, String> {
        let query = "QueryConsumerChainOptedInValidators";
        let answer = self
            .of_consumer::<QueryConsumerChainOptedInValidatorsResponse>(query, id)
            .await?;
        Ok(match answer {
            Err(refused) => vec![format!("opted in: {refused}")],
            Ok(answer) => {
                let who = answer.validators_provider_addresses;
                sorted(
                    who.iter()
                        .map(|address| format!("opted in: {}", self.names.consensus(address))),
                )
            }
        })
    }

    async fn keys(&self, id: &str) -> Result<Vec<String>, String> {
        let query = "QueryAllPairsValConsAddrByConsumer";
        let answer = self
            .of_consumer::<QueryAllPairsValConsAddrByConsumerResponse>(query, id)
            .await?;
        let pairs = match answer {
            Ok(pairs) => pairs.pair_val_con_addr,
            Err(refused) => return Ok(vec![format!("keys: {refused}")]),
        };
        let mut lines = Vec::new();
        for pair in pairs {
            let key = pair.consumer_key.as_ref().and_then(|key| key.to_ed25519());
            let address = key
                .as_ref()
                .map(|key| key.address().to_bech32("cosmosvalcons"));
            if address.as_deref() != Some(pair.consumer_address.as_str()) {
                return Err(format!(
                    "{query}: {} is of another key",
                    pair.consumer_address
                ));
            }
            let who = self.names.consensus(&pair.provider_address);
            lines.push(format!("{who} assigned {}", self.names.key(key.as_ref())));
        }
        Ok(sorted(lines))
    }

    /// A launch genesis without its times, heights and hashes, and whether it can be proved.
    async fn genesis(&self, id: &str) -> Result<Vec<String>, String> {
        let query = "QueryConsumerGenesis";
        let answer = match self
            .of_consumer::<QueryConsumerGenesisResponse>(query, id)
            .await?
        {
            Ok(answer) => answer,
            Err(refused) => return Ok(vec![format!("genesis: {refused}")]),
        };
        let mut genesis = answer.genesis_state.ok_or("no genesis state")?;
        let provider = genesis.provider.as_mut().ok_or("no provider")?;
        let mut lines = Vec::new();
        for member in provider.initial_val_set.drain(..) {
            let key = member.pub_key.as_ref().and_then(|key| key.to_ed25519());
            let key = self.names.key(key.as_ref());
            lines.push(format!("genesis: power {} with {key}", member.power));
        }
        if let Some(state) = provider.consensus_state.take() {
            let root = state.root.map(|root| root.hash.len());
            let next = state.next_validators_hash.len();
            let at = time(state.timestamp.and_then(Timestamp::to_unix), self.now);
            lines.push(format!(
                "genesis: state at {at}, hashes of {root:?} and {next} bytes"
            ));
        }
        if let Some(height) = provider
            .client_state
            .as_mut()
            .and_then(|it| it.latest_height.as_mut())
        {
            // Heights differ; `verify` compares it with the header of the launch block.
            height.revision_height = 0;
        }
        lines.push(format!("genesis: {genesis:?}"));
        let consumer = ConsumerId::new(id.parse().map_err(|_| "no id")?);
        let provider = &self.target.provider;
        let genesis = provider
            .genesis(consumer, self.height)
            .await
            .map_err(|e| e.to_string())?;
        let trust = provider
            .verify(&genesis)
            .await
            .map_err(|failure| failure.to_string())?;
        lines.push(match trust {
            Trust::Proved(_) => "genesis: proved".to_owned(),
            other => format!("genesis: {other:?}"),
        });
        let key = [b"\x0e", id.as_bytes()].concat();
        let proved = provider
            .rpc()
            .abci_query_proved("/store/provider/key", key, self.height)
            .await;
        let (_, ops) = proved.map_err(|failure| failure.to_string())?;
        for op in ops {
            lines.push(format!(
                "genesis: proof {} of {}",
                op.kind,
                hex::encode(&op.key)
            ));
        }
        Ok(lines)
    }

    /// What lies in the provider's store about a consumer: now, whatever the height.
    pub(crate) async fn stored(&self, id: &str) -> Result<Vec<String>, String> {
        let scans = SCANS.iter().map(async |scan| {
            let key = if scan.has_length {
                let length = (id.len() as u64).to_be_bytes();
                [&[scan.prefix][..], &length, id.as_bytes()].concat()
            } else {
                [&[scan.prefix][..], id.as_bytes()].concat()
            };
            let of_another = |found: &[u8]| !scan.has_length && found.len() != key.len();
            let pairs = self.subspace(key.clone()).await?.pairs.into_iter();
            let pairs = pairs.filter(|pair| !of_another(&pair.key));
            Ok::<_, String>(sorted(pairs.map(|pair| {
                let value = match scan.prefix {
                    // A genesis was told already; an instant differs.
                    0x0e => "something".to_owned(),
                    0x32 => format!("{} bytes", pair.value.len()),
                    _ => hex::encode(&pair.value),
                };
                let line = format!("{}: {} = {value}", scan.what, hex::encode(&pair.key));
                self.names.name(&line)
            })))
        });
        let queues = QUEUES.iter().map(async |(prefix, what)| {
            let mut lines = Vec::new();
            for pair in self.subspace(vec![*prefix]).await?.pairs {
                let ids = Ids::decode(&*pair.value)
                    .map_err(|error| error.to_string())?
                    .ids;
                if ids.iter().any(|queued| queued == id) {
                    let at = String::from_utf8_lossy(&pair.key[1..]).into_owned();
                    let read = UnixTime::from_rfc3339(&format!("{at}Z"));
                    let at = time(read, self.now);
                    lines.push(format!("{what} {at}: {}", ids.join(", ")));
                }
            }
            Ok::<_, String>(lines)
        });
        let (scans, queues) = futures::try_join!(try_join_all(scans), try_join_all(queues))?;
        Ok([scans.concat(), queues.concat()].concat())
    }

    async fn subspace(&self, key: Vec<u8>) -> Result<Pairs, String> {
        let rpc = self.target.provider.rpc();
        let answer = rpc.abci_query("/store/provider/subspace", key, None).await;
        let answer = answer.map_err(|failure| failure.to_string())?;
        Pairs::decode(&*answer.value).map_err(|error| error.to_string())
    }
}

/// Answers of which the monitor reads only a part.
fn is_partial(path: &str) -> bool {
    path.ends_with("/QueryParams")
}

pub(crate) fn sorted(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    lines.sort();
    lines
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    /// Longer texts are cut: their length tells enough.
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    match text.get(..LONGEST) {
        Some(start) => format!("{start}... of {} bytes", bytes.len()),
        None => text.into_owned(),
    }
}

pub(crate) fn metadata(said: Option<&ConsumerMetadata>) -> String {
    let said = said.map(|said| {
        let [name, description, more] =
            [&said.name, &said.description, &said.metadata].map(|it| lossy(it));
        format!("{name:?}, {description:?}, {more:?}")
    });
    format!("metadata {}", said.unwrap_or_else(|| "none".into()))
}

fn init(params: Option<&ConsumerInitializationParameters>, now: UnixTime) -> Vec<String> {
    let Some(params) = params else {
        return vec!["no initialization parameters".into()];
    };
    let spawn = params.spawn_time.and_then(Timestamp::to_unix);
    let mut rest = params.clone();
    rest.spawn_time = None;
    let hashes = [&mut rest.genesis_hash, &mut rest.binary_hash].map(std::mem::take);
    let [genesis, binary] = hashes.map(hex::encode);
    vec![
        format!("spawn time {}", time(spawn, now)),
        format!("hashes {genesis:?} and {binary:?}"),
        format!("{rest:?}"),
    ]
}

pub(crate) fn infraction(params: Option<&InfractionParameters>) -> Vec<String> {
    let part = |what: &str, part: Option<&SlashJailParameters>| match part {
        None => format!("no punishment for {what}"),
        Some(part) => {
            let slash = lossy(&part.slash_fraction);
            let jail = part.jail_duration;
            format!(
                "{what}: slash {slash}, jail {jail:?}, tombstone {}",
                part.tombstone
            )
        }
    };
    match params {
        None => vec!["no infraction parameters".into()],
        Some(params) => vec![
            part("double sign", params.double_sign.as_ref()),
            part("downtime", params.downtime.as_ref()),
        ],
    }
}
