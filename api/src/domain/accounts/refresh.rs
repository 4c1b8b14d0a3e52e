//! Going on with a refresh token: each is good once, its successor is the next.

use std::net::IpAddr;

use secrecy::SecretString;
use time::Duration;

use super::{AccountError, Accounts, SignedIn};
use crate::domain::secret_token::{Salt, hash};
use crate::store::{Rotation, Successor};

/// How long a spent token still gives its successor again: an answer may be lost on a bad network, and tabs may share
/// one token.
const GRACE: Duration = Duration::seconds(60);

impl Accounts {
    /// Spends a refresh token for a new pair. The same token within a minute gives the same successor; later it is a
    /// stolen copy, and the whole device is signed out.
    pub async fn refresh(&self, token: SecretString, address: IpAddr) -> Result<SignedIn, AccountError> {
        let now = self.clock.now();
        let salt = Salt::random()?;
        let fresh = salt.successor(&token);
        let next = Successor { refresh: self.refresh_to_store(&fresh), salt };
        let rotation = self.devices.rotate(hash(&token), next, GRACE, address, now).await?;
        let (user_id, device_id, refresh_token) = match rotation {
            Rotation::Spent(user_id, device_id) => (user_id, device_id, fresh),
            Rotation::SpentBefore(user_id, device_id, salt) => (user_id, device_id, salt.successor(&token)),
            Rotation::Reused(device_id) => {
                self.revoke(&[device_id]).await;
                return Err(AccountError::RefreshReused);
            }
            Rotation::Refused => return Err(AccountError::RefreshRefused),
        };
        let user = self.users.user(user_id).await?.ok_or(AccountError::RefreshRefused)?;
        let access_token = self.tokens.access(user_id, device_id, now)?.into();
        Ok(SignedIn { user, device_id, access_token, refresh_token, access_life: self.tokens.access_life() })
    }
}
