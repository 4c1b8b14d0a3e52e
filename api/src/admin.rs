//! `devpocket admin`: what an operator does beside a running api, or while none runs: at the database and the key file, with
//! the configuration of `devpocket serve`. Apis notice within a second or two; none needs a restart.

mod accounts;
mod certificates;
mod devices;
mod keys;
mod place;
mod sessions;

use std::io;
use std::path::PathBuf;

use clap::Subcommand;
use devpocket_shared::certificates::CertificateError;
use devpocket_shared::ids::UserId;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::config::{ConfigError, DatabaseArgs};
use crate::coordination::RedisUrlError;
use crate::domain::password::PasswordError;
use crate::domain::secret_token::NoRandomness;
use crate::domain::token::BadKeys;
use crate::domain::user::{LoginName, User};
use crate::store::{Database, Location, Schema, StoreError, UserStore};

/// Flags and environment of `devpocket admin`.
#[derive(clap::Args, Clone, Debug)]
pub struct AdminArgs {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Answer in JSON, one object, for scripts; errors too, on stderr.
    #[arg(long, global = true)]
    pub json: bool,
    /// What is logged: a level, or a list like `info,sqlx=warn`.
    #[arg(long, env = "LOG", default_value = "warn")]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What an operator can do.
#[derive(Subcommand, Clone, Debug)]
pub enum AdminCommand {
    /// Make an account; its mail address counts as proved.
    CreateUser(accounts::CreateUser),
    /// Give an account another tier.
    SetTier(accounts::SetTier),
    /// Close an account: all its devices are signed out, and nobody signs in to it; what runs of it goes on.
    DisableUser(accounts::DisableUser),
    /// Open a closed account again.
    EnableUser(accounts::EnableUser),
    /// List the accounts.
    ListUsers(Page),
    /// List the devices an account is signed in on.
    ListDevices(devices::ListDevices),
    /// Sign devices of an account out; their terminals close within a second, everywhere.
    RevokeDevices(devices::RevokeDevices),
    /// List sessions that live.
    ListSessions(sessions::ListSessions),
    /// End sessions, the programs in them too; where no api runs, as soon as one does.
    EndSessions(sessions::EndSessions),
    /// Say that a node is gone for good: its sessions are lost at once.
    ForgetNode(sessions::ForgetNode),
    /// Make a new key for signing tokens; nobody is signed out.
    RotateKeys(keys::RotateKeys),
    /// Make the certificates of the link between apis and a ptyd on another host, or renew them.
    MakeLinkCertificates(certificates::MakeLinkCertificates),
}

/// A part of a list.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Page {
    /// How many to skip.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: i64,
    /// How many to list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub limit: i64,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// For scripts.
    pub json: Value,
    /// All of it is done; else an api that runs will do the rest.
    pub complete: bool,
}

/// It was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is nothing by that name.
    #[error("no such {kind}: {name}")]
    NotFound {
        /// User, session or device.
        kind: &'static str,
        /// As given.
        name: String,
    },
    /// A rule stands against it.
    #[error("{0}")]
    Refused(String),
    /// A value is no good.
    #[error("{0}")]
    BadValue(String),
    /// A variable is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The URL of Redis is no good.
    #[error("REDIS_URL")]
    Redis(#[from] RedisUrlError),
    /// The keys in the file are no good.
    #[error("{}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: BadKeys,
    },
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing can be read from stdin.
    #[error("stdin")]
    Stdin(#[source] io::Error),
    /// The link's certificates cannot be made.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The password cannot be hashed.
    #[error("the password cannot be hashed")]
    Password(#[from] PasswordError),
    /// The system gave no randomness.
    #[error("no randomness")]
    Randomness(#[from] NoRandomness),
    /// The database failed.
    #[error("the database")]
    Store(#[from] StoreError),
}

impl AdminError {
    /// The process's exit code; 0 is done, 5 is noted and not done yet.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BadValue(_) | Self::Config(_) | Self::Redis(_) => 2,
            Self::NotFound { .. } => 3,
            Self::Refused(_) => 4,
            Self::Keys { .. }
            | Self::File { .. }
            | Self::Certificates(_)
            | Self::Stdin(_)
            | Self::Password(_)
            | Self::Randomness(_)
            | Self::Store(_) => 1,
        }
    }

    /// The error for scripts.
    pub fn to_json(&self) -> Value {
        let code = match self.exit_code() {
            2 => "bad_value",
            3 => "not_found",
            4 => "refused",
            _ => "failed",
        };
        json!({"error": {"code": code, "message": crate::chain(self)}})
    }
}

impl Outcome {
    fn done(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, complete: true }
    }
}

