//! Tab stops, a bit for each column.

use crate::size::MAX_COLS;

const WORDS: usize = MAX_COLS.div_ceil(64);

/// The tab stops of a screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tabs {
    cols: usize,
    bits: [u64; WORDS],
}

impl Tabs {
    /// A stop at every eighth column, as when switched on.
    pub(crate) fn every_eighth(cols: usize) -> Self {
        let mut tabs = Self { cols, bits: [0x0101_0101_0101_0101; WORDS] };
        tabs.cut();
        tabs
    }

    pub(crate) fn none(cols: usize) -> Self {
        Self { cols, bits: [0; WORDS] }
    }

    pub(crate) fn set(&mut self, x: usize, on: bool) {
        if x < self.cols {
            self.bits[x / 64] &= !(1 << (x % 64));
            self.bits[x / 64] |= u64::from(on) << (x % 64);
        }
    }

    /// Columns with a stop, left to right.
    pub(crate) fn stops(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.cols).filter(|x| self.bits[x / 64] >> (x % 64) & 1 == 1)
    }

    /// A bit for each column, eight to a byte.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.bits.iter().flat_map(|word| word.to_le_bytes()).take(self.cols.div_ceil(8))
    }

    /// What [`Tabs::bytes`] wrote.
    pub(crate) fn from_bytes(bytes: &[u8], cols: usize) -> Self {
        let mut tabs = Self::none(cols);
        for (word, eight) in tabs.bits.iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..eight.len()].copy_from_slice(eight);
            *word = u64::from_le_bytes(whole);
        }
        tabs.cut();
        tabs
    }

    /// Another number of columns; those added have the usual stops.
    pub(crate) fn resize(&mut self, cols: usize) {
        let fresh = Self::every_eighth(cols);
        let old = self.cols;
        self.cols = cols;
        self.cut();
        for (index, (word, fresh)) in self.bits.iter_mut().zip(fresh.bits).enumerate() {
            *word |= fresh & !below(index, old);
        }
    }

    /// The `count`th stop right of `x`, or the last column.
    pub(crate) fn next(&self, x: usize, mut count: usize) -> usize {
        let last = self.cols - 1;
        for index in (x + 1) / 64..WORDS {
            let mut word = self.bits[index] & !below(index, x + 1) & below(index, last);
            let here = word.count_ones() as usize;
            if count > here {
                count -= here;
                continue;
            }
            (1..count).for_each(|_| word &= word - 1);
            return index * 64 + word.trailing_zeros() as usize;
        }
        last
    }

    /// The `count`th stop left of `x`, or the first column.
    pub(crate) fn previous(&self, x: usize, mut count: usize) -> usize {
        for index in (0..=x.min(self.cols - 1) / 64).rev() {
            let mut word = self.bits[index] & !below(index, 1) & below(index, x);
            let here = word.count_ones() as usize;
            if count > here {
                count -= here;
                continue;
            }
            let highest = |word: u64| 63 - word.leading_zeros() as usize;
            (1..count).for_each(|_| word &= !(1 << highest(word)));
            return index * 64 + highest(word);
        }
        0
    }

    fn cut(&mut self) {
        let cols = self.cols;
        self.bits.iter_mut().enumerate().for_each(|(index, word)| *word &= below(index, cols));
    }
}

/// The bits of word `index` for columns below `x`.
fn below(index: usize, x: usize) -> u64 {
    match x.saturating_sub(index * 64) {
        0 => 0,
        bits @ 1..64 => (1 << bits) - 1,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_found_as_one_by_one() {
        for cols in [2, 8, 9, 64, 65, 200, 1000] {
            let mut tabs = Tabs::every_eighth(cols);
            tabs.set(cols / 3, true);
            tabs.set(cols / 2 + 1, true);
            tabs.set(16, false);
            let stops: Vec<usize> = tabs.stops().collect();
            for x in 0..cols {
                for count in 1..5 {
                    let right = stops.iter().filter(|stop| **stop > x && **stop < cols - 1).nth(count - 1);
                    assert_eq!(tabs.next(x, count), right.copied().unwrap_or(cols - 1), "{cols} {x} {count}");
                    let left = stops.iter().rev().filter(|stop| **stop < x && **stop > 0).nth(count - 1);
                    assert_eq!(tabs.previous(x, count), left.copied().unwrap_or(0), "{cols} {x} {count}");
                }
            }
            let bytes: Vec<u8> = tabs.bytes().collect();
            assert_eq!(Tabs::from_bytes(&bytes, cols), tabs);
        }
    }
}
