//! What the worker stores with a session in the keeper, so that the next worker knows it too.

use bincode::{Decode, Encode};
use devpocket_shared::wire::{CreationKey, codec};

use crate::handover::MAX_RECORD_BYTES;

/// A session's record; the owner is kept beside it by the keeper. Fields are positional: append only.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct Record {
    /// A name for people.
    pub(crate) name: Option<String>,
    /// When the session was made, in milliseconds since the Unix epoch.
    pub(crate) created_at_ms: u64,
    /// What makes a repeated creation the same one.
    pub(crate) key: Option<CreationKey>,
    /// Its owner asked for its end.
    pub(crate) terminated: bool,
}

impl Record {
    /// The record as the keeper stores it; none if it is too long, which its fields' bounds forbid.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        codec::encode(self).ok().filter(|bytes| bytes.len() <= MAX_RECORD_BYTES)
    }

    /// Reads a record written by this or an earlier release.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        codec::decode(bytes).ok()
    }
}
