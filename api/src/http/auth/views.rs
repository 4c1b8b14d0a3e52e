//! Answers of `/api/auth`.

use std::net::IpAddr;

use devpocket_shared::ids::DeviceId;
use secrecy::ExposeSecret;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::accounts::{AccountStatus, IssuedTicket, SignedIn};
use crate::domain::user::{Device, DeviceKind, User};

#[derive(Serialize)]
pub struct UserView {
    id: Uuid,
    email: String,
    username: String,
    display_name: Option<String>,
    subscription_tier: &'static str,
    is_active: bool,
    is_verified: bool,
    is_admin: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    last_login_at: Option<OffsetDateTime>,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.uuid(),
            email: user.email.clone(),
            username: user.username.clone(),
            display_name: user.display_name.clone(),
            subscription_tier: user.tier_at(OffsetDateTime::now_utc()).as_str(),
            is_active: user.is_active,
            is_verified: user.is_verified,
            is_admin: user.is_admin,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

#[derive(Serialize)]
pub struct TokensView {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    expires_in: i64,
    user: UserView,
    device_id: Uuid,
}

impl From<SignedIn> for TokensView {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            refresh_token: signed_in.refresh_token.expose_secret().to_owned(),
            token_type: "bearer",
            expires_in: signed_in.access_life.whole_seconds(),
            user: (&signed_in.user).into(),
            device_id: signed_in.device_id.uuid(),
        }
    }
}

#[derive(Serialize)]
pub struct DeviceView {
    id: Uuid,
    name: Option<String>,
    device_type: Option<&'static str>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    last_seen_at: OffsetDateTime,
    address: Option<IpAddr>,
    current: bool,
}

impl DeviceView {
    /// `current`: the device that asks.
    pub fn new(device: &Device, current: Option<DeviceId>) -> Self {
        Self {
            id: device.id.uuid(),
            name: device.info.name.clone(),
            device_type: device.info.kind.map(DeviceKind::as_str),
            created_at: device.created_at,
            last_seen_at: device.last_seen_at,
            address: device.address,
            current: current == Some(device.id),
        }
    }
}

/// A part of the signed-in devices.
#[derive(Serialize)]
pub struct DevicesView {
    pub(super) devices: Vec<DeviceView>,
    pub(super) total: i64,
    pub(super) offset: i64,
    pub(super) limit: i64,
}

#[derive(Serialize)]
pub struct StatusView {
    is_locked: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    locked_until: Option<OffsetDateTime>,
    failed_attempts: u32,
}

impl From<AccountStatus> for StatusView {
    fn from(status: AccountStatus) -> Self {
        Self {
            is_locked: status.locked_until.is_some(),
            locked_until: status.locked_until,
            failed_attempts: status.failed_attempts,
        }
    }
}

#[derive(Serialize)]
pub struct TicketView {
    ticket: String,
    expires_in: i64,
}

impl From<IssuedTicket> for TicketView {
    fn from(issued: IssuedTicket) -> Self {
        Self { ticket: issued.ticket, expires_in: issued.life.whole_seconds() }
    }
}

/// A word for people.
#[derive(Serialize)]
pub struct Message {
    message: &'static str,
}

impl Message {
    pub(in crate::http) const fn new(message: &'static str) -> Self {
        Self { message }
    }
}
