//! What is done with sessions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::asking::{Asking, PathSession};
use super::views::{BatchResult, BatchView, CleanupView, InputView, SessionView, Size};
use super::{bodies, requests};
use crate::domain::sessions::Outcome;
use crate::http::fields::{Fields, OptionalFields};
use crate::problem::Problem;
use crate::state::AppState;

/// Changes name, description, limits and size.
#[utoipa::path(put, path = "/{id}", tag = "sessions", operation_id = "change_session", params(bodies::SessionPath),
    request_body = bodies::SessionChange,
    responses(
        (status = 200, description = "The session as it is now", body = SessionView),
        (status = 409, description = "`name_taken`; `session_ended`: then name and description alone may be changed"),
    ))]
pub(super) async fn change(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    fields: Fields,
) -> Result<Json<SessionView>, Problem> {
    let changes = requests::changes(fields)?;
    let shown = state.sessions.change(asking.caller(), id, changes).await?;
    Ok(Json(SessionView::from(&shown)))
}

/// Ends and forgets a session.
///
/// If its node cannot be reached, it is forgotten now and ends once the node can.
#[utoipa::path(delete, path = "/{id}", tag = "sessions", operation_id = "delete_session", params(bodies::SessionPath),
    responses((status = 204, description = "Ended and forgotten")))]
pub(super) async fn delete(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
) -> Result<StatusCode, Problem> {
    state.sessions.delete(asking.caller(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a session; with `force` at once.
///
/// The answer shows it as it is then: its program may need up to five seconds. If its node cannot be reached, it ends once the
/// node can, and its name is free now.
#[utoipa::path(post, path = "/{id}/terminate", tag = "sessions", operation_id = "terminate_session", params(bodies::SessionPath),
    request_body = Option<bodies::Termination>,
    responses((status = 200, description = "The session as it is now", body = SessionView)))]
pub(super) async fn terminate(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    OptionalFields(fields): OptionalFields,
) -> Result<Json<SessionView>, Problem> {
    let shown = if requests::force(fields)? {
        state.sessions.kill(asking.caller(), id).await?
    } else {
        state.sessions.terminate(asking.caller(), id).await?
    };
    Ok(Json(SessionView::from(&shown)))
}

/// Types into a session.
#[utoipa::path(post, path = "/{id}/input", tag = "sessions", operation_id = "type_into_session", params(bodies::SessionPath),
    request_body = bodies::Input,
    responses(
        (status = 200, description = "Typed", body = InputView),
        (status = 409, description = "`session_ended`"),
        (status = 503, description = "`node_unavailable`, `input_full`; `input_uncertain`: it may have been typed"),
    ))]
pub(super) async fn input(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    fields: Fields,
) -> Result<Json<InputView>, Problem> {
    let text = requests::input(fields)?;
    let bytes = text.len();
    state.sessions.input(asking.caller(), id, text).await?;
    Ok(Json(InputView { bytes }))
}

/// Sets a session's size.
#[utoipa::path(post, path = "/{id}/resize", tag = "sessions", operation_id = "resize_session", params(bodies::SessionPath),
    request_body = Size,
    responses(
        (status = 200, description = "The size", body = Size),
        (status = 409, description = "`session_ended`"),
    ))]
pub(super) async fn resize(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    fields: Fields,
) -> Result<Json<Size>, Problem> {
    let size = requests::size(fields)?;
    state.sessions.resize(asking.caller(), id, size).await?;
    Ok(Json(size.into()))
}

/// Terminates or deletes many sessions.
#[utoipa::path(post, path = "/batch", tag = "sessions", operation_id = "end_sessions", request_body = bodies::Batch,
    responses((status = 200, description = "What became of each", body = BatchView)))]
pub(super) async fn batch(
    State(state): State<AppState>,
    asking: Asking,
    fields: Fields,
) -> Result<Json<BatchView>, Problem> {
    let (action, named) = requests::batch(fields)?;
    let ids: Vec<_> = named.iter().filter_map(|(_, id)| *id).collect();
    let mut outcomes = state.sessions.batch(asking.caller(), action, &ids).await?.into_iter();
    // What is no id names no session.
    let results = named.into_iter().map(|(text, id)| {
        let outcome = id.and_then(|_| outcomes.next()).unwrap_or(Outcome::NotFound);
        BatchResult::new(text, outcome)
    });
    Ok(Json(BatchView::new(results.collect())))
}

/// Ends sessions that nobody has used for a while.
#[utoipa::path(post, path = "/cleanup/inactive", tag = "sessions", operation_id = "end_inactive_sessions",
    request_body = Option<bodies::Cleanup>,
    responses((status = 200, description = "Which were ended", body = CleanupView)))]
pub(super) async fn end_inactive(
    State(state): State<AppState>,
    asking: Asking,
    OptionalFields(fields): OptionalFields,
) -> Result<Json<CleanupView>, Problem> {
    let quiet = requests::inactive(fields)?;
    let ended = state.sessions.end_inactive(asking.caller(), quiet).await?;
    Ok(Json(CleanupView::new(&ended)))
}
