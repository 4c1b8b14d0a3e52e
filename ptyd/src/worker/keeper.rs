//! The worker's end of the keeper's socket: sends requests, hands answers to who asked. Knows no session.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use devpocket_shared::wire::{ErrorCode, codec};
use ptyd_session::{Integration, Nonce};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use crate::handover::socket::{self, HandoverError};
use crate::handover::{MAX_PACKET_BYTES, Spawn, ToKeeper, ToWorker};

/// What the keeper made of a spawn: whether its shell marks its output, and its descriptors; or why not.
pub(crate) type SpawnResult = Result<(Integration, Vec<OwnedFd>), (ErrorCode, String)>;

/// The keeper, as the worker sees it.
#[derive(Debug)]
pub(crate) struct Keeper {
    socket: AsyncFd<OwnedFd>,
    next_request: AtomicU32,
    spawning: Mutex<BTreeMap<u32, oneshot::Sender<SpawnResult>>>,
}

impl Keeper {
    pub(crate) fn new(socket: OwnedFd) -> Result<Self, HandoverError> {
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_SETFL(flags)).map_err(HandoverError::Os)?;
        let socket = super::sys::watch(socket).map_err(|err| os_error(&err))?;
        Ok(Self { socket, next_request: AtomicU32::new(1), spawning: Mutex::default() })
    }

    /// The next packet. Cancel-safe. One task receives.
    pub(crate) async fn receive(&self) -> Result<(ToWorker, Vec<OwnedFd>), HandoverError> {
        let mut buffer = vec![0; MAX_PACKET_BYTES];
        loop {
            let mut ready = self.socket.readable().await.map_err(|err| os_error(&err))?;
            match socket::receive(self.socket.get_ref().as_fd(), &mut buffer) {
                Err(HandoverError::NotReady) => ready.clear_ready_matching(tokio::io::Ready::READABLE),
                other => return other,
            }
        }
    }

    /// Sends one packet, waiting for room.
    pub(crate) async fn send(&self, message: &ToKeeper) -> Result<(), HandoverError> {
        let packet = codec::encode(message)?;
        loop {
            match socket::send_bytes(self.socket.get_ref().as_fd(), &packet, &[]) {
                Err(HandoverError::NotReady) => {
                    let mut ready =
                        self.socket.ready(Interest::WRITABLE).await.map_err(|err| os_error(&err))?;
                    ready.clear_ready_matching(tokio::io::Ready::WRITABLE);
                }
                other => return other,
            }
        }
    }

    /// Asks for a session whose shell signs its marks with `nonce`; `spawn` gets its request number here.
    pub(crate) async fn spawn(&self, mut spawn: Spawn, nonce: Nonce) -> Result<SpawnResult, HandoverError> {
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        spawn.request = request;
        let (answer, answered) = oneshot::channel();
        self.spawning().insert(request, answer);
        let message = ToKeeper::SpawnMarked { spawn: Box::new(spawn), nonce: nonce.bytes() };
        if let Err(err) = self.send(&message).await {
            self.spawning().remove(&request);
            return Err(err);
        }
        answered.await.map_err(|_| HandoverError::Closed)
    }

    /// Hands the keeper's answer to who asked.
    pub(crate) fn spawned(&self, request: u32, result: SpawnResult) {
        let waiting = self.spawning().remove(&request);
        // Whoever asked may have given up; then the descriptors close here and the keeper still holds the session.
        drop(waiting.map(|waiting| waiting.send(result)));
    }

    fn spawning(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, oneshot::Sender<SpawnResult>>> {
        self.spawning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn os_error(err: &std::io::Error) -> HandoverError {
    HandoverError::Os(nix::errno::Errno::from_raw(err.raw_os_error().unwrap_or(nix::libc::EIO)))
}
