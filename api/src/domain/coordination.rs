//! What the apis of a deployment agree on for a short time, and none of them could decide alone. Knows no store.

use std::time::Duration;

use async_trait::async_trait;
use devpocket_shared::ids::DeviceId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::limits::Limiter;
use super::ticket::Taken;

/// Wrong passwords for one account from one address.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Failures {
    /// How many count now.
    pub count: u32,
    /// How long the door stays closed; none: it is open.
    pub closed_for: Option<Duration>,
}

/// Agreement between apis. Nothing here fails: what cannot be agreed on with the others is decided by this api alone, until
/// they can be asked again.
#[async_trait]
pub trait Coordination: Limiter {
    /// Uses a ticket, which nobody accepts after `gone_at`.
    async fn use_ticket(&self, id: Uuid, gone_at: OffsetDateTime, now: OffsetDateTime) -> Taken;
    /// Wrong passwords of `key` so far.
    async fn failures(&self, key: &str) -> Failures;
    /// Counts a try whose password was right or wrong, unless the door is closed: then gives for how long, and what the
    /// password was must stay unsaid. In one step, so that of guesses made side by side no more than five learn anything.
    async fn settle(&self, key: &str, right: bool) -> Option<Duration>;
    /// Forgets the wrong passwords of `key`.
    async fn forget(&self, key: &str);
    /// Remembers that devices were signed out for as long as they may have tokens: for when the database, which has the truth,
    /// cannot be asked. Whether every api can know of it now; if not, they will when they can be told.
    async fn revoke(&self, devices: &[DeviceId], life: Duration) -> bool;
    /// Whether a device is remembered as signed out. That it is not proves nothing.
    async fn is_revoked(&self, device_id: DeviceId) -> bool;
    /// Whether the others can be asked; none: there are none.
    async fn reachable(&self) -> Option<bool>;
}
