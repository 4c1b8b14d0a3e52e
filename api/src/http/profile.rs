//! `/api/profile`: what an account changes about itself, thin (API.md section 4).

mod bodies;
mod requests;
mod views;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::views::{ExportView, SettingsView, StatsView};
use super::auth::{Message, UserView};
use super::current_user::CurrentUser;
use super::fields::Fields;
use super::peer::PeerAddress;
use super::request::RequestId;
use crate::domain::identity::AuthError;
use crate::domain::sessions::{Caller, Wanted};
use crate::problem::Problem;
use crate::state::AppState;
use crate::store::SessionFilter;

/// Most sessions in an export; nobody has so many.
const EXPORTED_SESSIONS: i64 = 10_000;

/// The routes below `/api/profile`.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(show, change, delete))
        .routes(routes!(stats))
        .routes(routes!(settings, change_settings))
        .routes(routes!(reset_settings))
        .routes(routes!(export))
}

/// The account.
#[utoipa::path(get, path = "/", tag = "profile", operation_id = "show_profile",
    responses((status = 200, description = "The account", body = UserView)))]
pub async fn show(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<UserView>, Problem> {
    let user = state.accounts.me(&identity).await?.ok_or(AuthError::SignedOut)?;
    Ok(Json((&user).into()))
}

/// Changes what is given of the account.
#[utoipa::path(put, path = "/", tag = "profile", operation_id = "change_profile", request_body = bodies::ProfileChange,
    responses(
        (status = 200, description = "The account as it is now", body = UserView),
        (status = 400, description = "`email_taken`"),
    ))]
pub async fn change(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    fields: Fields,
) -> Result<Json<UserView>, Problem> {
    let user = state.accounts.change_profile(&identity, requests::profile_change(fields)?).await?;
    Ok(Json((&user).into()))
}

/// Deletes the account.
#[utoipa::path(delete, path = "/", tag = "profile", operation_id = "delete_account", request_body = bodies::Deletion,
    responses(
        (status = 200, description = "Deleted, with all its sessions; those of a node that is away end when it is back", body = Message),
        (status = 400, description = "`invalid_password`"),
        (status = 423, description = "`account_locked`: too many wrong passwords for this account from this address"),
    ))]
pub async fn delete(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    let password = requests::password(fields)?;
    state.accounts.delete(&identity, password, address, &*state.link).await?;
    state.sessions.note_gone(identity.user_id);
    Ok(Json(Message::new("Account deleted")))
}

/// Figures about the account.
///
/// While the node is away, its sessions as they were last seen.
#[utoipa::path(get, path = "/stats", tag = "profile", operation_id = "show_profile_stats",
    responses((status = 200, description = "The figures", body = StatsView)))]
pub async fn stats(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    request_id: RequestId,
) -> Result<Json<StatsView>, Problem> {
    let caller = Caller { owner: identity.user_id, request_id: request_id.as_str() };
    let sessions = state.sessions.count_known(caller).await?;
    Ok(Json(StatsView::new(&state.accounts.figures(&identity).await?, sessions)))
}

/// What the account has set.
#[utoipa::path(get, path = "/settings", tag = "profile", operation_id = "show_settings",
    responses((status = 200, description = "All settings", body = SettingsView)))]
pub async fn settings(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(state.accounts.settings(&identity).await?.into()))
}

/// Changes what is given of the settings.
#[utoipa::path(put, path = "/settings", tag = "profile", request_body = bodies::SettingsChange,
    responses((status = 200, description = "All settings as they are now", body = SettingsView)))]
pub async fn change_settings(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    fields: Fields,
) -> Result<Json<SettingsView>, Problem> {
    let change = requests::settings_change(fields)?;
    Ok(Json(state.accounts.change_settings(&identity, &change).await?.into()))
}

/// Sets all settings back.
#[utoipa::path(post, path = "/settings/reset", tag = "profile",
    responses((status = 200, description = "All settings as they are now", body = SettingsView)))]
pub async fn reset_settings(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(state.accounts.reset_settings(&identity).await?.into()))
}

/// Everything kept of the account.
///
/// While the node is away, its sessions as they were last seen.
#[utoipa::path(get, path = "/export", tag = "profile",
    responses((status = 200, description = "Everything", body = ExportView)))]
pub async fn export(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    request_id: RequestId,
) -> Result<impl IntoResponse, Problem> {
    let caller = Caller { owner: identity.user_id, request_id: request_id.as_str() };
    let all = Wanted::Filtered(SessionFilter::default());
    let (sessions, _) = state.sessions.list(caller, all, 0, EXPORTED_SESSIONS).await?;
    let export = ExportView::new(state.accounts.export(&identity).await?, &sessions);
    Ok(([(CONTENT_DISPOSITION, "attachment; filename=\"devpocket-export.json\"")], Json(export)))
}
