//! The keeper: spawns shells, holds their terminals and rings, reaps them, and keeps a worker running that serves them.
//! One thread, one poll(2) loop, no network. It must not know tokio, the worker's code, or what flows through a
//! terminal: it never reads one and never maps a ring.

mod certificates;
mod cgroup;
mod ending;
mod environment;
mod limits;
mod log;
mod processes;
mod reexec;
mod requests;
mod saved;
mod session;
mod shell;
mod shutdown;
mod sockets;
mod spawn;
mod start;
mod state_dir;
mod sys;
mod users;
mod worker;

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use devpocket_shared::ids::{BootId, NodeId, UserId};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::waitpid;
use ptyd_session::Nonce;

pub use certificates::LinkCertificateError;
pub use cgroup::NodeTaken;
pub use saved::SavedError;
pub use sockets::SocketError;
pub use state_dir::StateDirError;
pub use users::UserError;

use crate::chain;
use crate::config::KeeperConfig;
use crate::handover::Spawn;
use crate::handover::socket::HandoverError;
use certificates::Certificates;
use cgroup::Cgroups;
use limits::{Limits, TaskCount};
use log::Log;
use reexec::Reexec;
use session::Sessions;
use shell::Scripts;
use shutdown::Shutdown;
use sockets::Sockets;
use state_dir::{Secrets, StateDir};
use sys::Millis;
use users::Users;
use worker::Worker;

/// How often old tombstones and empty control groups are looked for, in milliseconds.
const HOUSEKEEPING: Millis = 60_000;
/// How often it is looked whether certificates are near their end, in milliseconds.
const CERTIFICATES: Millis = 24 * 3600 * 1000;
/// Pause in milliseconds before a poll(2) that failed is tried again.
const POLL_PAUSE: u8 = 100;
/// How often, and with what pauses in milliseconds, emptying control groups are tried to be removed at the end.
const CGROUP_TRIES: u32 = 50;
const CGROUP_PAUSE: u8 = 10;

