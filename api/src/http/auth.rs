//! `/api/auth`: accounts, thin (API.md section 3).

mod bodies;
mod requests;
mod views;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use devpocket_shared::ids::DeviceId;
use secrecy::ExposeSecret;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::views::{DeviceView, Message, UserView};
use self::views::{DevicesView, StatusView, TicketView, TokensView};
use super::current_user::CurrentUser;
use super::fields::{Fields, FormOrJson};
use super::id::PathId;
use super::paging::{PageQuery, Paging};
use super::peer::PeerAddress;
use crate::domain::accounts::AccountError;
use crate::domain::identity::AuthError;
use crate::problem::Problem;
use crate::state::AppState;

/// The routes below `/api/auth`.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(me))
        .routes(routes!(ws_ticket))
        .routes(routes!(change_password))
        .routes(routes!(first_run))
        .routes(routes!(forgot_password))
        .routes(routes!(reset_password))
        .routes(routes!(request_verification))
        .routes(routes!(verify_email))
        .routes(routes!(account_status))
        .routes(routes!(devices))
        .routes(routes!(sign_out_device))
}

/// Makes an account.
#[utoipa::path(post, path = "/register", tag = "accounts", security(()), request_body = bodies::Registration,
    responses(
        (status = 201, description = "The account, signed in", body = TokensView),
        (status = 400, description = "`email_taken`, `username_taken`, `weak_password`"),
        (status = 403, description = "`registration_closed`"),
    ))]
pub async fn register(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<(StatusCode, Json<TokensView>), Problem> {
    let signed_in = state.accounts.register(requests::new_account(fields, address)?).await?;
    Ok((StatusCode::CREATED, Json(signed_in.into())))
}

/// Signs in with a password.
#[utoipa::path(post, path = "/login", tag = "accounts", security(()),
    request_body(content(
        (bodies::Login = "application/json"),
        (bodies::LoginForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Signed in", body = TokensView),
        (status = 401, description = "`invalid_credentials`: unknown name or wrong password"),
        (status = 403, description = "`account_disabled`, `email_unverified`"),
        (status = 423, description = "`account_locked`: too many wrong passwords for this account from this address"),
    ))]
pub async fn login(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    FormOrJson(fields): FormOrJson,
) -> Result<Json<TokensView>, Problem> {
    let signed_in = state.accounts.login(requests::credentials(fields, address)?).await?;
    Ok(Json(signed_in.into()))
}

/// Spends a refresh token for the next pair.
#[utoipa::path(post, path = "/refresh", tag = "accounts", security(()), request_body = bodies::Refresh,
    responses(
        (status = 200, description = "The next pair", body = TokensView),
        (status = 401, description = "`token_invalid`; `token_reused`: it was spent before, and the device is signed out"),
    ))]
pub async fn refresh(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<TokensView>, Problem> {
    let signed_in = state.accounts.refresh(requests::refresh_token(fields)?, address).await?;
    Ok(Json(signed_in.into()))
}

/// Signs this device out.
#[utoipa::path(post, path = "/logout", tag = "accounts",
    responses((status = 200, description = "Signed out", body = Message)))]
pub async fn logout(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<Message>, Problem> {
    state.accounts.logout(&identity).await?;
    Ok(Json(Message::new("Logout successful")))
}

/// The account of the token.
#[utoipa::path(get, path = "/me", tag = "accounts", operation_id = "show_me",
    responses((status = 200, description = "The account", body = UserView)))]
pub async fn me(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<UserView>, Problem> {
    let user = state.accounts.me(&identity).await?.ok_or(AuthError::SignedOut)?;
    Ok(Json((&user).into()))
}

/// A one-time ticket for a socket.
#[utoipa::path(post, path = "/ws-ticket", tag = "accounts",
    responses((status = 200, description = "The ticket", body = TicketView)))]
pub async fn ws_ticket(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
) -> Result<Json<TicketView>, Problem> {
    Ok(Json(state.accounts.issue_ticket(&identity).await?.into()))
}

/// Sets a new password.
#[utoipa::path(post, path = "/change-password", tag = "accounts", request_body = bodies::PasswordChange,
    responses(
        (status = 200, description = "Changed; every other device is signed out", body = Message),
        (status = 400, description = "`invalid_password`, `weak_password`"),
        (status = 423, description = "`account_locked`: too many wrong passwords for this account from this address"),
    ))]
