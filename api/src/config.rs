//! What an operator may set (API.md section 11): flags and environment in, one typed struct out. Bad values stop the
//! process before any port is opened, and say which variable it was.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};
use time::Duration;

use crate::domain::accounts::LocalSessions;
use crate::domain::origins::Origin;
use crate::domain::token::MIN_SECRET_BYTES;
use crate::store::Location;

/// Where everything is kept if nobody says where.
pub const DEFAULT_DATA_DIR: &str = "./data";

/// Flags and environment of every command that serves.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on [default: 0.0.0.0:8000 served, 127.0.0.1:8000 standalone].
    #[arg(long, env = "LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Directory for everything that is kept [default: ./data].
    #[arg(long, env = "DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Database, as a `sqlite:` URL [default: a file in DATA_DIR].
    #[arg(long, env = "DATABASE_URL", value_parser = sqlite_url)]
    pub database_url: Option<String>,
    /// Secret that signs tokens, at least 32 bytes; every api of a deployment has the same.
    #[arg(long, env = "JWT_SECRET_KEY", hide_env_values = true, value_parser = secret)]
    pub jwt_secret_key: Option<SecretString>,
    /// File that holds JWT_SECRET_KEY.
    #[arg(long, env = "JWT_SECRET_KEY_FILE")]
    pub jwt_secret_key_file: Option<PathBuf>,
    /// How long an access token lives, in minutes.
    #[arg(long, env = "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", default_value = "60",
        value_parser = clap::value_parser!(u32).range(1..=525_600))]
    pub jwt_access_token_expire_minutes: u32,
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
    /// Whether anybody may make an account [default: open on a loopback listener, else closed].
    #[arg(long, env = "REGISTRATION")]
    pub registration: Option<Registration>,
    /// What browsers call this server [default: http://LISTEN].
    #[arg(long, env = "PUBLIC_URL", value_parser = http_url)]
    pub public_url: Option<String>,
    /// Further origins whose pages may use this server, separated by commas.
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<Option<Origin>>,
    /// What is logged: a level, or a list like `info,sqlx=warn`.
    #[arg(long, env = "LOG", default_value = "info")]
    pub log: String,
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
    /// Everybody with an account.
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
    /// Signs tokens.
    pub jwt_secret: SecretString,
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
    /// Whether anybody may make an account; none: if the listener is on loopback.
    pub registration: Option<Registration>,
    /// What browsers call this server.
    pub public_url: Option<String>,
    /// Further origins whose pages may use this server.
    pub cors_origins: Vec<Origin>,
}

/// A variable is missing or wrong.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    variable: &'static str,
    problem: String,
}

impl ServeArgs {
    /// The secret that signs tokens, from wherever it is given; none if it is not.
    pub fn jwt_secret(&self) -> Result<Option<SecretString>, ConfigError> {
        let (variable, secret) = match (&self.jwt_secret_key, &self.jwt_secret_key_file) {
            (Some(_), Some(_)) => {
                let problem = "is given, and JWT_SECRET_KEY_FILE too; one of them is needed".to_owned();
                return Err(ConfigError { variable: "JWT_SECRET_KEY", problem });
            }
            (Some(secret), None) => ("JWT_SECRET_KEY", secret.clone()),
            (None, Some(path)) => {
                let variable = "JWT_SECRET_KEY_FILE";
                let text = fs::read_to_string(path)
                    .map_err(|err| ConfigError { variable, problem: format!("{}: {err}", path.display()) })?;
                (variable, SecretString::from(text.trim_end().to_owned()))
            }
            (None, None) => return Ok(None),
        };
        if secret.expose_secret().len() < MIN_SECRET_BYTES {
            return Err(ConfigError {
                variable,
                problem: format!("needs at least {MIN_SECRET_BYTES} bytes"),
            });
        }
        Ok(Some(secret))
    }
}

