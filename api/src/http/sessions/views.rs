//! Answers of `/api/sessions`.

use devpocket_shared::ids::{SessionId, TerminalSize};
use devpocket_shared::wire::{EndReason, ErrorCode, Exit, ScreenFormat};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use crate::domain::session::Status;
use crate::domain::sessions::{Health, Lines, Outcome, Overview, Picture, Shown};
use crate::http::openapi::{nullable_word, word};
use crate::problem::Problem;

/// A terminal's size.
#[derive(Serialize, ToSchema)]
#[schema(as = TerminalSize)]
pub(super) struct Size {
    #[schema(minimum = 1, maximum = 1000)]
    rows: u16,
    #[schema(minimum = 1, maximum = 1000)]
    cols: u16,
}

impl From<TerminalSize> for Size {
    fn from(size: TerminalSize) -> Self {
        Self { rows: size.rows(), cols: size.cols() }
    }
}

/// A session. Never its environment: that may hold secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(in crate::http) struct SessionView {
    id: Uuid,
    name: Option<String>,
    description: Option<String>,
    #[schema(schema_with = session_type)]
    session_type: &'static str,
    /// The profile that it was made by; none of a local session.
    ssh_profile_id: Option<Uuid>,
    #[schema(schema_with = status_shown)]
    status: &'static str,
    node: Option<Uuid>,
    command: Vec<String>,
    working_directory: Option<String>,
    terminal_size: Size,
    idle_timeout: Option<u32>,
    max_duration: Option<u32>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    last_activity_at: Option<OffsetDateTime>,
    exit_code: Option<i32>,
    exit_signal: Option<String>,
    /// Why it was terminated.
    #[schema(schema_with = reason)]
    reason: Option<&'static str>,
    error_message: Option<String>,
    attached_clients: u32,
    title: Option<String>,
    cwd: Option<String>,
    bytes_out: u64,
    /// Commands that its shell ran, as far as it tells.
    command_count: u64,
}

impl From<&Shown> for SessionView {
    fn from(shown: &Shown) -> Self {
        let session = shown.session.clone();
        let (exit_code, exit_signal) = match session.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self {
            id: session.id.uuid(),
            name: session.name,
            description: session.description,
            session_type: "local",
            ssh_profile_id: None,
            status: status(shown),
            node: session.node.map(devpocket_shared::ids::NodeId::uuid),
            command: session.command,
            working_directory: session.working_directory,
            terminal_size: session.size.into(),
            idle_timeout: session.limits.idle_timeout_secs,
            max_duration: session.limits.max_duration_secs,
            created_at: session.created_at,
            started_at: session.started_at,
            ended_at: session.ended_at,
            last_activity_at: session.last_activity_at,
            exit_code,
            exit_signal,
            reason: session.reason.map(EndReason::as_str),
            error_message: session.error_message,
            attached_clients: shown.attached_clients,
            title: session.title,
            cwd: session.cwd,
            bytes_out: session.bytes_out,
            command_count: session.command_count,
        }
    }
}

/// The word clients see.
fn status(shown: &Shown) -> &'static str {
    match shown.session.status {
        Status::Running if shown.attached_clients > 0 => "active",
        Status::Running => "detached",
        ended @ (Status::Starting | Status::Exited | Status::Terminated | Status::Failed | Status::Lost) => {
            ended.as_str()
        }
    }
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = Sessions)]
pub(super) struct SessionsView {
    sessions: Vec<SessionView>,
    total: i64,
    offset: i64,
    limit: i64,
}

impl SessionsView {
    pub(super) fn new(sessions: &[Shown], total: i64, offset: i64, limit: i64) -> Self {
        Self { sessions: sessions.iter().map(SessionView::from).collect(), total, offset, limit }
    }
}

/// A screen: text, or what it is made of.
#[derive(Serialize, ToSchema)]
#[schema(as = Screen)]
pub(super) struct ScreenView {
    #[schema(schema_with = screen_format)]
    format: &'static str,
    /// The output it shows ends here.
    offset: u64,
    terminal_size: Size,
    /// Text, or an object if `json` was asked for.
    content: Value,
}

impl ScreenView {
    pub(super) fn new(word: &'static str, format: ScreenFormat, picture: Picture) -> Result<Self, Problem> {
        let content = match format {
            ScreenFormat::Json => {
                serde_json::from_str(&picture.text).map_err(|err| Problem::internal(&err))?
            }
            ScreenFormat::Text | ScreenFormat::Ansi | ScreenFormat::Html => Value::String(picture.text),
        };
        Ok(Self { format: word, offset: picture.offset.0, terminal_size: picture.size.into(), content })
    }
}

/// A page of scrollback.
#[derive(Serialize, ToSchema)]
#[schema(as = Scrollback)]
pub(super) struct LinesView {
    /// Its number; lines count from 0 at the session's start.
    first_line: u64,
    /// Oldest first, with SGR sequences.
    lines: Vec<String>,
    /// Lines so far.
    total: u64,
}

