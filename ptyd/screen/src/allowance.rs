//! What a stream may spend on the few things whose cost its bytes do not bound: it earns with every byte, and what it cannot
//! afford is not done, or done plainly. It knows no clock: the same bytes afford the same, however they are divided.
//!
//! Spent are cells looked at or moved. A stream begins with enough to do each of these things to the largest screen, and
//! earns enough for a screen of 24 by 80 every 160 bytes; what programs do is far below that.

/// Cells earned by a byte: at one to two nanoseconds each, about a millisecond for 64 KiB.
const PER_BYTE: u64 = 12;
/// Most that can be saved up.
const MOST: u64 = 3 << 19;

/// How much a stream may spend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Allowance {
    left: u64,
    /// Bytes that have earned, but were not turned into cells.
    earned: u64,
    /// Bytes that have earned nothing yet: a run of text earns at its end, since it may come in any pieces.
    waiting: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: MOST, earned: 0, waiting: 0 }
    }
}

impl Allowance {
    /// Bytes of text, or of a sequence that is not whole, came.
    #[inline]
    pub(crate) fn wait(&mut self, bytes: usize) {
        self.waiting += bytes as u64;
    }

    /// A control or sequence ended, with so many more bytes.
    #[inline]
    pub(crate) fn earn(&mut self, bytes: usize) {
        self.earned += self.waiting + bytes as u64;
        self.waiting = 0;
    }

    /// Pays for `cells`, or all there can be for more than that. False: there is not enough left, and nothing was paid.
    pub(crate) fn spend(&mut self, cells: usize) -> bool {
        self.spend_times(cells.min(crate::as_usize(MOST)), 1) == 1
    }

    /// Whether `cells` could be paid for, or all there can be for more than that.
    pub(crate) fn has(self, cells: usize) -> bool {
        self.numbers()[0] >= (cells as u64).min(MOST)
    }

    /// How often `cells` can be paid for, at most `times`; that much is paid.
    pub(crate) fn spend_times(&mut self, cells: usize, times: usize) -> usize {
        let [left, _] = self.numbers();
        let times = times.min(crate::as_usize(left) / cells.max(1));
        (self.left, self.earned) = (left - (times * cells) as u64, 0);
        times
    }

    /// Cells left, and bytes that wait.
    pub(crate) fn numbers(self) -> [u64; 2] {
        [(self.left + self.earned.min(MOST) * PER_BYTE).min(MOST), self.waiting]
    }

    pub(crate) fn from_numbers([left, waiting]: [u64; 2]) -> Self {
        Self { left: left.min(MOST), earned: 0, waiting: waiting.min(u64::from(u32::MAX)) }
    }
}
