//! Answers of `/api/profile`.

use serde::Serialize;
use time::OffsetDateTime;

use super::session_view::HeldSessionView;
use crate::domain::accounts::Export;
use crate::domain::profile::{Preferences, Settings};
use crate::http::auth::{DeviceView, UserView};

#[derive(Serialize)]
pub struct SettingsView {
    theme: String,
    timezone: String,
    language: String,
    terminal_preferences: Preferences,
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

#[derive(Serialize)]
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

#[derive(Serialize)]
pub(super) struct ExportView {
    user: UserView,
    settings: SettingsView,
    devices: Vec<DeviceView>,
    sessions: Vec<HeldSessionView>,
}

impl From<Export> for ExportView {
    fn from(export: Export) -> Self {
        Self {
            user: (&export.user).into(),
            settings: export.settings.into(),
            devices: export.devices.iter().map(|device| DeviceView::new(device, None)).collect(),
            sessions: export.sessions.into_iter().map(HeldSessionView::from).collect(),
        }
    }
}
