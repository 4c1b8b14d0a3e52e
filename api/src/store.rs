//! Storage: one trait and one file per aggregate, over PostgreSQL or SQLite. Knows SQL and rows, no rules.

mod admin;
mod answers;
mod database;
mod devices;
mod error;
mod gone;
mod location;
mod mail_tokens;
mod migrations;
mod nodes;
mod outage;
mod postgres;
mod profiles;
mod sessions;
mod sqlite;
mod statement;
mod users;
mod wishes;
mod writes;

use std::net::IpAddr;

use async_trait::async_trait;
use devpocket_shared::ids::{DeviceId, UserId};
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use crate::domain::profile::{ProfileChange, Settings, SettingsChange};
use crate::domain::secret_token::{Salt, SecretHash};
use crate::domain::user::{Device, Email, LoginName, MailPurpose, NewDevice, Tier, User, Username};

pub use admin::{AdminStore, Ending, Grant, ListedSession};
pub use answers::{AnswerKey, AnswerStore, Attempt, Begun, BegunCommand, KeptAnswer};
pub use database::{Answering, Database};
pub use error::StoreError;
pub use gone::GoneStore;
pub use location::{BadLocation, Location};
pub use migrations::Applied;
pub use nodes::{ApiId, NodeStore, SeenNode};
pub use sessions::{Added, Count, Described, SessionFilter, SessionStore, Unended};
pub use wishes::{WantedEnd, WishStore};

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
    /// The id of the account of a name. Takes the same time whether there is one.
    async fn id_by_login(&self, name: &LoginName) -> Result<Option<UserId>, StoreError>;
    /// The active administrator who was made first.
    async fn oldest_admin(&self) -> Result<Option<User>, StoreError>;
    /// Whether there is any account.
    async fn any_user(&self) -> Result<bool, StoreError>;
    /// Stores a new password in place of `old` and signs out every device of the account but one; which those are. None, and
    /// nothing is done, if it has another password by now, is closed or gone, or that one device is signed out.
    async fn change_password(
        &self,
        id: UserId,
        old: Option<&SecretString>,
        new: &SecretString,
        keep: DeviceId,
        now: OffsetDateTime,
    ) -> Result<Option<Vec<DeviceId>>, StoreError>;
}

/// A refresh token to store.
#[derive(Clone, Copy, Debug)]
pub struct NewRefresh {
    /// All that is kept of it.
    pub hash: SecretHash,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// What follows a refresh token that is shown.
#[derive(Clone, Copy, Debug)]
pub struct Successor {
    /// The token itself.
    pub refresh: NewRefresh,
    /// How it comes from the one it follows.
    pub salt: Salt,
}

/// What became of a refresh token that was shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// It is spent, and the successor that came with it stands.
    Spent(UserId, DeviceId),
    /// It was spent within the grace time: the successor by this salt stands already.
    SpentBefore(UserId, DeviceId, Salt),
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
        /// What the account has now.
        tier: Tier,
    },
    /// Signed out, unknown, or its account is closed or somebody else's.
    SignedOut,
}

