//! The owner's side of a devnet: consumers are created, changed and looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::World;
use crate::owner::{PreCcv, PreCcvSpec};
use crate::{Error, wait};

/// What a consumer is to be.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerSpec<'a> {
    /// Chain id with revision.
    pub chain_id: &'a str,
    /// When it launches; `None`: it gets no spawn time yet.
    pub spawn_in: Option<Duration>,
    /// What the monitors find at first in place of the pre-CCV genesis; `None`: the right file.
    pub found_instead: Option<&'a [u8]>,
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
    /// The owner's own copy of it.
    pub made: PathBuf,
    /// The SHA-256 of the owner's file, as the provider has it.
    pub sha256: String,
    parameters: Value,
}

/// One validator of a consumer, in the provider's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// Name of the validator.
    pub name: String,
    /// The key that it signs with on the consumer, in base64.
    pub key: String,
    /// Its voting power on the consumer.
    pub power: u64,
}

impl World {
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
        let spec = ConsumerSpec {
            chain_id,
            spawn_in,
            found_instead: None,
        };
        self.create(spec).await
    }

    /// Creates a consumer as its owner.
    ///
    /// # Errors
    /// When the owner's tools or the provider refuse.
    pub async fn create(&self, spec: ConsumerSpec<'_>) -> Result<Consumer, Error> {
        // The file's name rests on the id, which the next creation would take, too.
        let _owner = self.owner.lock().await;
        let ConsumerSpec { chain_id, .. } = spec;
        let ports = self.owner(&["ports", chain_id]).await?;
        refuse_ephemeral(chain_id, &ports)?;
        let known = self.owner(&["consumer", "list"]).await?;
        let next = known["consumers"].as_array().map_or(0, Vec::len);
        let now = SystemTime::now();
        let spawn_time = spec.spawn_in.map(|spawn_in| rfc3339(now + spawn_in));
        let made = self.pre_ccv(next, chain_id, spawn_time.as_deref()).await?;
        let pre_ccv = self.folder.join("pre-ccv").join(format!("{next}.json"));
        match spec.found_instead {
            Some(bytes) => fs::write(&pre_ccv, bytes),
            None => fs::copy(&made.path, &pre_ccv).map(drop),
        }
        .map_err(Error::file("write", &pre_ccv))?;
        let parameters = parameters(chain_id, &made.sha256, spawn_time.as_deref());
        let description = json!({
            "chain_id": chain_id,
            "metadata": {"name": "consumer", "description": "of the devnet", "metadata": "{}"},
            "initialization_parameters": parameters,
        });
        let created = self.owner_file("create", &description).await?;
        let id = created["consumer_id"].as_str().unwrap_or_default();
        Ok(Consumer {
            id: id.to_owned(),
            chain_id: chain_id.to_owned(),
            ports,
            pre_ccv,
            made: made.path,
            sha256: made.sha256,
            parameters,
        })
    }

    async fn pre_ccv(
        &self,
        next: usize,
        chain_id: &str,
        spawn_time: Option<&str>,
    ) -> Result<PreCcv, Error> {
        let now = rfc3339(SystemTime::now());
        let relayer = self.chain.account_address("relayer")?;
        let spec = PreCcvSpec {
            chain_id,
            initial_height: 1,
            genesis_time: spawn_time.unwrap_or(&now),
            funded: &[relayer],
        };
        let folder = self.folder.join(format!("owner-{next}"));
        PreCcv::make(&self.daemons, &folder, &spec).await
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
        let change = json!({
            "consumer_id": consumer.id,
            "initialization_parameters": consumer.parameters(spawn_in),
        });
        let _owner = self.owner.lock().await;
        self.owner_file("update", &change).await.map(drop)
    }

    /// Changes something else about a consumer, as its owner, such as its `new_owner_address`.
    ///
    /// # Errors
    /// When the provider refuses.
    pub async fn update(&self, consumer: &Consumer, mut change: Value) -> Result<(), Error> {
        change["consumer_id"] = consumer.id.as_str().into();
        let _owner = self.owner.lock().await;
        self.owner_file("update", &change).await.map(drop)
    }

    /// Stops a launched consumer, as its owner.
    ///
    /// # Errors
    /// When the provider refuses.
    pub async fn remove(&self, consumer: &Consumer) -> Result<(), Error> {
        let _owner = self.owner.lock().await;
        let removed = self.owner(&["consumer", "remove", &consumer.id]).await;
        removed.map(drop)
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

    /// Who validates a consumer, by falling power, as `ics-monitor consumer show` tells; before
    /// launch, who would.
    ///
    /// # Errors
    /// When the provider does not know it.
    pub async fn members(&self, consumer: &Consumer) -> Result<Vec<Member>, Error> {
        let shown = self.show(consumer).await?;
        let members = shown["validators"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let member = |member: &Value| Member {
            name: member["moniker"].as_str().unwrap_or_default().to_owned(),
            key: member["consumer_key"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            power: member["power"].as_u64().unwrap_or_default(),
        };
        let mut members: Vec<_> = members.iter().map(member).collect();
        // The provider lists them by address.
        members.sort_by_key(|member| std::cmp::Reverse(member.power));
        Ok(members)
    }

    /// Waits until exactly these validators, named by falling power, would validate a consumer, or
    /// do.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub async fn wait_for_members(
        &self,
        consumer: &Consumer,
        names: &[&str],
        timeout: Duration,
    ) -> Result<Vec<Member>, Error> {
        let what = format!("members {names:?} of consumer {}", consumer.id);
        self.at_each_block(&what, timeout, async || {
            let members = self.members(consumer).await?;
            if members.iter().map(|member| &member.name).eq(names) {
                return Ok(Some(members));
            }
            Err(Error::Reply(format!("{members:?}")))
        })
        .await
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
        self.at_each_block(&what, timeout, async || {
            let shown = self.show(consumer).await?;
            if shown["phase"] == phase {
                return Ok(Some(shown));
            }
            Err(Error::Reply(format!("phase {}", shown["phase"])))
        })
        .await
    }

    /// Like [`wait::until`], with a look at every block of the provider: nothing of it changes
    /// between them, and a look starts a process.
    async fn at_each_block<T>(
        &self,
        what: &str,
        timeout: Duration,
        mut look: impl AsyncFnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let (mut looked_at, mut last) = (0, "no block of the provider".to_owned());
        wait::until(what, timeout, async || {
            let height = self.chain.latest().await?;
            if height > looked_at {
                looked_at = height;
                match look().await {
                    Ok(Some(value)) => return Ok(Some(value)),
                    Ok(None) => last = "not yet".to_owned(),
                    Err(error) => last = error.to_string(),
                }
            }
            Err(Error::Reply(format!("{last} at height {looked_at}")))
        })
        .await
    }
}

impl Consumer {
    /// The initialization parameters with a spawn time in `spawn_in`, in the shape of a file.
    pub fn parameters(&self, spawn_in: Duration) -> Value {
        let mut parameters = self.parameters.clone();
        parameters["spawn_time"] = rfc3339(SystemTime::now() + spawn_in).into();
        parameters
    }
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

/// Refuses ports that the kernel hands out to whoever connects: such a connection, even an ended
/// one for a minute, keeps a node from listening.
fn refuse_ephemeral(chain_id: &str, ports: &Value) -> Result<(), Error> {
    let path = Path::new("/proc/sys/net/ipv4/ip_local_port_range");
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let first = text
        .split_whitespace()
        .next()
        .and_then(|it| it.parse().ok());
    let first: u64 = first.ok_or_else(|| Error::Reply(format!("{path:?} holds {text:?}")))?;
    let highest = ports.as_object().into_iter().flatten();
    let highest = highest
        .filter(|(name, _)| *name != "offset")
        .filter_map(|(_, port)| port.as_u64())
        .max();
    match highest {
        Some(port) if port >= first => Err(Error::Setup(format!(
            "{chain_id} has the port {port}, which this machine gives to outgoing connections: \
             name the test's consumer otherwise"
        ))),
        _ => Ok(()),
    }
}
