//! `/api/auth`: accounts, thin (API.md section 3).

mod requests;
mod views;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use devpocket_shared::ids::DeviceId;
use secrecy::ExposeSecret;

pub use self::views::{DeviceView, Message, UserView};
use self::views::{DevicesView, StatusView, TicketView, TokensView};
use super::current_user::CurrentUser;
use super::fields::{Fields, FormOrJson};
use super::id::PathId;
use super::paging::Paging;
use super::peer::PeerAddress;
use crate::domain::identity::AuthError;
use crate::problem::Problem;
use crate::state::AppState;

/// Makes an account.
pub async fn register(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<(StatusCode, Json<TokensView>), Problem> {
    let signed_in = state.accounts.register(requests::new_account(fields, address)?).await?;
    Ok((StatusCode::CREATED, Json(signed_in.into())))
}

/// Signs in with a password.
pub async fn login(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    FormOrJson(fields): FormOrJson,
) -> Result<Json<TokensView>, Problem> {
    let signed_in = state.accounts.login(requests::credentials(fields, address)?).await?;
    Ok(Json(signed_in.into()))
}

/// Spends a refresh token for the next pair.
pub async fn refresh(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<TokensView>, Problem> {
    let signed_in = state.accounts.refresh(requests::refresh_token(fields)?, address).await?;
    Ok(Json(signed_in.into()))
}

/// Signs this device out.
pub async fn logout(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<Message>, Problem> {
    state.accounts.logout(&identity).await?;
    Ok(Json(Message::new("Logout successful")))
}

/// The account of the token.
pub async fn me(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<UserView>, Problem> {
    let user = state.accounts.me(&identity).await?.ok_or(AuthError::SignedOut)?;
    Ok(Json((&user).into()))
}

/// A one-time ticket for a socket.
pub async fn ws_ticket(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<TicketView>, Problem> {
    Ok(Json(state.accounts.issue_ticket(&identity)?.into()))
}

/// Sets a new password.
pub async fn change_password(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    let (current, new) = requests::password_change(fields)?;
    state.accounts.change_password(&identity, current, new, address).await?;
    Ok(Json(Message::new("Password changed; every other device is signed out")))
}

/// Signs the owner in by the link printed at start.
pub async fn first_run(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<TokensView>, Problem> {
    let (token, device) = requests::first_run(fields)?;
    Ok(Json(state.accounts.first_run(token.expose_secret(), device, address).await?.into()))
}

/// Has a link for a new password sent.
pub async fn forgot_password(
    State(state): State<AppState>,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    state.accounts.forgot_password(requests::email(fields)?).await?;
    Ok(Json(Message::new("If an account has this address, a mail is on its way")))
}

/// Sets a new password by a link.
pub async fn reset_password(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    let (token, new) = requests::password_reset(fields)?;
    state.accounts.reset_password(token, new, address).await?;
    Ok(Json(Message::new("Password changed; every device is signed out")))
}

/// Has a link that proves an address sent.
pub async fn request_verification(
    State(state): State<AppState>,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    state.accounts.request_verification(requests::email(fields)?).await?;
    Ok(Json(Message::new("If an account has this address and has to confirm it, a mail is on its way")))
}

/// Takes a link as the proof of an address.
pub async fn verify_email(
    State(state): State<AppState>,
    Path(token): Path<String>,
) -> Result<Json<Message>, Problem> {
    state.accounts.verify_email(&token.into()).await?;
    Ok(Json(Message::new("Email address confirmed")))
}

/// Whether logins to this account from here are locked.
pub async fn account_status(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    PeerAddress(address): PeerAddress,
) -> Json<StatusView> {
    Json(state.accounts.account_status(&identity, address).await.into())
}

/// The signed-in devices, last seen first.
pub async fn devices(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    Paging(part): Paging,
) -> Result<Json<DevicesView>, Problem> {
    let (devices, total) = state.accounts.devices(&identity, part).await?;
    let devices = devices.iter().map(|device| DeviceView::new(device, Some(identity.device_id))).collect();
    Ok(Json(DevicesView { devices, total, offset: part.offset, limit: part.limit }))
}

/// Signs one of them out.
pub async fn sign_out_device(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    PathId(id): PathId,
) -> Result<Json<Message>, Problem> {
    state.accounts.sign_out_device(&identity, DeviceId::new(id)).await?;
    Ok(Json(Message::new("Device signed out")))
}