/// The keeper cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// A setting is missing.
    #[error("{0} must be set")]
    Missing(&'static str),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// A configured user cannot be used.
    #[error(transparent)]
    User(#[from] UserError),
    /// A socket cannot be bound.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Another keeper is this node.
    #[error(transparent)]
    NodeTaken(#[from] NodeTaken),
    /// The link's certificates cannot be used.
    #[error(transparent)]
    Certificates(#[from] LinkCertificateError),
    /// The state of the keeper before cannot be taken over.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// The system refused.
    #[error("{what} failed")]
    Os { what: &'static str, source: Errno },
}

/// Runs the keeper until it is told to end by SIGTERM or SIGINT.
pub fn run(config: KeeperConfig) -> Result<(), KeeperError> {
    match config.check_state {
        Some(fd) => start::check(&config, fd),
        None => {
            Keeper::start(config)?.serve();
            Ok(())
        }
    }
}

/// Logs why the keeper cannot go on.
pub fn report(error: &KeeperError) {
    Log::new("error").error(chain(error), &[]);
}

struct Keeper {
    log: Log,
    config: KeeperConfig,
    /// Where our own binary is; opened anew for each re-exec, so that an upgraded one is used.
    executable: PathBuf,
    state_dir: StateDir,
    node_id: NodeId,
    boot_id: BootId,
    sockets: Sockets,
    users: Users,
    /// The one account served, once there is one.
    owner: Option<UserId>,
    /// The link's, for every worker.
    secrets: Secrets,
    /// The link's over QUIC.
    certificates: Option<Certificates>,
    lang: String,
    /// What shells read to mark their output; none: they cannot be given it.
    scripts: Option<Scripts>,
    limits: Limits,
    tasks: TaskCount,
    cgroups: Option<Cgroups>,
    /// What children write to their oom_score_adj(5), if the keeper lowered its own.
    oom_score: Option<&'static CStr>,
    /// /dev/null.
    null: OwnedFd,
    signals: SignalFd,
    /// Room for one packet.
    buffer: Vec<u8>,
    sessions: Sessions,
    worker: Worker,
    reexec: Reexec,
    /// Sessions asked for while a re-exec waits for those that are starting.
    held_back: Vec<(Spawn, Option<Nonce>)>,
    shutdown: Option<Shutdown>,
    settle_at: Millis,
    housekeeping_at: Millis,
    certificates_at: Millis,
}

/// What poll(2) said of the worker's socket.
struct Ready {
    readable: bool,
    writable: bool,
}

impl Keeper {
    fn serve(mut self) {
        // What ended while nobody looked: between two programs in this process no SIGCHLD is lost, but merged.
        self.reap(sys::monotonic());
        loop {
            let now = sys::monotonic();
            if self.advance(now) {
                break;
            }
            let flushed = self.worker.flush(&self.sessions);
            self.judge_worker(flushed);
            let ready = self.wait(now);
            let now = sys::monotonic();
            if ready.writable {
                let flushed = self.worker.writable(&self.sessions, now);
                self.judge_worker(flushed);
            }
            if ready.readable {
                self.read_worker(now);
            } else if self.worker.expire_silent(now) {
                self.log.error("the worker is killed: it was silent for too long", &[]);
            }
            self.hear_starting(now);
            self.take_signals(now);
        }
        self.finish();
    }

    /// Does what is due. True: the end has come.
    fn advance(&mut self, now: Millis) -> bool {
        if self.worker.expire(now) {
            self.log.error("the worker is killed: it did not stop when told to", &[]);
        }
        if self.shutdown.is_none() && self.worker.start_due(now) {
            self.start_worker(now);
        }
        self.kill_due(now);
        if self.housekeeping_at <= now {
            self.housekeeping_at = now + HOUSEKEEPING;
            self.drop_old(now);
            if let Some(certificates) = self.certificates.as_ref().filter(|_| self.certificates_at <= now) {
                self.certificates_at = now + CERTIFICATES;
                certificates.warn_of_end(self.log);
            }
            if let Some(cgroups) = &self.cgroups {
                cgroups.sweep(&self.sessions.ids());
            }
        }
        self.advance_reexec(now);
        self.start_held_back(now);
        self.advance_shutdown(now)
    }

    /// When something is due next.
    fn deadline(&self) -> Millis {
        let worker = self.worker.deadline().filter(|_| self.shutdown.is_none() || !self.worker.is_down());
        let shutdown = self.shutdown.and_then(Shutdown::deadline);
        let settle = self.shutdown.map(|_| self.settle_at);
        let sessions = self.sessions.iter().flat_map(|(_, session)| {
            [session.starting.as_ref().map(|starting| starting.deadline), session.kill.map(|kill| kill.at)]
        });
        let own = [worker, shutdown, settle, self.reexec.deadline()];
        own.into_iter().chain(sessions).flatten().fold(self.housekeeping_at, Millis::min)
    }

    fn wait(&self, now: Millis) -> Ready {
        let mut polled = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let worker = self.worker.interest();
        if let Some((socket, write)) = worker {
            let write = if write { PollFlags::POLLOUT } else { PollFlags::empty() };
            polled.push(PollFd::new(socket, PollFlags::POLLIN | write));
        }
        let starting = self.sessions.iter().filter_map(|(_, session)| session.starting.as_ref());
        let reports = starting.map(|starting| PollFd::new(starting.report.as_fd(), PollFlags::POLLIN));
        polled.extend(reports);
        // A millisecond more: what is due must really be due when poll returns.
        let timeout = self.deadline().saturating_sub(now).saturating_add(1);
        let timeout =
            PollTimeout::try_from(i32::try_from(timeout).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                // Short of memory, most likely: sessions hang on us, so that there is nothing to do but to try again.
                self.log.error("waiting failed", &[("error", &errno.desc())]);
                let _paused = poll(&mut [], PollTimeout::from(POLL_PAUSE));
                // To read or write what is not ready does no harm.
                return Ready { readable: true, writable: true };
            }
        }
        let events = worker.and(polled.get(1)).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        let readable = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
        Ready { readable: events.intersects(readable), writable: events.contains(PollFlags::POLLOUT) }
    }

    fn take_signals(&mut self, now: Millis) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let number = i32::try_from(info.ssi_signo).unwrap_or(0);
            if number == Signal::SIGCHLD as i32 {
                self.reap(now);
            } else if number == Signal::SIGHUP as i32 {
                self.want_reexec();
            } else {
                self.shut_down(now);
            }
        }
    }

    fn read_worker(&mut self, now: Millis) {
        let (messages, failed) = self.worker.read(&mut self.buffer, now);
        for message in messages {
            self.handle(message, now);
        }
        self.judge_worker(failed.map_or(Ok(()), Err));
    }

    fn judge_worker(&mut self, result: Result<(), HandoverError>) {
        match result {
            Ok(()) | Err(HandoverError::NotReady) => {}
            Err(HandoverError::Closed) => self.worker.closed(),
            Err(error @ (HandoverError::Truncated | HandoverError::Malformed(_) | HandoverError::Os(_))) => {
                self.log.error("the worker is killed", &[("reason", &chain(&error))]);
                self.worker.kill();
            }
        }
    }

    fn finish(&mut self) {
        self.sockets.remove();
        self.state_dir.remove_pid();
        if let Some((pid, _)) = self.worker.process() {
            self.worker.kill();
            // Killed, so this waits for no longer than the kernel needs.
            let _reaped = waitpid(pid, None);
        }
        self.reap(sys::monotonic());
        if let Some(cgroups) = &self.cgroups {
            // What was killed is reaped by others where it was not our child.
            for _ in 0..CGROUP_TRIES {
                if cgroups.remove_all() {
                    break;
                }
                let _paused = poll(&mut [], PollTimeout::from(CGROUP_PAUSE));
            }
        }
        self.log.info("ended", &[]);
    }

    /// Output bytes of a ring, in whole pages of any size a kernel has.
    fn ring_bytes(&self) -> u64 {
        self.config.ring_bytes.next_multiple_of(64 << 10)
    }

    /// Most live sessions now.
    fn capacity(&self) -> u32 {
        let held = self.sessions.iter().filter(|(_, session)| session.master.is_some()).count();
        self.limits.capacity(self.config.max_sessions, u64::try_from(held).unwrap_or(0))
    }

    fn own_descriptors(&self) -> Vec<(crate::handover::Descriptor, BorrowedFd<'_>)> {
        use crate::handover::Descriptor::{LinkListener, LinkUdp, Metrics};
        let udp = self.sockets.udp.as_ref().map(|udp| (LinkUdp, udp.as_fd()));
        let metrics = self.sockets.metrics.as_ref().map(|metrics| (Metrics, metrics.as_fd()));
        [(LinkListener, self.sockets.listener.as_fd())].into_iter().chain(udp).chain(metrics).collect()
    }
}
