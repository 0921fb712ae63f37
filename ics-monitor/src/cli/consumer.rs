//! `ics-monitor consumer …`: what the provider says of consumers, and what their owner may do.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;
use ics_core::id::ConsumerId;
use ics_monitor::account::Account;
use ics_monitor::config::File;
use ics_monitor::owner::{self, CreateFile, UpdateFile};
use ics_monitor::provider::{ConsumerDetail, ConsumerEntry};
use ics_monitor::tx::{Included, Message, Sender};
use ics_monitor::wire::tx::{MsgRemoveConsumer, message};
use serde_json::json;

use super::run::connect;
use super::{Error, Output, print};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List all consumers.
    List,
    /// Show one consumer.
    Show {
        /// The consumer id.
        id: ConsumerId,
    },
    /// Create a consumer that the account will own.
    Create {
        /// Its description, in the shape of the chain's own CLI (JSON, or TOML if named .toml).
        file: PathBuf,
    },
    /// Change a consumer that the account owns.
    Update {
        /// The changes, in the shape of the chain's own CLI (JSON, or TOML if named .toml).
        file: PathBuf,
    },
    /// Stop a launched consumer that the account owns.
    Remove {
        /// The consumer id.
        id: ConsumerId,
    },
}

pub(super) async fn execute(command: Command, file: &File, output: Output) -> Result<(), Error> {
    match command {
        Command::List => list(file, output).await,
        Command::Show { id } => show(file, id, output).await,
        Command::Create { file: path } => {
            let description: CreateFile = owner::read(&path)?;
            let sender = sender(file).await?;
            let body = description.message(&sender.account().address_text())?;
            let included = send(&sender, message(&body)).await?;
            let id = created(&included)?;
            let text = format!("created consumer {id} at height {}", included.height);
            print(
                output,
                &json!({ "consumer_id": id, "height": included.height }),
                &text,
            )
        }
        Command::Update { file: path } => {
            let changes: UpdateFile = owner::read(&path)?;
            let sender = sender(file).await?;
            let body = changes.message(&sender.account().address_text())?;
            let id = body.consumer_id.clone();
            let included = send(&sender, message(&body)).await?;
            let text = format!("updated consumer {id} at height {}", included.height);
            print(
                output,
                &json!({ "consumer_id": id, "height": included.height }),
                &text,
            )
        }
        Command::Remove { id } => {
            let sender = sender(file).await?;
            let owner = sender.account().address_text();
            let body = MsgRemoveConsumer {
                consumer_id: id.to_string(),
                owner,
            };
            let included = send(&sender, message(&body)).await?;
            let text = format!("removed consumer {id} at height {}", included.height);
            print(
                output,
                &json!({ "consumer_id": id, "height": included.height }),
                &text,
            )
        }
    }
}

async fn list(file: &File, output: Output) -> Result<(), Error> {
    let provider = connect(&file.provider()?).await?;
    let (height, _) = provider.latest().await?;
    let consumers = provider.list(height).await?;
    let mut text = String::from("ID      PHASE        TOP N  CHAIN ID");
    for ConsumerEntry {
        consumer_id,
        chain_id,
        phase,
        top_n,
        ..
    } in &consumers
    {
        let phase = phase.map(|phase| phase.to_string()).unwrap_or_default();
        // A string is always written to.
        let _written = write!(
            text,
            "\n{consumer_id:<7} {phase:<12} {top_n:<6} {}",
            chain_id.escape_debug()
        );
    }
    print(
        output,
        &json!({ "height": height, "consumers": consumers }),
        &text,
    )
}

async fn show(file: &File, id: ConsumerId, output: Output) -> Result<(), Error> {
    let provider = connect(&file.provider()?).await?;
    let (height, _) = provider.latest().await?;
    let Some(consumer) = provider.detail(id, height).await? else {
        return Err(Error::Failed(format!(
            "the provider knows no consumer {id}: see ics-monitor consumer list"
        )));
    };
    print(output, &consumer, &describe(&consumer))
}

fn describe(consumer: &ConsumerDetail) -> String {
    let spawn = consumer.spawn_time.map(|time| time.to_string());
    let mut text = format!(
        "consumer {}, chain {}, at height {}\nphase       {}\nowner       {}\nspawn time  {}\n\
         validators  {}",
        consumer.consumer_id,
        consumer.chain_id.escape_debug(),
        consumer.height,
        consumer.phase,
        consumer.owner.escape_debug(),
        spawn.as_deref().unwrap_or("none"),
        consumer.validators.len(),
    );
    for member in &consumer.validators {
        // A string is always written to.
        let _written = write!(
            text,
            "\n  {:<20} power {:<12} {}",
            member.moniker.escape_debug().to_string(),
            member.power,
            member.consumer_key
        );
    }
    text
}

async fn sender(file: &File) -> Result<Sender, Error> {
    let (config, fees) = (file.provider()?, file.fees()?);
    let mnemonic = file.mnemonic_file()?;
    let provider = connect(&config).await?;
    let account = Account::from_mnemonic_file(&mnemonic, &config.prefix)?;
    Ok(Sender::new(
        provider.rpc().clone(),
        account,
        config.chain_id,
        fees,
    ))
}

async fn send(sender: &Sender, message: Message) -> Result<Included, Error> {
    let sent = sender.send(vec![message], "").await;
    Ok(sent.map_err(ics_core::failure::Failure::from)?)
}

/// The id that the provider gave a new consumer, from the event of its creation.
fn created(included: &Included) -> Result<ConsumerId, Error> {
    included
        .events
        .iter()
        .filter(|event| event.kind == "create_consumer")
        .flat_map(|event| &event.attributes)
        .find_map(|(key, value)| (key == "consumer_id").then(|| value.parse().ok())?)
        .ok_or_else(|| {
            Error::Failed(format!(
                "created at height {}, but the provider named no id: see consumer list",
                included.height
            ))
        })
}
