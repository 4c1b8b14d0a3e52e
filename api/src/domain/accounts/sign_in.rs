//! Signing in with a password, and signing out.

use std::net::IpAddr;
use std::sync::Arc;

use devpocket_shared::ids::UserId;
use secrecy::SecretString;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{AccountError, Accounts, SignedIn, counted_address, locked};
use crate::domain::identity::Identity;
use crate::domain::user::{DeviceInfo, LoginName, User};

/// What somebody signs in with.
#[derive(Debug)]
pub struct Credentials {
    /// Name or address.
    pub name: LoginName,
    /// As typed.
    pub password: SecretString,
    /// The device they do it on.
    pub device: DeviceInfo,
    /// Where they do it from.
    pub address: IpAddr,
}

/// How often the wrong password was given for an account from one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccountStatus {
    /// Failures that still count.
    pub failed_attempts: u32,
    /// When the next try is looked at; none: now.
    pub locked_until: Option<OffsetDateTime>,
}

/// What wrong passwords are counted by.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Attempt {
    whose: Whose,
    address: IpAddr,
}

/// An account by its id, so that its two names do not give twice the tries; unknown names are counted all the same.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Whose {
    Account(UserId),
    Nobody(LoginName),
}

impl Accounts {
    /// Signs a device in. An unknown name and a wrong password have the same answer and take the same time.
    pub async fn login(&self, credentials: Credentials) -> Result<SignedIn, AccountError> {
        self.count_try(credentials.name.key().to_owned()).await?;
        let user = self.users.user_by_login(&credentials.name).await?;
        let attempt = Attempt {
            whose: user.as_ref().map_or(Whose::Nobody(credentials.name), |user| Whose::Account(user.id)),
            address: counted_address(credentials.address),
        };
        if !self.check_password(attempt, user.as_ref(), credentials.password).await? {
            return Err(AccountError::WrongPassword);
        }
        let user = user.ok_or(AccountError::WrongPassword)?;
        if !user.is_active {
            return Err(AccountError::Disabled);
        }
        if self.policy.require_verified && !user.is_verified {
            return Err(AccountError::EmailUnverified);
        }
        self.sign_in_device(user, credentials.device, credentials.address).await
    }

    /// Signs the device of `identity` out: its tokens end at once here, elsewhere within a second.
    pub async fn logout(&self, identity: &Identity) -> Result<(), AccountError> {
        self.devices.sign_out(identity.user_id, identity.device_id, self.clock.now()).await?;
        self.standings.signed_out(identity.device_id);
        Ok(())
    }

    /// Whether logins to the account of `identity` from this address are locked.
    pub fn account_status(&self, identity: &Identity, address: IpAddr) -> AccountStatus {
        let (attempt, now) = (Attempt::at_account(identity.user_id, address), Instant::now().into_std());
        let lockout = locked(&self.lockout);
        AccountStatus {
            failed_attempts: lockout.failures(&attempt, now),
            locked_until: lockout.closed_for(&attempt, now).map(|left| self.clock.now() + left),
        }
    }

    /// Whether `password` is that of `user`, counting failures. Locked: an error, however right it is.
    pub(super) async fn check_password(
        &self,
        attempt: Attempt,
        user: Option<&User>,
        password: SecretString,
    ) -> Result<bool, AccountError> {
        self.refuse_if_locked(&attempt)?;
        let stored = user.and_then(|user| user.password_hash.as_ref());
        let right = self.passwords.verify(Arc::new(password), stored).await?;
        // Asked again: of guesses made side by side only the first five may learn anything.
        self.refuse_if_locked(&attempt)?;
        let mut lockout = locked(&self.lockout);
        if right {
            lockout.succeeded(&attempt);
        } else {
            lockout.failed(&attempt, Instant::now().into_std());
        }
        Ok(right)
    }

    fn refuse_if_locked(&self, attempt: &Attempt) -> Result<(), AccountError> {
        match locked(&self.lockout).closed_for(attempt, Instant::now().into_std()) {
            Some(left) => Err(AccountError::Locked { retry_after_secs: left.as_secs() + 1 }),
            None => Ok(()),
        }
    }
}

impl Attempt {
    /// A try at the password of an account known by other means.
    pub(super) fn at_account(user_id: UserId, address: IpAddr) -> Self {
        Self { whose: Whose::Account(user_id), address: counted_address(address) }
    }
}
