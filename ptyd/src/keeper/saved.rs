//! The keeper's state in writing, for the keeper that takes over in the same process: what it holds, and under which
//! descriptor numbers. The format is this file's alone; knows nothing of how it gets to its reader.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::{OwnedFd, RawFd};

use bincode::{Decode, Encode};
use devpocket_shared::ids::{BootId, NodeId, SessionId, UserId};
use devpocket_shared::wire::codec::{self, CodecError, MAX_CONTROL_BYTES};
use ptyd_session::LayoutMark;

use super::sys;
use crate::handover::ExitStatus;

/// First bytes of a state, whatever its version.
const MAGIC: [u8; 8] = *b"ptydkeep";
/// The version written. Every version that a neighbouring release may write is read; a change of the structs below is a
/// new version with structs of its own.
const VERSION: u32 = 5;
/// The version without [`SavedHeld`].
const VERSION_WITHOUT_HELD: u32 = 4;
/// The version without [`SavedMore`].
const VERSION_WITHOUT_MORE: u32 = 3;
/// The version without [`SavedFinds`].
const VERSION_WITHOUT_FINDS: u32 = 2;

/// A state cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The file failed.
    #[error("the saved state cannot be read or written")]
    Io(#[from] io::Error),
    /// It is no state of a keeper.
    #[error("this is no saved state")]
    Foreign,
    /// It was written by a release too far away.
    #[error("the saved state has version {0}, which this release cannot read")]
    Version(u32),
    /// The memory of a session was written by a release too far away.
    #[error("the memory of session {0} has a layout that this release cannot read")]
    Layout(SessionId),
    /// A part is not what it should be.
    #[error("the saved state is malformed")]
    Malformed(#[from] CodecError),
    /// A part is longer than any can be.
    #[error("the saved state has a part of {0} bytes")]
    TooLong(usize),
    /// What it says is open is not.
    #[error("descriptor {0} of the saved state is not open")]
    Descriptor(RawFd),
}

/// All of a keeper.
#[derive(Debug, PartialEq)]
pub(super) struct Saved {
    /// All but the sessions.
    pub(super) keeper: SavedKeeper,
    /// What the keeper found in files and databases, which may be in disorder by the time its successor looks.
    pub(super) finds: Option<SavedFinds>,
    /// What else it holds.
    pub(super) more: Option<SavedMore>,
    /// What it holds besides.
    pub(super) held: Option<SavedHeld>,
    /// The sessions.
    pub(super) sessions: Vec<SavedSession>,
}

/// A keeper but for its sessions. Descriptors are numbers.
#[derive(Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedKeeper {
    pub(super) node_id: NodeId,
    pub(super) boot_id: BootId,
    pub(super) state_dir: Vec<u8>,
    pub(super) lock: RawFd,
    pub(super) executable: Vec<u8>,
    pub(super) listener: RawFd,
    pub(super) listener_path: Vec<u8>,
    pub(super) udp: Option<RawFd>,
    pub(super) worker: Option<SavedWorker>,
    pub(super) inherited_files: u64,
    pub(super) oom_protected: bool,
    pub(super) cgroup: Option<Vec<u8>>,
    pub(super) sessions: u32,
}

/// What a keeper once found elsewhere and goes on with if it is not to be found again: after the exec there is no way
/// back, and every session hangs on the keeper.
#[derive(Clone, Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedFinds {
    pub(super) owner: Option<UserId>,
    pub(super) secrets: Vec<u8>,
    pub(super) shell: SavedAccount,
    pub(super) worker: SavedAccount,
    pub(super) link: Option<SavedAccount>,
    pub(super) tty_gid: Option<u32>,
    pub(super) by_root: bool,
}

/// What a keeper holds since version 4; never written without [`SavedFinds`].
#[derive(Clone, Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedMore {
    /// What holds the lock of the control group.
    pub(super) cgroup_lock: Option<RawFd>,
    /// The link's certificates that were good last: their files may be bad by now.
    pub(super) certificates: Option<SavedCertificates>,
}