impl From<Lines> for LinesView {
    fn from(lines: Lines) -> Self {
        let Lines { first_line, lines, total } = lines;
        Self { first_line, lines, total }
    }
}

/// How a session is.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionHealth)]
pub(super) struct HealthView {
    id: Uuid,
    #[schema(schema_with = status_shown)]
    status: &'static str,
    /// It lives and its node says so; false also while its node cannot be asked.
    healthy: bool,
    node: Option<Uuid>,
    attached_clients: u32,
    #[serde(with = "time::serde::rfc3339::option")]
    last_activity_at: Option<OffsetDateTime>,
    took_ms: u64,
}

impl From<&Health> for HealthView {
    fn from(health: &Health) -> Self {
        let Shown { session, attached_clients, .. } = &health.shown;
        Self {
            id: session.id.uuid(),
            status: status(&health.shown),
            healthy: session.status == Status::Running && health.shown.is_answered,
            node: session.node.map(devpocket_shared::ids::NodeId::uuid),
            attached_clients: *attached_clients,
            last_activity_at: session.last_activity_at,
            took_ms: u64::try_from(health.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// How many sessions live.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionCount)]
pub(super) struct CountView {
    count: u64,
    active: u64,
    detached: u64,
}

impl From<&Overview> for CountView {
    fn from(overview: &Overview) -> Self {
        let Overview { active, detached, .. } = overview;
        Self { count: active + detached, active: *active, detached: *detached }
    }
}

/// An account's sessions in numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionsOverview)]
pub(super) struct OverviewView {
    total: u64,
    starting: u64,
    active: u64,
    detached: u64,
    exited: u64,
    terminated: u64,
    failed: u64,
    lost: u64,
    bytes_out: u64,
}

impl From<&Overview> for OverviewView {
    fn from(overview: &Overview) -> Self {
        let of = |status| overview.by_status.get(&status).copied().unwrap_or(0);
        Self {
            total: overview.by_status.values().sum(),
            starting: of(Status::Starting),
            active: overview.active,
            detached: overview.detached,
            exited: of(Status::Exited),
            terminated: of(Status::Terminated),
            failed: of(Status::Failed),
            lost: of(Status::Lost),
            bytes_out: overview.bytes_out,
        }
    }
}

/// What was typed.
#[derive(Serialize, ToSchema)]
#[schema(as = Typed)]
pub(super) struct InputView {
    pub(super) bytes: usize,
}

/// What became of one session of a batch.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchResult {
    session_id: String,
    ok: bool,
    #[schema(schema_with = outcome)]
    code: Option<&'static str>,
}

impl BatchResult {
    pub(super) fn new(session_id: String, outcome: Outcome) -> Self {
        let code = match outcome {
            Outcome::Done => None,
            Outcome::NotFound => Some(ErrorCode::SessionNotFound.as_str()),
            Outcome::Unavailable => Some(ErrorCode::NodeUnavailable.as_str()),
        };
        Self { session_id, ok: code.is_none(), code }
    }
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchOutcome)]
pub(super) struct BatchView {
    succeeded: usize,
    failed: usize,
    results: Vec<BatchResult>,
}

impl BatchView {
    pub(super) fn new(results: Vec<BatchResult>) -> Self {
        let succeeded = results.iter().filter(|result| result.ok).count();
        Self { succeeded, failed: results.len() - succeeded, results }
    }
}

/// Which sessions were ended.
#[derive(Serialize, ToSchema)]
#[schema(as = CleanupOutcome)]
pub(super) struct CleanupView {
    count: usize,
    terminated: Vec<Uuid>,
}

impl CleanupView {
    pub(super) fn new(ended: &[SessionId]) -> Self {
        Self { count: ended.len(), terminated: ended.iter().map(|id| id.uuid()).collect() }
    }
}

fn session_type() -> Object {
    word(["local"])
}

/// `terminal` is another word for it.
pub(super) fn session_type_asked() -> Object {
    nullable_word(["local", "terminal"])
}

/// What a session can be.
pub(super) const STATUSES: [&str; 7] =
    ["starting", "active", "detached", "exited", "failed", "lost", "terminated"];

pub(super) fn status_shown() -> Object {
    word(STATUSES)
}

pub(super) fn status_asked() -> Object {
    nullable_word(STATUSES)
}

fn reason() -> Object {
    nullable_word(EndReason::ALL.map(EndReason::as_str))
}

pub(super) fn screen_format() -> Object {
    word(["text", "ansi", "html", "json"])
}

fn outcome() -> Object {
    nullable_word([ErrorCode::SessionNotFound.as_str(), ErrorCode::NodeUnavailable.as_str()])
}