impl Config {
    /// Checks what the command line and environment say, and reads the secret's file.
    pub fn new(args: ServeArgs, mode: Mode) -> Result<Self, ConfigError> {
        let wrong = |variable, problem: &str| ConfigError { variable, problem: problem.to_owned() };
        let ptyd = args.ptyd_address.clone().ok_or_else(|| wrong("PTYD_ADDRESS", "is needed"))?;
        if matches!(ptyd, PtydAddress::Quic(_)) && args.link_cert_dir.is_none() {
            return Err(wrong("LINK_CERT_DIR", "is needed with a quic: PTYD_ADDRESS"));
        }
        let jwt_secret =
            args.jwt_secret()?.ok_or_else(|| wrong("JWT_SECRET_KEY", "or JWT_SECRET_KEY_FILE is needed"))?;
        let (listen, local_sessions) = match mode {
            Mode::Served => (SocketAddr::from(([0, 0, 0, 0], 8000)), Switch::Off),
            Mode::Standalone => (SocketAddr::from(([127, 0, 0, 1], 8000)), Switch::Admin),
        };
        Ok(Self {
            mode,
            listen: args.listen.unwrap_or(listen),
            database: args.database_url.map_or_else(
                || {
                    Location::File(
                        args.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into()).join("devpocket.db"),
                    )
                },
                Location::Url,
            ),
            jwt_secret,
            access_life: Duration::minutes(args.jwt_access_token_expire_minutes.into()),
            refresh_life: Duration::days(args.jwt_refresh_token_expire_days.into()),
            ptyd,
            link_cert_dir: args.link_cert_dir,
            local_sessions: match args.local_sessions.unwrap_or(local_sessions) {
                Switch::Off => LocalSessions::Off,
                Switch::Admin => LocalSessions::Admin,
                Switch::All => LocalSessions::All,
            },
            registration: args.registration,
            public_url: args.public_url,
            cors_origins: args.cors_origins.into_iter().flatten().collect(),
        })
    }
}

impl FromStr for PtydAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("quic", authority)) => match authority.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0) => {
                    Ok(Self::Quic(authority.to_owned()))
                }
                _ => Err("quic: needs host:port"),
            },
            _ => Err("must be unix:/path or quic:host:port"),
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the shape clap wants; it must not fail, since clap would print the value"
)]
fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text))
}

fn sqlite_url(text: &str) -> Result<String, &'static str> {
    if text.starts_with("sqlite:") { Ok(text.to_owned()) } else { Err("must be a sqlite: URL") }
}

fn http_url(text: &str) -> Result<String, &'static str> {
    Origin::of_url(text).map(|_| text.to_owned()).ok_or("must be an http or https URL")
}

