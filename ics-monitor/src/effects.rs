//! What the machine's actions do in the world: one executor for each.

use std::fs::File;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use ics_core::action::{Action, Check, OpId, Outcome, Query, Tx};
use ics_core::deploy::Deployer;
use ics_core::failure::Failure;
use ics_core::genesis::{
    self, CcvConsumer, CcvError, Expectation, GenesisError, LaunchError, OurKeys,
};
use ics_core::id::ChainId;
use ics_core::key::Form;
use ics_core::keystore::{KeyRef, KeyStore};
use ics_core::policy::{GenesisSource, KeySource};
use ics_core::snapshot::LocalValidator;

use crate::artifacts::FileArtifacts;
use crate::provider::{LaunchGenesis, Provider};
use crate::rpc::Rpc;
use crate::tx::{Message, Sender};
use crate::wire::tx::{MsgAssignConsumerKey, MsgOptIn, MsgOptOut, message};

/// What a monitor works with.
pub struct Backends {
    /// The provider chain.
    pub provider: Provider,
    /// The validator's account.
    pub sender: Sender,
    /// What runs nodes.
    pub deployer: Arc<dyn Deployer>,
    /// Where secrets live.
    pub keys: Arc<dyn KeyStore>,
    /// Where merged genesis files lie.
    pub artifacts: Arc<FileArtifacts>,
    /// Where the RPC of our own nodes is published.
    pub node_rpc: IpAddr,
}

/// Gas that an opt-in may need, for the check that the account can pay; about twice what a real
/// provider simulates for one that carries a key.
const OPT_IN_GAS: u64 = 250_000;

pub(crate) struct Effects {
    backends: Backends,
    local: LocalValidator,
}

impl Effects {
    pub(crate) fn new(backends: Backends, local: LocalValidator) -> Self {
        Self { backends, local }
    }

    /// Does one action and returns its outcome. A panic in it is a failure of unknown effect, and
    /// so is not to end in time.
    pub(crate) async fn perform(self: Arc<Self>, action: Action) -> Option<(OpId, Outcome)> {
        let op = action.op()?;
        // Dropped before the machine gives it up, so that two never overlap.
        let limit = action.time_limit().mul_f32(0.95);
        let done = AssertUnwindSafe(self.execute(action)).catch_unwind();
        let outcome = match tokio::time::timeout(limit, done).await {
            Ok(Ok(Ok(outcome))) => outcome,
            Ok(Ok(Err(failure))) => Outcome::Failed(failure),
            Ok(Err(_)) => {
                Outcome::Failed(Failure::unknown("an action ended by a panic: see the log"))
            }
            Err(_) => Outcome::Failed(Failure::unknown(format!(
                "it did not end within {} s",
                limit.as_secs()
            ))),
        };
        Some((op, outcome))
    }

    async fn execute(&self, action: Action) -> Result<Outcome, Failure> {
        let deployer = &self.backends.deployer;
        match action {
            Action::Apply { spec, .. } => deployer.apply(&spec).await.map(Outcome::Applied),
            Action::Broadcast { tx, .. } => self.broadcast(tx).await,
            Action::BuildGenesis {
                consumer_id,
                source,
                expect,
                height,
                keys,
                ..
            } => {
                let provider = &self.backends.provider;
                let launch = provider.genesis(consumer_id, height).await?;
                self.build_genesis(launch, source, expect, keys).await
            }
            Action::CheckReady { check, .. } => self.check(*check).await,
            Action::Delete { consumer_id, .. } => {
                deployer.delete(consumer_id).await.map(|()| Outcome::Gone)
            }
            Action::ListNodes { .. } => deployer.list().await.map(Outcome::Nodes),
            // Notices have no op and never get here.
            Action::Notify(_) => Ok(Outcome::Gone),
            Action::PrepareKey {
                consumer_id,
                origin,
                ..
            } => self
                .backends
                .keys
                .prepare(consumer_id, origin)
                .await
                .map(Outcome::Key),
            Action::Query { query, .. } => self.query(query).await,
            Action::Stop { consumer_id, .. } => {
                deployer.stop(consumer_id).await.map(|()| Outcome::Gone)
            }
        }
    }