/// What a keeper holds since version 5; never written without [`SavedMore`].
#[derive(Clone, Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedHeld {
    /// The listener for metrics.
    pub(super) metrics: Option<RawFd>,
    /// What shells may still be about to read.
    pub(super) scripts: Vec<SavedScript>,
}

/// What a session's shell reads its script from: were it closed, the shell would find nothing there, or a terminal of
/// somebody else's.
#[derive(Clone, Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedScript {
    pub(super) session_id: SessionId,
    pub(super) master: RawFd,
}

/// The link's certificates, in PEM.
#[derive(Clone, Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedCertificates {
    pub(super) ca: Vec<u8>,
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// A user.
#[derive(Clone, Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedAccount {
    pub(super) name: String,
    pub(super) home: Vec<u8>,
    pub(super) shell: Vec<u8>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

/// A running worker that knows all sessions.
#[derive(Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedWorker {
    pub(super) pid: i32,
    pub(super) socket: RawFd,
}

/// A session whose program was started.
#[derive(Debug, Decode, Encode, PartialEq)]
pub(super) struct SavedSession {
    pub(super) session_id: SessionId,
    pub(super) owner: UserId,
    pub(super) pid: i32,
    pub(super) ring: RawFd,
    /// What its memory begins with.
    pub(super) layout: LayoutMark,
    pub(super) master: Option<RawFd>,
    pub(super) record: Vec<u8>,
    pub(super) end: Option<(ExitStatus, u64)>,
    pub(super) kill: Option<(u64, u8)>,
    pub(super) process_limit: Option<u64>,
}

impl Saved {
    /// Every descriptor that must stay open for the reader.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let keeper = &self.keeper;
        let worker = keeper.worker.as_ref().map(|worker| worker.socket);
        let cgroup_lock = self.more.as_ref().and_then(|more| more.cgroup_lock);
        let metrics = self.held.as_ref().and_then(|held| held.metrics);
        let own = [Some(keeper.lock), Some(keeper.listener), keeper.udp, worker, cgroup_lock, metrics];
        let scripts = self.held.iter().flat_map(|held| &held.scripts).map(|script| Some(script.master));
        let sessions = self.sessions.iter().flat_map(|session| [Some(session.ring), session.master]);
        own.into_iter().chain(scripts).chain(sessions).flatten()
    }

    /// Whether the sessions' memory is of a layout this release knows: a worker of it must be able to take them over.
    pub(super) fn check_layouts(&self) -> Result<(), SavedError> {
        let foreign = self.sessions.iter().find(|session| !ptyd_session::knows_layout(&session.layout));
        foreign.map_or(Ok(()), |session| Err(SavedError::Layout(session.session_id)))
    }

    /// Writes it.
    pub(super) fn write(&self, mut to: impl Write) -> Result<(), SavedError> {
        to.write_all(&MAGIC)?;
        let version = match (&self.finds, &self.more, &self.held) {
            (Some(_), Some(_), Some(_)) => VERSION,
            (Some(_), Some(_), None) => VERSION_WITHOUT_HELD,
            (Some(_), None, _) => VERSION_WITHOUT_MORE,
            (None, _, _) => VERSION_WITHOUT_FINDS,
        };
        to.write_all(&version.to_le_bytes())?;
        write_part(&mut to, &self.keeper)?;
        if let Some(finds) = &self.finds {
            write_part(&mut to, finds)?;
            if let Some(more) = &self.more {
                write_part(&mut to, more)?;
                if let Some(held) = &self.held {
                    write_part(&mut to, held)?;
                }
            }
        }
        for session in &self.sessions {
            write_part(&mut to, session)?;
        }
        Ok(to.flush()?)
    }

    /// Reads it.
    pub(super) fn read(mut from: impl Read) -> Result<Self, SavedError> {
        let (mut magic, mut version) = ([0; MAGIC.len()], [0; 4]);
        from.read_exact(&mut magic)?;
        from.read_exact(&mut version)?;
        if magic != MAGIC {
            return Err(SavedError::Foreign);
        }
        let version = u32::from_le_bytes(version);
        if !(VERSION_WITHOUT_FINDS..=VERSION).contains(&version) {
            return Err(SavedError::Version(version));
        }
        let keeper: SavedKeeper = read_part(&mut from)?;
        let finds = if version > VERSION_WITHOUT_FINDS { Some(read_part(&mut from)?) } else { None };
        let more = if version > VERSION_WITHOUT_MORE { Some(read_part(&mut from)?) } else { None };
        let held = if version > VERSION_WITHOUT_HELD { Some(read_part(&mut from)?) } else { None };
        let sessions = (0..keeper.sessions).map(|_| read_part(&mut from)).collect::<Result<_, _>>()?;
        Ok(Self { keeper, finds, more, held, sessions })
    }
}

