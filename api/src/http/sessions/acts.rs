//! What is done with sessions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::asking::{Asking, PathSession};
use super::requests;
use super::views::{BatchResult, BatchView, CleanupView, InputView, SessionView, Size};
use crate::domain::sessions::Outcome;
use crate::http::fields::{Fields, OptionalFields};
use crate::problem::Problem;
use crate::state::AppState;

/// Changes name, description, limits and size.
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
pub(super) async fn delete(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
) -> Result<StatusCode, Problem> {
    state.sessions.delete(asking.caller(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a session; with `force` at once. The answer shows it as it is then: its program may need up to five seconds.
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

/// The same for many.
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
pub(super) async fn end_inactive(
    State(state): State<AppState>,
    asking: Asking,
    OptionalFields(fields): OptionalFields,
) -> Result<Json<CleanupView>, Problem> {
    let quiet = requests::inactive(fields)?;
    let ended = state.sessions.end_inactive(asking.caller(), quiet).await?;
    Ok(Json(CleanupView::new(&ended)))
}
