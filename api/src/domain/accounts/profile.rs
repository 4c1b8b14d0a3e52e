//! What an account changes about itself, takes along, and how it ends.

use std::net::IpAddr;

use async_trait::async_trait;
use devpocket_shared::ids::UserId;
use devpocket_shared::wire::SessionInfo;
use secrecy::SecretString;
use tracing::warn;

use super::errands::Errand;
use super::sign_in::Attempt;
use super::{AccountError, Accounts};
use crate::domain::identity::{AuthError, Identity};
use crate::domain::profile::{ProfileChange, Settings, SettingsChange};
use crate::domain::user::{Device, User};
use crate::link::LinkError;
use crate::store::Part;

/// Most devices in an export; nobody has so many.
const EXPORTED_DEVICES: i64 = 10_000;

/// The sessions of an account, wherever they run.
#[async_trait]
pub trait LiveSessions: Send + Sync {
    /// All of them, ended ones included.
    async fn list(&self, owner: UserId) -> Result<Vec<SessionInfo>, LinkError>;
    /// Asks each that runs to end.
    async fn end_all(&self, owner: UserId) -> Result<(), LinkError>;
}

/// Everything kept of an account.
#[derive(Debug)]
pub struct Export {
    /// The account.
    pub user: User,
    /// What it has set.
    pub settings: Settings,
    /// The devices it is signed in on.
    pub devices: Vec<Device>,
    /// Its sessions.
    pub sessions: Vec<SessionInfo>,
}

impl Accounts {
    /// Changes the account; a new address has to be proved, and the old one is told.
    pub async fn change_profile(
        &self,
        identity: &Identity,
        change: ProfileChange,
    ) -> Result<User, AccountError> {
        let before = self.known(identity).await?;
        if !self.profiles.change_profile(before.id, &change).await? {
            return Err(AccountError::EmailTaken);
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
        Ok(self.profiles.settings(identity.user_id).await?.unwrap_or_default())
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
        self.profiles.reset_settings(identity.user_id).await?;
        Ok(Settings::default())
    }

    /// Everything kept of the account.
    pub async fn export(
        &self,
        identity: &Identity,
        sessions: &dyn LiveSessions,
    ) -> Result<Export, AccountError> {
        let user = self.known(identity).await?;
        let all = Part { offset: 0, limit: EXPORTED_DEVICES };
        let (devices, _) = self.devices(identity, all).await?;
        let settings = self.settings(identity).await?;
        Ok(Export { sessions: sessions.list(user.id).await?, user, settings, devices })
    }

    /// Deletes the account, everything that is its, and ends its sessions. An account without a password needs none; wrong
    /// ones count like failed logins.
    pub async fn delete(
        &self,
        identity: &Identity,
        password: Option<SecretString>,
        address: IpAddr,
        sessions: &dyn LiveSessions,
    ) -> Result<(), AccountError> {
        let user = self.known(identity).await?;
        if user.password_hash.is_some() {
            let password = password.ok_or(AccountError::WrongCurrentPassword)?;
            let attempt = Attempt::at_account(user.id, address);
            if !self.check_password(attempt, Some(&user), password).await? {
                return Err(AccountError::WrongCurrentPassword);
            }
        }
        // First, while somebody is there to be told that it did not work.
        sessions.end_all(user.id).await?;
        self.profiles.delete_user(user.id).await?;
        self.standings.forget_user(user.id);
        // Again, for one that was made meanwhile: from here on nobody can make another.
        if let Err(err) = sessions.end_all(user.id).await {
            warn!(
                error = &err as &dyn std::error::Error,
                "a session made while its account was deleted may live on"
            );
        }
        Ok(())
    }

    async fn known(&self, identity: &Identity) -> Result<User, AccountError> {
        Ok(self.me(identity).await?.ok_or(AuthError::SignedOut)?)
    }
}
