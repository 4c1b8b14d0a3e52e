//! devpocket: the binary of the api tier. Reads flags and environment, then calls what does the work.

use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::pin::pin;

use anyhow::Context;
use clap::{Parser, Subcommand};
use devpocket::config::{Config, Mode, ServeArgs};
use devpocket::run::{Ready, run};
use devpocket_shared::telemetry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Terminals that do not die: the api tier.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the api, with a ptyd and a database that run elsewhere.
    Serve(ServeArgs),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Serve(args) => {
            let log = args.log.clone();
            serve(Config::new(args, Mode::Served)?, &log)
        }
    }
}

/// Serves until SIGINT or SIGTERM; a second one does not wait for anybody.
fn serve(config: Config, log: &str) -> anyhow::Result<()> {
    telemetry::init(log).context("LOG")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut signalled = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let listener = bind(config.listen).await?;
        let stop = CancellationToken::new();
        let mut running = pin!(run(config, listener, stop.clone(), announce));
        tokio::select! {
            ended = running.as_mut() => return Ok(ended?),
            () = signalled() => stop.cancel(),
        }
        tokio::select! {
            ended = running.as_mut() => Ok(ended?),
            () = signalled() => Ok(()),
        }
    })
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("LISTEN: cannot listen on {address}"))
}

fn announce(ready: Ready) {
    let text = format!("listening on http://{}\n", ready.address);
    // A closed stdout is no reason not to serve.
    let _unheard = stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush());
}
