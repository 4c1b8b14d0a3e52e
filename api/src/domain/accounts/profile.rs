//! What an account changes about itself, takes along, and how it ends.

use std::net::IpAddr;

use async_trait::async_trait;
use devpocket_shared::ids::{NodeId, UserId};
use secrecy::SecretString;
use tracing::warn;

use super::errands::Errand;
use super::sign_in::Attempt;
use super::{AccountError, Accounts};
use crate::domain::identity::{AuthError, Identity};
use crate::domain::profile::{ProfileChange, Settings, SettingsChange};
use crate::domain::user::{Device, User};
use crate::link::LinkError;
use crate::store::{Changed, Part};

/// The sessions of an account, wherever they run.
#[async_trait]
pub trait LiveSessions: Send + Sync {
    /// Asks each that runs to end; which node was asked, if it said so. Does not wait for a node that is away.
    async fn end_all(&self, owner: UserId) -> Result<Option<NodeId>, LinkError>;
}

/// Everything kept of an account but its sessions.
#[derive(Debug)]
pub struct Export {
    /// The account.
    pub user: User,
    /// What it has set.
    pub settings: Settings,
    /// The devices it is signed in on, and those it was signed in on that are still in the database.
    pub devices: Vec<Device>,
}

/// An account in numbers.
#[derive(Debug)]
pub struct Figures {
    /// The account.
    pub user: User,
    /// How many devices it is signed in on.
    pub devices: i64,
}

impl Accounts {
    /// Changes the account; a new address has to be proved, and the old one is told.
    pub async fn change_profile(
        &self,
        identity: &Identity,
        change: ProfileChange,
    ) -> Result<User, AccountError> {
        let before = self.known(identity).await?;
        match self.profiles.change_profile(before.id, &change).await? {
            Changed::Done => {}
            Changed::EmailTaken => return Err(AccountError::EmailTaken),
            Changed::NoAccount => return Err(AuthError::SignedOut.into()),
        }
        if let Some(email) = change.email
            && !before.email.eq_ignore_ascii_case(email.as_str())
        {
            for errand in [Errand::Moved(before.email), Errand::Verify(email)] {
                if self.around.errands.put(errand).is_err() {
                    warn!("too many mails wait: one about a changed address is not sent");
                }
            }
        }
        self.known(identity).await
    }

    /// What the account has set.
    pub async fn settings(&self, identity: &Identity) -> Result<Settings, AccountError> {
        match self.profiles.settings(identity.user_id).await? {
            Some(settings) => Ok(settings),
            // It has never set any, or is gone.
            None => self.known(identity).await.map(|_| Settings::default()),
        }
    }

    /// Changes some of it.
    pub async fn change_settings(
        &self,
        identity: &Identity,
        change: &SettingsChange,
    ) -> Result<Settings, AccountError> {
        let (otherwise, now) = (Settings::default(), self.clock.now());
        let changed = self.profiles.change_settings(identity.user_id, change, &otherwise, now).await?;
        Ok(changed.ok_or(AuthError::SignedOut)?)
    }

    /// Sets everything back.
    pub async fn reset_settings(&self, identity: &Identity) -> Result<Settings, AccountError> {
        if !self.profiles.reset_settings(identity.user_id).await? {
            return Err(AuthError::SignedOut.into());
        }
        Ok(Settings::default())
    }

    /// Everything kept of the account but its sessions.
    pub async fn export(&self, identity: &Identity) -> Result<Export, AccountError> {
        let user = self.known(identity).await?;
        let devices = self.devices.all_devices(user.id).await?;
        let settings = self.settings(identity).await?;
        Ok(Export { user, settings, devices })
    }

    /// The account in numbers, its sessions aside.
    pub async fn figures(&self, identity: &Identity) -> Result<Figures, AccountError> {
        let user = self.known(identity).await?;
        let (_, devices) = self.devices(identity, Part { offset: 0, limit: 1 }).await?;
        Ok(Figures { user, devices })
    }

    /// Deletes the account, everything that is its, and ends its sessions; those of a node that cannot be told now, when it
    /// is back. An account without a password needs none; wrong ones count like failed logins.
    pub async fn delete(
        &self,
        identity: &Identity,
        password: Option<SecretString>,
        address: IpAddr,
        sessions: &dyn LiveSessions,
    ) -> Result<(), AccountError> {
        let user = self.known(identity).await?;
        if user.password_hash.is_some() {
            let password = password.ok_or(AccountError::CurrentPasswordMissing)?;
            let attempt = Attempt::at_account(user.id, address);
            if !self.check_password(attempt, Some(&user), password).await? {
                return Err(AccountError::WrongCurrentPassword);
            }
        }
        let (verified, now) = (user.password_hash.as_ref(), self.clock.now());
        let signed_out = self.profiles.delete_user(user.id, verified, identity.device_id, now).await?;
        // Whatever changed the password meanwhile signed this device out.
        self.revoke(&signed_out.ok_or(AuthError::SignedOut)?).await;
        // Nobody can make another now, and if this process ends here the wish for it is in the database.
        match sessions.end_all(user.id).await {
            Ok(node) => {
                if let Err(err) = self.profiles.forget_gone(user.id, node).await {
                    warn!(
                        error = &err as &dyn std::error::Error,
                        "a deleted account is still noted as one: {err}"
                    );
                }
            }
            Err(err) => {
                let error = &err as &dyn std::error::Error;
                warn!(error, "what runs of a deleted account is ended when its node is back: {err}");
            }
        }
        Ok(())
    }

    pub(super) async fn known(&self, identity: &Identity) -> Result<User, AccountError> {
        Ok(self.me(identity).await?.ok_or(AuthError::SignedOut)?)
    }
}
