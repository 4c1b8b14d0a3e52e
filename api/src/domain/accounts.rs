//! The accounts service: who has an account here, who is signed in, and what a credential is worth. Knows no HTTP and no
//! SQL.

mod access;
mod devices;
mod errands;
mod first_run;
mod links;
mod passwords;
mod profile;
mod refresh;
mod register;
mod sign_in;
mod standing;
mod tries;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use devpocket_shared::ids::DeviceId;
use secrecy::SecretString;
use time::Duration;
use uuid::Uuid;

use self::first_run::FirstRun;
use self::standing::Standings;
use super::clock::Clock;
use super::coordination::Coordination;
use super::identity::AuthError;
use super::limits::Counted;
use super::mail::Mailer;
use super::origins::Origins;
use super::password::{PasswordError, Passwords};
use super::secret_token::{self, NoRandomness};
use super::token::{SigningError, TokenKeys, Tokens};
use super::user::{DeviceInfo, NewDevice, User};
use crate::store::{DeviceStore, MailTokenStore, NewRefresh, ProfileStore, StoreError, UserStore};

pub use access::IssuedTicket;
pub use errands::{ErrandQueue, Errands, errands};
pub use profile::{Export, Figures, LiveSessions};
pub use register::NewAccount;
pub use sign_in::{AccountStatus, Credentials};
pub(crate) use standing::FRESH;

/// Who may do what on this deployment.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Anybody may make an account.
    pub registration_open: bool,
    /// What the very first account becomes.
    pub first_account: FirstAccount,
    /// Who may open sessions on the server itself.
    pub local_sessions: LocalSessions,
    /// Pages that may open a socket.
    pub origins: Origins,
    /// How long a refresh token lives; each use gives a new one.
    pub refresh_life: Duration,
    /// Who has not proved their mail address does not sign in.
    pub require_verified: bool,
    /// What browsers call this server; links in mails begin with it.
    pub public_url: String,
    /// What this deployment calls itself in mails.
    pub project: String,
}

impl Policy {
    /// Whether browsers reach this server over TLS, whoever ends it.
    pub fn behind_tls(&self) -> bool {
        self.public_url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }
}

/// What the very first account of a deployment becomes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FirstAccount {
    /// An account like any other: strangers can reach the listener.
    Plain,
    /// Its administrator: only this machine can reach the listener.
    Admin,
    /// Its administrator, without limits: the server runs alone, for its owner.
    Owner,
}

/// Who may open sessions on the server itself (`LOCAL_SESSIONS`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LocalSessions {
    /// Nobody.
    Off,
    /// Administrators.
    Admin,
    /// Everybody with an account.
    All,
}

