//! Bodies of `/api/profile` as the OpenAPI document shows them. What is read of them is in `requests`, field by field; that
//! the two agree is tested over the document (`http::tests::document`).
#![expect(dead_code, reason = "only their descriptions are used")]

use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What to change; what is left out stays.
#[derive(ToSchema)]
pub(super) struct ProfileChange {
    /// Null takes it away.
    #[schema(
        max_length = 100,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*$"
    )]
    display_name: Option<String>,
    /// Has to be proved again.
    #[schema(schema_with = crate::http::openapi::optional_email)]
    email: Option<String>,
}

/// Proves who asks.
#[derive(ToSchema)]
pub(super) struct Deletion {
    /// Not needed while the account has none.
    #[schema(max_length = 128, format = Password)]
    password: Option<String>,
}

/// What to change; what is left out or null stays.
#[derive(ToSchema)]
pub(super) struct SettingsChange {
    #[schema(max_length = 50, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    theme: Option<String>,
    /// As in the IANA time zone database.
    #[schema(max_length = 64, pattern = "^[A-Za-z][A-Za-z0-9/_+-]*$", examples("Europe/Berlin"))]
    timezone: Option<String>,
    /// A language tag (BCP 47).
    #[schema(max_length = 35, pattern = "^[A-Za-z0-9]{2,8}(-[A-Za-z0-9]{1,8})*$", examples("de-AT"))]
    language: Option<String>,
    /// The client's own, at most 64 KiB of JSON.
    terminal_preferences: Option<Map<String, Value>>,
    /// The client's own, at most 64 KiB of JSON.
    ai_preferences: Option<Map<String, Value>>,
    sync_enabled: Option<bool>,
    notifications_enabled: Option<bool>,
}
