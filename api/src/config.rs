//! What an operator may set (API.md section 11): flags and environment in, one typed struct out. Bad values stop the
//! process before any port is opened, and say which variable it was.

mod keys;
mod values;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ipnet::IpNet;
use lettre::Address;
use lettre::message::Mailbox;
use nix::unistd::{Uid, geteuid};
use secrecy::{ExposeSecret, SecretString};
use time::Duration;
use uuid::Uuid;

pub use self::keys::{KeySource, KeyTexts};
pub use self::values::project;
pub(crate) use self::values::secret;
use self::values::{api_base, http_url, mailbox, network, origin, switch};
use crate::coordination::RedisCoordination;
use crate::domain::accounts::LocalSessions;
use crate::domain::origins::Origin;
use crate::domain::token::{KeyAlgorithm, MAX_ACCESS_MINUTES};
use crate::mail::SmtpMailer;
use crate::store::{Location, Schema};

/// What a deployment is called if nobody names it.
pub const DEFAULT_PROJECT: &str = "DevPocket";

/// Where everything is kept if nobody says where.
pub const DEFAULT_DATA_DIR: &str = "./data";

/// Fewest bytes of METRICS_TOKEN in production.
const MIN_METRICS_TOKEN_BYTES: usize = 16;

/// Why LOCAL_SESSIONS=all is refused in production, and warned of elsewhere.
pub(crate) const ALL_SHARE_A_USER: &str = "all needs a keeper with PTYD_UID_RANGE, which no ptyd has yet: every shell of a node runs as \
    one user, so the first account to open one would have the node alone, and all others be refused; admin or off is needed";

