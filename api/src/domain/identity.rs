//! Who a request or a socket speaks for, once a credential was checked. Knows no HTTP and no token format.

use devpocket_shared::ids::{DeviceId, UserId};
use time::OffsetDateTime;

use super::token::Vouchers;
use super::user::Tier;

/// A signed-in device of an account, as a credential proved it.
///
/// It says who asks, and until when; whether the device is *still* signed in is asked again for as long as a socket
/// lives (`Accounts::still_signed_in`), and so is whether the keys that vouched are accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The account.
    pub user_id: UserId,
    /// The device the credential was given to.
    pub device_id: DeviceId,
    /// Whether the account was an administrator's when the credential was checked.
    pub is_admin: bool,
    /// What the account paid for then.
    pub tier: Tier,
    /// When the access token ends, which is when a socket opened with it ends too. A ticket carries that of its access
    /// token.
    pub expires_at: OffsetDateTime,
    /// The keys that vouched for it: with one of them dropped, this is nobody's.
    pub vouchers: Vouchers,
}

/// A credential does not sign anybody in.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum AuthError {
    /// Malformed, forged, of the wrong kind, or a ticket used before.
    #[error("the credential is not valid")]
    Invalid,
    /// Was good once; a fresh one may be asked for.
    #[error("the credential has expired")]
    Expired,
    /// Its device was signed out, or its account disabled.
    #[error("the device is signed out")]
    SignedOut,
    /// Too many tickets are in use at once to remember another.
    #[error("too many tickets at once")]
    Busy,
}
