//! What the worker stores with a session in the keeper, so that the next worker knows it too.

use bincode::{Decode, Encode};
use devpocket_shared::wire::{CreationKey, EndReason, Limits, codec};

use crate::handover::MAX_RECORD_BYTES;

/// A session's record; the owner is kept beside it by the keeper. Fields are positional: one more is a new record, and the
/// one before is still read.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub(crate) struct Record {
    /// A name for people.
    pub(crate) name: Option<String>,
    /// When the session was made, in milliseconds since the Unix epoch.
    pub(crate) created_at_ms: u64,
    /// What makes a repeated creation the same one.
    pub(crate) key: Option<CreationKey>,
    /// Why its end was asked for, if it was.
    pub(crate) reason: Option<EndReason>,
    /// How long it may live.
    pub(crate) limits: Limits,
    /// When its terminal was read to the end, in milliseconds since the Unix epoch.
    pub(crate) ended_at_ms: Option<u64>,
    /// Its owner wants it gone: nobody finds it, and no tombstone is kept.
    pub(crate) discarded: bool,
}

/// The record of the release before limits.
#[derive(Decode)]
#[cfg_attr(test, derive(Encode))]
struct WithoutLimits {
    name: Option<String>,
    created_at_ms: u64,
    key: Option<CreationKey>,
    terminated: bool,
}

impl Record {
    /// The record as the keeper stores it; none if it is too long, which its fields' bounds forbid.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        codec::encode(self).ok().filter(|bytes| bytes.len() <= MAX_RECORD_BYTES)
    }

    /// Reads a record written by this or an earlier release. No bytes are both: one is longer than the other.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        codec::decode(bytes).ok().or_else(|| codec::decode(bytes).ok().map(WithoutLimits::into_record))
    }
}

impl WithoutLimits {
    fn into_record(self) -> Record {
        let Self { name, created_at_ms, key, terminated } = self;
        Record {
            name,
            created_at_ms,
            key,
            reason: terminated.then_some(EndReason::Terminated),
            limits: Limits::default(),
            ended_at_ms: None,
            discarded: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::ClientId;

    use super::*;

    fn key() -> Option<CreationKey> {
        let client_id = ClientId::try_from("phone".to_owned()).unwrap();
        Some(CreationKey { client_id, request_id: "r".to_owned() })
    }

    #[test]
    fn a_record_is_read_back_as_it_was() {
        let record = Record {
            name: Some("build".to_owned()),
            created_at_ms: 1_700_000_000_000,
            key: key(),
            reason: Some(EndReason::IdleTimeout),
            limits: Limits { idle_timeout_secs: Some(60), max_duration_secs: Some(3600) },
            ended_at_ms: Some(1_700_000_100_000),
            discarded: true,
        };
        let bytes = record.to_bytes().unwrap();
        assert_eq!(Record::from_bytes(&bytes).as_ref(), Some(&record));
        assert_eq!(Record::from_bytes(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn a_record_of_the_release_before_limits_is_read_too() {
        for (terminated, reason) in [(false, None), (true, Some(EndReason::Terminated))] {
            for key in [None, key()] {
                let before = WithoutLimits { name: None, created_at_ms: 5, key, terminated };
                let read = Record::from_bytes(&codec::encode(&before).unwrap()).unwrap();
                assert_eq!((read.name, read.created_at_ms, read.key), (None, 5, before.key));
                assert_eq!((read.reason, read.limits, read.discarded), (reason, Limits::default(), false));
            }
        }
    }
}