/// Takes possession of descriptors that came through exec, each once.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    taken: BTreeSet<RawFd>,
}

impl Inherited {
    /// Takes one.
    pub(super) fn take(&mut self, fd: RawFd) -> Result<OwnedFd, SavedError> {
        let taken = if self.taken.insert(fd) { sys::take_inherited(fd) } else { None };
        taken.ok_or(SavedError::Descriptor(fd))
    }
}

fn write_part<T: Encode>(to: &mut impl Write, part: &T) -> Result<(), SavedError> {
    let bytes = codec::encode(part)?;
    let length = u32::try_from(bytes.len()).map_err(|_| SavedError::TooLong(bytes.len()))?;
    to.write_all(&length.to_le_bytes())?;
    Ok(to.write_all(&bytes)?)
}

fn read_part<T: Decode<()>>(from: &mut impl Read) -> Result<T, SavedError> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_CONTROL_BYTES {
        return Err(SavedError::TooLong(length));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(codec::decode(&bytes)?)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const GOLDEN_TWO: &str = "\
        707479646b65657002000000380000000000000000000000000000000000000100000000000000000000000000000002\
        022f7306022f7808022f6c00010e0afb00040101022f6301420000000000000000000000000000000000000a00000000\
        0000000000000000000000038c104450524547494f4e020000000000000001120201010101120501060101fb0002";

    const GOLDEN_THREE: &str = "\
        707479646b65657003000000380000000000000000000000000000000000000100000000000000000000000000000002\
        022f7306022f7808022f6c00010e0afb00040101022f6301330000000100000000000000000000000000000003030909\
        090173022f68022f621f150215160177022f68022f622015021516000105014200000000000000000000000000000000\
        00000a000000000000000000000000000000038c104450524547494f4e02000000000000000112020101010112050106\
        0101fb0002";

    const GOLDEN_FOUR: &str = "\
        707479646b65657004000000380000000000000000000000000000000000000100000000000000000000000000000002\
        022f7306022f7808022f6c00010e0afb00040101022f6301330000000100000000000000000000000000000003030909\
        090173022f68022f621f150215160177022f68022f6220150215160001050109000000010c0101010102010342000000\
        0000000000000000000000000000000a000000000000000000000000000000038c104450524547494f4e020000000000\
        000001120201010101120501060101fb0002";

    const GOLDEN_FIVE: &str = "\
        707479646b65657005000000380000000000000000000000000000000000000100000000000000000000000000000002\
        022f7306022f7808022f6c00010e0afb00040101022f6301330000000100000000000000000000000000000003030909\
        090173022f68022f621f150215160177022f68022f6220150215160001050109000000010c0101010102010314000000\
        0114010000000000000000000000000000000a16420000000000000000000000000000000000000a0000000000000000\
        00000000000000038c104450524547494f4e020000000000000001120201010101120501060101fb0002";

    fn saved() -> Saved {
        let keeper = SavedKeeper {
            node_id: NodeId::new(Uuid::from_u128(1)),
            boot_id: BootId::new(Uuid::from_u128(2)),
            state_dir: b"/s".to_vec(),
            lock: 3,
            executable: b"/x".to_vec(),
            listener: 4,
            listener_path: b"/l".to_vec(),
            udp: None,
            worker: Some(SavedWorker { pid: 7, socket: 5 }),
            inherited_files: 1024,
            oom_protected: true,
            cgroup: Some(b"/c".to_vec()),
            sessions: 2,
        };
        let session = |number| SavedSession {
            session_id: SessionId::new(Uuid::from_u128(number)),
            owner: UserId::new(Uuid::from_u128(3)),
            pid: 70,
            ring: 8,
            layout: *b"DPREGION\x02\0\0\0\0\0\0\0",
            master: Some(9),
            record: vec![1; 8 << 10],
            end: Some((ExitStatus::Signal(9), 5)),
            kill: Some((6, 1)),
            process_limit: Some(512),
        };
        let account = |name: &str, uid| SavedAccount {
            name: name.to_owned(),
            home: b"/h".to_vec(),
            shell: b"/b".to_vec(),
            uid,
            gid: 21,
            groups: vec![21, 22],
        };
        let finds = SavedFinds {
            owner: Some(UserId::new(Uuid::from_u128(3))),
            secrets: vec![9; 3],
            shell: account("s", 31),
            worker: account("w", 32),
            link: None,
            tty_gid: Some(5),
            by_root: true,
        };
        let certificates = SavedCertificates { ca: vec![1], certificate: vec![2], key: vec![3] };
        let more = SavedMore { cgroup_lock: Some(6), certificates: Some(certificates) };
        let script = SavedScript { session_id: SessionId::new(Uuid::from_u128(10)), master: 11 };
        let held = SavedHeld { metrics: Some(10), scripts: vec![script] };
        let sessions = vec![session(10), session(11)];
        Saved { keeper, finds: Some(finds), more: Some(more), held: Some(held), sessions }
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        saved().write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(Saved::read(&bytes()[..]).unwrap(), saved());
        assert_eq!(saved().descriptors().collect::<Vec<_>>(), [3, 4, 5, 6, 10, 11, 8, 9, 8, 9]);
    }

    #[test]
    fn a_state_cut_anywhere_is_refused() {
        let bytes = bytes();
        for length in 0..bytes.len() {
            assert!(Saved::read(&bytes[..length]).is_err(), "{length} bytes of {}", bytes.len());
        }
    }

    #[test]
    fn a_foreign_or_newer_state_is_refused() {
        let mut newer = bytes();
        newer[8] = 6;
        assert!(matches!(Saved::read(&newer[..]), Err(SavedError::Version(6))));
        newer[0] = b'X';
        assert!(matches!(Saved::read(&newer[..]), Err(SavedError::Foreign)));
    }

    #[test]
    fn memory_of_an_unknown_layout_is_refused() {
        let mut saved = saved();
        saved.sessions[1].layout = LayoutMark::default();
        saved.check_layouts().unwrap();
        saved.sessions[1].layout = *b"DPREGION\x01\0\0\0\0\0\0\0";
        assert!(
            matches!(saved.check_layouts(), Err(SavedError::Layout(id)) if id == saved.sessions[1].session_id)
        );
    }

    #[test]
    fn every_version_keeps_its_bytes() {
        let mut saved = saved();
        saved.sessions.truncate(1);
        saved.keeper.sessions = 1;
        saved.sessions[0].record.truncate(2);
        let check = |saved: &Saved, golden: &str| {
            let mut bytes = Vec::new();
            saved.write(&mut bytes).unwrap();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, golden);
            assert_eq!(&Saved::read(&bytes[..]).unwrap(), saved);
        };
        check(&saved, GOLDEN_FIVE);
        saved.held = None;
        check(&saved, GOLDEN_FOUR);
        saved.more = None;
        check(&saved, GOLDEN_THREE);
        saved.finds = None;
        check(&saved, GOLDEN_TWO);
    }

    #[test]
    fn a_descriptor_that_is_not_open_or_named_twice_is_refused() {
        let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        let fd = std::os::fd::IntoRawFd::into_raw_fd(file);
        let mut inherited = Inherited::default();
        let first = inherited.take(fd).unwrap();
        assert!(inherited.take(fd).is_err());
        assert!(inherited.take(0).is_err(), "standard descriptors are nobody's");
        assert!(inherited.take(60_000).is_err());
        drop(first);
    }
}
