//! The session as one attachment sees it: what is held, and the terminal's sizes. Must not know who looks.

use std::ops::Range;

use devpocket_shared::ids::Offset;

use crate::region::Region;
use crate::sizes::Followed;

/// The session as one attachment sees it from its cursor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// The output held.
    pub held: Range<Offset>,
    /// The terminal's size at the cursor, or the next of the sizes there that it does not know.
    pub size_here: Followed,
    /// Where after the cursor it changes next.
    pub next_change: Option<Offset>,
    /// The terminal's size at the end of what is held.
    pub size_now: Followed,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// The session as seen from `cursor`, by whom was told this size there or before.
    pub fn view(&self, cursor: Offset, told: Followed) -> View {
        View {
            held: self.held(),
            size_here: self.follow_on(cursor, told),
            next_change: self.next_size_change(cursor),
            size_now: self.followed_to_end(),
        }
    }
}
