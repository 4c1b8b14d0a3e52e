//! The stable error words of the terminal stream (PROTOCOL section 9): one list for ptyd, api and docs.

use std::fmt;

use bincode::{Decode, Encode};

/// Why something on the terminal stream was not done. New codes are appended: the wire counts them.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ErrorCode {
    /// The message is no JSON object.
    BadJson,
    /// A field the message needs is not there.
    MissingField,
    /// A field has a value outside its bounds or of the wrong type.
    InvalidField,
    /// The message's `type` is not one of the protocol's.
    UnknownType,
    /// A binary frame is cut short or of an unknown kind.
    BadFrame,
    /// No such session, or somebody else's.
    SessionNotFound,
    /// The message needs an attach on this socket.
    NotAttached,
    /// The attachment or account may not do this.
    NotAllowed,
    /// The session is over.
    SessionEnded,
    /// The shell could not be started.
    SpawnFailed,
    /// An input `seq` was skipped.
    SeqGap,
    /// Too much input waits for the terminal.
    InputFull,
    /// Too many messages or requests.
    RateLimited,
    /// The session's node cannot be reached now.
    NodeUnavailable,
    /// The node has no room for another session.
    NodeFull,
    /// This deployment or account may not open local sessions.
    LocalSessionsUnavailable,
    /// The prompt is not open (any longer).
    PromptUnknown,
    /// Our fault; the cause is in the log.
    Internal,
    /// Input that a worker kill cut counts as applied, and may not have been, or not all of it.
    InputUncertain,
    /// What runs in the session does not tell when commands end.
    NoShellIntegration,
    /// The session's shell is not at its prompt: a command runs.
    CommandRunning,
    /// Somebody types at the prompt of the session's shell.
    LineInUse,
    /// The shell did not take what was typed for a command.
    CommandNotRun,
    /// The screen is larger in that format than an answer may be.
    ScreenTooLarge,
}

impl ErrorCode {
    /// Every code, in wire order.
    pub const ALL: [Self; 24] = [
        Self::BadJson,
        Self::MissingField,
        Self::InvalidField,
        Self::UnknownType,
        Self::BadFrame,
        Self::SessionNotFound,
        Self::NotAttached,
        Self::NotAllowed,
        Self::SessionEnded,
        Self::SpawnFailed,
        Self::SeqGap,
        Self::InputFull,
        Self::RateLimited,
        Self::NodeUnavailable,
        Self::NodeFull,
        Self::LocalSessionsUnavailable,
        Self::PromptUnknown,
        Self::Internal,
        Self::InputUncertain,
        Self::NoShellIntegration,
        Self::CommandRunning,
        Self::LineInUse,
        Self::CommandNotRun,
        Self::ScreenTooLarge,
    ];

    /// The word clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::MissingField => "missing_field",
            Self::InvalidField => "invalid_field",
            Self::UnknownType => "unknown_type",
            Self::BadFrame => "bad_frame",
            Self::SessionNotFound => "session_not_found",
            Self::NotAttached => "not_attached",
            Self::NotAllowed => "not_allowed",
            Self::SessionEnded => "session_ended",
            Self::SpawnFailed => "spawn_failed",
            Self::SeqGap => "seq_gap",
            Self::InputFull => "input_full",
            Self::RateLimited => "rate_limited",
            Self::NodeUnavailable => "node_unavailable",
            Self::NodeFull => "node_full",
            Self::LocalSessionsUnavailable => "local_sessions_unavailable",
            Self::PromptUnknown => "prompt_unknown",
            Self::Internal => "internal",
            Self::InputUncertain => "input_uncertain",
            Self::NoShellIntegration => "no_shell_integration",
            Self::CommandRunning => "command_running",
            Self::LineInUse => "line_in_use",
            Self::CommandNotRun => "command_not_run",
            Self::ScreenTooLarge => "screen_too_large",
        }
    }

    /// Whether the same message may succeed later, unchanged.
    pub const fn retryable(self) -> bool {
        match self {
            Self::InputFull
            | Self::RateLimited
            | Self::NodeUnavailable
            | Self::NodeFull
            | Self::CommandRunning
            | Self::LineInUse => true,
            Self::BadJson
            | Self::MissingField
            | Self::InvalidField
            | Self::UnknownType
            | Self::BadFrame
            | Self::SessionNotFound
            | Self::NotAttached
            | Self::NotAllowed
            | Self::SessionEnded
            | Self::SpawnFailed
            | Self::SeqGap
            | Self::LocalSessionsUnavailable
            | Self::PromptUnknown
            | Self::Internal
            | Self::InputUncertain
            | Self::NoShellIntegration
            | Self::CommandNotRun
            | Self::ScreenTooLarge => false,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
