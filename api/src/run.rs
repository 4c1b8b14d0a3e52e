//! One life of an api: opens what it needs, serves, and puts it away. `main` and tests start here.

mod keys;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use devpocket_shared::metrics::Metrics;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::{ALL_SHARE_A_USER, Config, ConfigError, Mail, Mode, Registration};
use crate::coordination::{MemoryCoordination, RedisCoordination, RedisUrlError};
use crate::counts;
use crate::domain::accounts::{AccountError, Accounts, Around, FirstAccount, LocalSessions, Policy, errands};
use crate::domain::answers::Answers;
use crate::domain::clock::Clock;
use crate::domain::coordination::Coordination;
use crate::domain::origins::{LOOPBACK_HOSTS, Origin, Origins};
use crate::domain::password::PasswordError;
use crate::domain::sessions::Sessions;
use crate::domain::token::Tokens;
use crate::http::metrics::MetricsAccess;
use crate::http::{openapi, router};
use crate::link::{Link, LinkSetupError};
use crate::logs::READY;
use crate::mail::{AnyMailer, FileMailer, SmtpMailer, SmtpUrlError};
use crate::server::{self, Limits};
use crate::state::AppState;
use crate::store::{Answering, Database, StoreError};

/// How long sockets have to say goodbye once the api stops.
const GRACE: Duration = Duration::from_secs(5);
/// How often the database and Redis are looked at for the numbers; Prometheus asks every 15 s or so.
const LOOK: Duration = Duration::from_secs(5);

