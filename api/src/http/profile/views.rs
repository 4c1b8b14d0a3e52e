//! Answers of `/api/profile`.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::accounts::Export;
use crate::domain::profile::{Preferences, Settings};
use crate::domain::sessions::Shown;
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
    devices: usize,
    sessions: usize,
    active_sessions: usize,
}

impl From<Export> for StatsView {
    fn from(export: Export) -> Self {
        Self {
            created_at: export.user.created_at,
            last_login_at: export.user.last_login_at,
            devices: export.devices.len(),
            sessions: export.sessions.len(),
            active_sessions: export.sessions.iter().filter(|session| session.exit.is_none()).count(),
        }
    }
}

/// Everything kept of an account.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub(super) struct ExportView {
    user: UserView,
    settings: SettingsView,
    devices: Vec<DeviceView>,
    sessions: Vec<SessionView>,
}

impl ExportView {
    /// What is kept of the account, and its sessions as the books have them.
    pub(super) fn new(export: Export, sessions: &[Shown]) -> Self {
        Self {
            user: (&export.user).into(),
            settings: export.settings.into(),
            devices: export.devices.iter().map(|device| DeviceView::new(device, None)).collect(),
            sessions: sessions.iter().map(SessionView::from).collect(),
        }
    }
}