/// An account call was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Nobody may register here.
    #[error("registration is closed")]
    RegistrationClosed,
    /// The new password lacks what is named.
    #[error("weak password")]
    WeakPassword(&'static str),
    /// Somebody has this address.
    #[error("email taken")]
    EmailTaken,
    /// Somebody has this name.
    #[error("username taken")]
    UsernameTaken,
    /// Unknown name or wrong password; which of them stays unsaid.
    #[error("wrong name or password")]
    WrongPassword,
    /// The current password of a signed-in account was wrong.
    #[error("wrong current password")]
    WrongCurrentPassword,
    /// The current password of a signed-in account is needed and was not given.
    #[error("no current password")]
    CurrentPasswordMissing,
    /// An administrator closed the account.
    #[error("account disabled")]
    Disabled,
    /// The mail address has to be proved first.
    #[error("mail address not proved")]
    EmailUnverified,
    /// A link from a mail is wrong, used or too old.
    #[error("link refused")]
    LinkRefused,
    /// Too many mails wait to be sent.
    #[error("mails are backed up")]
    MailBusy,
    /// Too many tries of one name.
    #[error("limited for {} s", .0.retry_after_secs())]
    TooMany(Counted),
    /// The account has no such device.
    #[error("unknown device")]
    UnknownDevice,
    /// The credential was good a moment ago.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Too many wrong passwords; seconds until the next try.
    #[error("locked for {retry_after_secs} s")]
    Locked {
        /// Whole seconds, at least 1.
        retry_after_secs: u64,
    },
    /// The refresh token is no good.
    #[error("refresh token refused")]
    RefreshRefused,
    /// The refresh token was used before: its device was signed out.
    #[error("refresh token reused")]
    RefreshReused,
    /// The first-run link is wrong, used or too old.
    #[error("first-run token refused")]
    FirstRunRefused,
    /// Somebody registered as the first account while the first-run link was open.
    #[error("the first account was registered before the first-run link was used")]
    OwnerRegistered,
    /// Password hashing is backed up or failed.
    #[error("password service")]
    Password(#[from] PasswordError),
    /// No randomness for a token.
    #[error("token could not be made")]
    Randomness(#[from] NoRandomness),
    /// A token could not be signed.
    #[error("token could not be signed")]
    Signing(#[from] SigningError),
    /// Storage failed.
    #[error("account storage failed")]
    Store(#[from] StoreError),
}

/// A device that has just signed in, or gone on.
#[derive(Debug)]
pub struct SignedIn {
    /// The account, as it is now.
    pub user: User,
    /// The device.
    pub device_id: DeviceId,
    /// For requests, for `access_life`.
    pub access_token: SecretString,
    /// For the next pair.
    pub refresh_token: SecretString,
    /// How long the access token lives.
    pub access_life: Duration,
}

/// What the accounts use beside their store.
pub struct Around {
    /// Sends mails.
    pub mailer: Arc<dyn Mailer>,
    /// Where mails are asked for.
    pub errands: Errands,
    /// What the apis agree on.
    pub coordination: Arc<dyn Coordination>,
    /// Tries are counted by name.
    pub limits: bool,
}

/// The accounts of one deployment, as one api sees them.
pub struct Accounts {
    users: Arc<dyn UserStore>,
    devices: Arc<dyn DeviceStore>,
    mail_tokens: Arc<dyn MailTokenStore>,
    profiles: Arc<dyn ProfileStore>,
    around: Around,
    tokens: Tokens,
    passwords: Passwords,
    policy: Policy,
    clock: Clock,
    standings: Standings,
    first_run: Mutex<Option<FirstRun>>,
}

impl Accounts {
    /// The service over a store. Makes one password hash, which takes about 20 ms. What it puts into the errands is done by
    /// [`Accounts::run_errands`].
    pub fn new(
        store: Arc<impl UserStore + DeviceStore + MailTokenStore + ProfileStore + 'static>,
        tokens: Tokens,
        policy: Policy,
        clock: Clock,
        around: Around,
    ) -> Result<Self, PasswordError> {
        Ok(Self {
            users: store.clone(),
            devices: store.clone(),
            mail_tokens: store.clone(),
            profiles: store,
            around,
            tokens,
            passwords: Passwords::new()?,
            policy,
            clock,
            standings: Standings::default(),
            first_run: Mutex::default(),
        })
    }

    /// Whether a page of this `Origin` may open a socket over this `Host` (PROTOCOL section 1).
    pub fn origin_allowed(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        self.policy.origins.allows(origin, host)
    }

    /// Whether a request with this `Host` may be meant for this server.
    pub fn host_reaches(&self, host: &str) -> bool {
        self.policy.origins.reaches(host)
    }

    /// From here on these keys sign and check tokens.
    pub fn replace_keys(&self, keys: &TokenKeys) {
        self.tokens.replace_keys(keys);
    }

    /// Gives a device its first pair of tokens; none if the account is not what `user` says any more.
    async fn sign_in_device(
        &self,
        user: User,
        info: DeviceInfo,
        address: IpAddr,
    ) -> Result<Option<SignedIn>, AccountError> {
        let now = self.clock.now();
        let device_id = DeviceId::new(Uuid::now_v7());
        let refresh_token = secret_token::random()?;
        let access_token = self.tokens.access(user.id, device_id, now)?.into();
        let refresh = self.refresh_to_store(&refresh_token);
        let password_hash = user.password_hash.clone();
        let device = NewDevice { id: device_id, user_id: user.id, info, address, password_hash };
        if !self.devices.sign_in(&device, refresh, now).await? {
            return Ok(None);
        }
        let (user, access_life) = (User { last_login_at: Some(now), ..user }, self.tokens.access_life());
        Ok(Some(SignedIn { user, device_id, access_token, refresh_token, access_life }))
    }

    fn refresh_to_store(&self, token: &SecretString) -> NewRefresh {
        NewRefresh {
            hash: secret_token::hash(token),
            expires_at: self.clock.now() + self.policy.refresh_life,
        }
    }
}

/// The address failures are counted by: an IPv6 host has a whole /64 to itself.
fn counted_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

/// Every section under these locks is a few map operations and leaves nothing half done, so a poisoned one is fine.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