/// Does it.
pub async fn run(mut args: AdminArgs, now: OffsetDateTime) -> Result<Outcome, AdminError> {
    if let AdminCommand::MakeLinkCertificates(make) = &args.command {
        return certificates::make(make);
    }
    args.database.data_dir = Some(place::data_directory(args.database.data_dir.as_deref()));
    if let AdminCommand::RotateKeys(rotate) = &args.command {
        return keys::rotate(rotate, args.database.data_dir.as_deref(), now);
    }
    let location = args.database.location()?;
    if let Location::Sqlite(options) = &location
        && !options.get_filename().exists()
    {
        let file = options.get_filename().display();
        return Err(AdminError::Refused(format!(
            "there is no database {file}: name it by DATABASE_URL or DATA_DIR, or make it by `devpocket migrate`"
        )));
    }
    let database = Database::open_now(&location, Schema::Check).await?;
    let done = match args.command {
        AdminCommand::CreateUser(create) => accounts::create(&database, create, now).await,
        AdminCommand::SetTier(set) => accounts::set_tier(&database, &set, now).await,
        AdminCommand::DisableUser(disable) => accounts::disable(&database, &disable, now).await,
        AdminCommand::EnableUser(enable) => accounts::enable(&database, &enable, now).await,
        AdminCommand::ListUsers(page) => accounts::list(&database, page, now).await,
        AdminCommand::ListDevices(list) => devices::list(&database, &list, now).await,
        AdminCommand::RevokeDevices(revoke) => devices::revoke(&database, &revoke, now).await,
        AdminCommand::ListSessions(list) => sessions::list(&database, &list).await,
        AdminCommand::EndSessions(end) => sessions::end(&database, &end, now).await,
        AdminCommand::ForgetNode(forget) => sessions::forget_node(&database, &forget, now).await,
        AdminCommand::RotateKeys(_) | AdminCommand::MakeLinkCertificates(_) => {
            Err(AdminError::BadValue("keys are no matter of the database".into()))
        }
    };
    database.close().await;
    done
}

/// The account of a name, an address or an id.
async fn find_user(database: &Database, name: &str) -> Result<User, AdminError> {
    let found = match name.parse::<Uuid>() {
        Ok(id) => database.user(UserId::new(id)).await?,
        Err(_) => database.user_by_login(&LoginName::parse(name)).await?,
    };
    found.ok_or_else(|| AdminError::NotFound { kind: "user", name: name.to_owned() })
}

fn timestamp(text: &str) -> Result<OffsetDateTime, &'static str> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok();
    // Whatever offset it is given with, as every other time is.
    at.and_then(|at| at.checked_to_offset(UtcOffset::UTC)).ok_or("must be a time like 2027-01-31T12:00:00Z")
}

/// A time as the api writes it.
fn written(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// Text that somebody else chose, for the operator's terminal: nothing in it moves the cursor or ends the line.
fn shown(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// JSON on one line, for scripts and the operator's terminal: as [`shown`], nothing in it steers. JSON itself lets DEL and
/// the C1 controls stand.
pub fn written_out(json: &Value) -> String {
    let escaped = |c: char| match c {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(c)),
        _ => c.to_string(),
    };
    json.to_string().chars().map(escaped).collect()
}

/// Rows under a heading, in columns.
fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| shown(cell))).collect();
    let mut widths = heading.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(heading.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let rows = [["ä".to_owned(), "x".to_owned()], ["long one".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "B"], &rows), "NAME      B\nä         x\nlong one");
    }

    /// The story: `set-tier` repeated the end as it was given, where all other times are written with `Z`.
    #[test]
    fn a_time_of_any_offset_is_written_as_every_other() {
        let asked = timestamp("2030-01-31T12:00:00.5+02:00").unwrap();
        assert_eq!(written(asked), "2030-01-31T10:00:00Z");
        assert!(timestamp("9999-12-31T23:59:59-01:00").is_err(), "beyond every time there is");
    }

    #[test]
    fn what_others_named_does_not_steer_the_operators_terminal() {
        let rows = [["\u{1b}[2J\u{9b}1mx\u{7f}\nroot".to_owned()]];
        assert_eq!(table(["NAME"], &rows), "NAME\n\\u{1b}[2J\\u{9b}1mx\\u{7f}\\u{a}root");
        let json = json!({"n\u{9c}": rows[0][0]});
        let text = r#"{"n\u009c":"\u001b[2J\u009b1mx\u007f\nroot"}"#;
        assert_eq!(written_out(&json), text);
        assert_eq!(serde_json::from_str::<Value>(text).ok(), Some(json));
    }
}
