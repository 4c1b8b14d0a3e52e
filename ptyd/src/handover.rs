//! What keeper and worker say to each other over their SEQPACKET socket pair: one encoded message a packet, descriptors
//! beside it. Knows neither tokio nor what either side does with a message.
//!
//! A worker's life: the keeper sends `Welcome` (with the sockets and key files), then every session it holds as
//! `Adopt`, pausing after each [`BATCH`] until `BatchTaken`, then `AllAdopted`; the worker answers `Ready` and then
//! `Heartbeat` every second.

pub mod socket;

use bincode::{Decode, Encode};
use devpocket_shared::ids::{BootId, NodeId, SessionId, UserId};
use devpocket_shared::wire::{ErrorCode, Spec};
use ptyd_session::{Integration, Nonce};

/// Sessions handed over before the keeper waits for `BatchTaken`: descriptors in flight count against the open-files
/// limit of the sender's user.
pub const BATCH: u32 = 100;
/// The largest opaque record a worker may keep with a session, in bytes.
pub const MAX_RECORD_BYTES: usize = 8 << 10;
/// The largest packet, in bytes: a `Spawn` with every bound of [`Spec`] used, and a record.
pub const MAX_PACKET_BYTES: usize = 176 << 10;
/// Most descriptors in one packet.
pub const MAX_DESCRIPTORS: usize = 16;

/// Keeper to worker.
#[derive(Debug, Decode, Encode)]
pub enum ToWorker {
    /// First packet. Its descriptors stand in the order of `descriptors`.
    Welcome(Box<Welcome>),
    /// One session the keeper holds. Descriptors: ring, then the PTY master unless the session ended and it is closed.
    Adopt(Adopt),
    /// No more `Adopt`s follow.
    AllAdopted,
    /// Answer to `Spawn`. Descriptors: ring, PTY master.
    Spawned { request: u32, pid: i32 },
    /// Answer to `Spawn`: nothing was started.
    SpawnFailed { request: u32, code: ErrorCode, message: String },
    /// The leader of a session was reaped. Output may still be in its PTY.
    Exited { session_id: SessionId, exit: ExitStatus },
    /// Tell clients to come back, then exit: the next worker takes over.
    Stop,
    /// Answer to `SpawnMarked`, as `Spawned`.
    SpawnedMarked { request: u32, pid: i32, integration: Integration },
}

/// What a worker needs to know to begin.
#[derive(Debug, Decode, Encode)]
pub struct Welcome {
    /// This host's stable id.
    pub node_id: NodeId,
    /// This life of the keeper.
    pub boot_id: BootId,
    /// Sessions that follow as `Adopt`.
    pub sessions: u32,
    /// Most live sessions this node takes.
    pub capacity: u32,
    /// Output bytes a new session's ring holds (a multiple of the page size).
    pub ring_bytes: u64,
    /// The user that may connect to the link's Unix socket, besides root and the worker's own.
    pub link_uid: Option<u32>,
    /// What the packet's descriptors are, in order.
    pub descriptors: Vec<Descriptor>,
}

/// The meaning of a descriptor in `Welcome`.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Descriptor {
    /// A listening Unix stream socket for the link.
    LinkListener,
    /// A bound UDP socket for the link over QUIC.
    LinkUdp,
    /// The link's CA certificate, PEM.
    LinkCa,
    /// ptyd's certificate, PEM.
    LinkCertificate,
    /// ptyd's private key, PEM.
    LinkKey,
    /// 64 secret bytes: QUIC's reset key, then its connection-id key, each 32.
    LinkSecrets,
    /// A listening TCP socket for `/metrics`.
    Metrics,
}

/// One session handed to a new worker.
#[derive(Debug, Decode, Encode)]
pub struct Adopt {
    /// Its id.
    pub session_id: SessionId,
    /// Whose it is.
    pub owner: UserId,
    /// Process id of its leader.
    pub pid: i32,
    /// What a worker before stored with it.
    pub record: Vec<u8>,
    /// How its leader ended, if it has.
    pub exit: Option<ExitStatus>,
}

/// Worker to keeper.
#[derive(Debug, Decode, Encode)]
pub enum ToKeeper {
    /// [`BATCH`] more sessions are taken over.
    BatchTaken,
    /// Everything is taken over and the worker serves.
    Ready,
    /// Every second; five seconds of silence are SIGKILL.
    Heartbeat,
    /// Start a session. Answer: `Spawned` or `SpawnFailed`.
    Spawn(Box<Spawn>),
    /// Send a signal.
    Signal { session_id: SessionId, signal: i32, target: Target },
    /// End a session: SIGHUP to all of it now, SIGKILL to what is left after 5 s.
    Terminate { session_id: SessionId },
    /// Replace the record kept with a session.
    Record { session_id: SessionId, record: Vec<u8> },
    /// The worker has read the ended session's terminal to its end: close the PTY master, keep ring and record.
    Drained { session_id: SessionId },
    /// The tombstone is no longer needed: drop ring and record.
    Forget { session_id: SessionId },
    /// Start a session whose shell, if it is one that can, signs marks in its output with this. Answer: `SpawnedMarked` or
    /// `SpawnFailed`.
    SpawnMarked { spawn: Box<Spawn>, nonce: [u8; Nonce::BYTES] },
}

/// A session to start.
#[derive(Debug, Decode, Encode)]
pub struct Spawn {
    /// Repeated in the answer.
    pub request: u32,
    /// Its id.
    pub session_id: SessionId,
    /// Whose it is; without a uid range the keeper serves one account only.
    pub owner: UserId,
    /// What to run; checked again by the keeper.
    pub spec: Spec,
    /// Size of the memfd to make for the ring, header included, in bytes.
    pub region_bytes: u64,
    /// Kept with the session; at most [`MAX_RECORD_BYTES`].
    pub record: Vec<u8>,
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Target {
    /// The foreground process group of the terminal, by the keeper's own master.
    Foreground,
    /// Every process of the session.
    Session,
}

/// How a leader ended.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum ExitStatus {
    /// With this code.
    Code(i32),
    /// By this signal number.
    Signal(i32),
}
