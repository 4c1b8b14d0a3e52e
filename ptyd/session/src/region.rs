//! The layout of a session's shared memory: a header, the clients' ledger, the ring. What is written here outlives the
//! worker that wrote it, so every change is ordered such that a kill between two stores leaves a readable state.
//!
//! ```text
//! 0      magic u64 | version u64 | ring bytes u64 | fill key u64 | head u64 | claimed u64 | filled u64 | visible u64   little-endian
//! 64     size log: count u64, then 128 entries of 16 bytes
//! 2560   digests of half-written messages: 64 u64, see [`crate::prefix`]; 0: not noted, as in earlier releases
//! 3072   brief sizes: count u64, then 62 entries of 16 bytes, see [`crate::sizes`]; 0: none, as in earlier releases
//! 4080   open paste u64: the framed paste that is being written, see [`crate::open_paste`]; 0: none, as in earlier releases
//! 4088   last activity u64, in milliseconds since the Unix epoch; 0: not noted
//! 4096   ledger: 64 slots of 128 bytes
//! 12288  queries: 16 slots of 256 bytes
//! 16384  ring
//! ```

use std::ops::Range;
use std::sync::atomic::{Ordering, compiler_fence};

use devpocket_shared::ids::{Offset, TerminalSize};

/// Bytes before the ring.
pub const HEADER_BYTES: usize = 16 << 10;
/// The smallest ring: twice the largest window of fill ahead of the head.
pub const MIN_RING_BYTES: u64 = 128 << 10;
/// The largest ring.
pub const MAX_RING_BYTES: u64 = 1 << 30;

const MAGIC: u64 = u64::from_le_bytes(*b"DPREGION");
const VERSION: u64 = 2;

pub(crate) const AT_SIZES: usize = 64;
pub(crate) const AT_LEDGER: usize = 4096;
pub(crate) const AT_QUERIES: usize = 12288;

pub(crate) const AT_PREFIXES: usize = 2560;
pub(crate) const AT_BRIEF: usize = 3072;
pub(crate) const AT_PASTE: usize = 4080;

/// Bytes at the beginning of a session's memory by which the size of its ring is known.
pub const RING_BYTES_KNOWN_BY: usize = AT_RING_BYTES + 8;

const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 8;
const AT_RING_BYTES: usize = 16;
const AT_KEY: usize = 24;
const AT_HEAD: usize = 32;
const AT_CLAIMED: usize = 40;
const AT_FILLED: usize = 48;
/// The offset, and above [`PASSING_SHIFT`] what it lies inside of: one store for both.
const AT_VISIBLE: usize = 56;
const PASSING_SHIFT: u32 = 56;
const AT_ACTIVE: usize = 4088;

/// How large a session's memory is for a ring of `ring_bytes`, both in bytes.
pub const fn region_bytes(ring_bytes: u64) -> u64 {
    ring_bytes + HEADER_BYTES as u64
}

/// What tells layouts apart: the first bytes of a session's memory. All zero: nobody has written there yet.
pub type LayoutMark = [u8; 16];

/// Whether this release can take over memory that begins with `mark`.
pub fn knows_layout(mark: &LayoutMark) -> bool {
    let mut known = LayoutMark::default();
    known[..8].copy_from_slice(&MAGIC.to_le_bytes());
    known[8..].copy_from_slice(&VERSION.to_le_bytes());
    *mark == known || *mark == LayoutMark::default()
}

/// How large the ring is in memory that begins with `first`, [`RING_BYTES_KNOWN_BY`] of it; none: nobody has written there yet.
pub fn written_ring_bytes(first: &[u8; RING_BYTES_KNOWN_BY]) -> Option<u64> {
    let at = |position: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&first[position..position + 8]);
        u64::from_le_bytes(bytes)
    };
    (at(AT_MAGIC) == MAGIC).then(|| at(AT_RING_BYTES))
}

/// A session's memory cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RegionError {
    /// The memory's length fits no ring within bounds.
    #[error("{0} bytes of memory fit no ring")]
    Length(usize),
    /// The memory was not written by this layout.
    #[error("the memory holds no session of a known layout")]
    Layout,
    /// A stored number contradicts another.
    #[error("the memory's positions contradict each other")]
    Positions,
}

