//! A whole devnet: a provider chain, a Docker engine, and a monitor for each validator.

mod consumers;
mod history;
mod nodes;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::bridge::Bridge;
use crate::engine::Engine;
use crate::leftovers::{self, Guard};
use crate::monitor::MonitorProcess;
use crate::process::Lifetime;
use crate::program::Program;
use crate::provider::{Profile, ProviderChain, ProviderSpec, ValidatorSpec};
use crate::{Daemons, Error, image};

pub use consumers::{Consumer, ConsumerSpec, Member};
pub use history::{OptIn, height_in};

/// How long a monitor may take from its start to its first block of the provider.
const STARTED: Duration = Duration::from_secs(30);

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
///
/// A tied one that is dropped without [`World::stop`], as by a failing test, shows the logs and
/// removes its containers and volumes, too.
#[derive(Debug)]
pub struct World {
    // In the order in which the parts have to end: a monitor would replace a removed container.
    validators: BTreeMap<String, Validator>,
    /// The provider chain.
    pub chain: ProviderChain,
    _leftovers: Guard,
    /// The Docker engine.
    pub engine: Engine,
    program: Program,
    daemons: Daemons,
    folder: PathBuf,
    name: String,
    lifetime: Lifetime,
    /// One transaction of the owner at a time, whose account counts them.
    owner: Mutex<()>,
    _bridge: Bridge,
}

/// One validator with its monitor.
#[derive(Debug)]
struct Validator {
    address: Ipv4Addr,
    config: PathBuf,
    monitor: Option<MonitorProcess>,
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
        let instances = validators.keys().map(|name| instance(&spec.name, name));
        let guard = Guard::new(&engine, instances.collect(), spec.lifetime).await?;
        let chain = ProviderChain::start(&daemons, provider, &folder.join("provider")).await?;
        let world = Self {
            validators,
            chain,
            _leftovers: guard,
            engine,
            program,
            daemons,
            folder,
            name: spec.name,
            lifetime: spec.lifetime,
            owner: Mutex::new(()),
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
        instance(&self.name, validator)
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

    /// Changes the configuration of a validator's monitor; a running one has read it already.
    ///
    /// # Errors
    /// When there is no such validator, or the file cannot be read or written.
    pub fn reconfigure(
        &self,
        validator: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<(), Error> {
        let path = self.config(validator)?;
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        let mut config: Value =
            toml::from_str(&text).map_err(|e| Error::Reply(format!("{}: {e}", path.display())))?;
        change(&mut config);
        write_toml(path, &config)
    }

    /// Starts the monitors of these validators.
    ///
    /// # Errors
    /// When one does not start, or ends at once.
    pub async fn start_monitors(&mut self, names: &[&str]) -> Result<(), Error> {
        for name in names {
            let log = self.folder.join(format!("{name}.log"));
            let config = self.config(name)?;
            let monitor = MonitorProcess::spawn(self.program.path(), config, &log, self.lifetime)?;
            if let Some(validator) = self.validators.get_mut(*name) {
                validator.monitor = Some(monitor);
            }
        }
        for name in names {
            self.follows(name).await?;
        }
        Ok(())
    }

    /// Starts a validator's monitor again after its end.
    ///
    /// # Errors
    /// When it runs still, does not start, or ends at once.
    pub async fn restart_monitor(&mut self, name: &str) -> Result<(), Error> {
        self.monitor_mut(name)?.restart()?;
        self.follows(name).await
    }

    async fn follows(&self, name: &str) -> Result<(), Error> {
        let follows = self
            .monitor(name)?
            .wait_for_log("follows the provider", STARTED);
        follows.await.map(drop)
    }

    /// The running or ended monitor of a validator.
    ///
    /// # Errors
    /// When it was never started.
    pub fn monitor(&self, name: &str) -> Result<&MonitorProcess, Error> {
        let monitor = self.validators.get(name).and_then(|v| v.monitor.as_ref());
        monitor.ok_or_else(|| never_started(name))
    }

    /// The same, to end it or to start it again.
    ///
    /// # Errors
    /// When it was never started.
    pub fn monitor_mut(&mut self, name: &str) -> Result<&mut MonitorProcess, Error> {
        let validator = self.validators.get_mut(name);
        let monitor = validator.and_then(|v| v.monitor.as_mut());
        monitor.ok_or_else(|| never_started(name))
    }

    /// Gives a validator's monitor an order for a consumer: `opt-in` or `opt-out`.
    ///
    /// # Errors
    /// When the program refuses it.
    pub async fn order(
        &self,
        validator: &str,
        order: &str,
        consumer: &Consumer,
    ) -> Result<(), Error> {
        let config = self.config(validator)?;
        let answer = self.program.ask(config, &[order, &consumer.id]).await;
        answer.map(drop)
    }

    /// Waits until a validator's monitor has told something about a consumer, and returns the line.
    ///
    /// # Errors
    /// When the time passes, or the monitor ends without the line.
    pub async fn notice(
        &self,
        validator: &str,
        consumer: &Consumer,
        pattern: &str,
        timeout: Duration,
    ) -> Result<String, Error> {
        let about = format!("consumer=\"{}\"", consumer.id);
        let monitor = self.monitor(validator)?;
        monitor.wait_for_line(&[pattern, &about], timeout).await
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

fn instance(world: &str, validator: &str) -> String {
    format!("{world}-{validator}")
}

fn never_started(name: &str) -> Error {
    Error::Setup(format!("no monitor of {name} was started"))
}
