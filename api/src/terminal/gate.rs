//! The accounts as the terminal stream's gate.

use std::time::Duration;

use async_trait::async_trait;

use super::{Credential, Gate};
use crate::domain::accounts::Accounts;
use crate::domain::identity::{AuthError, Identity};
use crate::domain::limits::Class;

#[async_trait]
impl Gate for Accounts {
    async fn identify(&self, credential: Credential<'_>) -> Result<Identity, AuthError> {
        match credential {
            Credential::Access(token) => self.identify_access(token).await,
            Credential::Ticket(ticket) => self.identify_ticket(ticket).await,
        }
    }

    async fn still_signed_in(&self, identity: &Identity) -> bool {
        // With the database down an open socket goes on (DESIGN section 9).
        Self::still_signed_in(self, identity).await.unwrap_or(true)
    }

    async fn admit(&self, identity: &Identity, class: Class) -> Option<Duration> {
        Self::admit(self, identity, class).await
    }

    fn may_open_local(&self, identity: &Identity) -> bool {
        Self::may_open_local(self, identity)
    }

    fn origin_allowed(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        Self::origin_allowed(self, origin, host)
    }
}
