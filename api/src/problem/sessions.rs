//! Failures of sessions as problems: the same words as on the terminal stream.

use axum::http::StatusCode;
use devpocket_shared::wire::{ErrorCode, Failure};
use tracing::warn;

use super::{FieldError, Problem, RETRY_SECS};
use crate::domain::identity::AuthError;
use crate::domain::sessions::SessionError;

impl From<SessionError> for Problem {
    fn from(err: SessionError) -> Self {
        match err {
            SessionError::NotFound => {
                Self::new(StatusCode::NOT_FOUND, ErrorCode::SessionNotFound.as_str(), "No such session")
            }
            SessionError::NameTaken => {
                Self::new(StatusCode::CONFLICT, "name_taken", "Another session has this name")
            }
            SessionError::OwnerGone => AuthError::SignedOut.into(),
            SessionError::Ended => {
                Self::new(StatusCode::CONFLICT, ErrorCode::SessionEnded.as_str(), "The session is over")
            }
            SessionError::Forgotten => {
                Self::new(StatusCode::GONE, "screen_gone", "The session is over and its screen not kept")
            }
            SessionError::Refused(failure) => refused(failure),
            SessionError::InputUncertain(err) => {
                warn!(error = &err as &dyn std::error::Error, "input was not answered: {err}");
                input_uncertain()
            }
            SessionError::CommandUnknown => input_uncertain(),
            SessionError::Link(err) => err.into(),
            SessionError::Elsewhere => Self::unavailable("node_unavailable", &err),
            SessionError::OutOfTurn => Self::internal(&err),
            SessionError::Store(err) => err.into(),
        }
    }
}

fn input_uncertain() -> Problem {
    // No Retry-After: what is sent again may be typed twice, or is told the same by its key.
    let title = "The input may or may not have arrived";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "input_uncertain", title)
}

/// Why, and what is to be done about it at the node, is its operator's to know.
fn local_sessions_unavailable(message: &str) -> Problem {
    warn!("a node starts no session for this account: {message}");
    let code = ErrorCode::LocalSessionsUnavailable.as_str();
    Problem::new(StatusCode::FORBIDDEN, code, "This account may not open local sessions here")
}

/// What a node said no with.
fn refused(failure: Failure) -> Problem {
    let Failure { code, message, expected: _ } = failure;
    let (status, retry_after) = match code {
        ErrorCode::InvalidField => {
            let field = message.split(' ').next().unwrap_or_default();
            let known =
                ["name", "command", "working_directory", "environment", "idle_timeout", "max_duration"];
            let field = known.into_iter().find(|known| *known == field).unwrap_or("body");
            return Problem::invalid_fields(vec![FieldError {
                field: field.into(),
                code: "out_of_range",
                message,
            }]);
        }
        ErrorCode::SpawnFailed | ErrorCode::CommandNotRun | ErrorCode::ScreenTooLarge => {
            (StatusCode::UNPROCESSABLE_ENTITY, None)
        }
        ErrorCode::SessionNotFound => (StatusCode::NOT_FOUND, None),
        ErrorCode::SessionEnded
        | ErrorCode::NoShellIntegration
        | ErrorCode::CommandRunning
        | ErrorCode::LineInUse => (StatusCode::CONFLICT, None),
        ErrorCode::LocalSessionsUnavailable => return local_sessions_unavailable(&message),
        ErrorCode::NotAllowed => (StatusCode::FORBIDDEN, None),
        ErrorCode::RateLimited => (StatusCode::TOO_MANY_REQUESTS, Some(RETRY_SECS)),
        // No Retry-After: what is sent again may be typed twice.
        ErrorCode::InputUncertain => (StatusCode::SERVICE_UNAVAILABLE, None),
        ErrorCode::InputFull | ErrorCode::NodeUnavailable | ErrorCode::NodeFull => {
            (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_SECS))
        }
        ErrorCode::BadJson
        | ErrorCode::MissingField
        | ErrorCode::UnknownType
        | ErrorCode::BadFrame
        | ErrorCode::NotAttached
        | ErrorCode::SeqGap
        | ErrorCode::PromptUnknown
        | ErrorCode::Internal => {
            warn!("a node failed: {message}");
            (StatusCode::INTERNAL_SERVER_ERROR, None)
        }
    };
    let title = status.canonical_reason().unwrap_or("The node refused");
    let problem = Problem::new(status, code.as_str(), title).with_detail(message);
    match retry_after {
        Some(secs) => problem.with_retry_after(secs),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The story: any account was told of a file in the node's state directory.
    #[test]
    fn why_a_node_starts_nothing_for_an_account_is_not_told_to_it() {
        let message = "its operator removes the file owner in PTYD_STATE_DIR".to_owned();
        let code = ErrorCode::LocalSessionsUnavailable;
        let problem = Problem::from(SessionError::Refused(Failure { code, message, expected: None }));
        assert_eq!(problem.status(), StatusCode::FORBIDDEN);
        let told = format!("{problem:?}");
        assert!(told.contains(code.as_str()) && !told.contains("PTYD_STATE_DIR"), "{told}");
    }
}