/// Flags and environment of every command that serves.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on [default: 0.0.0.0:8000 served, 127.0.0.1:8000 standalone].
    #[arg(long, env = "LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where the apis agree, and on what for how long.
    #[command(flatten)]
    pub agreement: AgreementArgs,
    /// Whether the database's schema is brought up to date at start; off: `devpocket migrate` does it.
    #[arg(long, env = "MIGRATE_AT_START", default_value = "on")]
    pub migrate_at_start: OnOff,
    /// Secret that signs tokens, at least 32 bytes; every api of a deployment has the same. Several, one a line: the first
    /// signs, all are accepted.
    #[arg(long, env = "JWT_SECRET_KEY", hide_env_values = true, value_parser = secret)]
    pub jwt_secret_key: Option<SecretString>,
    /// File that holds JWT_SECRET_KEY, read again when it changes; `devpocket admin rotate-keys` keeps it.
    #[arg(long, env = "JWT_SECRET_KEY_FILE")]
    pub jwt_secret_key_file: Option<PathBuf>,
    /// File with private keys of Ed25519 in PEM, read again when it changes; `devpocket admin rotate-keys` keeps it. They sign
    /// tokens where JWT_ALGORITHM is EdDSA, else are accepted beside JWT_SECRET_KEY.
    #[arg(long, env = "JWT_PRIVATE_KEY_FILE")]
    pub jwt_private_key_file: Option<PathBuf>,
    /// What signs tokens: the keys of JWT_SECRET_KEY, or those of JWT_PRIVATE_KEY_FILE.
    #[arg(long, env = "JWT_ALGORITHM", default_value = "HS256")]
    pub jwt_algorithm: JwtAlgorithm,
    /// How long a refresh token lives, in days; each use gives a new one.
    #[arg(long, env = "JWT_REFRESH_TOKEN_EXPIRE_DAYS", default_value = "30",
        value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub jwt_refresh_token_expire_days: u32,
    /// Where ptyd is: `unix:/path` or `quic:host:port`.
    #[arg(long, env = "PTYD_ADDRESS")]
    pub ptyd_address: Option<PtydAddress>,
    /// Directory with ca.pem, api.pem and api.key, for a ptyd by `quic:`.
    #[arg(long, env = "LINK_CERT_DIR")]
    pub link_cert_dir: Option<PathBuf>,
    /// Who may open sessions on the server itself [default: off served, admin standalone].
    #[arg(long, env = "LOCAL_SESSIONS")]
    pub local_sessions: Option<Switch>,
    /// Whether anybody may make an account [default: open on a loopback listener with no proxy before it, else closed].
    #[arg(long, env = "REGISTRATION")]
    pub registration: Option<Registration>,
    /// What browsers call this server [default: http://LISTEN].
    #[arg(long, env = "PUBLIC_URL", value_parser = http_url)]
    pub public_url: Option<String>,
    /// What this deployment calls itself: in mails, and as the title of the OpenAPI document.
    #[arg(long, env = "PROJECT_NAME", default_value = DEFAULT_PROJECT, value_parser = project)]
    pub project_name: String,
    /// Base of the routes; there is no other than /api.
    #[arg(long, env = "API_V1_STR", default_value = "/api", value_parser = api_base)]
    pub api_v1_str: String,
    /// Whether mistakes of a test set-up are taken [default: production served, development standalone].
    #[arg(long, env = "ENVIRONMENT")]
    pub environment: Option<Environment>,
    /// Whether requests are counted against limits; off is refused in production.
    #[arg(long, env = "RATE_LIMITS", default_value = "on")]
    pub rate_limits: OnOff,
    /// Proxies whose X-Forwarded-For is believed: addresses and networks, separated by commas.
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<Option<IpNet>>,
    /// Whether signing in with a password needs a proved mail address.
    #[arg(long, env = "REQUIRE_EMAIL_VERIFICATION", default_value = "off")]
    pub require_email_verification: OnOff,
    /// Mail server, as a URL like `smtps://user:password@mail.example` [default: each mail is a file in DATA_DIR].
    #[arg(long, env = "SMTP_URL", hide_env_values = true, value_parser = secret)]
    pub smtp_url: Option<SecretString>,
    /// File that holds SMTP_URL.
    #[arg(long, env = "SMTP_URL_FILE")]
    pub smtp_url_file: Option<PathBuf>,
    /// Whom mails are from, like `DevPocket <devpocket@example.com>` [default: devpocket at the host of PUBLIC_URL].
    #[arg(long, env = "MAIL_FROM", value_parser = mailbox)]
    pub mail_from: Option<Mailbox>,
    /// Further origins whose pages may use this server, separated by commas.
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<Option<Origin>>,
    /// Address of a listener for Prometheus alone, `/metrics`; whoever reaches it may read it.
    #[arg(long, env = "METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// Bearer token for `/metrics` on the main port; without it that is for requests from this machine alone.
    #[arg(long, env = "METRICS_TOKEN", hide_env_values = true, value_parser = secret)]
    pub metrics_token: Option<SecretString>,
    /// File that holds METRICS_TOKEN.
    #[arg(long, env = "METRICS_TOKEN_FILE", conflicts_with = "metrics_token")]
    pub metrics_token_file: Option<PathBuf>,
    /// What is logged: a level, or a list like `info,sqlx=warn` [default: info, with DEBUG debug].
    #[arg(long, env = "LOG")]
    pub log: Option<String>,
    /// Whether much is logged: LOG's default is `debug`. Refused in production.
    #[arg(long, env = "DEBUG", default_value = "off", value_parser = switch)]
    pub debug: OnOff,
    /// Directory for logs in files, one of each kind a day for two weeks: app, access, error [default: none].
    #[arg(long, env = "LOG_DIR")]
    pub log_dir: Option<PathBuf>,
    /// Seconds that an api that is told to end still serves, while `/health/ready` says 503 and proxies turn away from it
    /// [default: 5 in production, else 0].
    #[arg(long, env = "DRAIN_SECS", value_parser = clap::value_parser!(u32).range(0..=300))]
    pub drain_secs: Option<u32>,
}

/// Flags and environment that say where the database is.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// Directory for everything that is kept [default: ./data].
    #[arg(long, env = "DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Database, as a `postgres://` or `sqlite://` URL [default: a SQLite file in DATA_DIR].
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: Option<SecretString>,
    /// File that holds DATABASE_URL.
    #[arg(long, env = "DATABASE_URL_FILE")]
    pub database_url_file: Option<PathBuf>,
}

/// Flags and environment that say how apis learn of devices that are signed out.
#[derive(clap::Args, Clone, Debug)]
pub struct AgreementArgs {
    /// Redis, as a `redis://` or `rediss://` URL; what several apis agree on is in it [default: none, for one api alone].
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_parser = secret)]
    pub redis_url: Option<SecretString>,
    /// File that holds REDIS_URL.
    #[arg(long, env = "REDIS_URL_FILE")]
    pub redis_url_file: Option<PathBuf>,
    /// How long an access token lives, in minutes.
    #[arg(long, env = "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", default_value = "60",
        value_parser = clap::value_parser!(u32).range(1..=MAX_ACCESS_MINUTES))]
    pub jwt_access_token_expire_minutes: u32,
}

