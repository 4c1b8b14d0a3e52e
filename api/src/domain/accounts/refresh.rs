//! Going on with a refresh token: each is good once, its successor is the next.

use std::net::IpAddr;

use secrecy::SecretString;
use time::Duration;

use super::{AccountError, Accounts, SignedIn};
use crate::domain::secret_token::hash;
use crate::domain::token::Successors;
use crate::store::Rotation;

/// How long a spent token still gives its successor again: an answer may be lost on a bad network, and tabs may share
/// one token.
const GRACE: Duration = Duration::seconds(60);

impl Accounts {
    /// Spends a refresh token for a new pair. The same token within a minute gives the same successor; later it is a
    /// stolen copy, and the whole device is signed out.
    pub async fn refresh(&self, token: SecretString, address: IpAddr) -> Result<SignedIn, AccountError> {
        let now = self.clock.now();
        let Successors { next: refresh_token, others } = self.tokens.refresh_after(&token, now);
        let next = self.refresh_to_store(&refresh_token);
        let (user_id, device_id) = match self.devices.rotate(hash(&token), next, GRACE, address, now).await? {
            Rotation::Spent(user_id, device_id) => (user_id, device_id),
            Rotation::Reused(device_id) => {
                self.standings.signed_out(device_id);
                return Err(AccountError::RefreshReused);
            }
            Rotation::Refused => return Err(AccountError::RefreshRefused),
        };
        let refresh_token = self.stored_of(refresh_token, others).await?;
        let user = self.users.user(user_id).await?.ok_or(AccountError::RefreshRefused)?;
        let access_token = self.tokens.access(user_id, device_id, now)?;
        Ok(SignedIn { user, device_id, access_token, refresh_token, access_life: self.tokens.access_life() })
    }

    /// Which of the successors of a spent token is the one that was stored: another key may have signed then.
    async fn stored_of(
        &self,
        next: SecretString,
        others: Vec<SecretString>,
    ) -> Result<SecretString, AccountError> {
        if others.is_empty() {
            return Ok(next);
        }
        for token in [next].into_iter().chain(others) {
            if self.devices.has_refresh(hash(&token)).await? {
                return Ok(token);
            }
        }
        Err(AccountError::RefreshRefused)
    }
}
