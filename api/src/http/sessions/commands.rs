//! What sessions' shells ran, and commands typed into them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::super::query::Parameters;
use super::asking::{Asking, PathSession};
use super::command_views::{CommandResultView, CommandsView};
use super::{bodies, requests, typed_once};
use crate::http::fields::Fields;
use crate::http::idempotency::{IdempotencyHeader, Key};
use crate::problem::Problem;
use crate::state::AppState;

/// Commands on a page unless asked for otherwise, and at most (API.md section 1).
const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

/// Commands that a session's shell ran, newest first.
///
/// Those of bash, zsh and fish, as they tell themselves; the last thousand. What a shell keeps out of its own history, having
/// been typed with a space before it, has no text here. Files and programs that print such marks are not believed.
#[utoipa::path(get, path = "/{id}/history", tag = "sessions", operation_id = "list_session_commands",
    params(bodies::SessionPath, bodies::CommandsQuery),
    responses(
        (status = 200, description = "A part of them", body = CommandsView),
        (status = 410, description = "`screen_gone`: the session is over and its commands not kept"),
    ))]
pub(super) async fn history(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    mut query: Parameters,
) -> Result<Json<CommandsView>, Problem> {
    let offset = query.number("offset", 0, u32::MAX.into());
    let limit = query.number("limit", 1, MAX_PAGE.into());
    query.done()?;
    let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    let (offset, limit) = (number(offset).unwrap_or(0), number(limit).unwrap_or(PAGE));
    let (commands, total) = state.sessions.commands(asking.caller(), id, offset, limit).await?;
    Ok(Json(CommandsView::new(id, commands, total, offset, limit)))
}

/// Types a command into a session's shell and waits for its end.
///
/// The shell is to be at its prompt, and nobody to have typed there. Several lines are pasted: if the shell takes them for several
/// commands, the answer is about the last, and `output` is of all. After `timeout`, and earlier if
/// the server is told to end, or if the shell waits for keys and has not told the command's end, the answer says `timed_out`, and
/// what was printed so far: the command goes on, and the session's history has its end.
///
/// With an `Idempotency-Key` it is typed once, however often it is sent: who sends it again waits for the end of the same command,
/// or is given the answer that was given (`Idempotent-Replayed`), with the last 64 KiB of its `output`.
#[utoipa::path(post, path = "/{id}/commands", tag = "sessions", operation_id = "run_command",
    params(bodies::SessionPath, IdempotencyHeader), request_body = bodies::NewCommand,
    responses(
        (status = 200, description = "What came of it, or has by now", body = CommandResultView),
        (status = 400, description = "`idempotency_key_invalid`"),
        (status = 409, description = "`no_shell_integration`: ends of commands cannot be seen here; `command_running`: the shell is not \
             at its prompt; `line_in_use`: somebody has typed at its prompt; `session_ended`; `idempotency_in_progress`: the same is being typed"),
        (status = 410, description = "`screen_gone`: the session is over, and what it printed is not kept"),
        (status = 422, description = "`command_not_run`: the shell did not take it for a command, as where there is a mistake in it; \
             `idempotency_key_reused`: with another command, or in another session"),
        (status = 503, description = "`node_unavailable`, `input_full`; `input_uncertain`: it may have been typed, or was, and the \
             shell does not tell of it"),
    ))]
pub(super) async fn run(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    Key(key): Key,
    fields: Fields,
) -> Result<Response, Problem> {
    let (command, patience) = requests::command(fields)?;
    let until = Instant::now() + patience;
    if let Some(key) = key {
        return Ok(typed_once::run(&state, asking, id, command, until, &key).await);
    }
    let number = state.sessions.start_command(asking.caller(), id, command, &state.stop).await?;
    let result = state.sessions.await_command(asking.caller(), id, number, until, &state.stop).await?;
    Ok(Json(CommandResultView::new(id, result)).into_response())
}