    async fn query(&self, query: Query) -> Result<Outcome, Failure> {
        let provider = &self.backends.provider;
        match query {
            Query::Candidates {
                consumer_id,
                created,
            } => {
                let created = match created {
                    Some(height) => Some(height),
                    None => provider.created_at(consumer_id).await?,
                };
                if let Some(height) = created
                    && let Ok(candidates) = provider.bonded(height).await
                {
                    return Ok(Outcome::Candidates {
                        candidates,
                        height,
                        exact: true,
                    });
                }
                let (height, _) = provider.latest().await?;
                let candidates = provider.bonded(height).await?;
                Ok(Outcome::Candidates {
                    candidates,
                    height,
                    exact: false,
                })
            }
            Query::Consumer {
                consumer_id,
                height,
            } => {
                let height = match height {
                    Some(height) => height,
                    None => provider.latest().await?.0,
                };
                let snapshot = provider.consumer(consumer_id, height, &self.local).await?;
                Ok(Outcome::Consumer(snapshot.map(Box::new)))
            }
            Query::ConsumerSet { rpc_port, .. } => {
                let address = match self.backends.node_rpc {
                    any if any.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
                    address => address,
                };
                let url = format!("http://{}", std::net::SocketAddr::new(address, rpc_port));
                let node = Rpc::new(&url)?;
                // What a node that lags behind says of the set may be long over.
                if node.status().await?.catching_up {
                    let text = format!("{url}: our node is catching up with its chain");
                    return Err(Failure::transient(text));
                }
                let validators = node.validators(None).await?;
                let keys = validators
                    .into_iter()
                    .map(|validator| validator.public_key)
                    .collect();
                Ok(Outcome::ConsumerSet(keys))
            }
            Query::HoldsKey(key, chain_id) => {
                let withheld = self.withheld(&key, &chain_id).await?;
                Ok(Outcome::HoldsKey(withheld.is_none()))
            }
            Query::Phases => {
                let (height, _) = provider.latest().await?;
                let (phases, blocks_per_epoch) =
                    futures::try_join!(provider.phases(), provider.blocks_per_epoch(height))?;
                Ok(Outcome::Phases {
                    phases,
                    blocks_per_epoch,
                })
            }
        }
    }

    /// Why a key cannot sign under this chain id; `None` if it can.
    async fn withheld(&self, key: &KeyRef, chain_id: &ChainId) -> Result<Option<String>, Failure> {
        let (id, public_key) = (key.consumer_id, key.public_key);
        let stored = self.backends.keys.load(key).await?;
        if stored.is_some_and(|stored| stored.standing.may_sign()) {
            let refusal = self.backends.keys.refusal(key, chain_id).await?;
            return Ok(refusal.map(|why| format!("key {public_key} {why}")));
        }
        Ok(Some(if public_key == self.local.provider_key {
            format!(
                "our provider key is to sign, but this instance holds no copy of it for consumer \
                 {id} that may: stop ics-monitor, run ics-monitor keys import {id} FILE \
                 --provider-key, with --state FILE or --never-signed, start it again"
            )
        } else {
            format!(
                "key {public_key} is assigned, but this instance does not hold it: assign another \
                 on the provider, or run the instance that holds it"
            )
        }))
    }

    async fn broadcast(&self, tx: Tx) -> Result<Outcome, Failure> {
        let message = self.message(tx);
        match self.backends.sender.send(vec![message], "").await {
            Ok(included) => Ok(Outcome::Included(included.height)),
            Err(error) if error.is_of_top_n() => Ok(Outcome::CannotOptOut),
            Err(error) => Err(error.into()),
        }
    }

    fn message(&self, tx: Tx) -> Message {
        let provider_addr = self.backends.sender.account().operator_text();
        let signer = self.backends.sender.account().address_text();
        let consumer_id = tx.consumer_id().to_string();
        let json = |key: KeyRef| key.public_key.to_form(Form::Sdk);
        // The fields left out are the deprecated chain ids, which the provider refuses if set.
        match tx {
            Tx::AssignKey(key) => message(&MsgAssignConsumerKey {
                provider_addr,
                consumer_key: json(key),
                signer,
                consumer_id,
                ..MsgAssignConsumerKey::default()
            }),
            Tx::OptIn { key, .. } => message(&MsgOptIn {
                provider_addr,
                consumer_key: key.map(json).unwrap_or_default(),
                signer,
                consumer_id,
                ..MsgOptIn::default()
            }),
            Tx::OptOut(_) => message(&MsgOptOut {
                provider_addr,
                signer,
                consumer_id,
                ..MsgOptOut::default()
            }),
        }
    }

