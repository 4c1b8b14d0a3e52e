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
    #[inline]
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

    /// Takes the numbers at the front of `bytes` at once, as [`Params::push`] does one by one; there are none yet. Returns how
    /// many bytes they are. Only what is usual: digits and `;`, and not too many.
    pub(super) fn take_plain(&mut self, bytes: &[u8]) -> usize {
        let (mut value, mut missing, mut at) = (0_u32, true, 0);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => {
                    value = (value * 10 + u32::from(byte - b'0')).min(u32::from(u16::MAX));
                    missing = false;
                }
                b';' if self.len < MAX_PARAMS - 1 => {
                    self.append(value, missing);
                    (value, missing) = (0, true);
                }
                _ => break,
            }
            at += 1;
        }
        if at > 0 {
            self.append(value, missing);
        }
        at
    }

    fn append(&mut self, value: u32, missing: bool) {
        self.values[self.len] = u16::try_from(value).unwrap_or(u16::MAX);
        self.missing |= u32::from(missing) << self.len;
        self.len += 1;
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
        if self.sub == 0 {
            return None;
        }
        let mut kept = Self::default();
        for index in (0..self.len).filter(|index| !self.is_sub(*index)) {
            kept.open(false);
            kept.values[kept.len - 1] = self.values[index];
            kept.missing =
                kept.missing & !(1 << (kept.len - 1)) | (self.missing >> index & 1) << (kept.len - 1);
        }
        (kept.len < self.len).then_some(kept)
    }

    /// How many sub-parameters parameter `index` has.
    pub(crate) fn subs_of(&self, index: usize) -> usize {
        if self.sub == 0 {
            return 0;
        }
        (index + 1..self.len).take_while(|next| self.is_sub(*next)).count()
    }

    /// Whether parameter `index` is a sub-parameter.
    pub fn is_sub(&self, index: usize) -> bool {
        index < self.len && self.sub >> index & 1 == 1
    }
}
