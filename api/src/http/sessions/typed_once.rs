//! A command that is typed once by its `Idempotency-Key`. What is typed cannot be taken back: a request that comes again waits
//! for the end of the same command, and where nobody knows whether it was typed it is told so.

use std::sync::Arc;

use axum::Json;
use axum::body::to_bytes;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use devpocket_shared::ids::SessionId;
use tokio::time::Instant;
use tracing::warn;

use super::asking::Asking;
use super::command_views::CommandResultView;
use crate::domain::answers::{Once, RequestKey};
use crate::domain::identity::AuthError;
use crate::domain::sessions::{SessionError, Typed};
use crate::http::idempotency::{self, REPLAYED};
use crate::problem::Problem;
use crate::state::AppState;
use crate::store::{BegunCommand, KeptAnswer, StoreError};

const ROUTE: &str = "/api/sessions/{id}/commands";
/// How much of what a command has printed is kept with its answer, in bytes: what fits many screens. More is for who waits.
const KEPT_OUTPUT_BYTES: usize = 64 << 10;
/// The same for an account of which much is kept already: an hour of commands must not fill the database's disk.
const CROWDED_OUTPUT_BYTES: usize = 1 << 10;
/// Longest answer that is kept: its output, where each byte is written as six, and a command with its path.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// Runs it, or finds what became of it; in a task of its own, so that a client that has gone finds its answer.
pub(super) async fn run(
    state: &AppState,
    asking: Asking,
    id: SessionId,
    command: String,
    until: Instant,
    key: &RequestKey,
) -> Response {
    // Not the body as it was sent: how long somebody waits makes it no other command.
    let content = format!("{}\n{command}", id.uuid());
    let once = Arc::new(Once::new(asking.identity.user_id, ROUTE, key, content.as_bytes()));
    let doing = state.clone();
    let done = async move {
        let typed = Typing { state: &doing, asking: &asking, id, once: &once };
        typed.run(command, until).await.unwrap_or_else(IntoResponse::into_response)
    };
    idempotency::to_its_end(state, done).await
}

struct Typing<'a> {
    state: &'a AppState,
    asking: &'a Asking,
    id: SessionId,
    once: &'a Arc<Once>,
}

impl Typing<'_> {
    async fn run(&self, command: String, until: Instant) -> Result<Response, Problem> {
        let answers = &self.state.answers;
        let lines = u64::try_from(command.lines().count()).unwrap_or(u64::MAX);
        let begun = answers.begin_command(self.once, self.id).await.inspect_err(|_| self.take_back())?;
        let (number, is_again) = match begun {
            BegunCommand::Now => match self.start(command).await {
                Ok(number) => (number, false),
                Err(err) => return self.not_begun(err).await,
            },
            BegunCommand::Started(number) => (number, true),
            BegunCommand::Done(answer) => return Ok(idempotency::replayed(answer)),
            BegunCommand::UnderWay(held_until) => {
                return Err(idempotency::under_way(answers.secs_until(held_until)));
            }
            BegunCommand::Unknown => return Err(SessionError::CommandUnknown.into()),
            BegunCommand::Reused => return Err(idempotency::reused()),
            BegunCommand::OwnerGone => return Err(AuthError::SignedOut.into()),
        };
        let (caller, sessions) = (self.asking.caller(), &self.state.sessions);
        match sessions.await_command(caller, self.id, number, until, &self.state.stop).await {
            // The session keeps a thousand commands: of one before them, a much later one would be told.
            Ok(result) if result.command.number.saturating_sub(number) >= lines => {
                Err(SessionError::CommandUnknown.into())
            }
            Ok(result) => {
                let answer = CommandResultView::new(self.id, result);
                if answer.timed_out {
                    // Whoever sends it again waits for the end.
                    return Ok(marked(Json(answer).into_response(), is_again));
                }
                let kept = Json(answer.clone().shortened(self.output_room().await)).into_response();
                Ok(self.answered(Json(answer).into_response(), kept, is_again).await)
            }
            Err(err) if err.typed() == Typed::Refused => self.refused(err.into(), is_again).await,
            // Whoever sends it again asks for its end again.
            Err(err) => Err(err.into()),
        }
    }

    /// How much of what was printed is kept.
    async fn output_room(&self) -> usize {
        match self.state.answers.has_room(self.once).await {
            Ok(true) => KEPT_OUTPUT_BYTES,
            // Where the database does not answer, nothing is kept at all.
            Ok(false) | Err(_) => CROWDED_OUTPUT_BYTES,
        }
    }

    /// Nothing was typed, and nothing will be, whatever the database comes to yet.
    fn take_back(&self) {
        let (answers, once, stop) =
            (Arc::clone(&self.state.answers), Arc::clone(self.once), self.state.stop.clone());
        self.state.tasks.spawn(async move { stop.run_until_cancelled(answers.take_back(&once)).await });
    }

    /// Types it, and notes that its shell has begun it.
    async fn start(&self, command: String) -> Result<u64, SessionError> {
        let (caller, stop) = (self.asking.caller(), &self.state.stop);
        let number = self.state.sessions.start_command(caller, self.id, command, stop).await?;
        noted(self.state.answers.note_started(self.once, number).await);
        Ok(number)
    }

    /// It did not begin, as far as is known.
    async fn not_begun(&self, err: SessionError) -> Result<Response, Problem> {
        match err.typed() {
            Typed::Nothing => noted(self.state.answers.forget_command(self.once).await),
            Typed::Perhaps => noted(self.state.answers.release(self.once).await),
            Typed::Refused => return self.refused(err.into(), false).await,
        }
        Err(err.into())
    }

    async fn refused(&self, problem: Problem, is_again: bool) -> Result<Response, Problem> {
        let respond = || problem.respond(self.asking.request_id.as_str());
        Ok(self.answered(respond(), respond(), is_again).await)
    }

    /// The answer, once it is kept: the one that was kept before, if there is one.
    async fn answered(&self, answer: Response, to_keep: Response, is_again: bool) -> Response {
        let (head, body) = to_keep.into_parts();
        let Ok(body) = to_bytes(body, MAX_KEPT_BYTES).await else {
            return Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response();
        };
        let to_keep = KeptAnswer { status: head.status.as_u16(), body: body.to_vec() };
        let answer = match self.state.answers.keep_first(self.once, &to_keep).await {
            Ok(Some(first)) => idempotency::replayed(first),
            Ok(None) => answer,
            Err(err) => {
                noted(Err(err));
                answer
            }
        };
        // Whoever typed it is told so, also where another was answered first.
        marked(answer, is_again)
    }
}

/// The answer, marked as one to a repetition if it is.
fn marked(mut answer: Response, is_again: bool) -> Response {
    answer.headers_mut().remove(&REPLAYED);
    if is_again {
        answer.headers_mut().insert(&REPLAYED, HeaderValue::from_static("true"));
    }
    answer
}

/// What was typed stands, whatever the database says.
fn noted(noted: Result<(), StoreError>) {
    if let Err(err) = noted {
        warn!(
            error = &err as &dyn std::error::Error,
            "what became of a command with a key is not kept: {err}"
        );
    }
}
