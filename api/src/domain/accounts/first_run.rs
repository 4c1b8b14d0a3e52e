//! The first-run link: one secret, printed where only the operator sees it, signs the owner in.

use std::net::IpAddr;

use devpocket_shared::ids::UserId;
use secrecy::SecretString;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{AccountError, Accounts, SignedIn, locked};
use crate::domain::secret_token::{self, SecretHash};
use crate::domain::user::{DeviceInfo, Email, Tier, User, Username};
use crate::store::NewUser;

/// How long a link works.
const LIFE: Duration = Duration::hours(1);

/// A link that was printed and not used.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstRun {
    hash: SecretHash,
    expires_at: OffsetDateTime,
}

impl Accounts {
    /// Makes the secret of a link, good once, for an hour and in this process; none when nobody needs one: the owner has
    /// a password, or there are accounts and no administrator among them.
    pub async fn first_run_token(&self) -> Result<Option<SecretString>, AccountError> {
        let needed = match self.users.oldest_admin().await? {
            Some(owner) => owner.password_hash.is_none(),
            None => !self.users.any_user().await?,
        };
        if !needed {
            return Ok(None);
        }
        let token = secret_token::random()?;
        let link = FirstRun { hash: secret_token::hash(&token), expires_at: self.clock.now() + LIFE };
        *locked(&self.first_run) = Some(link);
        Ok(Some(token))
    }

    /// Signs a device of the owner in: of an account made for it if there is none, else of the oldest administrator, should
    /// that be without a password. One with a password was registered since the link was printed, by whomever: the link
    /// must not lead its holder into somebody else's account.
    pub async fn first_run(
        &self,
        token: &str,
        device: DeviceInfo,
        address: IpAddr,
    ) -> Result<SignedIn, AccountError> {
        let link = self.take_link(token)?;
        let user = match self.owner().await {
            Ok(user) => user,
            Err(err) => {
                // Nothing came of it: the operator may try again.
                *locked(&self.first_run) = Some(link);
                return Err(err);
            }
        };
        self.sign_in_device(user, device, address).await?.ok_or(AccountError::FirstRunRefused)
    }

    fn take_link(&self, token: &str) -> Result<FirstRun, AccountError> {
        let mut held = locked(&self.first_run);
        let good = held.is_some_and(|link| link.hash.matches(token) && link.expires_at > self.clock.now());
        if good {
            held.take().ok_or(AccountError::FirstRunRefused)
        } else {
            Err(AccountError::FirstRunRefused)
        }
    }

    async fn owner(&self) -> Result<User, AccountError> {
        let new = NewUser {
            id: UserId::new(Uuid::now_v7()),
            email: Email::of_owner(),
            username: Username::of_owner(),
            display_name: None,
            password_hash: None,
            created_at: self.clock.now(),
            if_first: None,
        };
        if let Some(owner) = self.users.create_owner(&new, Tier::Enterprise).await? {
            return Ok(owner);
        }
        let oldest = self.users.oldest_admin().await?.ok_or(AccountError::FirstRunRefused)?;
        if oldest.password_hash.is_some() { Err(AccountError::OwnerRegistered) } else { Ok(oldest) }
    }
}
