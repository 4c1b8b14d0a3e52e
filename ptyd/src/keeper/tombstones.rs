//! What an orderly end leaves behind: how each session ended, in files of the state directory. The next keeper there takes them
//! up as ended sessions, so that the apis hear of those ends whenever they ask, and forgets them as it forgets any. What the
//! sessions printed is gone: it is written to no disk.

use bincode::{Decode, Encode};
use devpocket_shared::ids::{SessionId, UserId};
use devpocket_shared::wire::codec;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use ptyd_session::memory_bytes;

use super::Keeper;
use super::session::{MAX_TOMBSTONES, Session};
use super::spawn::make_ring;
use super::state_dir::Kept;
use super::sys::Millis;
use crate::chain;
use crate::handover::{ExitStatus, MAX_RECORD_BYTES};

/// Where they are in the state directory, each by its session's id.
const KEPT: Kept = Kept {
    directory: "tombstones",
    // The record, and room for the rest.
    most_bytes: MAX_RECORD_BYTES as u64 + 1024,
};
/// First byte of each. A change of [`Tombstone`] is a new version.
const VERSION: u8 = 1;
/// The leader of a session that ended before this boot: above every process id there can be (`PID_MAX_LIMIT`), so that nobody
/// is ever taken for it.
const NOBODY: Pid = Pid::from_raw(i32::MAX);

#[derive(Debug, Decode, Encode, PartialEq)]
struct Tombstone {
    owner: UserId,
    /// What the worker kept with it, and the next one will read.
    record: Vec<u8>,
    exit: ExitStatus,
}

impl Keeper {
    /// Writes down how every session ended. To be called when all are over.
    pub(super) fn leave_tombstones(&self) {
        let (mut left, mut failed) = (0_usize, None);
        // One that was starting is known to nobody.
        for (session_id, session) in self.sessions.iter().filter(|(_, session)| session.starting.is_none()) {
            // What is not reaped by now was killed.
            let exit = session.exit().unwrap_or(ExitStatus::Signal(Signal::SIGKILL as i32));
            let tombstone = Tombstone { owner: session.owner, record: session.record.clone(), exit };
            let Some(bytes) = tombstone.to_bytes() else { continue };
            match self.state_dir.keep(KEPT, &session_id.to_string(), &bytes) {
                Ok(()) => left += 1,
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            self.log.error("not every session's end is written down", &[("error", &chain(&error))]);
        }
        if left > 0 {
            self.log.info(format_args!("wrote down how {left} sessions ended"), &[]);
        }
    }

    /// Takes up what the keeper before left.
    pub(super) fn take_up_tombstones(&mut self, now: Millis) {
        let kept = match self.state_dir.all_kept(KEPT, MAX_TOMBSTONES) {
            Ok(kept) => kept,
            Err(error) => {
                // Those sessions are lost, and all else is well.
                return self.log.error("how sessions ended cannot be read", &[("error", &chain(&error))]);
            }
        };
        for (name, bytes) in kept {
            let read = name.parse().ok().zip(Tombstone::from_bytes(&bytes));
            let Some((session_id, Tombstone { owner, record, exit })) = read else {
                self.log.warn("what is no tombstone is removed", &[("name", &name)]);
                self.state_dir.forget_kept(KEPT, &name);
                continue;
            };
            // As new, for nothing is known of what it printed.
            let ring = match make_ring(memory_bytes(self.ring_bytes())) {
                Ok(ring) => ring,
                Err(error) => {
                    self.log.error("no more ended sessions are taken up", &[("error", &error.desc())]);
                    break;
                }
            };
            let session = Session {
                owner,
                pid: NOBODY,
                ring,
                master: None,
                script: None,
                record,
                end: Some((exit, now)),
                starting: None,
                kill: None,
                process_limit: None,
            };
            self.sessions.insert(session_id, session);
        }
        self.drop_old(now);
    }

    /// Nobody needs to know any more how a session ended.
    pub(super) fn remove_tombstone(&self, session_id: SessionId) {
        self.state_dir.forget_kept(KEPT, &session_id.to_string());
    }
}

impl Tombstone {
    fn to_bytes(&self) -> Option<Vec<u8>> {
        let encoded = codec::encode(self).ok()?;
        Some([&[VERSION], &encoded[..]].concat())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, encoded) = bytes.split_first()?;
        if *version == VERSION { codec::decode(encoded).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_largest_is_read_back_as_it_was_and_keeps_its_bytes() {
        let owner = UserId::new(Uuid::from_u128(7));
        for exit in [ExitStatus::Code(i32::MIN), ExitStatus::Signal(64)] {
            let tombstone = Tombstone { owner, record: vec![0xFF; MAX_RECORD_BYTES], exit };
            let bytes = tombstone.to_bytes().unwrap();
            assert!(bytes.len() as u64 <= KEPT.most_bytes);
            assert_eq!(Tombstone::from_bytes(&bytes), Some(tombstone));
            assert_eq!(Tombstone::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
        let small = Tombstone { owner, record: b"r".to_vec(), exit: ExitStatus::Code(3) };
        let expected = [&[VERSION, 16][..], owner.uuid().as_bytes(), &[1, b'r', 0, 6]].concat();
        assert_eq!(small.to_bytes().unwrap(), expected);
        assert_eq!(Tombstone::from_bytes(&[]), None);
    }
}
