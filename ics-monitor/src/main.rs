//! The `ics-monitor` program: flags, logging, exit codes. Everything else is the library.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

/// Exit code of a wrong command line or configuration.
const USAGE: u8 = 2;

#[tokio::main]
#[expect(
    clippy::print_stderr,
    reason = "a program's last word is one line on standard error"
)]
async fn main() -> ExitCode {
    // clap ends the program by itself: 0 after --help and --version, 2 after a wrong flag.
    let arguments = cli::Arguments::parse();
    match cli::execute(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(cli::Error::Usage(text)) => {
            eprintln!("ics-monitor: {text}");
            ExitCode::from(USAGE)
        }
        Err(cli::Error::Failed(text)) => {
            eprintln!("ics-monitor: {text}");
            ExitCode::FAILURE
        }
    }
}
