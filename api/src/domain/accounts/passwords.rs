//! Changing a password.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use super::sign_in::Attempt;
use super::{AccountError, Accounts};
use crate::domain::identity::{AuthError, Identity};
use crate::domain::password::weakness;

impl Accounts {
    /// Sets a new password and signs every other device out. An account that has no password yet needs no current one;
    /// wrong ones count like failed logins.
    pub async fn change_password(
        &self,
        identity: &Identity,
        current: Option<SecretString>,
        new: SecretString,
        address: IpAddr,
    ) -> Result<(), AccountError> {
        let user = self.known(identity).await?;
        if user.password_hash.is_some() {
            let current = current.ok_or(AccountError::CurrentPasswordMissing)?;
            let attempt = Attempt::at_account(user.id, address);
            if !self.check_password(attempt, Some(&user), current).await? {
                return Err(AccountError::WrongCurrentPassword);
            }
        }
        if let Some(weakness) = weakness(new.expose_secret()) {
            return Err(AccountError::WeakPassword(weakness));
        }
        let hash = self.passwords.hash(new).await?;
        let (old, now) = (user.password_hash.as_ref(), self.clock.now());
        let signed_out = self.users.change_password(user.id, old, &hash, identity.device_id, now).await?;
        // Whatever changed the password meanwhile signed this device out.
        self.revoke(&signed_out.ok_or(AuthError::SignedOut)?).await;
        Ok(())
    }
}