/// Flags and environment of `devpocket migrate`.
#[derive(clap::Args, Clone, Debug)]
pub struct MigrateArgs {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What is logged: a level, or a list like `info,sqlx=warn`.
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
}

/// Words of ENVIRONMENT.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Environment {
    /// Strangers may come.
    Production,
    /// Nobody but its developers uses it.
    Development,
}

/// Words of JWT_ALGORITHM.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256, by the keys of JWT_SECRET_KEY.
    #[value(name = "HS256")]
    Hs256,
    /// Ed25519, by the keys of JWT_PRIVATE_KEY_FILE.
    #[value(name = "EdDSA")]
    EdDsa,
}

impl JwtAlgorithm {
    /// What its keys are for.
    pub fn keys(self) -> KeyAlgorithm {
        match self {
            Self::Hs256 => KeyAlgorithm::Hs256,
            Self::EdDsa => KeyAlgorithm::EdDsa,
        }
    }

    /// The one whose keys are accepted beside its own.
    pub fn other(self) -> Self {
        match self {
            Self::Hs256 => Self::EdDsa,
            Self::EdDsa => Self::Hs256,
        }
    }
}

/// Words of a switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum OnOff {
    /// Yes.
    On,
    /// No.
    Off,
}

/// Where ptyd is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PtydAddress {
    /// On this host, by its socket.
    Unix(PathBuf),
    /// Anywhere, as `host:port`.
    Quic(String),
}

/// Words of LOCAL_SESSIONS.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Switch {
    /// Nobody.
    Off,
    /// Administrators.
    Admin,
    /// Everybody with an account; refused in production until a ptyd can tell their shells apart.
    All,
}

/// Words of REGISTRATION.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Registration {
    /// Anybody may make an account.
    Open,
    /// Nobody may.
    Closed,
}

/// How the api is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// One of any number, for whoever may reach it.
    Served,
    /// Alone with its own ptyd, for its owner.
    Standalone,
}

/// Everything the api is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// How it is run.
    pub mode: Mode,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The database.
    pub database: Location,
    /// What is done about its schema at start.
    pub schema: Schema,
    /// Redis, by its checked URL; none: one api alone.
    pub redis: Option<SecretString>,
    /// The keys that sign tokens.
    pub keys: KeySource,
    /// How long an access token lives.
    pub access_life: Duration,
    /// How long a refresh token lives.
    pub refresh_life: Duration,
    /// Where ptyd is.
    pub ptyd: PtydAddress,
    /// The link's certificates; there whenever `ptyd` is `Quic`.
    pub link_cert_dir: Option<PathBuf>,
    /// Who may open sessions on the server itself.
    pub local_sessions: LocalSessions,
    /// Whether anybody may make an account; none: if the listener is on loopback and no proxy before it.
    pub registration: Option<Registration>,
    /// What browsers call this server.
    pub public_url: Option<String>,
    /// What this deployment calls itself.
    pub project: String,
    /// Further origins whose pages may use this server.
    pub cors_origins: Vec<Origin>,
    /// Requests are counted against limits.
    pub rate_limits: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where to show metrics beside the main port.
    pub metrics_listen: Option<SocketAddr>,
    /// Opens `/metrics` on the main port to who is not on this machine.
    pub metrics_token: Option<SecretString>,
    /// Signing in with a password needs a proved mail address.
    pub require_verified: bool,
    /// What sends mails.
    pub mail: Mail,
    /// How long it still serves when it is told to end.
    pub drain: std::time::Duration,
}

/// What sends mails.
#[derive(Clone, Debug)]
pub enum Mail {
    /// Each is a file in this directory.
    Files(PathBuf),
    /// A mail server, by its checked URL, and whom mails are from.
    Smtp(SecretString, Box<Mailbox>),
}

/// A variable is missing or wrong.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    variable: &'static str,
    problem: String,
}

impl ServeArgs {
    /// Checks what does not depend on anything that is made at a start: for a standalone, which starts a ptyd and makes a
    /// secret before there is a [`Config`]. The api will run as the user `api`.
    pub fn check_standalone(&self, api: Uid) -> Result<(), ConfigError> {
        let mut args = self.clone();
        args.ptyd_address = Some(PtydAddress::Unix(PathBuf::new()));
        let keys = args.keys(false, api)?;
        if !keys.has_signing() {
            // One is made at the start.
            args.jwt_algorithm = JwtAlgorithm::Hs256;
            if !keys.has_secrets() {
                args.jwt_secret_key = Some(Uuid::new_v4().to_string().into());
            }
        }
        Config::of(args, Mode::Standalone, api).map(drop)
    }

