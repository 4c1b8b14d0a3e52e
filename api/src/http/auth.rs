//! `/api/auth`: accounts, thin (API.md section 3).

mod requests;
mod views;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret;

use self::views::{Message, TicketView, TokensView, UserView};
use super::current_user::CurrentUser;
use super::fields::{Fields, FormOrJson};
use super::peer::PeerAddress;
use crate::domain::identity::AuthError;
use crate::problem::Problem;
use crate::state::AppState;

/// Makes an account.
pub async fn register(
    State(state): State<AppState>,
    fields: Fields,
) -> Result<(StatusCode, Json<TokensView>), Problem> {
    let signed_in = state.accounts.register(requests::new_account(fields)?).await?;
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
pub async fn refresh(State(state): State<AppState>, fields: Fields) -> Result<Json<TokensView>, Problem> {
    let signed_in = state.accounts.refresh(requests::refresh_token(fields)?).await?;
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
pub async fn first_run(State(state): State<AppState>, fields: Fields) -> Result<Json<TokensView>, Problem> {
    let (token, device) = requests::first_run(fields)?;
    Ok(Json(state.accounts.first_run(token.expose_secret(), device).await?.into()))
}
