//! The terminal's sizes along the output: which size belongs to which byte. Kept in the session's memory.

use devpocket_shared::ids::{Offset, TerminalSize};

use crate::region::{AT_SIZES, Region, fence};

/// Size changes remembered; the oldest are forgotten first.
pub const MAX_SIZES: u64 = 128;

const ENTRY_BYTES: usize = 16;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// Remembers that output from the head on belongs to `size`. A change at the very place of the one before replaces it.
    pub fn record_size(&mut self, size: TerminalSize) {
        let offset = self.held().end;
        let index = self.next_size_index();
        let position = entry_position(index);
        self.put(position + 8, u64::from(size.rows()) << 16 | u64::from(size.cols()));
        self.put(position, offset.0);
        fence();
        self.put(AT_SIZES, index + 1);
    }

    /// Whether [`Region::record_size`] would now forget a size that a screen needs which has come to `since`: then a checkpoint
    /// comes first.
    pub fn forgets_size(&self, since: Offset) -> bool {
        let (count, next) = (self.at(AT_SIZES), self.next_size_index());
        if next < count {
            return next > 0;
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

    fn size_entry(&self, index: u64) -> (Offset, TerminalSize) {
        let position = entry_position(index);
        let packed = self.at(position + 8);
        let side = |value: u64| u16::try_from(value & 0xFFFF).unwrap_or(0);
        let size = TerminalSize::new(side(packed >> 16), side(packed)).unwrap_or(TerminalSize::DEFAULT);
        (Offset(self.at(position)), size)
    }
}

fn entry_position(index: u64) -> usize {
    AT_SIZES + 16 + crate::ring::as_usize(index % MAX_SIZES) * ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::{MIN_RING_BYTES, region_bytes};
    use crate::ring::as_usize;

    #[test]
    fn every_byte_has_the_size_it_was_printed_at() {
        let mut region =
            Region::create(vec![0; as_usize(region_bytes(MIN_RING_BYTES))], 1, TerminalSize::DEFAULT)
                .unwrap();
        let (small, large) = (TerminalSize::new(5, 6).unwrap(), TerminalSize::new(50, 60).unwrap());
        region.commit(10);
        region.show_all();
        region.record_size(large);
        region.record_size(small);
        region.commit(10);
        region.show_all();
        region.record_size(large);
        assert_eq!(region.size_at(Offset(9)), TerminalSize::DEFAULT);
        assert_eq!(region.size_at(Offset(10)), small);
        assert_eq!(region.next_size_change(Offset(0)), Some(Offset(10)));
        assert_eq!(region.next_size_change(Offset(10)), Some(Offset(20)));
        assert_eq!(region.next_size_change(Offset(20)), None);
        assert_eq!(region.size(), large);
    }

    #[test]
    fn a_size_that_a_screen_needs_is_not_forgotten_before_there_is_a_checkpoint() {
        let len = as_usize(region_bytes(MIN_RING_BYTES));
        let mut region = Region::create(vec![0; len], 1, TerminalSize::DEFAULT).unwrap();
        let size = |cols| TerminalSize::new(10, cols).unwrap();
        assert!(!region.forgets_size(Offset(0)));
        region.record_size(size(1));
        assert_eq!(
            (region.forgets_size(Offset(0)), region.sizes_known_from()),
            (false, Offset(0)),
            "nothing is on it"
        );
        for at in 1..MAX_SIZES {
            region.commit(1);
            region.show_all();
            assert!(!region.forgets_size(Offset(0)), "change {at}");
            region.record_size(size(2));
            assert!(region.forgets_size(Offset(at)), "one more would stand in its place");
        }
        region.commit(1);
        region.show_all();
        assert_eq!(region.sizes_known_from(), Offset(0));
        assert!(region.forgets_size(Offset(0)) && !region.forgets_size(Offset(1)));
        region.record_size(size(3));
        assert_eq!(region.sizes_known_from(), Offset(1));
    }

    #[test]
    fn the_oldest_changes_are_forgotten_first() {
        let mut region =
            Region::create(vec![0; as_usize(region_bytes(MIN_RING_BYTES))], 1, TerminalSize::DEFAULT)
                .unwrap();
        region.note_active(7);
        for cols in 1..=500 {
            region.commit(1);
            region.show_all();
            region.record_size(TerminalSize::new(10, cols).unwrap());
        }
        assert_eq!(region.size().cols(), 500);
        assert_eq!(region.size_at(Offset(450)).cols(), 450);
        assert_eq!(region.size_at(Offset(0)).cols(), 373);
        assert_eq!(region.active_at_ms(), Some(7), "the log keeps to its place");
    }
}