/// A sequence whose bytes are shown before it is whole: it is too long to be waited for, or a query that waits ended it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Passing {
    /// An operating system command that asks nothing.
    Osc = 1,
    /// A device control string that asks nothing.
    Dcs = 2,
    /// An application program command, privacy message or start of string that asks nothing.
    Other = 3,
    /// A control sequence of which all is blanked.
    BlankedCsi = 4,
    /// An operating system command that asks nothing unless question marks come: they are blanked.
    OscData = 5,
    /// An operating system command of which all is blanked.
    BlankedOsc = 6,
    /// Another string of which all is blanked.
    BlankedString = 7,
}

impl Passing {
    /// What a terminal in ground state needs to be inside such a sequence, and do nothing at its end; empty where nothing of it
    /// is shown.
    pub const fn introducer(self) -> &'static [u8] {
        match self {
            Self::Osc | Self::OscData => b"\x1b]",
            Self::Dcs => b"\x1bPz",
            Self::Other => b"\x1b_",
            Self::BlankedCsi | Self::BlankedOsc | Self::BlankedString => b"",
        }
    }

    /// Whether all of it is blanked: a terminal sees nothing of it.
    pub const fn is_blanked(self) -> bool {
        self.introducer().is_empty()
    }

    const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Osc),
            2 => Some(Self::Dcs),
            3 => Some(Self::Other),
            4 => Some(Self::BlankedCsi),
            5 => Some(Self::OscData),
            6 => Some(Self::BlankedOsc),
            7 => Some(Self::BlankedString),
            _ => None,
        }
    }
}

/// A session's memory: anything that is a stretch of bytes, shared with nobody while this value lives.
#[derive(Debug)]
pub struct Region<M> {
    memory: M,
    /// Mirrors of what is stored, so that the hot path reads no shared memory twice.
    pub(crate) ring_bytes: u64,
    pub(crate) key: u64,
    /// End of the output read so far.
    pub(crate) head: u64,
    /// End of the output that was cut: what anybody but the cutter sees. `visible <= head`.
    pub(crate) visible: u64,
    /// What `visible` lies inside of, if anything.
    pub(crate) passing: Option<Passing>,
    /// Everything before `claimed - ring_bytes` may be overwritten. `head <= filled <= claimed`.
    pub(crate) claimed: u64,
    /// End of the fill ahead of the head.
    pub(crate) filled: u64,
    /// How far the fill reaches ahead of the head after the next read.
    pub(crate) window: u64,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// Makes `memory`, zeroed, that of a new session. `key` is random and this session's own.
    pub fn create(memory: M, key: u64, size: TerminalSize) -> Result<Self, RegionError> {
        let ring_bytes = ring_bytes_of(memory.as_ref())?;
        let mut region = Self {
            memory,
            ring_bytes,
            key,
            head: 0,
            visible: 0,
            passing: None,
            claimed: 0,
            filled: 0,
            window: crate::ring::MIN_WINDOW,
        };
        region.put(AT_RING_BYTES, ring_bytes);
        region.put(AT_KEY, key);
        region.record_size(size);
        region.refill();
        region.put(AT_VERSION, VERSION);
        fence();
        region.put(AT_MAGIC, MAGIC);
        Ok(region)
    }

    /// Takes over the memory of a session from a worker that may have died at any instruction. Bytes it had read but not
    /// accounted for are found and counted (see [`crate::ring`]).
    pub fn recover(memory: M) -> Result<Self, RegionError> {
        let ring_bytes = ring_bytes_of(memory.as_ref())?;
        let mut region = Self {
            memory,
            ring_bytes,
            key: 0,
            head: 0,
            visible: 0,
            passing: None,
            claimed: 0,
            filled: 0,
            window: crate::ring::MIN_WINDOW,
        };
        if region.at(AT_MAGIC) != MAGIC || region.at(AT_VERSION) != VERSION {
            return Err(RegionError::Layout);
        }
        region.key = region.at(AT_KEY);
        region.head = region.at(AT_HEAD);
        let visible = region.at(AT_VISIBLE);
        region.visible = visible & ((1 << PASSING_SHIFT) - 1);
        region.passing = Passing::from_number(visible >> PASSING_SHIFT);
        region.claimed = region.at(AT_CLAIMED);
        region.filled = region.at(AT_FILLED);
        let ordered = region.head <= region.filled && region.filled <= region.claimed;
        let oldest = region.claimed.saturating_sub(ring_bytes);
        if region.at(AT_RING_BYTES) != ring_bytes
            || !ordered
            || region.claimed - region.head > ring_bytes
            || !(oldest.min(region.head)..=region.head).contains(&region.visible)
        {
            return Err(RegionError::Positions);
        }
        region.find_unaccounted();
        region.recover_ledger();
        region.recover_paste();
        region.recover_queries();
        Ok(region)
    }

