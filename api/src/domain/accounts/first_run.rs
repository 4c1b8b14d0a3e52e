//! The first-run link: one secret, printed where only the operator sees it, signs the owner in.

use std::net::IpAddr;
use std::sync::Mutex;

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

/// A link that nobody else can use meanwhile. Unless it is used up it is put back: nothing came of it, because the database
/// refused or whoever asked is gone, and the operator may try again.
struct TakenLink<'a> {
    taken: Option<FirstRun>,
    from: &'a Mutex<Option<FirstRun>>,
}

impl TakenLink<'_> {
    fn use_up(mut self) {
        self.taken = None;
    }
}

impl Drop for TakenLink<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.taken.take() {
            // One that was printed since stands.
            locked(self.from).get_or_insert(link);
        }
    }
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
        let user = self.owner().await?;
        let signed_in =
            self.sign_in_device(user, device, address).await?.ok_or(AccountError::FirstRunRefused)?;
        link.use_up();
        Ok(signed_in)
    }

    fn take_link(&self, token: &str) -> Result<TakenLink<'_>, AccountError> {
        let mut held = locked(&self.first_run);
        let good = held.is_some_and(|link| link.hash.matches(token) && link.expires_at > self.clock.now());
        match held.take_if(|_| good) {
            Some(link) => Ok(TakenLink { taken: Some(link), from: &self.first_run }),
            None => Err(AccountError::FirstRunRefused),
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
