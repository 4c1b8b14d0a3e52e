//! `/api/profile`: what an account changes about itself, thin (API.md section 4).

mod requests;
mod session_view;
mod views;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::IntoResponse;

use self::views::{ExportView, SettingsView, StatsView};
use super::auth::{Message, UserView};
use super::current_user::CurrentUser;
use super::fields::Fields;
use super::peer::PeerAddress;
use crate::domain::identity::AuthError;
use crate::problem::Problem;
use crate::state::AppState;

/// The account.
pub async fn show(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<UserView>, Problem> {
    let user = state.accounts.me(&identity).await?.ok_or(AuthError::SignedOut)?;
    Ok(Json((&user).into()))
}

/// Changes what is given.
pub async fn change(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    fields: Fields,
) -> Result<Json<UserView>, Problem> {
    let user = state.accounts.change_profile(&identity, requests::profile_change(fields)?).await?;
    Ok(Json((&user).into()))
}

/// Deletes the account.
pub async fn delete(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    let password = requests::password(fields)?;
    state.accounts.delete(&identity, password, address, &*state.link).await?;
    Ok(Json(Message::new("Account deleted")))
}

/// Figures about the account.
pub async fn stats(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<StatsView>, Problem> {
    Ok(Json(state.accounts.export(&identity, &*state.link).await?.into()))
}

/// What the account has set.
pub async fn settings(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(state.accounts.settings(&identity).await?.into()))
}

/// Changes what is given of it.
pub async fn change_settings(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    fields: Fields,
) -> Result<Json<SettingsView>, Problem> {
    let change = requests::settings_change(fields)?;
    Ok(Json(state.accounts.change_settings(&identity, &change).await?.into()))
}

/// Sets everything back.
pub async fn reset_settings(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(state.accounts.reset_settings(&identity).await?.into()))
}

/// Everything kept of the account.
pub async fn export(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<impl IntoResponse, Problem> {
    let export: ExportView = state.accounts.export(&identity, &*state.link).await?.into();
    Ok(([(CONTENT_DISPOSITION, "attachment; filename=\"devpocket-export.json\"")], Json(export)))
}
