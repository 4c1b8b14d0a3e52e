//! Signing in with a password, and signing out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use devpocket_shared::ids::UserId;
use secrecy::SecretString;
use time::OffsetDateTime;

use super::{AccountError, Accounts, SignedIn, counted_address};
use crate::domain::clock::to_the_microsecond;
use crate::domain::identity::Identity;
use crate::domain::limits::Subject;
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
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    whose: Whose,
    address: IpAddr,
}

/// An account by its id, so that its two names do not give twice the tries; unknown names are counted all the same.
#[derive(Clone, Debug)]
enum Whose {
    Account(UserId),
    Nobody(LoginName),
}

impl Accounts {
    /// Signs a device in. An unknown name and a wrong password have the same answer and take the same time.
    pub async fn login(&self, credentials: Credentials) -> Result<SignedIn, AccountError> {
        let (user, tried) = self.tried(&credentials.name).await?;
        let attempt = Attempt {
            whose: user.as_ref().map_or(Whose::Nobody(credentials.name), |user| Whose::Account(user.id)),
            address: counted_address(credentials.address),
        };
        // First: what is refused for that is no try. Else whoever goes on trying would use up what others may, too.
        self.refuse_if_closed(&attempt).await?;
        self.count_login(&tried, credentials.address).await?;
        if !self.try_password(&attempt, user.as_ref(), credentials.password).await? {
            return Err(AccountError::WrongPassword);
        }
        let user = user.ok_or(AccountError::WrongPassword)?;
        if !user.is_active {
            return Err(AccountError::Disabled);
        }
        if self.policy.require_verified && !user.is_verified {
            return Err(AccountError::EmailUnverified);
        }
        let signed_in = self.sign_in_device(user, credentials.device, credentials.address).await?;
        // It was the right one: changed since.
        signed_in.ok_or(AccountError::WrongPassword)
    }

    /// Signs the device of `identity` out: its tokens end at once here, elsewhere within a second.
    pub async fn logout(&self, identity: &Identity) -> Result<(), AccountError> {
        if !self.devices.sign_out(identity.user_id, identity.device_id, self.clock.now()).await? {
            self.known(identity).await?;
        }
        self.revoke(&[identity.device_id]).await;
        Ok(())
    }

    /// Whether logins to the account of `identity` from this address are locked.
    pub async fn account_status(
        &self,
        identity: &Identity,
        address: IpAddr,
    ) -> Result<AccountStatus, AccountError> {
        self.look_again(identity).await?;
        let attempt = Attempt::at_account(identity.user_id, address);
        let failures = self.around.coordination.failures(&attempt.key()).await;
        Ok(AccountStatus {
            failed_attempts: failures.count,
            locked_until: failures.closed_for.map(|left| to_the_microsecond(self.clock.now() + left)),
        })
    }

    /// Whether `password` is that of `user`, counting failures. Locked: an error, however right it is.
    pub(super) async fn check_password(
        &self,
        attempt: Attempt,
        user: Option<&User>,
        password: SecretString,
    ) -> Result<bool, AccountError> {
        self.refuse_if_closed(&attempt).await?;
        self.try_password(&attempt, user, password).await
    }

    /// An error if the door is closed.
    async fn refuse_if_closed(&self, attempt: &Attempt) -> Result<(), AccountError> {
        refuse_if_closed(self.around.coordination.failures(&attempt.key()).await.closed_for)
    }

    /// Looks at the password; the door may have been closed meanwhile.
    async fn try_password(
        &self,
        attempt: &Attempt,
        user: Option<&User>,
        password: SecretString,
    ) -> Result<bool, AccountError> {
        let stored = user.and_then(|user| user.password_hash.as_ref());
        let right = self.passwords.verify(Arc::new(password), stored).await?;
        refuse_if_closed(self.around.coordination.settle(&attempt.key(), right).await)?;
        Ok(right)
    }
}

fn refuse_if_closed(closed_for: Option<Duration>) -> Result<(), AccountError> {
    match closed_for {
        Some(left) => Err(AccountError::Locked { retry_after_secs: left.as_secs() + 1 }),
        None => Ok(()),
    }
}

impl Attempt {
    /// A try at the password of an account known by other means.
    pub(super) fn at_account(user_id: UserId, address: IpAddr) -> Self {
        Self { whose: Whose::Account(user_id), address: counted_address(address) }
    }

    /// What it is counted under.
    pub(super) fn key(&self) -> String {
        let whose = match &self.whose {
            Whose::Account(user_id) => Subject::User(*user_id),
            Whose::Nobody(name) => Subject::Name(name.key().to_owned()),
        };
        format!("{whose}:{}", self.address)
    }
}
