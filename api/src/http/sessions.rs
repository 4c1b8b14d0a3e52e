//! `/api/sessions`, thin: which sessions the account has (API.md section 6). The truth is asked of their ptyd.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use devpocket_shared::wire::{Answer, EndReason, Exit, Request, SessionInfo};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::current_user::CurrentUser;
use crate::link::LinkError;
use crate::problem::{FieldError, Problem};
use crate::state::AppState;

/// Sessions on a page unless asked for otherwise, and at most (API.md section 1).
const PAGE: usize = 50;
const MAX_PAGE: usize = 100;

/// Which part of the list.
#[derive(Deserialize)]
pub struct Page {
    offset: Option<usize>,
    limit: Option<usize>,
    active_only: Option<bool>,
}

/// A page of sessions.
#[derive(Serialize)]
pub struct Sessions {
    sessions: Vec<SessionView>,
    total: usize,
    offset: usize,
    limit: usize,
}

/// A session as clients see it.
#[derive(Serialize)]
pub struct SessionView {
    id: Uuid,
    name: Option<String>,
    session_type: &'static str,
    status: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    terminal_size: Size,
    attached_clients: u32,
    bytes_out: u64,
    exit_code: Option<i32>,
    exit_signal: Option<String>,
}

#[derive(Serialize)]
struct Size {
    rows: u16,
    cols: u16,
}

/// The account's sessions, newest first.
pub async fn list(
    State(state): State<AppState>,
    CurrentUser(identity): CurrentUser,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Sessions>, Problem> {
    let Query(page) = page.map_err(|_| invalid("limit"))?;
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(invalid("limit"));
    }
    let offset = page.offset.unwrap_or(0);
    let request = Request::List { owner: identity.user_id };
    let (answer, _) = state.link.request("list", &request).await?;
    let Answer::Sessions(mut all) = answer else { return Err(LinkError::Closed.into()) };
    all.reverse();
    all.retain(|session| session.exit.is_none() || !page.active_only.unwrap_or(false));
    let total = all.len();
    let sessions = all.into_iter().skip(offset).take(limit).map(SessionView::from).collect();
    Ok(Json(Sessions { sessions, total, offset, limit }))
}

fn invalid(field: &'static str) -> Problem {
    let message = format!("limit is 1 to {MAX_PAGE}, offset 0 or more, active_only true or false");
    Problem::invalid_fields(vec![FieldError { field, code: "out_of_range", message }])
}

impl From<SessionInfo> for SessionView {
    fn from(session: SessionInfo) -> Self {
        let status = match (&session.exit, session.reason, session.attached_clients) {
            (Some(_), Some(EndReason::Terminated), _) => "terminated",
            (Some(_), None, _) => "exited",
            (None, _, 0) => "detached",
            (None, _, _) => "active",
        };
        let (exit_code, exit_signal) = match session.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let created = i128::from(session.created_at_ms) * 1_000_000;
        Self {
            id: session.session_id.uuid(),
            name: session.name,
            session_type: "local",
            status,
            created_at: OffsetDateTime::from_unix_timestamp_nanos(created)
                .unwrap_or(OffsetDateTime::UNIX_EPOCH),
            terminal_size: Size { rows: session.size.rows(), cols: session.size.cols() },
            attached_clients: session.attached_clients,
            bytes_out: session.bytes_out,
            exit_code,
            exit_signal,
        }
    }
}