    /// The output held: from the oldest byte to the newest that was cut ([`crate::cutter`]).
    pub fn held(&self) -> Range<Offset> {
        Offset(self.oldest().min(self.visible))..Offset(self.visible)
    }

    /// End of the output read, cut or not.
    pub fn head(&self) -> Offset {
        Offset(self.head)
    }

    /// Everything before this byte is given up, or about to be.
    pub(crate) fn oldest(&self) -> u64 {
        self.claimed.saturating_sub(self.ring_bytes)
    }

    /// How much output the ring takes, in bytes.
    pub fn ring_bytes(&self) -> u64 {
        self.ring_bytes
    }

    /// Bytes of its memory that were written to, about.
    pub fn memory_bytes(&self) -> usize {
        let ring = if self.is_given_up() { 0 } else { self.claimed.min(self.ring_bytes) };
        HEADER_BYTES + crate::ring::as_usize(ring)
    }

    /// Notes when the session last did something, in milliseconds since the Unix epoch.
    pub fn note_active(&mut self, at_ms: u64) {
        self.put(AT_ACTIVE, at_ms);
    }

    /// When the session last did something; none: an earlier release had it.
    pub fn active_at_ms(&self) -> Option<u64> {
        Some(self.at(AT_ACTIVE)).filter(|at_ms| *at_ms > 0)
    }

    pub(crate) fn at(&self, position: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.memory.as_ref()[position..position + 8]);
        u64::from_le_bytes(bytes)
    }

    pub(crate) fn put(&mut self, position: usize, value: u64) {
        self.memory.as_mut()[position..position + 8].copy_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.memory.as_ref()[range]
    }

    pub(crate) fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.memory.as_mut()[range]
    }

    pub(crate) fn store_head(&mut self, head: u64) {
        self.head = head;
        fence();
        self.put(AT_HEAD, head);
        fence();
    }

    /// Makes output visible up to `visible`, which lies inside a sequence only if `passing` says in which.
    pub(crate) fn store_visible(&mut self, visible: u64, passing: Option<Passing>) {
        (self.visible, self.passing) = (visible, passing);
        fence();
        self.put(AT_VISIBLE, visible | passing.map_or(0, |passing| (passing as u64) << PASSING_SHIFT));
        fence();
    }

    /// Everything read is visible, as where no sequence is begun.
    #[cfg(test)]
    pub(crate) fn show_all(&mut self) {
        self.store_visible(self.head, None);
    }

    pub(crate) fn store_claimed(&mut self, claimed: u64) {
        self.claimed = claimed;
        fence();
        self.put(AT_CLAIMED, claimed);
        fence();
    }

    pub(crate) fn store_filled(&mut self, filled: u64) {
        self.filled = filled;
        fence();
        self.put(AT_FILLED, filled);
        fence();
    }
}

/// Keeps the compiler from moving stores across. A killed process leaves its memory as its own instructions wrote it, in
/// program order, so no fence of the processor is needed.
pub(crate) fn fence() {
    compiler_fence(Ordering::SeqCst);
}

fn ring_bytes_of(memory: &[u8]) -> Result<u64, RegionError> {
    let ring_bytes = memory.len().checked_sub(HEADER_BYTES).ok_or(RegionError::Length(memory.len()))? as u64;
    if !(MIN_RING_BYTES..=MAX_RING_BYTES).contains(&ring_bytes) || !ring_bytes.is_multiple_of(4096) {
        return Err(RegionError::Length(memory.len()));
    }
    Ok(ring_bytes)
}
