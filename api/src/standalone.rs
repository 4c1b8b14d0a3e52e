//! `devpocket standalone`: one command to a server of one's own. A small supervisor makes the data directory, starts
//! ptyd or takes back the one that runs, starts the api as its child, and forwards the end to both.
//!
//! The supervisor stays what it was started as, because only root may end root's keeper; the api, which talks to the
//! network, gives root up before it opens anything. SIGKILL of either leaves ptyd and its sessions alone.

mod child;
mod keeper;
mod launch;
mod layout;
mod ptyd_log;
mod settings;
mod users;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, sleep, timeout};
use tracing::warn;

use self::keeper::Keeper;
use self::layout::Layout;
use self::users::Users;
use crate::config::{ConfigError, ServeArgs};

pub use child::{ApiChild, ChildError};
pub use launch::launch_keeper;

/// How long an address may stay in use that somebody is leaving, and how often it is tried.
const LEAVING: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);
/// How often the length of ptyd's log is looked at.
const LOG_LOOK: Duration = Duration::from_secs(60);
/// How long the api has to end; its own grace times are shorter.
const API_GRACE: Duration = Duration::from_secs(15);

/// Flags and environment of `devpocket standalone`.
#[derive(clap::Args, Clone, Debug)]
pub struct StandaloneArgs {
    /// As for `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// At the end leave ptyd and its sessions running; the next start takes them back.
    #[arg(long)]
    pub keep: bool,
    /// Set by the supervisor for the api it starts: its own process id.
    #[arg(long, hide = true, requires = "api_of_directory")]
    pub api_of: Option<i32>,
    /// Set by the supervisor for the api it starts: the directory in use.
    #[arg(long, hide = true)]
    pub api_of_directory: Option<PathBuf>,
    /// Set by the supervisor, of root's, for a process that checks the configuration as the user that the api runs as, and ends.
    #[arg(long, hide = true, conflicts_with = "api_of")]
    pub check_as_api_user: bool,
}

