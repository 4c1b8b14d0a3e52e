//! Answers of `/api/profile`.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::accounts::{Export, Figures};
use crate::domain::profile::{Preferences, Settings};
use crate::domain::sessions::Known;
use crate::domain::user::Device;
use crate::http::auth::{DeviceView, UserView};
use crate::http::sessions::SessionView;

/// What an account has set.
#[derive(Serialize, ToSchema)]
#[schema(as = Settings)]
pub struct SettingsView {
    theme: String,
    timezone: String,
    language: String,
    #[schema(value_type = Object)]
    terminal_preferences: Preferences,
    #[schema(value_type = Object)]
    ai_preferences: Preferences,
    sync_enabled: bool,
    notifications_enabled: bool,
}

impl From<Settings> for SettingsView {
    fn from(settings: Settings) -> Self {
        let Settings {
            theme,
            timezone,
            language,
            terminal_preferences,
            ai_preferences,
            sync_enabled,
            notifications_enabled,
        } = settings;
        Self {
            theme,
            timezone,
            language,
            terminal_preferences,
            ai_preferences,
            sync_enabled,
            notifications_enabled,
        }
    }
}

/// Figures about an account.
#[derive(Serialize, ToSchema)]
#[schema(as = ProfileStats)]
pub struct StatsView {
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    last_login_at: Option<OffsetDateTime>,
    #[schema(minimum = 0)]
    devices: i64,
    sessions: u64,
    active_sessions: u64,
}

impl StatsView {
    /// The account, and what is known of its sessions.
    pub(super) fn new(figures: &Figures, sessions: Known) -> Self {
        Self {
            created_at: figures.user.created_at,
            last_login_at: figures.user.last_login_at,
            devices: figures.devices,
            sessions: sessions.all,
            active_sessions: sessions.live,
        }
    }
}

/// A device that is or was signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedDevice)]
struct ExportedDeviceView {
    #[serde(flatten)]
    device: DeviceView,
    #[serde(with = "time::serde::rfc3339::option")]
    signed_out_at: Option<OffsetDateTime>,
}

/// The account, and what is kept of it beside.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedUser)]
struct ExportedUserView {
    #[serde(flatten)]
    user: UserView,
    /// Until when the tier is paid for, or was; null: for good.
    #[serde(with = "time::serde::rfc3339::option")]
    subscription_expires_at: Option<OffsetDateTime>,
}

/// Everything kept of an account.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub(super) struct ExportView {
    user: ExportedUserView,
    settings: SettingsView,
    devices: Vec<ExportedDeviceView>,
    // Last: they are written as they are read.
    sessions: Vec<SessionView>,
}

impl From<&Device> for ExportedDeviceView {
    fn from(device: &Device) -> Self {
        Self { device: DeviceView::new(device, None), signed_out_at: device.signed_out_at }
    }
}

impl ExportView {
    /// What is kept of the account beside its sessions.
    pub(super) fn without_sessions(export: Export) -> Self {
        Self {
            user: ExportedUserView {
                user: (&export.user).into(),
                subscription_expires_at: export.user.tier_until,
            },
            settings: export.settings.into(),
            devices: export.devices.iter().map(ExportedDeviceView::from).collect(),
            sessions: Vec::new(),
        }
    }
}