/// Signed-in devices and their refresh tokens.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Signs a device in with its first refresh token, and notes the login on its account; false, and nothing is done, if
    /// the account has another password by now, is closed or gone.
    async fn sign_in(
        &self,
        device: &NewDevice,
        refresh: NewRefresh,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;
    /// Spends a refresh token and stores its successor, once, however many come at the same time. Spent longer than
    /// `grace` ago: its device is signed out.
    async fn rotate(
        &self,
        spent: SecretHash,
        next: Successor,
        grace: Duration,
        address: IpAddr,
        now: OffsetDateTime,
    ) -> Result<Rotation, StoreError>;
    /// Whether a device of an account is signed in.
    async fn standing(
        &self,
        user_id: UserId,
        device_id: DeviceId,
        now: OffsetDateTime,
    ) -> Result<Standing, StoreError>;
    /// Signs a device of an account out, for good; false if the account has no such device signed in.
    async fn sign_out(
        &self,
        user_id: UserId,
        device_id: DeviceId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;
    /// The devices of an account that can go on, last seen first: a part of them, and how many there are.
    async fn devices(
        &self,
        user_id: UserId,
        part: Part,
        now: OffsetDateTime,
    ) -> Result<(Vec<Device>, i64), StoreError>;
    /// Where devices of an account that were there before a time were last seen, signed-out ones included: the latest addresses, each once.
    async fn addresses(
        &self,
        user_id: UserId,
        since_before: OffsetDateTime,
    ) -> Result<Vec<IpAddr>, StoreError>;
    /// Every device of an account that there is a row of, last seen first, signed-out ones included.
    async fn all_devices(&self, user_id: UserId) -> Result<Vec<Device>, StoreError>;
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part {
    /// How many come before it.
    pub offset: i64,
    /// How many it has at most.
    pub limit: i64,
}

/// A link to send by mail.
#[derive(Clone, Debug)]
pub struct NewMailToken {
    /// All that is kept of it.
    pub hash: SecretHash,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is good for.
    pub purpose: MailPurpose,
    /// [`Email::key`] of where it goes.
    pub email_key: String,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// Links sent by mail.
#[async_trait]
pub trait MailTokenStore: Send + Sync {
    /// An error if no link can be stored, as far as is known without asking the database.
    fn takes_mail_tokens(&self) -> Result<(), StoreError>;
    /// Stores a link unless its account has `most` of its kind that are good, or another address by now.
    async fn add_mail_token(
        &self,
        token: &NewMailToken,
        most: i64,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;
    /// Whose a link is, if it is good.
    async fn mail_token_owner(
        &self,
        hash: SecretHash,
        purpose: MailPurpose,
        now: OffsetDateTime,
    ) -> Result<Option<UserId>, StoreError>;
    /// Uses a link up for a new password, and signs every device of its account out; whose it was, and which devices.
    async fn reset_password(
        &self,
        token: SecretHash,
        password: &SecretString,
        now: OffsetDateTime,
    ) -> Result<Option<(UserId, Vec<DeviceId>)>, StoreError>;
    /// Uses a link up as the proof of the address it was sent to; false if it proves nothing any more.
    async fn verify_email(&self, token: SecretHash, now: OffsetDateTime) -> Result<bool, StoreError>;
}

/// What became of [`ProfileStore::change_profile`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changed {
    /// It stands.
    Done,
    /// Somebody has the address.
    EmailTaken,
    /// There is no such account.
    NoAccount,
}

/// What an account changes about itself.
#[async_trait]
pub trait ProfileStore: GoneStore {
    /// Changes an account.
    async fn change_profile(&self, id: UserId, change: &ProfileChange) -> Result<Changed, StoreError>;
    /// What an account has set, if it ever has.
    async fn settings(&self, id: UserId) -> Result<Option<Settings>, StoreError>;
    /// Changes settings, from `otherwise` if there are none yet; gives what they are then, none if the account is gone.
    async fn change_settings(
        &self,
        id: UserId,
        change: &SettingsChange,
        otherwise: &Settings,
        now: OffsetDateTime,
    ) -> Result<Option<Settings>, StoreError>;
    /// Forgets what an account has set; false if the account is gone.
    async fn reset_settings(&self, id: UserId) -> Result<bool, StoreError>;
    /// Deletes an account and everything that is its, and notes that what runs of it is to end; which devices were signed in.
    /// None, and nothing is done, if it has another password than `verified` by now, is closed or gone, or the device `by` is
    /// signed out.
    async fn delete_user(
        &self,
        id: UserId,
        verified: Option<&SecretString>,
        by: DeviceId,
        now: OffsetDateTime,
    ) -> Result<Option<Vec<DeviceId>>, StoreError>;
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
