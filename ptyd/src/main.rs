//! ptyd: the terminal-multiplexing daemon. `ptyd` is the keeper, `ptyd worker` the worker it starts. Knows no more
//! than which of them to run.

use std::process::ExitCode;

use clap::Parser;
use ptyd::config::{Cli, Command};
use ptyd::{keeper, worker};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Worker { log }) => worker::start(&log),
        // It has been read by now, or refused.
        None if cli.keeper.check_config => ExitCode::SUCCESS,
        None => match keeper::run(cli.keeper) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                keeper::report(&error);
                ExitCode::FAILURE
            }
        },
    }
}
