//! Answers of `/api/auth`.

use std::net::IpAddr;

use devpocket_shared::ids::DeviceId;
use secrecy::ExposeSecret;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use crate::domain::accounts::{AccountStatus, IssuedTicket, SignedIn};
use crate::domain::user::{Device, DeviceKind, Tier, User};
use crate::http::openapi::{nullable_word, word};

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    id: Uuid,
    email: String,
    username: String,
    display_name: Option<String>,
    #[schema(schema_with = tier)]
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

/// A signed-in device.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub struct TokensView {
    access_token: String,
    refresh_token: String,
    #[schema(schema_with = token_type)]
    token_type: &'static str,
    /// Seconds that the access token lives.
    expires_in: i64,
    user: UserView,
    device_id: Uuid,
}

impl From<SignedIn> for TokensView {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token.expose_secret().to_owned(),
            refresh_token: signed_in.refresh_token.expose_secret().to_owned(),
            token_type: "bearer",
            expires_in: signed_in.access_life.whole_seconds(),
            user: (&signed_in.user).into(),
            device_id: signed_in.device_id.uuid(),
        }
    }
}

/// A signed-in device.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
pub struct DeviceView {
    id: Uuid,
    name: Option<String>,
    #[schema(schema_with = device_type)]
    device_type: Option<&'static str>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    last_seen_at: OffsetDateTime,
    /// Where it was last seen.
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// It is the one that asks.
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
#[derive(Serialize, ToSchema)]
#[schema(as = Devices)]
pub struct DevicesView {
    pub(super) devices: Vec<DeviceView>,
    pub(super) total: i64,
    pub(super) offset: i64,
    pub(super) limit: i64,
}

/// Whether logins to an account from an address are locked.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountStatus)]
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

/// What opens one socket.
#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
pub struct TicketView {
    ticket: String,
    /// Seconds that it lives.
    expires_in: i64,
}

impl From<IssuedTicket> for TicketView {
    fn from(issued: IssuedTicket) -> Self {
        Self { ticket: issued.ticket.expose_secret().to_owned(), expires_in: issued.life.whole_seconds() }
    }
}

/// A word for people.
#[derive(Serialize, ToSchema)]
pub struct Message {
    message: &'static str,
}

impl Message {
    pub(in crate::http) const fn new(message: &'static str) -> Self {
        Self { message }
    }
}

fn tier() -> Object {
    word(Tier::ALL.map(Tier::as_str))
}

fn token_type() -> Object {
    word(["bearer"])
}

pub(super) fn device_type() -> Object {
    nullable_word(DeviceKind::ALL.map(DeviceKind::as_str))
}

pub(super) fn device_type_in_form() -> Object {
    word(DeviceKind::ALL.map(DeviceKind::as_str))
}
