//! A whole devnet: a provider chain, a Docker engine, and a monitor for each validator.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use serde_json::{Value, json};

use crate::bridge::Bridge;
use crate::engine::Engine;
use crate::monitor::MonitorProcess;
use crate::owner::{PreCcv, PreCcvSpec};
use crate::process::Lifetime;
use crate::program::Program;
use crate::provider::{Profile, ProviderChain, ProviderSpec, ValidatorSpec};
use crate::rpc::Rpc;
use crate::{Daemons, Error, image, leftovers, wait};

/// What a devnet is to be.
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// How long the provider's stake stays bonded, and so a stopped consumer lasts.
    pub profile: Profile,
    /// Whether everything ends with the handle.
    pub lifetime: Lifetime,
    /// A name that tells this devnet's containers from those of others: 1 to 8 of `[a-z0-9]`.
    pub name: String,
}

/// A running devnet.
#[derive(Debug)]
pub struct World {
    /// The provider chain.
    pub chain: ProviderChain,
    /// The Docker engine.
    pub engine: Engine,
    program: Program,
    daemons: Daemons,
    folder: PathBuf,
    name: String,
    lifetime: Lifetime,
    validators: BTreeMap<String, Validator>,
    _bridge: Bridge,
}

/// One validator with its monitor.
#[derive(Debug)]
struct Validator {
    address: Ipv4Addr,
    config: PathBuf,
    monitor: Option<MonitorProcess>,
}

/// A consumer that its owner created.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// The provider's id.
    pub id: String,
    /// Its chain id.
    pub chain_id: String,
    /// The ports that `ics-monitor ports` gives.
    pub ports: Value,
    /// Where the monitors read the pre-CCV genesis.
    pub pre_ccv: PathBuf,
    parameters: Value,
}

impl World {
    /// Builds what is not built, starts chain and engine, and writes a configuration for each
    /// monitor; starts none.
    ///
    /// # Errors
    /// When a part cannot be had; the text says which and what to do.
    pub async fn start(spec: WorldSpec, folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        let folder = std::path::absolute(folder).map_err(Error::file("resolve", folder))?;
        let (daemons, program) = futures::try_join!(Daemons::build(), Program::build())?;
        let engine = Engine::find_or_start(spec.lifetime).await?;
        let image = image::consumer(&engine, &daemons).await?;
        let mut provider = ProviderSpec {
            profile: spec.profile,
            lifetime: spec.lifetime,
            ..ProviderSpec::default()
        };
        let count = u8::try_from(provider.validators.len()).unwrap_or(u8::MAX);
        let bridge = Bridge::create(count, spec.lifetime).await?;
        record(&folder, bridge.name())?;
        let mut validators = BTreeMap::new();
        for (validator, address) in provider.validators.iter_mut().zip(bridge.addresses()) {
            let config = folder.join(&validator.name).join("monitor.toml");
            publish(&program, validator, *address, &config).await?;
            let name = validator.name.clone();
            validators.insert(
                name,
                Validator {
                    address: *address,
                    config,
                    monitor: None,
                },
            );
        }
        let chain = ProviderChain::start(&daemons, provider, &folder.join("provider")).await?;
        let world = Self {
            chain,
            engine,
            program,
            daemons,
            folder,
            name: spec.name,
            lifetime: spec.lifetime,
            validators,
            _bridge: bridge,
        };
        world.configure(&image)?;
        Ok(world)
    }