/// Standalone could not start, or not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// The address cannot be listened on.
    #[error("LISTEN: cannot listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The metrics' address cannot be listened on.
    #[error("METRICS_LISTEN: cannot listen on {address}")]
    Metrics {
        /// Which one.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A variable is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// As root: the api, which gives root up, would not come to what its configuration names.
    #[error("as the user {user}, as which the api runs: {said}")]
    AsApiUser {
        /// Its name.
        user: String,
        /// What is wrong then.
        said: String,
    },
    /// The data directory cannot be used.
    #[error("DATA_DIR")]
    Layout(#[from] layout::LayoutError),
    /// A user is missing and cannot be made.
    #[error("users")]
    Users(#[from] users::UsersError),
    /// The link's certificates cannot be made.
    #[error("link certificates")]
    Certificates(#[from] devpocket_shared::certificates::CertificateError),
    /// ptyd does not start.
    #[error("ptyd")]
    Keeper(#[from] keeper::KeeperError),
    /// A process of ours cannot be started or watched.
    #[error("the api's process")]
    Process(#[source] io::Error),
    /// The api ended by itself.
    #[error("the api ended ({status}); ptyd and its sessions live on, and the next start takes them back")]
    ApiEnded {
        /// How.
        status: ExitStatus,
    },
    /// The api did not start; it has said why.
    #[error("the api did not start")]
    ApiNeverStarted,
}

/// Runs until SIGINT or SIGTERM, then ends sessions, ptyd and the api in that order (`keep`: the api alone). `say` is
/// called with what the person at the keyboard should know.
pub async fn supervise(args: StandaloneArgs, say: &dyn Fn(&str)) -> Result<(), StandaloneError> {
    // A user that is to be made yet has no file: root's are all there are.
    args.serve.check_standalone(users::api_uid()?.unwrap_or(Uid::effective()))?;
    for name in not_read(&args) {
        warn!("nobody reads {name}: standalone has a ptyd of its own, with places and users of its own");
    }
    keeper::check_config().await?;
    let users = Uid::effective().is_root().then(Users::ensure).transpose()?;
    if let Some(users) = &users {
        check_as_api_user(&users.api.name).await?;
    }
    let layout = Layout::prepare(args.serve.database.data_dir.as_deref(), users.as_ref(), say)?;
    let _lock = layout.lock()?;
    let address = args.serve.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8000)));
    // Before ptyd is started: a port in use is the likeliest failure.
    let listener = listen(address).await.map_err(|source| StandaloneError::Listen { address, source })?;
    if let Some(address) = args.serve.metrics_listen {
        // Only tried: the api listens there itself.
        drop(listen(address).await.map_err(|source| StandaloneError::Metrics { address, source })?);
    }
    devpocket_shared::certificates::make_all(&layout.link())?;

    let mut ends = Ends::new().map_err(StandaloneError::Process)?;
    let mut keeper = Keeper::adopt_or_start(&layout, users.as_ref()).await?;
    say(&match keeper.shell_user() {
        Some(user) => format!("Shells run as the user {user}."),
        None => "Shells run as you: what runs in them can do what you can.".to_owned(),
    });
    let stale = keeper.stale_settings();
    if !stale.is_empty() {
        let names = stale.join(", ");
        say(&format!(
            "ptyd was started with other settings ({names}); those of now count from its next start."
        ));
    }
    let mut log_looks = interval(LOG_LOOK);
    let mut api = start_api(&layout, listener).map_err(StandaloneError::Process)?;
    loop {
        tokio::select! {
            () = ends.asked() => break,
            _ = log_looks.tick() => ptyd_log::trim(&layout.ptyd_log()),
            ended = api.wait() => {
                let status = ended.map_err(StandaloneError::Process)?;
                // 1 is what main gives back when a start fails; nobody can have a session in a ptyd just started for it.
                if status.code() == Some(1) && keeper.is_ours() {
                    keeper.end(&mut ends).await;
                    return Err(StandaloneError::ApiNeverStarted);
                }
                return Err(StandaloneError::ApiEnded { status });
            }
            () = keeper.gone() => {
                say("ptyd has ended and its sessions are lost; starting another.");
                keeper = Keeper::adopt_or_start(&layout, users.as_ref()).await?;
            }
        }
    }
    if !args.keep {
        // First, while clients can still be told how their sessions ended.
        keeper.end(&mut ends).await;
    }
    end_api(&mut api).await.map_err(StandaloneError::Process)
}

/// Checks the configuration as the api's user: root may read what that user may not. In a process of its own, which can give
/// root up. Before ptyd is started.
async fn check_as_api_user(user: &str) -> Result<(), StandaloneError> {
    let mut asked = Command::new(std::env::current_exe().map_err(StandaloneError::Process)?);
    asked.args(std::env::args_os().skip(1)).arg("--check-as-api-user").stdin(Stdio::null());
    asked.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
    let answer = asked.output().await.map_err(StandaloneError::Process)?;
    if answer.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.stderr).trim().trim_start_matches("Error: ").to_owned();
    Err(StandaloneError::AsApiUser { user: user.to_owned(), said })
}

/// That process's part. Call it before any thread is started.
pub fn check_as_who_runs_the_api(args: &StandaloneArgs) -> Result<(), ChildError> {
    if Uid::effective().is_root() {
        users::become_api_user()?;
    }
    Ok(args.serve.check_standalone(Uid::effective())?)
}

/// What an operator said that is for a ptyd which runs elsewhere.
fn not_read(args: &StandaloneArgs) -> Vec<&'static str> {
    let told = |name: &&str| std::env::vars_os().any(|(told, _)| told == *name);
    let address = args.serve.ptyd_address.is_some().then_some("PTYD_ADDRESS");
    let certificates = args.serve.link_cert_dir.is_some().then_some("LINK_CERT_DIR");
    let places = ["PTYD_STATE_DIR", "PTYD_SOCKET", "PTYD_LINK_CERT_DIR"];
    // As root these are ours to say, and otherwise everything runs as us.
    let users = ["PTYD_WORKER_USER", "PTYD_LINK_USER"];
    let ptyds = places.into_iter().chain(users).filter(told);
    address.into_iter().chain(certificates).chain(ptyds).collect()
}

/// Listens at an address. The api of a supervisor that was killed a moment ago is about to leave it.
async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let given_up = tokio::time::Instant::now() + LEAVING;
    loop {
        match TcpListener::bind(address) {
            Err(err) if err.kind() == io::ErrorKind::AddrInUse && tokio::time::Instant::now() < given_up => {
                sleep(LOOK).await;
            }
            bound => return bound,
        }
    }
}

/// The requests to end: SIGINT and SIGTERM.
pub(crate) struct Ends {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Ends {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one. Cancel-safe.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Starts this program again with the same flags and environment as the api. The listener is its stdin, which is how a
/// descriptor is handed on without unsafe code.
fn start_api(layout: &Layout, listener: TcpListener) -> io::Result<Child> {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .arg("--api-of")
        .arg(std::process::id().to_string())
        .arg("--api-of-directory")
        .arg(layout.root())
        .stdin(Stdio::from(OwnedFd::from(listener)))
        // Ctrl-C is for the supervisor, which ends the api last.
        .process_group(0)
        .spawn()
}

async fn end_api(api: &mut Child) -> io::Result<()> {
    if let Some(pid) = api.id() {
        signal_process(pid, Signal::SIGTERM);
    }
    if timeout(API_GRACE, api.wait()).await.is_err() {
        api.kill().await?;
    }
    Ok(())
}

/// Sends a signal to a process that may be gone by now.
fn signal_process(pid: u32, signal: Signal) {
    if let Ok(pid @ 2..) = i32::try_from(pid) {
        let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    }
}