    /// What is logged.
    pub fn log_filter(&self) -> &str {
        let default = if self.debug == OnOff::On { "debug" } else { "info" };
        self.log.as_deref().unwrap_or(default)
    }

    /// Where the keys that sign tokens are, each checked that is given, for an api that runs as `reader`; with `strict`, one
    /// that strangers would try is refused.
    fn keys(&self, strict: bool, reader: Uid) -> Result<KeySource, ConfigError> {
        let source = KeySource {
            algorithm: self.jwt_algorithm,
            secret: self.jwt_secret_key.clone(),
            secret_file: self.jwt_secret_key_file.clone(),
            private_key_file: self.jwt_private_key_file.clone(),
            refuses_weak: strict,
            reader,
        };
        source.check()?;
        Ok(source)
    }

    fn mail(&self) -> Result<Mail, ConfigError> {
        let names = ("SMTP_URL", "SMTP_URL_FILE");
        let Some((variable, url)) = given(names, self.smtp_url.as_ref(), self.smtp_url_file.as_deref())?
        else {
            return Ok(Mail::Files(self.database.directory().join("mail")));
        };
        let from = self.mail_from.clone().unwrap_or_else(|| self.default_sender());
        SmtpMailer::check(&url).map_err(|problem| wrong(variable, problem.to_string()))?;
        Ok(Mail::Smtp(url, Box::new(from)))
    }

    fn default_sender(&self) -> Mailbox {
        let public = self.public_url.as_deref().and_then(Origin::of_url);
        let host = public.as_ref().map_or("localhost", Origin::host);
        let address = Address::new("devpocket", host).ok();
        Mailbox::new(
            Some(self.project_name.clone()),
            address.unwrap_or_else(|| {
                #[expect(clippy::expect_used, reason = "a literal that is an address")]
                Address::new("devpocket", "localhost").expect("an address")
            }),
        )
    }
}

impl AgreementArgs {
    /// The URL of Redis, checked; none if there is none.
    pub fn redis(&self) -> Result<Option<SecretString>, ConfigError> {
        let names = ("REDIS_URL", "REDIS_URL_FILE");
        let given = given(names, self.redis_url.as_ref(), self.redis_url_file.as_deref())?;
        if let Some((variable, url)) = &given {
            RedisCoordination::check(url).map_err(|problem| wrong(variable, problem.to_string()))?;
        }
        Ok(given.map(|(_, url)| url))
    }

    /// How long an access token lives.
    pub fn access_life(&self) -> Duration {
        Duration::minutes(self.jwt_access_token_expire_minutes.into())
    }
}

impl DatabaseArgs {
    /// Where the database is.
    pub fn location(&self) -> Result<Location, ConfigError> {
        let names = ("DATABASE_URL", "DATABASE_URL_FILE");
        match given(names, self.database_url.as_ref(), self.database_url_file.as_deref())? {
            Some((variable, url)) => {
                Location::of_url(&url).map_err(|problem| wrong(variable, problem.to_string()))
            }
            None => Ok(Location::file(&self.directory().join("devpocket.db"))),
        }
    }

    fn directory(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new(DEFAULT_DATA_DIR))
    }
}

/// A secret from its variable or from the file that the second variable names, and which of them it was.
fn given(
    (plain, file): (&'static str, &'static str),
    secret: Option<&SecretString>,
    path: Option<&Path>,
) -> Result<Option<(&'static str, SecretString)>, ConfigError> {
    match (secret, path) {
        (Some(_), Some(_)) => Err(wrong(plain, format!("is given, and {file} too; one of them is needed"))),
        (Some(secret), None) => Ok(Some((plain, secret.clone()))),
        (None, Some(path)) => {
            let text =
                fs::read_to_string(path).map_err(|err| wrong(file, format!("{}: {err}", path.display())))?;
            Ok(Some((file, SecretString::from(text.trim_end().to_owned()))))
        }
        (None, None) => Ok(None),
    }
}

fn wrong(variable: &'static str, problem: impl Into<String>) -> ConfigError {
    ConfigError { variable, problem: problem.into() }
}

