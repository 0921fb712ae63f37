//! `ics-monitor run`: checks everything once, then follows the provider until it is told to end.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ics_core::deploy::Instance;
use ics_core::failure::Failure;
use ics_core::id::ChainId;
use ics_core::key::{Prefixes, PublicKey};
use ics_core::snapshot::LocalValidator;
use ics_deploy_docker::{DockerDeployer, DockerSettings};
use ics_monitor::account::Account;
use ics_monitor::artifacts::FileArtifacts;
use ics_monitor::config::{Config, File, LogFile, LogFormat, ProviderConfig};
use ics_monitor::effects::Backends;
use ics_monitor::keystore::FileKeyStore;
use ics_monitor::monitor::Monitor;
use ics_monitor::provider::Provider;
use ics_monitor::rpc::Rpc;
use ics_monitor::tx::Sender;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Error, local};

/// Runs until SIGTERM or SIGINT.
pub(super) async fn run(file: File) -> Result<(), Error> {
    let config = file.complete()?;
    let instance: Instance = config
        .instance
        .parse()
        .map_err(|e: Failure| Error::Usage(format!("instance: {e}")))?;
    start_log(&file.log)?;
    let shutdown = shutdown()?;

    let provider = connect(&config.provider).await?;
    let account = Account::from_mnemonic_file(&config.mnemonic_file, &config.provider.prefix)?;
    let provider_key = provider_key(&provider, &account, &config).await?;
    let socket = &config.docker.socket;
    if !socket.exists() {
        return Err(Error::Failed(format!(
            "there is no Docker socket at {}: start the Docker engine, or set docker.socket",
            socket.display()
        )));
    }
    let folder = &config.data_dir;
    private_folder(folder)?;
    let keys = Arc::new(FileKeyStore::open(folder.join("keys"))?);
    keys.know_provider_key(provider_key);
    let artifacts = Arc::new(FileArtifacts::open(folder.join("artifacts"))?);
    let mut docker = DockerSettings::new(instance, config.docker.publish_address);
    docker.socket.clone_from(socket);
    docker.rpc_address = config.docker.rpc_address;
    let deployer = DockerDeployer::connect(docker, keys.clone(), artifacts.clone()).await?;

    let node_id = local::node_id_of(&keys).await?;
    greet(&config, &account, node_id, config.docker.publish_address);
    let validator = LocalValidator {
        operator: account.address().clone(),
        chain_id: ChainId::new(config.provider.chain_id.clone())
            .map_err(|e| Error::Usage(format!("provider.chain_id: {e}")))?,
        provider_key,
        node_id,
    };
    let chain_id = config.provider.chain_id.clone();
    let sender = Sender::new(provider.rpc().clone(), account, chain_id, config.fees);
    let backends = Backends {
        provider,
        sender,
        deployer: Arc::new(deployer),
        keys,
        artifacts,
        node_rpc: config.docker.rpc_address,
    };
    let monitor = Monitor::new(validator, config.policy, folder, backends)?;
    monitor.run(shutdown).await?;
    tracing::info!("ends: nodes run on");
    Ok(())
}

/// The provider, once its node has shown that it follows the right chain.
pub(super) async fn connect(config: &ProviderConfig) -> Result<Provider, Error> {
    let rpc = Rpc::new(&config.rpc)?;
    let node = rpc.status().await.map_err(|failure| {
        Error::Failed(format!(
            "{failure}; is a provider node running there? check provider.rpc"
        ))
    })?;
    if node.chain_id != config.chain_id {
        return Err(Error::Failed(format!(
            "{} follows chain {:?}, not {:?}: correct provider.rpc or provider.chain_id",
            config.rpc, node.chain_id, config.chain_id
        )));
    }
    Ok(Provider::new(rpc).with_prefixes(Prefixes::new(&config.prefix)))
}

/// The consensus key of the validator that the account operates.
async fn provider_key(
    provider: &Provider,
    account: &Account,
    config: &Config,
) -> Result<PublicKey, Error> {
    let Some(validator) = provider.validator(account.address()).await? else {
        return Err(Error::Failed(format!(
            "the account in {} is {}, which operates no validator of {}: use the mnemonic of the \
             validator's own account",
            config.mnemonic_file.display(),
            account.address_text(),
            config.provider.chain_id,
        )));
    };
    Ok(validator.consensus_key)
}

fn greet(
    config: &Config,
    account: &Account,
    node_id: ics_core::peers::NodeId,
    publish_address: IpAddr,
) {
    tracing::info!(
        instance = config.instance,
        validator = account.operator_text(),
        provider = config.provider.chain_id,
        rules = config.policy.rules.len(),
        publish = %format!("p2p={node_id}@{publish_address}"),
        "starts"
    );
    if config.policy.node.min_gas_prices.is_free() {
        tracing::warn!("no node.min_gas_prices: our nodes accept transactions that do not pay");
    }
    if config.policy.rules.is_empty() {
        tracing::warn!("no rules: nothing is allowed, so nothing will be opted in to");
    }
}

fn private_folder(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder)
        .map_err(|e| Error::Failed(format!("data_dir {} cannot be made: {e}", folder.display())))
}

fn start_log(log: &LogFile) -> Result<(), Error> {
    let level = log.level.as_deref().unwrap_or("info");
    let filter = EnvFilter::try_new(level).map_err(|e| {
        Error::Usage(format!(
            "log.level {level:?}: {e}; use error, warn, info or debug"
        ))
    })?;
    let log_to = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match log.format.unwrap_or_default() {
        LogFormat::Text => log_to.with_target(false).with_ansi(false).try_init(),
        LogFormat::Json => log_to.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| Error::Failed(format!("the log cannot be started: {e}")))
}

/// Is done when the process is told to end.
fn shutdown() -> Result<impl Future<Output = ()>, Error> {
    let listen = |kind| signal(kind).map_err(|e| Error::Failed(format!("signals: {e}")));
    let (mut terminate, mut interrupt) = (
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
