//! Where a durable client puts the output it received. Must not know how it arrived.

use sha2::{Digest, Sha256};

/// Takes output, each byte once and in order.
pub trait Sink {
    /// The next bytes.
    fn output(&mut self, bytes: &[u8]);

    /// What was missed is replaced by a picture of the screen.
    fn snapshot(&mut self, _bytes: &[u8]) {}
}

/// Keeps everything.
impl Sink for Vec<u8> {
    fn output(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts only.
impl Sink for u64 {
    fn output(&mut self, bytes: &[u8]) {
        *self += bytes.len() as Self;
    }
}

/// Hashes everything and keeps the last bytes, for a test that must see what came last.
#[derive(Clone, Default)]
pub struct Hasher {
    hash: Sha256,
    tail: Vec<u8>,
}

impl Hasher {
    /// Bytes of the end that are kept at least, once so many came.
    const TAIL_BYTES: usize = 4096;

    /// The SHA-256 of everything so far.
    pub fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// The last bytes.
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }
}

impl Sink for Hasher {
    fn output(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        let kept = &bytes[bytes.len().saturating_sub(Self::TAIL_BYTES)..];
        if self.tail.len() + kept.len() > 2 * Self::TAIL_BYTES {
            let surplus = self.tail.len().saturating_sub(Self::TAIL_BYTES);
            self.tail.drain(..surplus);
        }
        self.tail.extend_from_slice(kept);
    }
}

/// SHA-256 as hexadecimal digits.
pub fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
