//! The numbers of a control sequence.

/// Numbers kept, sub-parameters included; the rest is dropped.
const MAX_PARAMS: usize = 32;

/// The numbers of a control sequence, each with its sub-parameters (`4:3`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Params {
    values: [u16; MAX_PARAMS],
    /// Bit n: value n was left out.
    missing: u32,
    /// Bit n: value n is a sub-parameter of the one before.
    sub: u32,
    len: usize,
    full: bool,
}

impl Params {
    pub(super) fn clear(&mut self) {
        (self.missing, self.sub, self.len, self.full) = (0, 0, 0, false);
    }

    /// Takes a digit, `:` or `;`.
    pub(super) fn push(&mut self, byte: u8) {
        if self.len == 0 {
            self.open(false);
        }
        match byte {
            b'0'..=b'9' if !self.full => {
                let last = self.len - 1;
                self.values[last] =
                    self.values[last].saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                self.missing &= !(1 << last);
            }
            b':' => self.open(true),
            b';' => self.open(false),
            _ => {}
        }
    }

    fn open(&mut self, sub: bool) {
        if self.len == MAX_PARAMS {
            self.full = true;
            return;
        }
        self.values[self.len] = 0;
        self.missing |= 1 << self.len;
        self.sub = self.sub & !(1 << self.len) | u32::from(sub) << self.len;
        self.len += 1;
    }

    /// How many there are, sub-parameters included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Parameter `index`, sub-parameters counted; none: it is missing or was left out.
    pub fn get(&self, index: usize) -> Option<u16> {
        (index < self.len && self.missing >> index & 1 == 0).then(|| self.values[index])
    }

    /// Parameter `index`, or `default` if it is missing, left out or 0.
    pub fn or(&self, index: usize, default: u16) -> u16 {
        self.get(index).filter(|value| *value != 0).unwrap_or(default)
    }

    /// Parameter `index`, 0 if it is missing.
    pub fn value(&self, index: usize) -> u16 {
        self.get(index).unwrap_or(0)
    }

    /// Those that are no sub-parameters; none: there are no others.
    pub(crate) fn without_subs(&self) -> Option<Self> {
        let mut kept = Self::default();
        for index in (0..self.len).filter(|index| !self.is_sub(*index)) {
            kept.open(false);
            kept.values[kept.len - 1] = self.values[index];
            kept.missing =
                kept.missing & !(1 << (kept.len - 1)) | (self.missing >> index & 1) << (kept.len - 1);
        }
        (kept.len < self.len).then_some(kept)
    }

    /// Whether parameter `index` is a sub-parameter.
    pub fn is_sub(&self, index: usize) -> bool {
        index < self.len && self.sub >> index & 1 == 1
    }
}
