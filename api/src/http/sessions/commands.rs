//! What sessions' shells ran, and commands typed into them.

use axum::Json;
use axum::extract::State;

use super::super::query::Parameters;
use super::asking::{Asking, PathSession};
use super::command_views::{CommandResultView, CommandsView};
use super::{bodies, requests};
use crate::http::fields::Fields;
use crate::http::idempotency::Unkeyed;
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
#[utoipa::path(post, path = "/{id}/commands", tag = "sessions", operation_id = "run_command", params(bodies::SessionPath),
    request_body = bodies::NewCommand,
    responses(
        (status = 200, description = "What came of it, or has by now", body = CommandResultView),
        (status = 400, description = "`idempotency_key_unsupported`: what is typed is not typed once by a key"),
        (status = 409, description = "`no_shell_integration`: ends of commands cannot be seen here; `command_running`: the shell is not \
             at its prompt; `line_in_use`: somebody has typed at its prompt; `session_ended`"),
        (status = 422, description = "`command_not_run`: the shell did not take it for a command, as where there is a mistake in it"),
        (status = 503, description = "`node_unavailable`, `input_full`; `input_uncertain`: it may have been typed, or was, and the \
             shell does not tell of it"),
    ))]
pub(super) async fn run(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    _unkeyed: Unkeyed,
    fields: Fields,
) -> Result<Json<CommandResultView>, Problem> {
    let (command, patience) = requests::command(fields)?;
    let result = state.sessions.run_command(asking.caller(), id, command, patience, &state.stop).await?;
    Ok(Json(CommandResultView::new(id, result)))
}
