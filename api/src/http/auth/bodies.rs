//! Bodies of `/api/auth` as the OpenAPI document shows them. What is read of them is in `requests`, field by field; that
//! the two agree is tested over the document (`http::tests::document`).
#![expect(dead_code, reason = "only their descriptions are used")]

use utoipa::ToSchema;

/// A new account.
#[derive(ToSchema)]
pub(super) struct Registration {
    /// Unique, whatever its case.
    #[schema(schema_with = crate::http::openapi::email)]
    email: String,
    /// Unique, whatever its case.
    #[schema(min_length = 3, max_length = 30, pattern = "^[A-Za-z0-9_-]+$")]
    username: String,
    /// With an upper-case and a lower-case letter, a digit and another character; else 400 `weak_password`.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
    /// A name for people.
    #[schema(
        max_length = 100,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*$"
    )]
    display_name: Option<String>,
    /// A name for this device.
    #[schema(
        max_length = 100,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*$"
    )]
    device_name: Option<String>,
    #[schema(schema_with = super::views::device_type)]
    device_type: Option<String>,
}

/// Who signs in.
#[derive(ToSchema)]
pub(super) struct Login {
    /// The username or the email address.
    #[schema(max_length = 254)]
    username: String,
    #[schema(max_length = 128, format = Password)]
    password: String,
    /// A name for this device.
    #[schema(
        max_length = 100,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*$"
    )]
    device_name: Option<String>,
    #[schema(schema_with = super::views::device_type)]
    device_type: Option<String>,
}

/// Who signs in, by a form: what it leaves out is not there.
#[derive(ToSchema)]
pub(super) struct LoginForm {
    /// The username or the email address.
    #[schema(max_length = 254)]
    username: String,
    #[schema(max_length = 128, format = Password)]
    password: String,
    /// A name for this device.
    #[schema(
        max_length = 100,
        nullable = false,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*$"
    )]
    device_name: Option<String>,
    #[schema(schema_with = super::views::device_type_in_form)]
    device_type: Option<String>,
}

/// A refresh token, which this spends.
#[derive(ToSchema)]
pub(super) struct Refresh {
    #[schema(max_length = 4096)]
    refresh_token: String,
}

/// A new password.
#[derive(ToSchema)]
pub(super) struct PasswordChange {
    /// Not needed while the account has none.
    #[schema(max_length = 128, format = Password)]
    current_password: Option<String>,
    #[schema(max_length = 128, format = Password)]
    new_password: String,
}

/// The link that a standalone server prints at its start.
#[derive(ToSchema)]
pub(super) struct FirstRun {
    /// The secret of the link.
    #[schema(max_length = 4096)]
    token: String,
    /// A name for this device.
    #[schema(
        max_length = 100,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]*$"
    )]
    device_name: Option<String>,
    #[schema(schema_with = super::views::device_type)]
    device_type: Option<String>,
}

/// Whom a mail is for.
#[derive(ToSchema)]
pub(super) struct Address {
    #[schema(schema_with = crate::http::openapi::email)]
    email: String,
}

/// A new password, by a link.
#[derive(ToSchema)]
pub(super) struct PasswordReset {
    /// The secret of the link in the mail.
    #[schema(max_length = 4096)]
    token: String,
    #[schema(max_length = 128, format = Password)]
    new_password: String,
}