    /// Checks all that an opt-in depends on; the failure names everything that is missing.
    async fn check(&self, check: Check) -> Result<Outcome, Failure> {
        let signer_port = match check.run.key {
            KeySource::Remote { port, .. } => Some(port),
            KeySource::Fresh | KeySource::Imported | KeySource::Provider => None,
        };
        let deployer = self.backends.deployer.check(
            check.consumer_id,
            &check.run.program,
            &check.ports,
            signer_port,
        );
        let key = async {
            let Some(key) = &check.key else { return Ok(()) };
            let withheld = self.withheld(key, &check.chain_id).await?;
            withheld.map_or(Ok(()), |why| Err(Failure::permanent(why)))
        };
        let file = check_file(check.run.genesis.clone(), check.expect.clone());
        let pay = self.backends.sender.can_pay(OPT_IN_GAS);
        let (deployer, key, file, pay) = futures::join!(deployer, key, file, pay);
        let missing: Vec<_> = [deployer, key, file, pay]
            .into_iter()
            .filter_map(Result::err)
            .map(|failure| failure.message)
            .collect();
        if missing.is_empty() {
            Ok(Outcome::Ready)
        } else {
            Err(Failure::transient(missing.join("; ")))
        }
    }

    async fn build_genesis(
        &self,
        genesis: LaunchGenesis,
        source: GenesisSource,
        expect: Expectation,
        keys: OurKeys,
    ) -> Result<Outcome, Failure> {
        let refuse = |error: CcvError| Failure::permanent(error.to_string());
        let ccv = CcvConsumer::new(genesis.json.clone(), source.ics_version).map_err(refuse)?;
        let artifacts = Arc::clone(&self.backends.artifacts);
        let launch = genesis.launch.clone();
        // A large file is merged while the next header, which proves the genesis, is on its way.
        let merged = blocking(move || {
            let file = open(&source)?;
            artifacts.create(|out| {
                let found = genesis::merge(file, &ccv, out).map_err(|e| unmerged(&source, &e))?;
                let checked = expect.check(&source, &found);
                checked.map_err(|e| wrong(&source, &e))?;
                launch.check_file(&found).map_err(|e| wrong(&source, &e))
            })
        });
        let verified = self.backends.provider.verify(&genesis);
        let (artifact, trust) = futures::try_join!(merged, verified)?;
        Ok(Outcome::Genesis {
            artifact,
            trust,
            standing: genesis.launch.standing(keys),
        })
    }
}

/// Reads the pre-CCV file through and compares it with what the provider says.
async fn check_file(source: GenesisSource, expect: Expectation) -> Result<(), Failure> {
    blocking(move || {
        let found = genesis::read(open(&source)?).map_err(|e| wrong(&source, &e))?;
        expect
            .check(&source, &found)
            .map_err(|e| wrong(&source, &e))?;
        match found.validators.len() {
            0 => Ok(()),
            own => Err(wrong(&source, &LaunchError::Validators(own))),
        }
    })
    .await
}

fn open(source: &GenesisSource) -> Result<File, Failure> {
    File::open(&source.path).map_err(|e| wrong(source, &e))
}

/// A merge fails by its file or by the disk.
fn unmerged(source: &GenesisSource, error: &GenesisError) -> Failure {
    match error {
        GenesisError::Io(e) => Failure::transient(format!(
            "merging {}: {e}; is the disk of data_dir full?",
            source.path
        )),
        error => wrong(source, error),
    }
}

fn wrong(source: &GenesisSource, error: &dyn std::fmt::Display) -> Failure {
    Failure::permanent(format!("pre-CCV genesis {}: {error}", source.path))
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::unknown("work on a file ended by a panic: see the log"))?
}