    /// Writes the configurations of all monitors and of the owner.
    fn configure(&self, image: &str) -> Result<(), Error> {
        let pre_ccv = self.folder.join("pre-ccv");
        fs::create_dir_all(&pre_ccv).map_err(Error::file("create", &pre_ccv))?;
        for (name, validator) in &self.validators {
            let text = json!({
                "instance": self.instance(name),
                "data_dir": self.folder.join(name),
                "provider": self.provider_config(name)?,
                "account": {"mnemonic_file": self.chain.mnemonic_file(name)?},
                "tx": {"gas_price": "0.005stake", "max_fee": 100_000},
                "node": {
                    "private_peers": true,
                    "timeout_commit": "700ms",
                    "min_gas_prices": "0stake",
                },
                "docker": {
                    "socket": self.engine.socket(),
                    "publish_address": validator.address,
                    "rpc_address": validator.address,
                },
                "rules": [{
                    "name": "devnet",
                    "verdict": "allow",
                    // Nothing on a devnet has a value, and its owner is made with it.
                    "match": {"any_owner": true},
                    "run": {
                        "image": image,
                        "command": ["/consumer-d", "start"],
                        "home": "/data",
                        "genesis": {"path": pre_ccv.join("{consumer_id}.json")},
                    },
                }],
            });
            write_toml(&validator.config, &text)?;
        }
        let owner = json!({
            "provider": self.provider_config("alice")?,
            "account": {"mnemonic_file": self.chain.mnemonic_file("owner")?},
            "tx": {"gas_price": "0.005stake", "max_fee": 100_000},
        });
        write_toml(&self.folder.join("owner.toml"), &owner)
    }

    fn provider_config(&self, node: &str) -> Result<Value, Error> {
        Ok(json!({"rpc": self.chain.rpc_url(node)?, "chain_id": self.chain.chain_id()}))
    }

    /// The program under test.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Where everything of this devnet lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The instance name of a validator's monitor.
    pub fn instance(&self, validator: &str) -> String {
        format!("{}-{validator}", self.name)
    }

    /// The configuration of a validator's monitor.
    ///
    /// # Errors
    /// When there is no such validator.
    pub fn config(&self, validator: &str) -> Result<&Path, Error> {
        Ok(&self.validator(validator)?.config)
    }

    /// The address that a validator publishes its nodes on.
    ///
    /// # Errors
    /// When there is no such validator.
    pub fn address(&self, validator: &str) -> Result<Ipv4Addr, Error> {
        Ok(self.validator(validator)?.address)
    }

    fn validator(&self, name: &str) -> Result<&Validator, Error> {
        self.validators
            .get(name)
            .ok_or_else(|| Error::Setup(format!("no validator {name}")))
    }

    /// Starts the monitors of these validators.
    ///
    /// # Errors
    /// When one does not start, or ends at once.
    pub async fn start_monitors(&mut self, names: &[&str]) -> Result<(), Error> {
        for name in names {
            let log = self.folder.join(format!("{name}.log"));
            let (program, lifetime) = (self.program.path().to_owned(), self.lifetime);
            let config = self.validator(name)?.config.clone();
            let monitor = MonitorProcess::spawn(&program, &config, &log, lifetime)?;
            monitor
                .wait_for_log("follows the provider", Duration::from_secs(30))
                .await?;
            if let Some(validator) = self.validators.get_mut(*name) {
                validator.monitor = Some(monitor);
            }
        }
        Ok(())
    }

    /// The running or ended monitor of a validator.
    ///
    /// # Errors
    /// When it was never started.
    pub fn monitor(&mut self, name: &str) -> Result<&mut MonitorProcess, Error> {
        let monitor = self
            .validators
            .get_mut(name)
            .and_then(|v| v.monitor.as_mut());
        monitor.ok_or_else(|| Error::Setup(format!("no monitor of {name} was started")))
    }

    /// Ends all monitors, removes all containers and volumes of this devnet, stops the chain.
    ///
    /// # Errors
    /// When a part does not end.
    pub async fn stop(mut self) -> Result<(), Error> {
        for validator in self.validators.values_mut() {
            if let Some(monitor) = &mut validator.monitor
                && monitor.is_running()
            {
                monitor.terminate().await?;
            }
        }
        for name in self.validators.keys() {
            leftovers::remove(&self.engine, &self.instance(name)).await?;
        }
        self.chain.stop().await
    }

