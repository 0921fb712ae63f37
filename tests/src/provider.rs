//! A provider chain of real nodes on 127.0.0.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use serde_json::Value;
use tokio::process::Command;

use crate::cli::Cli;
use crate::command::run;
use crate::node::Node;
use crate::process::Lifetime;
use crate::rpc::Rpc;
use crate::{Daemons, Error, address, genesis, rpc, wait};

/// How long a new chain may take to its first block, and a transaction into one.
const BLOCKS: Duration = Duration::from_secs(60);

/// How long validators' stake stays bonded, which decides what the chain can be used for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    /// Unbonding takes 21 days: IBC clients live long enough to relay.
    #[default]
    Long,
    /// Unbonding takes 40 s, and a stopped consumer is deleted after as long.
    Short,
}

/// One validator at genesis.
#[derive(Clone, Debug)]
pub struct ValidatorSpec {
    /// Name of the node, of its key and of its account.
    pub name: String,
    /// Self-delegated stake in base units; a million of them is one unit of power.
    pub stake: u64,
    /// Text the validator publishes about itself.
    pub details: Option<String>,
}

/// What the chain is to be.
#[derive(Clone, Debug)]
pub struct ProviderSpec {
    /// Chain id with revision.
    pub chain_id: String,
    /// The validators at genesis, at least one.
    pub validators: Vec<ValidatorSpec>,
    /// Names of further accounts with coins.
    pub accounts: Vec<String>,
    /// Time the nodes wait after a block; the time between blocks is somewhat longer.
    pub block_time: Duration,
    /// Blocks from one packet of validator changes to the next.
    pub blocks_per_epoch: u64,
    /// How long governance votes, in whole seconds, at least 2.
    pub voting_period: Duration,
    /// How long stake stays bonded.
    pub profile: Profile,
    /// Whether the nodes end with the handle.
    pub lifetime: Lifetime,
}

impl Default for ProviderSpec {
    /// Chain `provider-1` of alice, bob and charlie with power 500, 300 and 200, and the accounts
    /// owner and relayer.
    fn default() -> Self {
        let validator = |name: &str, power: u64| ValidatorSpec {
            name: name.to_owned(),
            stake: power * 1_000_000,
            details: None,
        };
        Self {
            chain_id: "provider-1".to_owned(),
            validators: vec![
                validator("alice", 500),
                validator("bob", 300),
                validator("charlie", 200),
            ],
            accounts: vec!["owner".to_owned(), "relayer".to_owned()],
            block_time: Duration::from_millis(700),
            blocks_per_epoch: 5,
            voting_period: Duration::from_secs(8),
            profile: Profile::Long,
            lifetime: Lifetime::Tied,
        }
    }
}

/// A transaction in a block, with code 0.
#[derive(Clone, Debug)]
pub struct Included {
    /// Height of the block.
    pub height: u64,
    /// Hash in upper-case hex.
    pub hash: String,
    /// Events, as the RPC gives them: a list of `{type, attributes: [{key, value}]}`.
    pub events: Value,
}

/// A running chain; `name` arguments are names of its validators.
#[derive(Debug)]
pub struct ProviderChain {
    daemon: PathBuf,
    chain_id: String,
    lifetime: Lifetime,
    cli: Cli,
    addresses: Vec<(String, String)>,
    nodes: Vec<Node>,
}

