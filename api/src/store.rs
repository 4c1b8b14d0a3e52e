//! Storage: one trait and one file per aggregate, over PostgreSQL or SQLite. Knows SQL and rows, no rules.

mod database;
mod devices;
mod error;
mod location;
mod migrations;
mod postgres;
mod sessions;
mod sqlite;
mod statement;
mod users;

use async_trait::async_trait;
use devpocket_shared::ids::{DeviceId, UserId};
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use crate::domain::secret_token::SecretHash;
use crate::domain::user::{Email, LoginName, NewDevice, Tier, User, Username};

pub use database::Database;
pub use error::StoreError;
pub use location::{BadLocation, Location};
pub use migrations::Applied;
pub use sessions::{Count, Described, SessionFilter, SessionStore, Unended};

/// What is done about the schema when a database is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Schema {
    /// It is brought up to date.
    Migrate,
    /// It is looked at; one that lacks migrations is an error.
    Check,
}

/// An account to make.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The id it gets.
    pub id: UserId,
    /// Unique, ignoring case.
    pub email: Email,
    /// Unique, ignoring case.
    pub username: Username,
    /// A name for people.
    pub display_name: Option<String>,
    /// argon2id in PHC form.
    pub password_hash: Option<SecretString>,
    /// When it is made.
    pub created_at: OffsetDateTime,
    /// What it becomes if it is the very first account; none: nothing special.
    pub if_first: Option<Tier>,
}

/// What became of [`UserStore::create_user`].
#[derive(Debug)]
pub enum Created {
    /// It stands.
    User(Box<User>),
    /// Somebody has this address.
    EmailTaken,
    /// Somebody has this name.
    UsernameTaken,
}

/// Accounts.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Adds an account. The first of all is made an administrator of the given tier, if one is given; of two that come
    /// at once, one is.
    async fn create_user(&self, new: &NewUser) -> Result<Created, StoreError>;
    /// Adds an administrator if there is no account at all; none if there is one.
    async fn create_owner(&self, new: &NewUser, tier: Tier) -> Result<Option<User>, StoreError>;
    /// The account of an id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    /// The account of a name.
    async fn user_by_login(&self, name: &LoginName) -> Result<Option<User>, StoreError>;
    /// The active administrator who was made first.
    async fn oldest_admin(&self) -> Result<Option<User>, StoreError>;
    /// Whether there is any account.
    async fn any_user(&self) -> Result<bool, StoreError>;
    /// Stores a new password and signs out every device of the account but one.
    async fn change_password(
        &self,
        id: UserId,
        hash: &SecretString,
        keep: DeviceId,
        now: OffsetDateTime,
    ) -> Result<(), StoreError>;
}

/// A refresh token to store.
#[derive(Clone, Copy, Debug)]
pub struct NewRefresh {
    /// All that is kept of it.
    pub hash: SecretHash,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// What became of a refresh token that was shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// It is spent, and its successor stands. Also the answer when it was spent within the grace time: the successor
    /// stands already.
    Spent(UserId, DeviceId),
    /// It was spent longer ago: somebody has a copy. Its device is signed out.
    Reused(DeviceId),
    /// It is unknown, has ended, or its device is signed out or account closed.
    Refused,
}

/// Whether a device may still act, and as what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Signed in.
    SignedIn {
        /// Its account is an administrator's.
        is_admin: bool,
    },
    /// Signed out, unknown, or its account is closed or somebody else's.
    SignedOut,
}

/// Signed-in devices and their refresh tokens.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Signs a device in with its first refresh token, and notes the login on its account.
    async fn sign_in(
        &self,
        device: &NewDevice,
        refresh: NewRefresh,
        now: OffsetDateTime,
    ) -> Result<(), StoreError>;
    /// Spends a refresh token and stores its successor, once, however many come at the same time. Spent longer than
    /// `grace` ago: its device is signed out.
    async fn rotate(
        &self,
        spent: SecretHash,
        next: NewRefresh,
        grace: Duration,
        now: OffsetDateTime,
    ) -> Result<Rotation, StoreError>;
    /// Whether a device of an account is signed in.
    async fn standing(&self, user_id: UserId, device_id: DeviceId) -> Result<Standing, StoreError>;
    /// Signs a device out, for good.
    async fn sign_out(&self, device_id: DeviceId, now: OffsetDateTime) -> Result<(), StoreError>;
}

fn micros(at: OffsetDateTime) -> i64 {
    // Years 1 to 9999 fit an i64 of microseconds.
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
        .map_err(|_| StoreError::corrupt("a time that is none"))
}

#[cfg(test)]
pub(crate) mod tests;
