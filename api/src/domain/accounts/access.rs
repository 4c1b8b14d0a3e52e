//! What a credential is worth now: access tokens, tickets, and whether a device is still signed in.

use devpocket_shared::ids::{DeviceId, UserId};
use secrecy::SecretString;
use time::Duration;
use tokio::time::Instant;
use tracing::warn;

use super::{AccountError, Accounts, LocalSessions};
use crate::counts::{self, Ticket};
use crate::domain::identity::{AuthError, Identity};
use crate::domain::limits::{Class, Subject};
use crate::domain::ticket::Taken;
use crate::domain::token::{AccessToken, TICKET_LIFE, Vouchers};
use crate::domain::user::{Tier, User};
use crate::store::{Standing, StoreError};

/// A ticket for one socket.
#[derive(Debug)]
pub struct IssuedTicket {
    /// For `/ws/terminal?ticket=`.
    pub ticket: SecretString,
    /// How long it may be used.
    pub life: Duration,
}

impl Accounts {
    /// Who an access token speaks for.
    ///
    /// With the database down, a good token of a device that neither this api nor Redis knows to be signed out still does
    /// (DESIGN section 9), as an administrator only if it was last seen as one.
    pub async fn identify_access(&self, token: &str) -> Result<Identity, AuthError> {
        let access = self.tokens.check_access(token, self.clock.now())?;
        self.identify(access, Vouchers { access: access.key, ticket: None }).await
    }

    /// Who a ticket speaks for, once: a second use is refused, also of two at the same moment. The identity ends with the
    /// access token the ticket was made from.
    pub async fn identify_ticket(&self, ticket: &str) -> Result<Identity, AuthError> {
        let now = self.clock.now();
        let ticket =
            self.tokens.check_ticket(ticket, now).inspect_err(|_| counts::ticket(Ticket::Invalid))?;
        let vouchers = Vouchers { access: ticket.access.key, ticket: Some(ticket.key) };
        let identity = self.identify(ticket.access, vouchers).await?;
        let (outcome, identified) =
            match self.around.coordination.use_ticket(ticket.id, ticket.gone_at, now).await {
                Taken::First => (Ticket::Accepted, Ok(identity)),
                Taken::Again => (Ticket::UsedBefore, Err(AuthError::Invalid)),
                Taken::Full => (Ticket::NoRoom, Err(AuthError::Busy)),
            };
        counts::ticket(outcome);
        identified
    }

    /// A ticket that opens one socket as `identity`.
    pub async fn issue_ticket(&self, identity: &Identity) -> Result<IssuedTicket, AccountError> {
        self.look_again(identity).await?;
        let access = AccessToken {
            user_id: identity.user_id,
            device_id: identity.device_id,
            expires_at: identity.expires_at,
            key: identity.vouchers.access,
        };
        Ok(IssuedTicket { ticket: self.tokens.ticket(access, self.clock.now())?.into(), life: TICKET_LIFE })
    }

    /// Whether the device of an open socket may go on; the answer is at most a second old. It may not once a key that vouched
    /// for it is accepted no more: whoever holds that key may have signed for it. Says nothing of `expires_at`.
    ///
    /// # Errors
    /// The database did not answer and the device is not known to be signed out: the socket may go on (DESIGN section 9).
    pub async fn still_signed_in(&self, identity: &Identity) -> Result<bool, StoreError> {
        Ok(self.tokens.accepts(identity.vouchers)
            && self.standing(identity.user_id, identity.device_id).await? != Standing::SignedOut)
    }

    /// Takes a unit of what the account of `identity` may do; gives how long to wait if there is none.
    pub async fn admit(&self, identity: &Identity, class: Class) -> Option<std::time::Duration> {
        if !self.around.limits {
            return None;
        }
        let quota = class.quota(identity.tier);
        let taken = self.around.coordination.take(class, &Subject::User(identity.user_id), quota).await;
        taken.refused_for.inspect(|_| counts::rate_limited(class.as_str()))
    }

    /// Whether `identity` may open sessions on the server itself.
    pub fn may_open_local(&self, identity: &Identity) -> bool {
        match self.policy.local_sessions {
            LocalSessions::Off => false,
            LocalSessions::Admin => identity.is_admin,
            LocalSessions::All => true,
        }
    }

    /// Whether the device of `identity` is signed in still, by the database and not by what it said a moment ago: for answers
    /// that need nothing else of it. With the database down it counts as it did.
    pub(super) async fn look_again(&self, identity: &Identity) -> Result<(), AuthError> {
        let Identity { user_id, device_id, .. } = *identity;
        match self.ask_standing(user_id, device_id).await {
            Ok(Standing::SignedOut) => Err(AuthError::SignedOut),
            Ok(Standing::SignedIn { .. }) | Err(_) => Ok(()),
        }
    }

    /// The account behind `identity`.
    pub async fn me(&self, identity: &Identity) -> Result<Option<User>, AccountError> {
        Ok(self.users.user(identity.user_id).await?)
    }

    async fn identify(&self, access: AccessToken, vouchers: Vouchers) -> Result<Identity, AuthError> {
        let AccessToken { user_id, device_id, expires_at, key: _ } = access;
        let standing = match self.standing(user_id, device_id).await {
            Ok(standing) => standing,
            Err(err) => {
                warn!(error = &err as &dyn std::error::Error, "going by the token alone: {err}");
                let unknown = Standing::SignedIn { is_admin: false, tier: Tier::Free };
                self.standings.last(user_id, device_id).unwrap_or(unknown)
            }
        };
        match standing {
            Standing::SignedIn { is_admin, tier } => {
                Ok(Identity { user_id, device_id, is_admin, tier, expires_at, vouchers })
            }
            Standing::SignedOut => Err(AuthError::SignedOut),
        }
    }

    async fn standing(&self, user_id: UserId, device_id: DeviceId) -> Result<Standing, StoreError> {
        if let Some(standing) = self.standings.fresh(user_id, device_id) {
            return Ok(standing);
        }
        self.ask_standing(user_id, device_id).await
    }

    async fn ask_standing(&self, user_id: UserId, device_id: DeviceId) -> Result<Standing, StoreError> {
        let asked = Instant::now();
        match self.devices.standing(user_id, device_id, self.clock.now()).await {
            Ok(standing) => {
                self.standings.note(user_id, device_id, standing, asked);
                Ok(standing)
            }
            Err(_) if self.is_known_as_signed_out(user_id, device_id).await => Ok(Standing::SignedOut),
            Err(err) => Err(err),
        }
    }

    /// Whether a device was signed out, as far as is known without the database; the answer is at most a second old.
    async fn is_known_as_signed_out(&self, user_id: UserId, device_id: DeviceId) -> bool {
        if self.standings.last(user_id, device_id) == Some(Standing::SignedOut) {
            return true;
        }
        if self.standings.lately_unrevoked(device_id) {
            return false;
        }
        let asked = Instant::now();
        let is_revoked = self.around.coordination.is_revoked(device_id).await;
        if is_revoked {
            self.standings.note(user_id, device_id, Standing::SignedOut, asked);
        } else {
            self.standings.note_unrevoked(device_id, asked);
        }
        is_revoked
    }

    /// Devices were signed out, and the database has it: their tokens are worth nothing at once here, and elsewhere within a
    /// second, also while the database cannot be asked.
    pub(super) async fn revoke(&self, devices: &[DeviceId]) {
        for device_id in devices {
            self.standings.signed_out(*device_id);
        }
        self.around.coordination.revoke(devices, self.tokens.outliving()).await;
    }
}
