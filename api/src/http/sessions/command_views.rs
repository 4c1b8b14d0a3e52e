//! Answers about commands of sessions.

use devpocket_shared::ids::{CommandId, SessionId};
use devpocket_shared::wire::{Command, CommandResult};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::session::at_ms;

/// A command that a session's shell ran.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionCommand)]
pub(super) struct CommandView {
    id: Uuid,
    /// What was typed, at most 4096 bytes of it; null if the shell was not to keep it.
    command: Option<String>,
    /// There was more of it.
    truncated: bool,
    cwd: Option<String>,
    /// Null while it runs, and where the shell went away without a word.
    exit_code: Option<i32>,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
    duration_ms: Option<u64>,
    /// Where in the session's output its own begins and ends.
    #[schema(min_items = 2, max_items = 2)]
    output_range: Option<[u64; 2]>,
}

impl CommandView {
    fn new(session_id: SessionId, command: Command) -> Self {
        Self {
            id: CommandId::of(session_id, command.number).uuid(),
            duration_ms: command.duration_ms(),
            command: command.text.map(|text| text.0),
            truncated: command.is_truncated,
            cwd: command.cwd,
            exit_code: command.exit_code,
            started_at: at_ms(command.started_at_ms),
            finished_at: command.finished_at_ms.map(at_ms),
            output_range: command.to.map(|to| [command.from.0, to.0]),
        }
    }
}

/// A page of commands.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionCommands)]
pub(super) struct CommandsView {
    commands: Vec<CommandView>,
    total: u64,
    offset: u32,
    limit: u32,
}

impl CommandsView {
    pub(super) fn new(id: SessionId, commands: Vec<Command>, total: u64, offset: u32, limit: u32) -> Self {
        let commands = commands.into_iter().map(|command| CommandView::new(id, command)).collect();
        Self { commands, total, offset, limit }
    }
}

/// What came of a command that was typed.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = CommandResult)]
pub(super) struct CommandResultView {
    id: Uuid,
    /// As the shell tells it.
    command: Option<String>,
    cwd: Option<String>,
    /// It had not ended in time, as far as the shell has told, and may go on.
    pub(super) timed_out: bool,
    exit_code: Option<i32>,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
    duration_ms: Option<u64>,
    /// What was printed, as plain text; at most the last 256 KiB.
    output: String,
    /// There was more, before that.
    output_truncated: bool,
    /// Where in the session's output its own begins and ends.
    #[schema(min_items = 2, max_items = 2)]
    output_range: Option<[u64; 2]>,
}

impl CommandResultView {
    /// Of `output`, at most the last `most` bytes.
    pub(super) fn shortened(mut self, most: usize) -> Self {
        let from = self.output.ceil_char_boundary(self.output.len().saturating_sub(most));
        self.output.drain(..from);
        self.output_truncated |= from > 0;
        self
    }

    pub(super) fn new(session_id: SessionId, result: CommandResult) -> Self {
        let CommandResult { command, is_over, output, is_output_truncated } = result;
        let view = CommandView::new(session_id, command);
        Self {
            id: view.id,
            command: view.command,
            cwd: view.cwd,
            timed_out: !is_over || view.finished_at.is_none(),
            exit_code: view.exit_code,
            started_at: view.started_at,
            finished_at: view.finished_at,
            duration_ms: view.duration_ms,
            output: output.0,
            output_truncated: is_output_truncated,
            output_range: view.output_range,
        }
    }
}
