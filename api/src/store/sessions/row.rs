//! A session's row, and its columns that are no plain values. Knows no statement.

use devpocket_shared::ids::{NodeId, SessionId, TerminalSize, UserId};
use devpocket_shared::wire::{EndReason, Exit, Limits};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::session::{Session, Status};
use crate::store::{StoreError, from_micros};

#[derive(FromRow)]
pub(super) struct SessionRow {
    id: Uuid,
    owner_id: Uuid,
    node_id: Option<Uuid>,
    name: Option<String>,
    description: Option<String>,
    command: Option<String>,
    working_directory: Option<String>,
    rows: i64,
    cols: i64,
    idle_timeout: Option<i64>,
    max_duration: Option<i64>,
    status: String,
    created_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    last_activity_at: Option<i64>,
    exit_code: Option<i64>,
    exit_signal: Option<String>,
    reason: Option<String>,
    error_message: Option<String>,
    title: Option<String>,
    cwd: Option<String>,
    bytes_out: i64,
    command_count: i64,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let secs = |value: Option<i64>| value.and_then(|secs| u32::try_from(secs).ok());
        let side = |value: i64| u16::try_from(value).unwrap_or(0);
        let code = row.exit_code.and_then(|code| i32::try_from(code).ok());
        Ok(Self {
            id: SessionId::new(row.id),
            owner: UserId::new(row.owner_id),
            node: row.node_id.map(NodeId::new),
            name: row.name,
            description: row.description,
            command: command(row.command.as_deref())?,
            working_directory: row.working_directory,
            size: TerminalSize::new(side(row.rows), side(row.cols))
                .map_err(|_| StoreError::corrupt("a size that is none"))?,
            limits: Limits {
                idle_timeout_secs: secs(row.idle_timeout),
                max_duration_secs: secs(row.max_duration),
            },
            status: status(&row.status)?,
            created_at: from_micros(row.created_at)?,
            started_at: row.started_at.map(from_micros).transpose()?,
            ended_at: row.ended_at.map(from_micros).transpose()?,
            last_activity_at: row.last_activity_at.map(from_micros).transpose()?,
            exit: row.exit_signal.map(Exit::Signal).or(code.map(Exit::Code)),
            reason: row.reason.as_deref().map(reason).transpose()?,
            error_message: row.error_message,
            title: row.title,
            cwd: row.cwd,
            bytes_out: u64::try_from(row.bytes_out).unwrap_or(0),
            command_count: u64::try_from(row.command_count).unwrap_or(0),
        })
    }
}

pub(in crate::store) fn status(word: &str) -> Result<Status, StoreError> {
    Status::from_word(word).ok_or_else(|| StoreError::corrupt("a status that is none"))
}

fn reason(word: &str) -> Result<EndReason, StoreError> {
    let all = [EndReason::Terminated, EndReason::IdleTimeout, EndReason::MaxDuration];
    let found = all.into_iter().find(|reason| reason.as_str() == word);
    found.ok_or_else(|| StoreError::corrupt("a reason that is none"))
}

fn command(text: Option<&str>) -> Result<Vec<String>, StoreError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|_| StoreError::corrupt("a command that is none"))
}

pub(super) fn command_column(command: &[String]) -> Option<String> {
    (!command.is_empty()).then(|| serde_json::Value::from(command.to_vec()).to_string())
}

pub(super) fn exit_columns(exit: Option<&Exit>) -> (Option<i64>, Option<&str>) {
    match exit {
        Some(Exit::Code(code)) => (Some(i64::from(*code)), None),
        Some(Exit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    }
}

pub(super) fn count_column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What `like` takes for "holds this text".
pub(super) fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if ['%', '_', '\\'].contains(&letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
