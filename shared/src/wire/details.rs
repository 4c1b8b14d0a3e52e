//! What the api asks and is told of a session without attaching to it: its limits, changes to it, all that is known of it,
//! and the roll of a node. Positional on the wire like [`super::message`]: append only.

use bincode::{Decode, Encode};

use super::{Exit, SessionInfo};
use crate::ids::{SessionId, TerminalSize, UserId};

/// Most sessions one [`Request::Details`](super::Request::Details) asks for: so that the answer is a control message with
/// every text in it as long as it may be.
pub const MAX_DETAILS: usize = 100;
/// Most entries of one [`Answer::Roll`](super::Answer::Roll).
pub const MAX_ROLL: usize = 10_000;
/// Most bytes of one [`Request::Input`](super::Request::Input).
pub const MAX_INPUT_BYTES: usize = 256 << 10;
/// Longest title and directory in [`SessionDetails`], in bytes.
pub const MAX_DETAIL_BYTES: usize = 4096;

/// How long a session may live; none: as long as it likes.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub struct Limits {
    /// Seconds without an attached client and without output, after which it is ended.
    pub idle_timeout_secs: Option<u32>,
    /// Seconds since its creation, after which it is ended.
    pub max_duration_secs: Option<u32>,
}

impl Limits {
    /// Shortest and longest `idle_timeout`, in seconds.
    pub const IDLE_TIMEOUT_SECS: std::ops::RangeInclusive<u32> = 60..=604_800;
    /// Shortest and longest `max_duration`, in seconds; the longest is ten years.
    pub const MAX_DURATION_SECS: std::ops::RangeInclusive<u32> = 1..=315_360_000;

    /// Names the first field that is out of bounds.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.idle_timeout_secs.is_some_and(|secs| !Self::IDLE_TIMEOUT_SECS.contains(&secs)) {
            return Err("idle_timeout");
        }
        if self.max_duration_secs.is_some_and(|secs| !Self::MAX_DURATION_SECS.contains(&secs)) {
            return Err("max_duration");
        }
        Ok(())
    }
}

/// What becomes of a value that may be absent.
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub enum Change<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is taken away.
    Clear,
    /// It is this from here on.
    Set(T),
}

impl<T> Change<T> {
    /// Whether it stays.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// Does it to `value`.
    pub fn apply(self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *value = None,
            Self::Set(new) => *value = Some(new),
        }
    }
}

/// Changes to a session. Bounds are those of [`Spec`](super::Spec) and [`Limits`].
#[derive(Clone, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub struct Update {
    /// Its name.
    pub name: Change<String>,
    /// `Limits::idle_timeout_secs`.
    pub idle_timeout_secs: Change<u32>,
    /// `Limits::max_duration_secs`.
    pub max_duration_secs: Change<u32>,
    /// The terminal's size; nobody's geometry lease is taken by it.
    pub size: Option<TerminalSize>,
}

/// All that a node knows of a session.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SessionDetails {
    /// As in a list.
    pub info: SessionInfo,
    /// Its window's title (OSC 0, 2); empty: it has none. At most [`MAX_DETAIL_BYTES`], cut between characters.
    pub title: String,
    /// Where its shell said it is (OSC 7, else by its marks); at most [`MAX_DETAIL_BYTES`].
    pub cwd: Option<String>,
    /// When it last printed or a client came or went, in milliseconds since the Unix epoch.
    pub last_activity_at_ms: u64,
    /// When it ended, in milliseconds since the Unix epoch, if it has.
    pub ended_at_ms: Option<u64>,
    /// Its limits.
    pub limits: Limits,
}

/// One session on a node's roll.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct RollEntry {
    /// Its id.
    pub session_id: SessionId,
    /// Whose it is.
    pub owner: UserId,
    /// Clients attached now.
    pub attached_clients: u32,
    /// Bytes of output so far.
    pub bytes_out: u64,
    /// How it ended, if it has.
    pub exit: Option<Exit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds() {
        let check = |idle, duration, expected| {
            let limits = Limits { idle_timeout_secs: idle, max_duration_secs: duration };
            assert_eq!(limits.check(), expected, "{limits:?}");
        };
        check(None, None, Ok(()));
        check(Some(60), Some(1), Ok(()));
        check(Some(604_800), Some(315_360_000), Ok(()));
        check(Some(59), None, Err("idle_timeout"));
        check(Some(604_801), None, Err("idle_timeout"));
        check(None, Some(0), Err("max_duration"));
        check(None, Some(315_360_001), Err("max_duration"));
    }

    #[test]
    fn a_change_keeps_clears_or_sets() {
        let check = |change: Change<u32>, expected| {
            let mut value = Some(1);
            change.apply(&mut value);
            assert_eq!(value, expected);
        };
        check(Change::Keep, Some(1));
        check(Change::Clear, None);
        check(Change::Set(2), Some(2));
    }
}
