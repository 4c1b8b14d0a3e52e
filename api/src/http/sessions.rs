//! `/api/sessions`, thin: each is a real session on a ptyd (API.md section 6).

mod acts;
mod asking;
mod looks;
mod requests;
mod views;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::ErrorCode;

use self::asking::{Asking, ListQuery, PathSession};
pub(super) use self::views::SessionView;
use self::views::SessionsView;
use super::fields::Fields;
use super::idempotency::CreationId;
use crate::problem::Problem;
use crate::state::AppState;

/// The routes below `/api/sessions`.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(list).post(create))
        .route("/active/count", get(looks::count))
        .route("/stats/overview", get(looks::overview))
        .route("/search", post(search))
        .route("/batch", post(acts::batch))
        .route("/cleanup/inactive", post(acts::end_inactive))
        .route("/{id}", get(show).put(acts::change).delete(acts::delete))
        .route("/{id}/terminate", post(acts::terminate))
        .route("/{id}/input", post(acts::input))
        .route("/{id}/resize", post(acts::resize))
        .route("/{id}/screen", get(looks::screen))
        .route("/{id}/scrollback", get(looks::scrollback))
        .route("/{id}/health", get(looks::health))
}

/// The account's sessions, newest first.
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
async fn show(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
) -> Result<Json<SessionView>, Problem> {
    let shown = state.sessions.show(asking.caller(), id).await?;
    Ok(Json(SessionView::from(&shown)))
}
