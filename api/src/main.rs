//! devpocket: the binary of the api tier. Reads flags and environment, then calls what does the work.

use std::collections::BTreeSet;
use std::io::{Write, stderr, stdout};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, Subcommand};
use devpocket::admin::{self, AdminArgs, AdminError};
use devpocket::config::{Config, DEFAULT_PROJECT, MigrateArgs, Mode, ServeArgs, project};
use devpocket::dotenv;
use devpocket::http::openapi;
use devpocket::logs::{self, Stream};
use devpocket::run::{Ready, run};
use devpocket::standalone::{ApiChild, StandaloneArgs, check_as_who_runs_the_api, launch_keeper, supervise};
use devpocket::store::Database;
use devpocket_shared::metrics::Metrics;
use devpocket_shared::telemetry;
use nix::sys::stat::{Mode as FileMode, umask};
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

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
    Serve(Box<ServeArgs>),
    /// Serve everything on this machine: api, ptyd and database.
    Standalone(Box<StandaloneArgs>),
    /// Bring the database's schema up to date.
    Migrate(Box<MigrateArgs>),
    /// Look after accounts, sessions and keys, beside the apis that run.
    Admin(Box<AdminArgs>),
    /// Print the OpenAPI document that a server has at /openapi.json.
    Openapi {
        /// Its title.
        #[arg(long, env = "PROJECT_NAME", default_value = DEFAULT_PROJECT, value_parser = project)]
        project_name: String,
    },
    /// Used by standalone to start ptyd.
    #[command(hide = true)]
    LaunchKeeper {
        /// The ptyd binary.
        program: PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    // What starts ptyd hands nothing of ours on.
    let starts_keeper = std::env::args_os().nth(1).is_some_and(|word| word == "launch-keeper");
    let unknown = if starts_keeper { Ok(Vec::new()) } else { dotenv::load(&variables(&Cli::command())) };
    let unknown = match unknown {
        Ok(unknown) => unknown,
        Err(err) if asks_for_json() => return Ok(refuse(&bad_value(&err), true)),
        Err(err) => return Err(err.into()),
    };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) if err.use_stderr() && asks_for_json() => {
            return Ok(refuse(&AdminError::BadValue(first_words(&err.to_string())), true));
        }
        Err(err) => err.exit(),
    };
    match cli.command {
        Command::Serve(args) => {
            umask(FileMode::S_IRWXG | FileMode::S_IRWXO);
            let (log, log_dir) = (args.log_filter().to_owned(), args.log_dir.clone());
            let config = Config::new(*args, Mode::Served)?;
            let _logs = logs::init(&log, Stream::Stdout, log_dir.as_deref())?;
            warn_of(&unknown);
            let listener = std::net::TcpListener::bind(config.listen)
                .with_context(|| format!("LISTEN: cannot listen on {}", config.listen))?;
            listener.set_nonblocking(true)?;
            serve(config, listener, |_| {})
        }
        Command::Standalone(args) if args.check_as_api_user => Ok(check_as_who_runs_the_api(&args)?),
        Command::Standalone(args) => {
            let (log, log_dir) = (args.serve.log_filter().to_owned(), args.serve.log_dir.clone());
            match (args.api_of, args.api_of_directory.clone()) {
                (Some(parent), Some(directory)) => {
                    let ApiChild { config, listener } = ApiChild::begin(*args, parent, directory)?;
                    // As the user that the api runs as.
                    let _logs = logs::init(&log, Stream::Stderr, log_dir.as_deref())?;
                    let public = config.public_url.clone();
                    serve(config, listener, |ready| welcome(&ready, public.as_deref()))
                }
                _ => {
                    telemetry::init(&log).context("LOG")?;
                    warn_of(&unknown);
                    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
                    Ok(runtime.block_on(supervise(*args, &print))?)
                }
            }
        }
        Command::Migrate(args) => {
            umask(FileMode::S_IRWXG | FileMode::S_IRWXO);
            let location = args.database.location()?;
            telemetry::init(&args.log).context("LOG")?;
            warn_of(&unknown);
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            let applied = runtime.block_on(Database::migrate(&location))?;
            print(&format!("schema version {}, {} migrations run", applied.version, applied.count));
            Ok(())
        }
        Command::Admin(args) => return administer(*args, &unknown),
        Command::Openapi { project_name } => {
            print(&openapi::document(&project_name).to_pretty_json()?);
            Ok(())
        }
        Command::LaunchKeeper { program } => {
            let err = launch_keeper(&program);
            bail!("cannot start {}: {err}", program.display());
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Every variable that some command reads.
fn variables(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()));
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

fn warn_of(unknown: &[String]) {
    for name in unknown {
        warn!("nobody reads the variable {name} in .env");
    }
}

/// Exit codes: 0 done, 1 failed, 2 a bad value, 3 nothing by that name, 4 refused, 5 noted and not done yet.
fn administer(args: AdminArgs, unknown: &[String]) -> anyhow::Result<ExitCode> {
    umask(FileMode::S_IRWXG | FileMode::S_IRWXO);
    let json = args.json;
    if let Err(err) = telemetry::init(&args.log).context("LOG") {
        return Ok(refuse(&bad_value(&*err), json));
    }
    warn_of(unknown);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(admin::run(args, OffsetDateTime::now_utc())) {
        Ok(outcome) => {
            print(&if json { admin::written_out(&outcome.json) } else { outcome.text });
            Ok(if outcome.complete { ExitCode::SUCCESS } else { ExitCode::from(5) })
        }
        Err(err) => Ok(refuse(&err, json)),
    }
}

fn refuse(err: &AdminError, json: bool) -> ExitCode {
    let said = if json {
        admin::written_out(&err.to_json())
    } else {
        format!("Error: {}", devpocket_shared::chain(err))
    };
    let _unheard = stderr().write_all(format!("{said}\n").as_bytes());
    ExitCode::from(err.exit_code())
}

fn bad_value(err: &dyn std::error::Error) -> AdminError {
    AdminError::BadValue(devpocket_shared::chain(err))
}

/// Whether it is `devpocket admin .. --json`, however bad the rest is: a script reads JSON then, of a bad value too.
fn asks_for_json() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|command| command == "admin") && arguments.any(|word| word == "--json")
}

