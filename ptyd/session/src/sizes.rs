//! The terminal's sizes along the output: which size belongs to which byte, and which ones it had between two bytes before
//! that: lines are wrapped and cut anew at each. Kept in the session's memory.

use devpocket_shared::ids::{Offset, TerminalSize};

use crate::region::{AT_BRIEF, AT_PASTE, AT_SIZES, Region, fence};

/// Places where the size changes that are remembered; the oldest are forgotten first.
pub const MAX_SIZES: u64 = 128;
/// Brief sizes remembered, of all places: those that others replaced before there was more output. They are kept apart, so that a
/// window that is dragged while nothing is printed has no place forgotten.
pub const MAX_BRIEF: u64 = 62;
/// Brief sizes of one place. Of more the last ones are as one.
pub const MAX_BRIEF_OF_PLACE: u64 = 16;

const ENTRY_BYTES: usize = 16;

/// How far somebody has followed the terminal's sizes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Followed {
    /// The size there.
    pub size: TerminalSize,
    /// Brief sizes that had come by then, counted from the session's start: of a place's, the later ones are still to come.
    pub brief: u64,
}

impl From<TerminalSize> for Followed {
    /// Before any brief one.
    fn from(size: TerminalSize) -> Self {
        Self { size, brief: 0 }
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// Remembers that output from the head on belongs to `size`. A change at the very place of the one before replaces it, which
    /// was a brief one then. An empty screen is the same whatever sizes it had.
    pub fn record_size(&mut self, size: TerminalSize) {
        let offset = self.held().end;
        let index = self.next_size_index();
        if index < self.at(AT_SIZES) && offset > Offset(0) && !self.is_crowded(offset) {
            let (brief, replaced) = (self.at(AT_BRIEF), self.size_entry(index).1);
            // A kill before it is replaced leaves it at the place twice, which is as if it were once.
            self.put_size(brief_position(brief), offset, replaced);
            fence();
            self.put(AT_BRIEF, brief + 1);
            fence();
        }
        self.put_size(entry_position(index), offset, size);
        fence();
        self.put(AT_SIZES, index + 1);
    }

    /// Whether [`Region::record_size`] would now forget a size that a screen needs which has come to `since`: then a checkpoint
    /// comes first.
    pub fn forgets_size(&self, since: Offset) -> bool {
        let (count, next) = (self.at(AT_SIZES), self.next_size_index());
        if next < count {
            let place = self.held().end;
            let brief = self.at(AT_BRIEF);
            let forgets_brief = brief >= MAX_BRIEF && self.brief_entry(brief - MAX_BRIEF).0 >= since;
            return place > Offset(0) && (self.is_crowded(place) || forgets_brief);
        }
        // Of what is forgotten, the end is where the oldest one left begins.
        count >= MAX_SIZES && self.size_entry(count + 1 - MAX_SIZES).0 > since
    }

    /// From here on the size of every byte is known; before that only the bytes are.
    pub fn sizes_known_from(&self) -> Offset {
        let oldest = self.remembered().next().filter(|oldest| *oldest > 0);
        oldest.map_or(self.held().start, |oldest| self.size_entry(oldest).0.max(self.held().start))
    }

    /// The terminal's size now.
    pub fn size(&self) -> TerminalSize {
        self.at(AT_SIZES).checked_sub(1).map_or(TerminalSize::DEFAULT, |last| self.size_entry(last).1)
    }

    /// The size that comes next at `offset` for whom has followed `brief` brief ones; there are no more: the one that the byte there
    /// belongs to.
    pub fn follow(&self, offset: Offset, brief: u64) -> Followed {
        let to_come = self.remembered_brief().start.max(brief)..self.at(AT_BRIEF);
        for index in to_come {
            let (at, size) = self.brief_entry(index);
            if at == offset {
                return Followed { size, brief: index + 1 };
            }
            if at > offset {
                break;
            }
        }
        Followed { size: self.size_at(offset), brief }
    }

    /// The same for whom was told a size that has become a brief one since.
    pub fn follow_on(&self, offset: Offset, told: Followed) -> Followed {
        let next = self.follow(offset, told.brief);
        // Each differs from the one before.
        let is_told = next.brief > told.brief && next.size == told.size;
        if is_told { self.follow(offset, next.brief) } else { next }
    }

    /// The first size at `offset`, for whom begins there. Who was there before is told of its sizes once more: what was sent is not
    /// yet what arrived.
    pub fn follow_from(&self, offset: Offset) -> Followed {
        let first = self.remembered_brief().find(|index| self.brief_entry(*index).0 >= offset);
        self.follow(offset, first.unwrap_or(self.at(AT_BRIEF)))
    }

    /// The size now, for whom has followed all that there were.
    pub fn followed_to_end(&self) -> Followed {
        Followed { size: self.size(), brief: self.at(AT_BRIEF) }
    }

    /// The size that the byte at `offset` belongs to; the oldest one remembered, if it lies before that.
    pub fn size_at(&self, offset: Offset) -> TerminalSize {
        let newest_first = self.remembered().rev().map(|index| self.size_entry(index));
        let mut oldest = TerminalSize::DEFAULT;
        for (from, size) in newest_first {
            if from <= offset {
                return size;
            }
            oldest = size;
        }
        oldest
    }

    /// Where the size changes next after `offset`.
    pub fn next_size_change(&self, offset: Offset) -> Option<Offset> {
        let newest_first = self.remembered().rev().map(|index| self.size_entry(index).0);
        newest_first.take_while(|from| *from > offset).last()
    }

    fn remembered(&self) -> std::ops::Range<u64> {
        let count = self.at(AT_SIZES);
        count.saturating_sub(MAX_SIZES)..count
    }

    /// Where the next change is remembered.
    fn next_size_index(&self) -> u64 {
        let count = self.at(AT_SIZES);
        let last = count.checked_sub(1).filter(|last| self.size_entry(*last).0 == self.held().end);
        last.unwrap_or(count)
    }

    /// Whether as many brief sizes as may be are of this place, where the newest ones are of.
    fn is_crowded(&self, place: Offset) -> bool {
        let of_place = self.remembered_brief().rev().take_while(|index| self.brief_entry(*index).0 == place);
        of_place.count() as u64 >= MAX_BRIEF_OF_PLACE
    }

    fn remembered_brief(&self) -> std::ops::Range<u64> {
        let count = self.at(AT_BRIEF);
        count.saturating_sub(MAX_BRIEF)..count
    }

    fn brief_entry(&self, index: u64) -> (Offset, TerminalSize) {
        self.size_in(brief_position(index))
    }

    fn size_entry(&self, index: u64) -> (Offset, TerminalSize) {
        self.size_in(entry_position(index))
    }

    fn put_size(&mut self, position: usize, offset: Offset, size: TerminalSize) {
        self.put(position + 8, u64::from(size.rows()) << 16 | u64::from(size.cols()));
        self.put(position, offset.0);
    }

    fn size_in(&self, position: usize) -> (Offset, TerminalSize) {
        let packed = self.at(position + 8);
        let side = |value: u64| u16::try_from(value & 0xFFFF).unwrap_or(0);
        let size = TerminalSize::new(side(packed >> 16), side(packed)).unwrap_or(TerminalSize::DEFAULT);
        (Offset(self.at(position)), size)
    }
}

fn entry_position(index: u64) -> usize {
    AT_SIZES + 16 + crate::ring::as_usize(index % MAX_SIZES) * ENTRY_BYTES
}

fn brief_position(index: u64) -> usize {
    AT_BRIEF + 8 + crate::ring::as_usize(index % MAX_BRIEF) * ENTRY_BYTES
}

const _: () = assert!(
    AT_BRIEF + 8 + crate::ring::as_usize(MAX_BRIEF) * ENTRY_BYTES <= AT_PASTE,
    "there is room for them"
);

#[cfg(test)]
mod tests;
