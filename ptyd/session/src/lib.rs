//! The session engine: what a session's memory holds and who is sent what, decided without I/O. It knows no socket, no
//! clock and no random numbers: bytes, times and keys come in as arguments.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "test data is made by wrapping"))]

pub mod attachment;
pub mod checkpoints;
pub mod commands;
pub mod cutter;
mod echo;
pub mod fill;
pub mod holds;
pub mod input;
pub mod lease;
pub mod ledger;
pub mod life;
pub mod marks;
pub mod memory;
pub mod notices;
mod open_paste;
pub mod paste;
pub mod picture;
mod plain;
mod prefix;
pub mod queries;
pub mod region;
pub mod ring;
pub mod sizes;
mod switching;

pub use attachment::{Attachment, Outgoing, STALL_LIMIT, View};
pub use checkpoints::Checkpoints;
pub use commands::{Commands, Integration};
pub use cutter::{Cut, Cutter, Overflow};
pub use holds::Holds;
pub use input::{Accepted, InputQueue, Refused};
pub use lease::{Holder, Lease};
pub use ledger::Slot;
pub use life::Life;
pub use marks::Nonce;
pub use memory::{Parts, memory_bytes, parts};
pub use notices::Notices;
pub use picture::{Kept, Picture, Still, keep_last_screen};
pub use plain::plain_text;
pub use region::{LayoutMark, Region, RegionError, knows_layout, region_bytes};
pub use sizes::Followed;
pub use switching::Switch;

/// What PROTOCOL sections 4, 6 and 7 promise to clients, in its own numbers.
#[cfg(test)]
mod contract {
    use std::time::Duration;

    #[test]
    fn bounds_are_as_promised() {
        assert_eq!(crate::ledger::MAX_CLIENTS, 64, "clients whose input is known");
        assert_eq!(crate::STALL_LIMIT, Duration::from_secs(10), "without progress a program is held so long");
        assert_eq!(crate::holds::LINGER, Duration::from_secs(10), "after a connection ended");
        assert_eq!(crate::lease::LOST_KEEPS, Duration::from_secs(60), "a lost client has the lease");
        assert_eq!(crate::picture::SCROLLBACK_LINES, 10_000, "lines of scrollback");
    }
}

#[cfg(test)]
mod test_clock {
    use std::sync::OnceLock;
    use std::time::Instant;

    /// Some instant, the same at each call; tests only add to it.
    pub(crate) fn t0() -> Instant {
        static T0: OnceLock<Instant> = OnceLock::new();
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        *T0.get_or_init(Instant::now)
    }
}