/// An origin; none for the empty text, so that an empty variable is an empty list.
fn origin(text: &str) -> Result<Option<Origin>, &'static str> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    Origin::of_url(text.trim())
        .map(Some)
        .ok_or("must be origins like https://app.example, without a wildcard")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    const SECRET: &str = "a-secret-that-must-never-be-printed";

    /// What the flags given, beside the two that are needed, make of it.
    fn config(more: &[&str]) -> Result<Config, String> {
        let needed = ["devpocket", "--jwt-secret-key", SECRET, "--ptyd-address", "unix:/run/ptyd.sock"];
        parse(&[&needed, more].concat())
    }

    fn parse(flags: &[&str]) -> Result<Config, String> {
        let cli = Cli::try_parse_from(flags).map_err(|err| err.to_string())?;
        Config::new(cli.serve, Mode::Served).map_err(|err| err.to_string())
    }

    #[test]
    fn what_is_left_out_has_its_documented_default() {
        let config = config(&[]).unwrap();
        assert_eq!(config.listen, "0.0.0.0:8000".parse().unwrap());
        assert_eq!(config.database, Location::File("./data/devpocket.db".into()));
        assert_eq!((config.access_life, config.refresh_life), (Duration::minutes(60), Duration::days(30)));
        assert_eq!(config.local_sessions, LocalSessions::Off);
        assert_eq!((config.registration, config.public_url, config.cors_origins.len()), (None, None, 0));
    }

    #[test]
    fn a_bad_value_names_its_variable_and_never_a_secret() {
        for (flags, variable) in [
            (["--listen", "localhost"], "LISTEN"),
            (["--database-url", "mysql://x"], "DATABASE_URL"),
            (["--jwt-access-token-expire-minutes", "0"], "JWT_ACCESS_TOKEN_EXPIRE_MINUTES"),
            (["--jwt-refresh-token-expire-days", "forever"], "JWT_REFRESH_TOKEN_EXPIRE_DAYS"),
            (["--ptyd-address", "tcp:x"], "PTYD_ADDRESS"),
            (["--ptyd-address", "quic:x"], "PTYD_ADDRESS"),
            (["--local-sessions", "yes"], "LOCAL_SESSIONS"),
            (["--registration", "maybe"], "REGISTRATION"),
            (["--public-url", "term.example"], "PUBLIC_URL"),
            (["--cors-origins", "https://a.example,*"], "CORS_ORIGINS"),
            (["--jwt-secret-key-file", "/nonexistent"], "JWT_SECRET_KEY"),
        ] {
            let flags =
                [&["devpocket", "--jwt-secret-key", SECRET, "--ptyd-address=unix:/x"][..], &flags].concat();
            // A flag given twice would be refused for that.
            let flags: Vec<&str> = flags
                .into_iter()
                .filter(|flag| variable != "PTYD_ADDRESS" || *flag != "--ptyd-address=unix:/x")
                .collect();
            let said = parse(&flags).unwrap_err();
            assert!(said.contains(variable) && !said.contains(SECRET), "{variable}: {said}");
        }
        let short = parse(&["devpocket", "--jwt-secret-key", "short-secret", "--ptyd-address", "unix:/x"])
            .unwrap_err();
        assert!(short.contains("JWT_SECRET_KEY") && !short.contains("short-secret"), "{short}");
        let none = parse(&["devpocket", "--ptyd-address", "unix:/x"]).unwrap_err();
        assert!(none.contains("JWT_SECRET_KEY_FILE"), "{none}");
        let nowhere = parse(&["devpocket", "--jwt-secret-key", SECRET]).unwrap_err();
        assert!(nowhere.contains("PTYD_ADDRESS"), "{nowhere}");
        let bare =
            parse(&["devpocket", "--jwt-secret-key", SECRET, "--ptyd-address", "quic:h:1"]).unwrap_err();
        assert!(bare.contains("LINK_CERT_DIR"), "{bare}");
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_prints_nowhere() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{SECRET}\n")).unwrap();
        let path = file.path().to_str().unwrap();
        let config = parse(&[
            "devpocket",
            "--jwt-secret-key-file",
            path,
            "--ptyd-address",
            "quic:h:1",
            "--link-cert-dir",
            "/x",
        ]);
        let config = config.unwrap();
        assert_eq!(config.jwt_secret.expose_secret(), SECRET);
        assert_eq!(config.ptyd, PtydAddress::Quic("h:1".into()));
        assert!(!format!("{config:?}").contains(SECRET));
    }

    #[test]
    fn lists_and_words_are_read() {
        let config = config(&[
            "--cors-origins",
            "https://a.example, http://b.example:81/",
            "--registration",
            "closed",
            "--local-sessions",
            "all",
        ]);
        let config = config.unwrap();
        let origins: Vec<&str> = config.cors_origins.iter().map(Origin::as_str).collect();
        assert_eq!(origins, ["https://a.example", "http://b.example:81"]);
        assert_eq!(config.registration, Some(Registration::Closed));
        assert_eq!(config.local_sessions, LocalSessions::All);
        assert!(self::config(&["--cors-origins", ""]).unwrap().cors_origins.is_empty());
    }
}