    /// Creates a consumer as its owner, launching in `spawn_in`, or not yet with `None`.
    ///
    /// Its pre-CCV genesis lies where the monitors look for it before the provider knows of it.
    ///
    /// # Errors
    /// When the owner's tools or the provider refuse.
    pub async fn create_consumer(
        &self,
        chain_id: &str,
        spawn_in: Option<Duration>,
    ) -> Result<Consumer, Error> {
        let known = self.owner(&["consumer", "list"]).await?;
        let next = known["consumers"].as_array().map_or(0, Vec::len);
        let spawn_time = spawn_in.map(|spawn_in| rfc3339(SystemTime::now() + spawn_in));
        let genesis_time = match &spawn_time {
            Some(time) => time.clone(),
            None => rfc3339(SystemTime::now()),
        };
        let relayer = self.chain.account_address("relayer")?;
        let spec = PreCcvSpec {
            chain_id,
            initial_height: 1,
            genesis_time: &genesis_time,
            funded: &[relayer],
        };
        let made = self.folder.join(format!("owner-{next}"));
        let made = PreCcv::make(&self.daemons, &made, &spec).await?;
        let pre_ccv = self.folder.join("pre-ccv").join(format!("{next}.json"));
        fs::copy(&made.path, &pre_ccv).map_err(Error::file("copy", &pre_ccv))?;
        let parameters = parameters(chain_id, &made.sha256, spawn_time.as_deref());
        let description = json!({
            "chain_id": chain_id,
            "metadata": {"name": "consumer", "description": "of the devnet", "metadata": "{}"},
            "initialization_parameters": parameters,
        });
        let created = self.owner_file("create", &description).await?;
        let ports = self.owner(&["ports", chain_id]).await?;
        Ok(Consumer {
            id: created["consumer_id"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            chain_id: chain_id.to_owned(),
            ports,
            pre_ccv,
            parameters,
        })
    }

    /// Sets a new spawn time for a consumer, as its owner.
    ///
    /// # Errors
    /// When the provider refuses.
    pub async fn set_spawn_time(
        &self,
        consumer: &Consumer,
        spawn_in: Duration,
    ) -> Result<(), Error> {
        let mut parameters = consumer.parameters.clone();
        parameters["spawn_time"] = rfc3339(SystemTime::now() + spawn_in).into();
        let change = json!({
            "consumer_id": consumer.id,
            "initialization_parameters": parameters,
        });
        self.owner_file("update", &change).await.map(|_| ())
    }

    /// Runs the program as the owner of consumers and returns its answer.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn owner(&self, arguments: &[&str]) -> Result<Value, Error> {
        self.program
            .ask(&self.folder.join("owner.toml"), arguments)
            .await
    }

    async fn owner_file(&self, verb: &str, description: &Value) -> Result<Value, Error> {
        let path = self.folder.join(format!("{verb}.json"));
        fs::write(&path, description.to_string()).map_err(Error::file("write", &path))?;
        self.owner(&["consumer", verb, &path.to_string_lossy()])
            .await
    }

    /// What the provider says of a consumer, as `ics-monitor consumer show` prints it.
    ///
    /// # Errors
    /// When the provider does not know it.
    pub async fn show(&self, consumer: &Consumer) -> Result<Value, Error> {
        self.owner(&["consumer", "show", &consumer.id]).await
    }

