//! What an account may change about itself. Knows no HTTP and no SQL.

use serde_json::{Map, Value};

use super::user::Email;

/// A client's own preferences: a JSON object that only clients understand.
pub type Preferences = Map<String, Value>;

/// Most bytes of one [`Preferences`], as JSON.
pub const MAX_PREFERENCES_BYTES: usize = 64 << 10;

/// What to change about an account; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// A name for people, or none any more.
    pub display_name: Option<Option<String>>,
    /// Another address, which has to be proved again.
    pub email: Option<Email>,
}

/// What an account has set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of a theme.
    pub theme: String,
    /// IANA name.
    pub timezone: String,
    /// BCP 47 tag.
    pub language: String,
    /// Of terminals.
    pub terminal_preferences: Preferences,
    /// Of the AI's help.
    pub ai_preferences: Preferences,
    /// Records and documents may be kept here.
    pub sync_enabled: bool,
    /// Notifications may be sent.
    pub notifications_enabled: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: "dark".to_owned(),
            timezone: "UTC".to_owned(),
            language: "en".to_owned(),
            terminal_preferences: Preferences::new(),
            ai_preferences: Preferences::new(),
            sync_enabled: true,
            notifications_enabled: true,
        }
    }
}

/// What to change of [`Settings`]; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct SettingsChange {
    /// Name of a theme.
    pub theme: Option<String>,
    /// IANA name.
    pub timezone: Option<String>,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Of terminals, as a whole.
    pub terminal_preferences: Option<Preferences>,
    /// Of the AI's help, as a whole.
    pub ai_preferences: Option<Preferences>,
    /// Records and documents may be kept here.
    pub sync_enabled: Option<bool>,
    /// Notifications may be sent.
    pub notifications_enabled: Option<bool>,
}

/// Whether `text` could name a time zone: `UTC`, `Europe/Berlin`.
pub fn is_timezone(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Whether `text` could be a language tag: `en`, `de-AT`, `zh-Hant-TW`.
pub fn is_language(text: &str) -> bool {
    text.len() <= 35
        && text
            .split('-')
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        && text.split('-').next().is_some_and(|part| part.len() >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_and_languages_look_like_what_they_are() {
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(is_timezone(good), "{good}");
        }
        for bad in ["", "Europe Berlin", "/etc", "Ä", &"x".repeat(65)] {
            assert!(!is_timezone(bad), "{bad}");
        }
        for good in ["en", "de-AT", "zh-Hant-TW", "sr-Latn-RS-ekavsk"] {
            assert!(is_language(good), "{good}");
        }
        for bad in ["", "e", "en_US", "en--US", "en-", "brazilian-portuguese", &"a".repeat(36)] {
            assert!(!is_language(bad), "{bad}");
        }
    }
}
