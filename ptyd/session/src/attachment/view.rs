//! The session as one attachment sees it: what is held, and the terminal's sizes. Must not know who looks.

use std::ops::Range;

use devpocket_shared::ids::{Offset, TerminalSize};

use crate::region::Region;

/// The session as one attachment sees it from its cursor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// The output held.
    pub held: Range<Offset>,
    /// The terminal's size at the cursor.
    pub size_here: TerminalSize,
    /// Where after the cursor it changes next.
    pub next_change: Option<Offset>,
    /// The terminal's size at the end of what is held.
    pub size_now: TerminalSize,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// The session as seen from `cursor`.
    pub fn view(&self, cursor: Offset) -> View {
        View {
            held: self.held(),
            size_here: self.size_at(cursor),
            next_change: self.next_size_change(cursor),
            size_now: self.size(),
        }
    }
}