    /// Waits until the provider has a consumer in this phase, such as `LAUNCHED`.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub async fn wait_for_phase(
        &self,
        consumer: &Consumer,
        phase: &str,
        timeout: Duration,
    ) -> Result<Value, Error> {
        let what = format!("phase {phase} of consumer {}", consumer.id);
        wait::until(&what, timeout, async || {
            let shown = self.show(consumer).await?;
            if shown["phase"] == phase {
                return Ok(Some(shown));
            }
            Err(Error::Reply(format!("phase {}", shown["phase"])))
        })
        .await
    }

    /// The RPC of a validator's consumer node.
    ///
    /// # Errors
    /// When there is no such validator.
    pub fn consumer_rpc(&self, validator: &str, consumer: &Consumer) -> Result<Rpc, Error> {
        Rpc::new(&format!(
            "http://{}:{}",
            self.address(validator)?,
            consumer.ports["rpc"]
        ))
    }

    /// A validator's container for a consumer; `None` if there is none.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn container(
        &self,
        validator: &str,
        consumer: &Consumer,
    ) -> Result<Option<ContainerInspectResponse>, Error> {
        let name = self.object_name(validator, consumer);
        let found = self.engine.client();
        match found
            .inspect_container(&name, None::<InspectContainerOptions>)
            .await
        {
            Ok(container) => Ok(Some(container)),
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(Error::engine(format!("inspect {name}"))(error)),
        }
    }

    /// Whether a validator's volume for a consumer is there.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn has_volume(&self, validator: &str, consumer: &Consumer) -> Result<bool, Error> {
        let name = self.object_name(validator, consumer);
        match self.engine.client().inspect_volume(&name).await {
            Ok(_) => Ok(true),
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(false),
            Err(error) => Err(Error::engine(format!("inspect volume {name}"))(error)),
        }
    }

    /// The names of all containers of this devnet, running or not.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn containers(&self) -> Result<Vec<String>, Error> {
        let all = ListContainersOptionsBuilder::default().all(true).build();
        let listed = self.engine.client().list_containers(Some(all)).await;
        let listed = listed.map_err(Error::engine("list containers"))?;
        let prefix = format!("/ics-{}-", self.name);
        let names = listed
            .into_iter()
            .flat_map(|container| container.names.unwrap_or_default());
        Ok(names.filter(|name| name.starts_with(&prefix)).collect())
    }

    /// The name of a validator's container and volume for a consumer.
    pub fn object_name(&self, validator: &str, consumer: &Consumer) -> String {
        format!("ics-{}-{}", self.instance(validator), consumer.id)
    }
}

/// Makes a validator publish the P2P identity that its monitor's nodes will have.
async fn publish(
    program: &Program,
    validator: &mut ValidatorSpec,
    address: Ipv4Addr,
    config: &Path,
) -> Result<(), Error> {
    let folder = config.parent().unwrap_or(config);
    fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    // Enough of a configuration to make the node key with; the rest needs the chain.
    let text = json!({"data_dir": folder, "docker": {"publish_address": address}});
    write_toml(config, &text)?;
    let answer = program.ask(config, &["node-id"]).await?;
    validator.details = answer["details"].as_str().map(str::to_owned);
    Ok(())
}

/// Keeps the name of the bridge, so that a later command can remove it.
fn record(folder: &Path, bridge: &str) -> Result<(), Error> {
    let path = folder.join("bridge");
    fs::write(&path, bridge).map_err(Error::file("write", &path))
}

fn write_toml(path: &Path, value: &Value) -> Result<(), Error> {
    let text = toml::to_string(value)
        .map_err(|e| Error::Setup(format!("{} cannot be made: {e}", path.display())))?;
    fs::write(path, text).map_err(Error::file("write", path))
}

fn parameters(chain_id: &str, genesis_hash: &str, spawn_time: Option<&str>) -> Value {
    let revision: u64 = chain_id
        .rsplit_once('-')
        .and_then(|(_, digits)| digits.parse().ok())
        .unwrap_or(0);
    json!({
        "initial_height": {"revision_number": revision, "revision_height": 1},
        "genesis_hash": genesis_hash,
        "binary_hash": "",
        "spawn_time": spawn_time,
        "unbonding_period": "480h",
        "ccv_timeout_period": "672h",
        "transfer_timeout_period": "1h",
        "consumer_redistribution_fraction": "0.75",
        "blocks_per_distribution_transmission": 1000,
        "historical_entries": 10000,
    })
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
