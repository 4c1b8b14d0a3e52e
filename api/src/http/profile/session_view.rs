//! A session in an export: what its node has of it.

use devpocket_shared::wire::{EndReason, Exit, SessionInfo};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::session::at_ms;

/// A session that the account's node holds.
#[derive(Serialize)]
pub(super) struct HeldSessionView {
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
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Size {
    rows: u16,
    cols: u16,
}

impl From<SessionInfo> for HeldSessionView {
    fn from(session: SessionInfo) -> Self {
        let status = match (&session.exit, session.reason, session.attached_clients) {
            (Some(_), Some(_), _) => "terminated",
            (Some(_), None, _) => "exited",
            (None, _, 0) => "detached",
            (None, _, _) => "active",
        };
        let (exit_code, exit_signal) = match session.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self {
            id: session.session_id.uuid(),
            name: session.name,
            session_type: "local",
            status,
            created_at: at_ms(session.created_at_ms),
            terminal_size: Size { rows: session.size.rows(), cols: session.size.cols() },
            attached_clients: session.attached_clients,
            bytes_out: session.bytes_out,
            exit_code,
            exit_signal,
            reason: session.reason.map(EndReason::as_str),
        }
    }
}
