//! Making an account.

use std::collections::BTreeSet;
use std::net::IpAddr;

use devpocket_shared::ids::UserId;
use secrecy::{ExposeSecret, SecretString};
use tracing::warn;
use uuid::Uuid;

use super::errands::Errand;
use super::tries::Try;
use super::{AccountError, Accounts, FirstAccount, SignedIn};
use crate::domain::identity::AuthError;
use crate::domain::password::weakness;
use crate::domain::user::{DeviceInfo, Email, LoginName, Tier, Username};
use crate::store::{Created, NewUser};

/// What somebody registers with, its form checked.
#[derive(Debug)]
pub struct NewAccount {
    /// Where mail reaches them.
    pub email: Email,
    /// What they sign in with.
    pub username: Username,
    /// At most `password::MAX_CHARACTERS`.
    pub password: SecretString,
    /// A name for people.
    pub display_name: Option<String>,
    /// The device they do it on.
    pub device: DeviceInfo,
    /// Where they do it from.
    pub address: IpAddr,
}

impl Accounts {
    /// Makes an account and signs its device in. The very first one becomes what the policy says.
    pub async fn register(&self, new: NewAccount) -> Result<SignedIn, AccountError> {
        if !self.policy.registration_open {
            return Err(AccountError::RegistrationClosed);
        }
        let mut tried = BTreeSet::new();
        for name in [LoginName::Email(new.email.key()), LoginName::Username(new.username.key())] {
            tried.insert(self.tried(&name).await?.1);
        }
        for tried in &tried {
            self.count_try(Try::Register, tried).await?;
        }
        if let Some(weakness) = weakness(new.password.expose_secret()) {
            return Err(AccountError::WeakPassword(weakness));
        }
        let user = NewUser {
            id: UserId::new(Uuid::now_v7()),
            email: new.email,
            username: new.username,
            display_name: new.display_name,
            password_hash: Some(self.passwords.hash(new.password).await?),
            created_at: self.clock.now(),
            if_first: match self.policy.first_account {
                FirstAccount::Plain => None,
                FirstAccount::Admin => Some(Tier::Free),
                FirstAccount::Owner => Some(Tier::Enterprise),
            },
        };
        match self.users.create_user(&user).await? {
            Created::User(created) => {
                if self.around.errands.put(Errand::Verify(user.email)).is_err() {
                    warn!("too many mails wait: a new account's is not sent");
                }
                let signed_in = self.sign_in_device(*created, new.device, new.address).await?;
                Ok(signed_in.ok_or(AuthError::SignedOut)?)
            }
            Created::EmailTaken => Err(AccountError::EmailTaken),
            Created::UsernameTaken => Err(AccountError::UsernameTaken),
        }
    }
}