pub async fn change_password(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    let (current, new) = requests::password_change(fields)?;
    let changed = state.accounts.change_password(&identity, current, new, address).await;
    if let Err(AccountError::CurrentPasswordMissing) = changed {
        return Err(Problem::missing_field("current_password"));
    }
    changed?;
    Ok(Json(Message::new("Password changed; every other device is signed out")))
}

/// Signs the owner in by the link printed at start.
#[utoipa::path(post, path = "/first-run", tag = "accounts", security(()), request_body = bodies::FirstRun,
    responses(
        (status = 200, description = "The owner, signed in", body = TokensView),
        (status = 401, description = "`token_invalid`: the link is wrong, used or too old"),
        (status = 409, description = "`owner_registered`: somebody registered as the owner before"),
    ))]
pub async fn first_run(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    fields: Fields,
) -> Result<Json<TokensView>, Problem> {
    let (token, device) = requests::first_run(fields)?;
    Ok(Json(state.accounts.first_run(token.expose_secret(), device, address).await?.into()))
}

/// Has a link for a new password sent.
#[utoipa::path(post, path = "/forgot-password", tag = "accounts", security(()), request_body = bodies::Address,
    responses((status = 200, description = "The same whether there is such an account or not", body = Message)))]
pub async fn forgot_password(
    State(state): State<AppState>,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    state.accounts.forgot_password(requests::email(fields)?).await?;
    Ok(Json(Message::new("If an account has this address, a mail is on its way")))
}

/// Sets a new password by a link.
#[utoipa::path(post, path = "/reset-password", tag = "accounts", security(()), request_body = bodies::PasswordReset,
    responses(
        (status = 200, description = "Changed; every device is signed out", body = Message),
        (status = 400, description = "`link_invalid`, `weak_password`"),
    ))]
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
#[utoipa::path(post, path = "/verify-email-request", tag = "accounts", security(()), request_body = bodies::Address,
    responses((status = 200, description = "The same whether there is such an account or not", body = Message)))]
pub async fn request_verification(
    State(state): State<AppState>,
    fields: Fields,
) -> Result<Json<Message>, Problem> {
    state.accounts.request_verification(requests::email(fields)?).await?;
    Ok(Json(Message::new("If an account has this address and has to confirm it, a mail is on its way")))
}

/// Takes a link as the proof of an address.
#[utoipa::path(get, path = "/verify-email/{token}", tag = "accounts", security(()),
    params(("token" = String, Path, description = "The secret of the link in the mail")),
    responses(
        (status = 200, description = "Confirmed", body = Message),
        (status = 400, description = "`link_invalid`"),
    ))]
pub async fn verify_email(
    State(state): State<AppState>,
    method: Method,
    Path(token): Path<String>,
) -> Result<Json<Message>, Problem> {
    let token = token.into();
    // Mail programs look at links before anybody follows them.
    if method == Method::HEAD {
        state.accounts.check_verification(&token).await?;
    } else {
        state.accounts.verify_email(&token).await?;
    }
    Ok(Json(Message::new("Email address confirmed")))
}

/// Whether logins to this account from here are locked.
#[utoipa::path(get, path = "/account-status", tag = "accounts",
    responses((status = 200, description = "The lock, if there is one", body = StatusView)))]
pub async fn account_status(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    PeerAddress(address): PeerAddress,
) -> Result<Json<StatusView>, Problem> {
    Ok(Json(state.accounts.account_status(&identity, address).await?.into()))
}

/// The signed-in devices, last seen first.
#[utoipa::path(get, path = "/devices", tag = "accounts", operation_id = "list_devices", params(PageQuery),
    responses((status = 200, description = "A part of them", body = DevicesView)))]
pub async fn devices(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    Paging(part): Paging,
) -> Result<Json<DevicesView>, Problem> {
    let (devices, total) = state.accounts.devices(&identity, part).await?;
    let devices = devices.iter().map(|device| DeviceView::new(device, Some(identity.device_id))).collect();
    Ok(Json(DevicesView { devices, total, offset: part.offset, limit: part.limit }))
}

/// Signs a device out.
#[utoipa::path(delete, path = "/devices/{id}", tag = "accounts", params(PathId),
    responses((status = 200, description = "Signed out", body = Message)))]
pub async fn sign_out_device(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    PathId(id): PathId,
) -> Result<Json<Message>, Problem> {
    state.accounts.sign_out_device(&identity, DeviceId::new(id)).await?;
    Ok(Json(Message::new("Device signed out")))
}