impl ProviderChain {
    /// Makes a new chain below `folder`, which may exist but not hold one, and waits until every
    /// node has block 1.
    ///
    /// The folder then holds a home and a log for each validator, and `accounts`: the keyring and
    /// a file `NAME.mnemonic` for each account.
    ///
    /// # Errors
    /// When the daemon refuses a step, a file cannot be written or no block comes in a minute.
    pub async fn start(
        daemons: &Daemons,
        spec: ProviderSpec,
        folder: &Path,
    ) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        let folder = std::path::absolute(folder).map_err(Error::file("resolve", folder))?;
        let daemon = daemons.provider();
        let cli = Cli::create(daemon.clone(), folder.join("accounts"), &spec.chain_id)?;
        let names = spec
            .validators
            .iter()
            .map(|validator| &validator.name)
            .chain(&spec.accounts);
        let keys = names.map(async |name| Ok((name.clone(), cli.add_key(name).await?)));
        let nodes = spec
            .validators
            .iter()
            .map(|validator| Node::init(&daemon, &folder, &validator.name, &spec.chain_id));
        let (addresses, nodes) =
            futures::future::try_join(try_join_all(keys), try_join_all(nodes)).await?;
        let lifetime = spec.lifetime;
        let chain_id = spec.chain_id.clone();
        let mut chain = Self {
            daemon,
            chain_id,
            lifetime,
            cli,
            addresses,
            nodes,
        };
        chain.make_genesis(&spec).await?;
        chain.configure(spec.block_time)?;
        for node in &mut chain.nodes {
            node.start(&chain.daemon, lifetime)?;
        }
        try_join_all(chain.nodes.iter().map(|node| wait_for_height(node, 1))).await?;
        Ok(chain)
    }

    /// Gives every home the same genesis with all validators in it.
    async fn make_genesis(&self, spec: &ProviderSpec) -> Result<(), Error> {
        let [first, ..] = &self.nodes[..] else {
            return Err(Error::Setup("a provider chain needs a validator".into()));
        };
        let mut genesis = genesis::read(&first.genesis_file())?;
        genesis::prepare(&mut genesis, spec, &self.addresses)?;
        self.write_genesis(&genesis)?;
        let creations = self.nodes.iter().zip(&spec.validators);
        let creations = creations.map(|(node, validator)| self.creation(node, validator));
        genesis::collect(&mut genesis, try_join_all(creations).await?);
        self.write_genesis(&genesis)
    }

    fn write_genesis(&self, genesis: &Value) -> Result<(), Error> {
        self.nodes
            .iter()
            .try_for_each(|node| genesis::write(&node.genesis_file(), genesis))
    }

    /// Signs the creation of a validator at genesis.
    async fn creation(&self, node: &Node, validator: &ValidatorSpec) -> Result<Value, Error> {
        let file = node.home.join("creation.json");
        let stake = format!("{}stake", validator.stake);
        let mut command = Command::new(&self.daemon);
        command.args([
            "genesis",
            "gentx",
            &validator.name,
            &stake,
            "--moniker",
            &validator.name,
        ]);
        command.args([
            "--chain-id",
            &self.chain_id,
            "--keyring-backend",
            "test",
            "--keyring-dir",
        ]);
        command
            .arg(self.cli.home())
            .arg("--home")
            .arg(&node.home)
            .arg("--output-document");
        command.arg(&file).args([
            "--details",
            validator.details.as_deref().unwrap_or_default(),
        ]);
        run(&mut command).await?;
        genesis::read(&file)
    }

    fn configure(&self, block_time: Duration) -> Result<(), Error> {
        for node in &self.nodes {
            let others = self.nodes.iter().filter(|other| other.name != node.name);
            let peers: Vec<String> = others.map(Node::peer).collect();
            node.configure(&peers.join(","), block_time)?;
        }
        Ok(())
    }

    /// The chain id.
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    /// Names of the validators, in the order of the spec.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }

    /// Address of a validator's RPC, `http://127.0.0.1:PORT`; it outlives a restart.
    ///
    /// # Errors
    /// When there is no such validator, as in all methods with a `name`.
    pub fn rpc_url(&self, name: &str) -> Result<&str, Error> {
        Ok(self.node(name)?.rpc.url())
    }

    /// The RPC of a validator's node.
    ///
    /// # Errors
    /// When there is no such validator.
    pub fn rpc(&self, name: &str) -> Result<&Rpc, Error> {
        Ok(&self.node(name)?.rpc)
    }

    /// Home of a validator's node, with `config/priv_validator_key.json`.
    ///
    /// # Errors
    /// When there is no such validator.
    pub fn home(&self, name: &str) -> Result<&Path, Error> {
        Ok(&self.node(name)?.home)
    }

    /// Public half of the key that a validator signs the provider's blocks with, in base64.
    ///
    /// # Errors
    /// When there is no such validator, or its key cannot be read.
    pub fn consensus_key(&self, name: &str) -> Result<String, Error> {
        let file = self.home(name)?.join("config/priv_validator_key.json");
        let key = &genesis::read(&file)?["pub_key"]["value"];
        Ok(key.as_str().unwrap_or_default().to_owned())
    }

    /// File with the mnemonic of an account, mode 0600.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn mnemonic_file(&self, account: &str) -> Result<PathBuf, Error> {
        self.account_address(account)?;
        Ok(self.cli.mnemonic_file(account))
    }

    /// Address of an account, prefix `cosmos`.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn account_address(&self, account: &str) -> Result<&str, Error> {
        let found = self.addresses.iter().find(|(name, _)| name == account);
        let found = found.map(|(_, address)| address.as_str());
        found.ok_or_else(|| Error::Setup(format!("no account {account} on {}", self.chain_id)))
    }

    /// Operator address of a validator, prefix `cosmosvaloper`.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn operator_address(&self, name: &str) -> Result<String, Error> {
        address::with_prefix(self.account_address(name)?, "cosmosvaloper")
    }

    /// Returns the height of a validator's node.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn height(&self, name: &str) -> Result<u64, Error> {
        self.node(name)?.height().await?
    }

    /// Returns the height of the first node that runs.
    ///
    /// # Errors
    /// When none runs, or it does not answer.
    pub async fn latest(&self) -> Result<u64, Error> {
        self.running()?.rpc.height().await
    }

    /// Waits until a validator's node has a height.
    ///
    /// # Errors
    /// When the node is not running, or a minute passes.
    pub async fn wait_for_height(&self, name: &str, height: u64) -> Result<u64, Error> {
        wait_for_height(self.node(name)?, height).await
    }

    /// Ends a validator's node in good order.
    ///
    /// # Errors
    /// When the process does not go.
    pub async fn stop_node(&mut self, name: &str) -> Result<(), Error> {
        self.node_mut(name)?.stop().await
    }

    /// Ends a validator's node with SIGKILL.
    ///
    /// # Errors
    /// When the process does not go.
    pub async fn kill_node(&mut self, name: &str) -> Result<(), Error> {
        self.node_mut(name)?.kill().await
    }

    /// Starts a stopped node on its old ports; [`ProviderChain::wait_for_height`] waits for it.
    ///
    /// # Errors
    /// When it runs already or does not start.
    pub fn start_node(&mut self, name: &str) -> Result<(), Error> {
        let (daemon, lifetime) = (self.daemon.clone(), self.lifetime);
        self.node_mut(name)?.start(&daemon, lifetime)
    }

    /// Ends all nodes in good order: the end of a test that passed.
    ///
    /// # Errors
    /// When a process does not go.
    pub async fn stop(mut self) -> Result<(), Error> {
        join_all(self.nodes.iter_mut().map(Node::stop))
            .await
            .into_iter()
            .collect()
    }

    /// Runs a query of the daemon, such as `["query", "staking", "params"]`.
    ///
    /// # Errors
    /// When no node runs, or the daemon refuses the query.
    pub async fn query(&self, arguments: &[&str]) -> Result<Value, Error> {
        self.cli.query(self.running()?.rpc.url(), arguments).await
    }

    /// Sends a transaction of an account, such as `["staking", "edit-validator", ..]`, and waits
    /// until a block has it.
    ///
    /// # Errors
    /// When the node or the chain refuses it, or no block has it within a minute.
    pub async fn tx(&self, from: &str, arguments: &[&str]) -> Result<Included, Error> {
        let rpc = &self.running()?.rpc;
        let hash = self.cli.send(rpc.url(), from, arguments).await?;
        let what = format!("a block with tx {hash}");
        let found = wait::until(&what, BLOCKS, async || {
            rpc.get(&format!("tx?hash=0x{hash}")).await.map(Some)
        });
        let found = found.await?;
        let result = &found["tx_result"];
        if result["code"].as_u64() != Some(0) {
            let words = arguments.join(" ");
            return Err(Error::Reply(format!(
                "tx {words} failed: {}",
                result["log"]
            )));
        }
        let height = rpc::number(&found["height"])?;
        Ok(Included {
            height,
            hash,
            events: result["events"].clone(),
        })
    }

    /// Publishes a validator's details, and waits until a block has them.
    ///
    /// # Errors
    /// As [`ProviderChain::tx`].
    pub async fn edit_details(&self, name: &str, text: &str) -> Result<Included, Error> {
        self.tx(name, &["staking", "edit-validator", "--details", text])
            .await
    }

    fn node(&self, name: &str) -> Result<&Node, Error> {
        self.nodes
            .iter()
            .find(|node| node.name == name)
            .ok_or_else(|| self.unknown(name))
    }

    fn node_mut(&mut self, name: &str) -> Result<&mut Node, Error> {
        let unknown = self.unknown(name);
        self.nodes
            .iter_mut()
            .find(|node| node.name == name)
            .ok_or(unknown)
    }

    fn unknown(&self, name: &str) -> Error {
        Error::Setup(format!("no validator {name} on {}", self.chain_id))
    }

    fn running(&self) -> Result<&Node, Error> {
        let running = self.nodes.iter().find(|node| node.is_running());
        running.ok_or_else(|| Error::Setup(format!("no node of {} runs", self.chain_id)))
    }
}

async fn wait_for_height(node: &Node, height: u64) -> Result<u64, Error> {
    let what = format!("height {height} of {}", node.name);
    wait::until(&what, BLOCKS, async || match node.height().await? {
        Ok(now) if now < height => Err(Error::Reply(format!("height {now}"))),
        decided => Ok(Some(decided)),
    })
    .await?
}
