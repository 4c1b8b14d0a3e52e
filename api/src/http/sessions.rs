//! `/api/sessions`, thin: each is a real session on a ptyd (API.md section 6).

mod acts;
mod asking;
mod bodies;
mod command_views;
mod commands;
mod looks;
mod requests;
mod typed_once;
mod views;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::ErrorCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::asking::{Asking, ListQuery, PathSession};
pub(super) use self::views::SessionView;
use self::views::SessionsView;
use super::fields::Fields;
use super::idempotency::{CreationId, IdempotencyHeader};
use crate::problem::Problem;
use crate::state::AppState;

/// The routes below `/api/sessions`.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(looks::count))
        .routes(routes!(looks::overview))
        .routes(routes!(search))
        .routes(routes!(acts::batch))
        .routes(routes!(acts::end_inactive))
        .routes(routes!(show, acts::change, acts::delete))
        .routes(routes!(acts::terminate))
        .routes(routes!(acts::input))
        .routes(routes!(acts::resize))
        .routes(routes!(looks::screen))
        .routes(routes!(looks::scrollback))
        .routes(routes!(looks::health))
        .routes(routes!(commands::history))
        .routes(routes!(commands::run))
}

/// The account's sessions, newest first.
#[utoipa::path(get, path = "/", tag = "sessions", operation_id = "list_sessions", params(bodies::ListQuery),
    responses((status = 200, description = "A part of them", body = SessionsView)))]
async fn list(
    State(state): State<AppState>,
    asking: Asking,
    query: ListQuery,
) -> Result<Json<SessionsView>, Problem> {
    let ListQuery { wanted, offset, limit } = query;
    let (sessions, total) = state.sessions.list(asking.caller(), wanted, offset, limit).await?;
    Ok(Json(SessionsView::new(&sessions, total, offset, limit)))
}

/// The account's sessions that fit a search, newest first.
#[utoipa::path(post, path = "/search", tag = "sessions", operation_id = "search_sessions", request_body = bodies::Search,
    responses((status = 200, description = "A part of them", body = SessionsView)))]
async fn search(
    State(state): State<AppState>,
    asking: Asking,
    fields: Fields,
) -> Result<Json<SessionsView>, Problem> {
    let ListQuery { wanted, offset, limit } = requests::search(fields)?;
    let (sessions, total) = state.sessions.list(asking.caller(), wanted, offset, limit).await?;
    Ok(Json(SessionsView::new(&sessions, total, offset, limit)))
}

/// Starts a session that nobody is attached to.
#[utoipa::path(post, path = "/", tag = "sessions", operation_id = "create_session", request_body = bodies::NewSession,
    params(IdempotencyHeader),
    responses(
        (status = 201, description = "It runs", body = SessionView),
        (status = 400, description = "`idempotency_key_invalid`"),
        (status = 403, description = "`local_sessions_unavailable`, `not_allowed`"),
        (status = 409, description = "`name_taken`; `idempotency_in_progress`: the same request is under way"),
        (status = 422, description = "`spawn_failed`: its program could not be started; `idempotency_key_reused`"),
        (status = 503, description = "`node_unavailable`, `node_full`, `database_unavailable`"),
    ))]
async fn create(
    State(state): State<AppState>,
    asking: Asking,
    CreationId(id): CreationId,
    fields: Fields,
) -> Result<(StatusCode, Json<SessionView>), Problem> {
    if !state.accounts.may_open_local(&asking.identity) {
        let code = ErrorCode::LocalSessionsUnavailable.as_str();
        let title = "This account may not open local sessions here";
        return Err(Problem::new(StatusCode::FORBIDDEN, code, title));
    }
    let new = requests::new_session(fields)?;
    let shown = state.sessions.create(asking.caller(), SessionId::new(id), new).await?;
    Ok((StatusCode::CREATED, Json(SessionView::from(&shown))))
}

/// One session.
#[utoipa::path(get, path = "/{id}", tag = "sessions", operation_id = "show_session", params(bodies::SessionPath),
    responses((status = 200, description = "The session", body = SessionView)))]
async fn show(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
) -> Result<Json<SessionView>, Problem> {
    let shown = state.sessions.show(asking.caller(), id).await?;
    Ok(Json(SessionView::from(&shown)))
}