/// The api could not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[source] io::Error),
    /// Metrics cannot be shown where they should be.
    #[error("METRICS_LISTEN: cannot listen on {address}")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Database(#[from] StoreError),
    /// The keys that sign tokens are no good any more.
    #[error(transparent)]
    Keys(#[from] ConfigError),
    /// Passwords cannot be hashed.
    #[error("passwords cannot be hashed")]
    Passwords(#[from] PasswordError),
    /// The URL of Redis is no good.
    #[error("REDIS_URL")]
    Redis(#[from] RedisUrlError),
    /// The mail server's URL is no good.
    #[error("SMTP_URL")]
    Mail(#[from] SmtpUrlError),
    /// The link to ptyd cannot be set up.
    #[error("the link to ptyd cannot be set up")]
    Link(#[from] LinkSetupError),
    /// No first-run link could be made.
    #[error("the first-run link could not be made")]
    FirstRun(#[source] AccountError),
}

/// What an api says once it serves.
#[derive(Debug)]
pub struct Ready {
    /// Where it listens.
    pub address: SocketAddr,
    /// The secret of a first-run link; standalone only, while the owner has no password.
    pub first_run: Option<SecretString>,
}

/// Serves on `listener` until `draining` and then for as long as the configuration says. Calls `ready` once, when requests are answered.
pub async fn run(
    config: Config,
    metrics: Metrics,
    listener: TcpListener,
    draining: CancellationToken,
    ready: impl FnOnce(Ready),
) -> Result<(), RunError> {
    let address = listener.local_addr().map_err(RunError::Listener)?;
    counts::begin();
    openapi::begin_counts();
    let stop = CancellationToken::new();
    let database = Database::open(&config.database, config.schema).await?;
    let tokens = Tokens::new(&config.keys.keys(&config.keys.texts()?)?, config.access_life);
    let store = Arc::new(database.clone());
    let mailer: AnyMailer = match config.mail.clone() {
        Mail::Files(directory) => Arc::new(FileMailer::new(directory)),
        Mail::Smtp(url, from) => Arc::new(SmtpMailer::new(&url, *from)?),
    };
    if config.local_sessions == LocalSessions::All {
        warn!("LOCAL_SESSIONS: {ALL_SHARE_A_USER}");
    }
    let (policy, no_proxy) = (policy(&config, address), knows_no_proxy(&config));
    let behind_tls = policy.behind_tls();
    let (errands, queue) = errands();
    let coordination: Arc<dyn Coordination> = match &config.redis {
        None => Arc::new(MemoryCoordination::default()),
        Some(url) => Arc::new(RedisCoordination::new(url)?),
    };
    let around = Around { mailer, errands, coordination: coordination.clone(), limits: config.rate_limits };
    let accounts = Arc::new(Accounts::new(store, tokens, policy, Clock::system(), around)?);
    let first_run = match config.mode {
        Mode::Served => None,
        Mode::Standalone => accounts.first_run_token().await.map_err(RunError::FirstRun)?,
    };
    let tasks = TaskTracker::new();
    let (doing, stopping) = (accounts.clone(), stop.clone());
    tasks.spawn(async move { doing.run_errands(queue, stopping).await });
    for warning in config.keys.warnings() {
        warn!("{warning}");
    }
    if config.keys.can_change() {
        tasks.spawn(keys::follow(config.keys.clone(), accounts.clone(), stop.clone()));
    }
    let link = Link::from_config(config.ptyd.clone(), config.link_cert_dir.as_deref(), tasks.clone())?;
    let link = Arc::new(link);
    let (watched, until) = (link.clone(), stop.clone());
    tasks.spawn(async move { until.run_until_cancelled(watched.watch_certificate()).await });
    let sessions = Arc::new(Sessions::new(Arc::new(database.clone()), link.clone(), Clock::system()));
    let (books, until) = (sessions.clone(), stop.clone());
    tasks.spawn(async move { books.keep_books(until).await });
    let (wishes, until) = (sessions.clone(), stop.clone());
    tasks.spawn(async move { wishes.carry_out_ends(until).await });
    let state = AppState {
        accounts,
        answers: Arc::new(Answers::new(Arc::new(database.clone()), Clock::system())),
        sessions,
        link,
        database,
        coordination,
        own_limiter: Arc::new(MemoryCoordination::default()),
        limits: config.rate_limits,
        trusted_proxies: config.trusted_proxies.into(),
        cors_origins: config.cors_origins.into(),
        behind_tls,
        document: openapi::text(&config.project).into_bytes().into(),
        metrics: MetricsAccess::new(metrics.clone(), config.metrics_token.clone(), no_proxy),
        tasks,
        draining: draining.clone(),
        stop: stop.clone(),
    };
    if let Some(address) = config.metrics_listen {
        let listener =
            TcpListener::bind(address).await.map_err(|source| RunError::Metrics { address, source })?;
        let (showing, stopping) = (metrics.serve(listener), stop.clone());
        state.tasks.spawn(async move { stopping.run_until_cancelled(showing).await });
    }
    let (watched, until) = (state.clone(), stop.clone());
    state.tasks.spawn(async move { until.run_until_cancelled(watch(watched)).await });
    let router = router(state.clone());
    ready(Ready { address, first_run });
    info!(target: READY, "listening on http://{address}");
    let (drain, ending) = (config.drain, stop.clone());
    state.tasks.spawn(async move {
        draining.cancelled().await;
        info!("told to end: serving for {drain:?} more");
        sleep(drain).await;
        ending.cancel();
    });
    server::serve(listener, router, Limits::for_open_files(open_files()), &stop).await;

    state.tasks.close();
    if timeout(GRACE, state.tasks.wait()).await.is_err() {
        warn!(left = state.tasks.len(), "sockets or mails still under way after {GRACE:?}");
    }
    state.database.close().await;
    info!("stopped");
    Ok(())
}

/// Looks at the database and at Redis for ever, for the numbers that say whether they answer.
async fn watch(state: AppState) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let (database, redis) = tokio::join!(state.database.ping(), state.coordination.reachable());
        counts::database_up(matches!(database, Ok(Answering::Everything)));
        if let Some(redis) = redis {
            counts::redis_up(redis);
        }
    }
}

fn policy(config: &Config, address: SocketAddr) -> Policy {
    let private = is_private(config, address);
    let public = config.public_url.clone().unwrap_or_else(|| match address.ip() {
        // No browser calls a server 0.0.0.0; one on this machine says localhost.
        ip if ip.is_unspecified() => format!("http://localhost:{}", address.port()),
        _ => format!("http://{address}"),
    });
    let named = Origin::of_url(&public).into_iter().chain(config.cors_origins.iter().cloned()).collect();
    Policy {
        registration_open: config.registration.map_or(private, |word| word == Registration::Open),
        first_account: match (private, config.mode) {
            (false, _) => FirstAccount::Plain,
            (true, Mode::Served) => FirstAccount::Admin,
            (true, Mode::Standalone) => FirstAccount::Owner,
        },
        local_sessions: config.local_sessions,
        origins: Origins::new(address, named),
        refresh_life: config.refresh_life,
        require_verified: config.require_verified,
        public_url: public,
        project: config.project.clone(),
    }
}

/// Whether nobody but this machine's users can come in, as far as is known: a proxy on this host reaches a loopback listener
/// for whoever calls it.
fn is_private(config: &Config, address: SocketAddr) -> bool {
    address.ip().is_loopback() && knows_no_proxy(config)
}

/// Whether nothing that is configured tells of a proxy: then who comes from this machine is on this machine.
fn knows_no_proxy(config: &Config) -> bool {
    let public = config.public_url.as_deref().and_then(Origin::of_url);
    config.trusted_proxies.is_empty() && public.is_none_or(|origin| LOOPBACK_HOSTS.contains(&origin.host()))
}

/// Raises the limit of open files as far as it goes, and says what it is now.
fn open_files() -> u64 {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(err) = raised {
        warn!("the limit of open files stays as it is: {err}");
    }
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(now, _)| now)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::ServeArgs;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn policy_of(listen: &str, flags: &[&str]) -> Policy {
        let secret = "9b2f4c7e1d8a036592c1f7e4ab5d0836";
        let needed = ["devpocket", "--jwt-secret-key", secret, "--ptyd-address", "unix:/run/ptyd.sock"];
        let cli = Cli::try_parse_from([&needed, flags].concat()).unwrap();
        let config = Config::new(cli.serve, Mode::Served).unwrap();
        policy(&config, listen.parse().unwrap())
    }

    /// What may be done by whoever comes: register, and be the administrator.
    fn check(listen: &str, flags: &[&str], open: bool, first: FirstAccount) {
        let policy = policy_of(listen, flags);
        assert_eq!((policy.registration_open, policy.first_account), (open, first), "{listen} {flags:?}");
    }

    /// The story: behind a TLS proxy on the same host the first stranger to register was made the administrator.
    #[test]
    fn who_comes_through_a_proxy_on_this_host_is_a_stranger() {
        let here = "127.0.0.1:8000";
        check(here, &[], true, FirstAccount::Admin);
        for url in ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:8000/"] {
            check(here, &["--public-url", url], true, FirstAccount::Admin);
        }
        check(here, &["--public-url", "https://pocket.example"], false, FirstAccount::Plain);
        check(here, &["--public-url", "https://localhost.example"], false, FirstAccount::Plain);
        check(here, &["--trusted-proxies", "127.0.0.1"], false, FirstAccount::Plain);
        check("0.0.0.0:8000", &[], false, FirstAccount::Plain);
        let open = ["--registration", "open", "--public-url", "https://pocket.example"];
        check(here, &open, true, FirstAccount::Plain);
    }

    #[test]
    fn what_browsers_call_the_server_tells_whether_tls_is_before_it() {
        for (flags, behind_tls) in [
            (&[][..], false),
            (&["--public-url", "http://pocket.example"], false),
            (&["--public-url", "https://pocket.example"], true),
            (&["--public-url", "HTTPS://pocket.example"], true),
        ] {
            assert_eq!(policy_of("0.0.0.0:8000", flags).behind_tls(), behind_tls, "{flags:?}");
        }
    }
}
