//! Bodies of `/api/auth`, from fields to domain types.

use std::net::IpAddr;

use secrecy::SecretString;

use crate::domain::accounts::{Credentials, NewAccount};
use crate::domain::password::MAX_CHARACTERS as MAX_PASSWORD;
use crate::domain::user::{DeviceInfo, DeviceKind, Email, LoginName, Username};
use crate::http::fields::Fields;
use crate::problem::Problem;

/// Longest name or address somebody signs in with (RFC 5321 bounds addresses).
const MAX_LOGIN_NAME: usize = 254;
const MAX_DISPLAY_NAME: usize = 100;
/// Longest token looked at.
const MAX_TOKEN: usize = 4096;

pub(super) fn new_account(mut fields: Fields, address: IpAddr) -> Result<NewAccount, Problem> {
    let email = fields.parsed("email", MAX_LOGIN_NAME, "must be an email address", Email::parse);
    let username =
        fields.parsed("username", MAX_LOGIN_NAME, "must be 3 to 30 letters, digits, _ or -", Username::parse);
    let password = fields.secret("password", MAX_PASSWORD);
    let display_name = fields.optional_display_name("display_name", MAX_DISPLAY_NAME);
    let device = device(&mut fields);
    let (Some(email), Some(username)) = (email, username) else { return Err(fields.refused()) };
    fields.done()?;
    Ok(NewAccount { email, username, password, display_name, device, address })
}

pub(super) fn credentials(mut fields: Fields, address: IpAddr) -> Result<Credentials, Problem> {
    let name = LoginName::parse(&fields.text("username", MAX_LOGIN_NAME));
    let password = fields.secret("password", MAX_PASSWORD);
    let device = device(&mut fields);
    fields.done()?;
    Ok(Credentials { name, password, device, address })
}

pub(super) fn refresh_token(mut fields: Fields) -> Result<SecretString, Problem> {
    let token = fields.secret("refresh_token", MAX_TOKEN);
    fields.done()?;
    Ok(token)
}

/// The current password, if given, and the new one.
pub(super) fn password_change(mut fields: Fields) -> Result<(Option<SecretString>, SecretString), Problem> {
    let current = fields.optional_text("current_password", MAX_PASSWORD).map(SecretString::from);
    let new = fields.secret("new_password", MAX_PASSWORD);
    fields.done()?;
    Ok((current, new))
}

pub(super) fn email(mut fields: Fields) -> Result<Email, Problem> {
    let email = fields.parsed("email", MAX_LOGIN_NAME, "must be an email address", Email::parse);
    email.ok_or_else(|| fields.refused())
}

/// The token of a link and the new password.
pub(super) fn password_reset(mut fields: Fields) -> Result<(SecretString, SecretString), Problem> {
    let token = fields.secret("token", MAX_TOKEN);
    let new = fields.secret("new_password", MAX_PASSWORD);
    fields.done()?;
    Ok((token, new))
}

pub(super) fn first_run(mut fields: Fields) -> Result<(SecretString, DeviceInfo), Problem> {
    let token = fields.secret("token", MAX_TOKEN);
    let device = device(&mut fields);
    fields.done()?;
    Ok((token, device))
}

fn device(fields: &mut Fields) -> DeviceInfo {
    DeviceInfo {
        name: fields.optional_display_name("device_name", MAX_DISPLAY_NAME),
        kind: fields.optional_parsed(
            "device_type",
            10,
            "must be ios, android, web or cli",
            DeviceKind::from_word,
        ),
    }
}