/// What is wrong, without how to use the command, in the words of the parser of flags.
fn first_words(complaint: &str) -> String {
    let first = complaint.split("\n\n").next().unwrap_or(complaint);
    let words: Vec<&str> = first.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

/// Serves until SIGINT or SIGTERM; a second one does not wait for anybody.
fn serve(config: Config, listener: std::net::TcpListener, ready: impl FnOnce(Ready)) -> anyhow::Result<()> {
    // A thread for every second core: ptyd and the sessions' programs want the others (docs/performance.md). Password
    // hashing has threads of its own.
    let metrics = Metrics::install("devpocket", env!("CARGO_PKG_VERSION")).context("metrics")?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime =
        runtime::Builder::new_multi_thread().worker_threads((cores / 2).max(1)).enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut asked_to_end = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let stop = CancellationToken::new();
        let mut running = pin!(run(config, metrics, TcpListener::from_std(listener)?, stop.clone(), ready));
        tokio::select! {
            ended = running.as_mut() => return Ok(ended?),
            () = asked_to_end() => stop.cancel(),
        }
        tokio::select! {
            ended = running.as_mut() => Ok(ended?),
            () = asked_to_end() => Ok(()),
        }
    })
}

fn welcome(ready: &Ready, public_url: Option<&str>) {
    print(&format!("listening on http://{}", ready.address));
    let base =
        public_url.map_or_else(|| local_url(ready.address), |url| url.trim_end_matches('/').to_owned());
    print(&match &ready.first_run {
        Some(token) => {
            let token = token.expose_secret();
            format!(
                "Open this link to sign in as the owner (it works once, for an hour):\n\n  {base}/#first-run={token}\n"
            )
        }
        None => format!("Open {base} and sign in."),
    });
}

/// What a browser on this machine calls the server.
fn local_url(address: SocketAddr) -> String {
    let ip = address.ip();
    if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

/// A closed stdout is no reason not to serve.
fn print(text: &str) {
    let _unheard = stdout().write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout().flush());
}
