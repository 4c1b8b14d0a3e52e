//! What shells ran: a command as ptyd keeps it and the api is told of it. Positional on the wire, and in sessions' memory,
//! like [`super::message`]: a command that needs another field is another type.

use bincode::{Decode, Encode};

use super::private::Private;
use crate::ids::Offset;

/// Longest text of a command that is kept, in bytes; of a longer one its beginning is.
pub const MAX_COMMAND_BYTES: usize = 4096;
/// Longest command that is typed into a shell, in bytes.
pub const MAX_TYPED_BYTES: usize = 16 << 10;
/// Most output of commands in one answer, in bytes of text: the last of it.
pub const MAX_COMMAND_OUTPUT_BYTES: usize = 256 << 10;
/// What a command takes in an answer beside its texts, in bytes, at most.
pub const FIXED_BYTES: usize = 256;
/// Longest wait for a command's end in one request, in milliseconds; who waits longer asks again.
pub const MAX_COMMAND_WAIT_MS: u32 = 5000;

/// A command that a session's shell ran, as the shell itself told.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Command {
    /// Its number in the session, from 1 on.
    pub number: u64,
    /// The number of the prompt it was typed at: one line, or one paste, may be several commands.
    pub prompt: u64,
    /// What was typed, at most [`MAX_COMMAND_BYTES`]; none: the shell keeps it out of its history, and we out of ours.
    pub text: Option<Private<String>>,
    /// There was more of it.
    pub is_truncated: bool,
    /// Where it was run.
    pub cwd: Option<String>,
    /// Where its output begins.
    pub from: Offset,
    /// Where its output ends, once it has.
    pub to: Option<Offset>,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
    /// When it ended.
    pub finished_at_ms: Option<u64>,
    /// What it exited with; none: it runs, or its shell went away without a word.
    pub exit_code: Option<i32>,
}

impl Command {
    /// What was typed, in clear.
    pub fn text(&self) -> Option<&str> {
        self.text.as_ref().map(|text| text.0.as_str())
    }

    /// Whether it is over.
    pub const fn is_finished(&self) -> bool {
        self.finished_at_ms.is_some()
    }

    /// How long it ran, in milliseconds, once it has ended.
    pub fn duration_ms(&self) -> Option<u64> {
        self.finished_at_ms.map(|at| at.saturating_sub(self.started_at_ms))
    }
}

/// What commands of one prompt came to.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct CommandResult {
    /// The last of them that has begun.
    pub command: Command,
    /// There is nothing more to wait for: the shell is back at its prompt, or gone, or waits for keys and has not said that the
    /// command is over.
    pub is_over: bool,
    /// What they printed so far, as plain text; at most [`MAX_COMMAND_OUTPUT_BYTES`].
    pub output: Private<String>,
    /// There was more, before that.
    pub is_output_truncated: bool,
}
