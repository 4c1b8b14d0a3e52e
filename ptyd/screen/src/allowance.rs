//! What a stream may spend on the few things whose cost its bytes do not bound: it earns with every byte, and what it cannot
//! afford is not done, or done plainly. It knows no clock: the same bytes afford the same, however they are divided.
//!
//! Spent are cells looked at or moved. A stream begins with enough to do each of these things to the largest screen, and
//! earns enough for a screen of 24 by 80 every 80 bytes; what programs do is far below that.

/// Cells earned by a byte: at about a nanosecond each, a millisecond and a half for 64 KiB.
const PER_BYTE: u64 = 24;
/// Most that can be saved up.
const MOST: u64 = 3 << 20;

/// How much a stream may spend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Allowance {
    left: u64,
    /// Bytes that have earned nothing yet: a run of text earns at its end, since it may come in any pieces.
    waiting: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: MOST, waiting: 0 }
    }
}

impl Allowance {
    /// Bytes of text, or of a sequence that is not whole, came.
    pub(crate) fn wait(&mut self, bytes: usize) {
        self.waiting += bytes as u64;
    }

    /// A control or sequence ended, with so many more bytes.
    pub(crate) fn earn(&mut self, bytes: usize) {
        let bytes = std::mem::take(&mut self.waiting) + bytes as u64;
        self.left = (self.left + bytes.min(MOST) * PER_BYTE).min(MOST);
    }

    /// Pays for `cells`. False: there is not enough left, and nothing was paid.
    pub(crate) fn spend(&mut self, cells: usize) -> bool {
        let affordable = cells as u64 <= self.left;
        if affordable {
            self.left -= cells as u64;
        }
        affordable
    }

    /// How often `cells` can be paid for, at most `times`; that much is paid.
    pub(crate) fn spend_times(&mut self, cells: usize, times: usize) -> usize {
        let times = times.min(crate::as_usize(self.left) / cells.max(1));
        self.left -= (times * cells) as u64;
        times
    }

    pub(crate) fn numbers(self) -> [u64; 2] {
        [self.left, self.waiting]
    }

    pub(crate) fn from_numbers([left, waiting]: [u64; 2]) -> Self {
        Self { left: left.min(MOST), waiting: waiting.min(u64::from(u32::MAX)) }
    }
}
