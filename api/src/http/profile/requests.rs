//! Bodies of `/api/profile`, from fields to domain types.

use secrecy::SecretString;

use crate::domain::password::MAX_CHARACTERS as MAX_PASSWORD;
use crate::domain::profile::{
    MAX_PREFERENCES_BYTES, ProfileChange, SettingsChange, is_language, is_timezone,
};
use crate::domain::user::Email;
use crate::http::fields::Fields;
use crate::problem::Problem;

const MAX_EMAIL: usize = 254;
const MAX_DISPLAY_NAME: usize = 100;
const MAX_THEME: usize = 50;
const MAX_NAME: usize = 64;

pub(super) fn profile_change(mut fields: Fields) -> Result<ProfileChange, Problem> {
    let display_name = fields.nullable_display_name("display_name", MAX_DISPLAY_NAME);
    let email = fields.optional_parsed("email", MAX_EMAIL, "must be an email address", Email::parse);
    fields.done()?;
    Ok(ProfileChange { display_name, email })
}

/// The password that proves who asks, if it is given.
pub(super) fn password(mut fields: Fields) -> Result<Option<SecretString>, Problem> {
    let password = fields.optional_text("password", MAX_PASSWORD).map(SecretString::from);
    fields.done()?;
    Ok(password)
}

pub(super) fn settings_change(mut fields: Fields) -> Result<SettingsChange, Problem> {
    let named = |text: &str, good: fn(&str) -> bool| good(text).then(|| text.to_owned());
    let change = SettingsChange {
        theme: fields.optional_name("theme", MAX_THEME),
        timezone: fields.optional_parsed(
            "timezone",
            MAX_NAME,
            "must be a time zone like Europe/Berlin",
            |text| named(text, is_timezone),
        ),
        language: fields.optional_parsed("language", MAX_NAME, "must be a language like de-AT", |text| {
            named(text, is_language)
        }),
        terminal_preferences: fields.optional_object("terminal_preferences", MAX_PREFERENCES_BYTES),
        ai_preferences: fields.optional_object("ai_preferences", MAX_PREFERENCES_BYTES),
        sync_enabled: fields.optional_bool("sync_enabled"),
        notifications_enabled: fields.optional_bool("notifications_enabled"),
    };
    fields.done()?;
    Ok(change)
}
