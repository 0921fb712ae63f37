//! `with-engine COMMAND…`: runs a command while a Docker engine answers at `$DOCKER_HOST`.
//!
//! The engine is the one that the tests would find; a private one ends with the command.

#![expect(
    clippy::print_stderr,
    reason = "a program's last word is one line on standard error"
)]

use std::process::ExitCode;

use ics_tests::Error;
use ics_tests::engine::Engine;
use ics_tests::process::Lifetime;
use tokio::process::Command;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-engine: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Error> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = || Error::Setup("usage: with-engine COMMAND [ARGUMENT…]".into());
    let program = arguments.next().ok_or_else(usage)?;
    let engine = Engine::find_or_start(Lifetime::Tied).await?;
    let mut command = Command::new(&program);
    command.args(arguments);
    command.env(
        "DOCKER_HOST",
        format!("unix://{}", engine.socket().display()),
    );
    let status = command
        .status()
        .await
        .map_err(|e| Error::Setup(format!("{} does not start: {e}", program.to_string_lossy())))?;
    // A command that a signal ended has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
