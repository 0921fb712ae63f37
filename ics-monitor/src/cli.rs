//! The command line: what can be asked, and how answers are printed.

mod consumer;
mod keys;
mod local;
mod run;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ics_core::failure::Failure;
use ics_core::id::ConsumerId;
use ics_core::policy::Override;
use ics_monitor::config::{ConfigError, File};
use serde::Serialize;

/// Follows an ICS provider chain and runs consumer nodes for one validator.
#[derive(Debug, Parser)]
#[command(name = "ics-monitor", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow the provider and run the validator's consumer nodes.
    Run,
    /// Ask about consumers, or create, update and remove them as their owner.
    #[command(subcommand)]
    Consumer(consumer::Command),
    /// Order the monitor to take part in a consumer, whatever rules and selection say.
    OptIn {
        /// The consumer id.
        id: ConsumerId,
    },
    /// Order the monitor not to take part in a consumer, whatever rules say.
    OptOut {
        /// The consumer id.
        id: ConsumerId,
    },
    /// Bring keys into the key store.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Print this instance's node id, and the entry to publish in the validator's details.
    NodeId,
    /// Print the ports that a chain id gives.
    Ports {
        /// The consumer's chain id.
        chain_id: String,
    },
    /// Print the version.
    Version,
}

/// Settings of all commands; each stands above the same key of the configuration file.
#[derive(Debug, Args)]
struct Settings {
    /// The configuration file (TOML).
    #[arg(long, global = true, env = "ICS_MONITOR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name of this instance.
    #[arg(long, global = true, env = "ICS_MONITOR_INSTANCE")]
    instance: Option<String>,
    /// The folder for keys, artifacts and overrides.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_DATA_DIR",
        value_name = "FOLDER"
    )]
    data_dir: Option<PathBuf>,
    /// The RPC URL of a provider node.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_PROVIDER_RPC",
        value_name = "URL"
    )]
    provider_rpc: Option<String>,
    /// The provider's chain id.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_PROVIDER_CHAIN_ID",
        value_name = "ID"
    )]
    provider_chain_id: Option<String>,
    /// A file, readable by its owner alone, with the account's mnemonic.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_MNEMONIC_FILE",
        value_name = "FILE"
    )]
    mnemonic_file: Option<PathBuf>,
    /// The gas price, such as 0.005uatom.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_GAS_PRICE",
        value_name = "PRICE"
    )]
    gas_price: Option<String>,
    /// The most that one transaction may cost.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_MAX_FEE",
        value_name = "AMOUNT"
    )]
    max_fee: Option<u64>,
    /// The Docker engine's socket.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_DOCKER_SOCKET",
        value_name = "FILE"
    )]
    docker_socket: Option<PathBuf>,
    /// The address of this host on which nodes publish P2P.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_PUBLISH_ADDRESS",
        value_name = "IP"
    )]
    publish_address: Option<IpAddr>,
    /// The address of this host on which nodes publish RPC, gRPC and REST.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_RPC_ADDRESS",
        value_name = "IP"
    )]
    rpc_address: Option<IpAddr>,
    /// What is logged: error, warn, info or debug.
    #[arg(
        long,
        global = true,
        env = "ICS_MONITOR_LOG_LEVEL",
        value_name = "LEVEL"
    )]
    log_level: Option<String>,
    /// How answers are printed.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line or the configuration is wrong.
    Usage(String),
    /// Anything else.
    Failed(String),
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.message)
    }
}

/// Executes what was asked.
pub(crate) async fn execute(arguments: Arguments) -> Result<(), Error> {
    let output = arguments.settings.output;
    let file = arguments.settings.over_file();
    match arguments.command {
        Command::Run => run::run(file?).await,
        Command::Consumer(command) => consumer::execute(command, &file?, output).await,
        Command::OptIn { id } => local::order(&file?, id, Override::OptIn, output),
        Command::OptOut { id } => local::order(&file?, id, Override::OptOut, output),
        Command::Keys(command) => keys::execute(command, &file?, output).await,
        Command::NodeId => local::node_id(&file?, output).await,
        Command::Ports { chain_id } => local::ports(chain_id, output),
        Command::Version => local::version(output),
    }
}

impl Settings {
    /// The configuration file with these settings over it.
    fn over_file(self) -> Result<File, Error> {
        let mut file = match &self.config {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        set(&mut file.instance, self.instance);
        set(&mut file.data_dir, self.data_dir);
        set(&mut file.provider.rpc, self.provider_rpc);
        set(&mut file.provider.chain_id, self.provider_chain_id);
        set(&mut file.account.mnemonic_file, self.mnemonic_file);
        set(&mut file.tx.gas_price, self.gas_price);
        set(&mut file.tx.max_fee, self.max_fee);
        set(&mut file.docker.socket, self.docker_socket);
        set(&mut file.docker.publish_address, self.publish_address);
        set(&mut file.docker.rpc_address, self.rpc_address);
        set(&mut file.log.level, self.log_level);
        Ok(file)
    }
}

fn set<T>(key: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *key = value;
    }
}

/// Prints an answer: as JSON, or as the lines of text that stand for it.
#[expect(clippy::print_stdout, reason = "answers go to standard output")]
fn print(output: Output, json: &impl Serialize, text: &str) -> Result<(), Error> {
    match output {
        Output::Text => println!("{text}"),
        Output::Json => {
            let json = serde_json::to_string_pretty(json)
                .map_err(|e| Error::Failed(format!("the answer cannot be written: {e}")))?;
            println!("{}", visible(&json));
        }
    }
    Ok(())
}

/// The same JSON with characters escaped that a terminal would obey or not show: strangers wrote
/// some of the text, and `serde_json` escapes no more than JSON wants. Outside strings, where JSON
/// knows no escapes, there are none.
fn visible(json: &str) -> String {
    let mut visible = String::with_capacity(json.len());
    for c in json.chars() {
        let shown = c.is_ascii_graphic() || matches!(c, ' ' | '\n') || c.escape_debug().len() == 1;
        if shown {
            visible.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // A string is always written to.
            let _written = write!(visible, "\\u{unit:04x}");
        }
    }
    visible
}