impl ServeArgs {
    /// The token for `/metrics`, from wherever it is given.
    fn metrics_token(&self) -> Result<Option<SecretString>, ConfigError> {
        let variable = "METRICS_TOKEN_FILE";
        let token = match &self.metrics_token_file {
            None => return Ok(self.metrics_token.clone().filter(|token| !token.expose_secret().is_empty())),
            Some(path) => fs::read_to_string(path)
                .map_err(|err| ConfigError { variable, problem: format!("{}: {err}", path.display()) })?,
        };
        if token.trim().is_empty() {
            return Err(ConfigError { variable, problem: "the file is empty".to_owned() });
        }
        Ok(Some(SecretString::from(token.trim().to_owned())))
    }
}

impl Config {
    /// Checks what the command line and environment say, and reads the secret's file.
    pub fn new(args: ServeArgs, mode: Mode) -> Result<Self, ConfigError> {
        Self::of(args, mode, geteuid())
    }

    /// The same for an api that will run as the user `api`.
    fn of(args: ServeArgs, mode: Mode, api: Uid) -> Result<Self, ConfigError> {
        let ptyd = args.ptyd_address.clone().ok_or_else(|| wrong("PTYD_ADDRESS", "is needed"))?;
        if matches!(ptyd, PtydAddress::Quic(_)) && args.link_cert_dir.is_none() {
            return Err(wrong("LINK_CERT_DIR", "is needed with a quic: PTYD_ADDRESS"));
        }
        let metrics_token = args.metrics_token()?;
        let (listen, local_sessions) = match mode {
            Mode::Served => (SocketAddr::from(([0, 0, 0, 0], 8000)), Switch::Off),
            Mode::Standalone => (SocketAddr::from(([127, 0, 0, 1], 8000)), Switch::Admin),
        };
        let (mail, redis) = (args.mail()?, args.agreement.redis()?);
        let environment = args.environment.unwrap_or(match mode {
            Mode::Served => Environment::Production,
            Mode::Standalone => Environment::Development,
        });
        let keys = args.keys(environment == Environment::Production, api)?;
        keys.keys(&keys.texts()?)?;
        if environment == Environment::Production
            && metrics_token
                .as_ref()
                .is_some_and(|token| token.expose_secret().len() < MIN_METRICS_TOKEN_BYTES)
        {
            let problem = format!("must have at least {MIN_METRICS_TOKEN_BYTES} bytes: strangers may try it");
            return Err(wrong("METRICS_TOKEN", problem));
        }
        let local_sessions = args.local_sessions.unwrap_or(local_sessions);
        if matches!(local_sessions, Switch::All) && environment == Environment::Production {
            return Err(wrong("LOCAL_SESSIONS", ALL_SHARE_A_USER));
        }
        if args.debug == OnOff::On && environment == Environment::Production {
            return Err(wrong("DEBUG", "on is for ENVIRONMENT=development"));
        }
        let rate_limits = args.rate_limits == OnOff::On;
        if !rate_limits && environment == Environment::Production {
            return Err(wrong("RATE_LIMITS", "off is for ENVIRONMENT=development"));
        }
        Ok(Self {
            mode,
            listen: args.listen.unwrap_or(listen),
            database: args.database.location()?,
            schema: match args.migrate_at_start {
                OnOff::On => Schema::Migrate,
                OnOff::Off => Schema::Check,
            },
            keys,
            access_life: args.agreement.access_life(),
            refresh_life: Duration::days(args.jwt_refresh_token_expire_days.into()),
            ptyd,
            link_cert_dir: args.link_cert_dir,
            local_sessions: match local_sessions {
                Switch::Off => LocalSessions::Off,
                Switch::Admin => LocalSessions::Admin,
                Switch::All => LocalSessions::All,
            },
            registration: args.registration,
            public_url: args.public_url,
            project: args.project_name,
            cors_origins: args.cors_origins.into_iter().flatten().collect(),
            redis,
            rate_limits,
            trusted_proxies: args.trusted_proxies.into_iter().flatten().collect(),
            metrics_listen: args.metrics_listen,
            metrics_token,
            require_verified: args.require_email_verification == OnOff::On,
            mail,
            drain: std::time::Duration::from_secs(args.drain_secs.map_or_else(
                || if mode == Mode::Served && environment == Environment::Production { 5 } else { 0 },
                u64::from,
            )),
        })
    }
}

#[cfg(test)]
mod tests;
