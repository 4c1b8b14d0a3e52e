//! Replacing the keeper's program in place: the new binary first says, as a child, whether it can take the state over,
//! and only then replaces us, with every descriptor and child kept. Knows nothing of the state's format.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::pread;
use nix::unistd::{Pid, fexecve, pipe2, read};
use ptyd_session::LayoutMark;
use ring::digest;

use super::Keeper;
use super::certificates::Certificates;
use super::cgroup::Cgroups;
use super::saved::{
    Saved, SavedError, SavedFinds, SavedHeld, SavedKeeper, SavedMore, SavedScript, SavedSession, SavedWorker,
};
use super::sys::child::{self, EXTRA, Plan, Program};
use super::sys::{self, Millis};
use super::users::Account;
use crate::chain;
use crate::handover::ExitStatus;

/// A digest in hexadecimal digits, and the line's end.
pub(super) type Answer = [u8; 2 * digest::SHA256_OUTPUT_LEN + 1];

/// How long a new binary may take to check the state.
const CHECK_PATIENCE: Millis = 10_000;

/// The state could not be given to a new binary.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReexecError {
    /// The binary cannot be opened.
    #[error("the new binary cannot be opened")]
    Open(#[source] io::Error),
    /// The state cannot be written.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// The system refused.
    #[error("{what} failed")]
    Os { what: &'static str, source: Errno },
}

/// How far a re-exec is.
#[derive(Debug, Default)]
pub(super) enum Reexec {
    /// Nobody asked for one.
    #[default]
    Idle,
    /// Asked for; waits until the state can be written.
    Wanted,
    /// The new binary looks at a copy of the state.
    Checking { binary: File, pid: Pid, deadline: Millis, answer: OwnedFd, expected: Answer },
    /// It can take over; waits until the state can be written.
    Checked { binary: File },
}

impl Reexec {
    /// Whether it waits for sessions that are starting: then others must not begin to, or it could wait for ever.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Wanted | Self::Checked { .. })
    }

    /// When a check has taken too long.
    pub(super) fn deadline(&self) -> Option<Millis> {
        if let Self::Checking { deadline, .. } = self { Some(*deadline) } else { None }
    }
}

impl Keeper {
    /// Takes note of a request to re-exec.
    pub(super) fn want_reexec(&mut self) {
        if self.shutdown.is_none() && matches!(self.reexec, Reexec::Idle) {
            self.reexec = Reexec::Wanted;
        }
    }

    /// Goes on with a re-exec, as far as possible now. Does not return if it succeeds.
    pub(super) fn advance_reexec(&mut self, now: Millis) {
        let quiet =
            self.worker.is_quiet() && self.sessions.iter().all(|(_, session)| session.starting.is_none());
        let advanced = match std::mem::take(&mut self.reexec) {
            _ if self.shutdown.is_some() => Ok(Reexec::Idle),
            Reexec::Wanted if quiet => self.start_check(now),
            // What is held back goes with us, and with the worker that asked for it: whoever waits for it asks the next one.
            Reexec::Checked { binary } if quiet => self.exec(&binary),
            Reexec::Checking { pid, deadline, .. } if deadline <= now => {
                // Its end, once reaped, is a refusal.
                let _exiting = kill(pid, Signal::SIGKILL);
                self.log.error("the new binary does not answer; going on with the old one", &[]);
                Ok(Reexec::Idle)
            }
            waiting @ (Reexec::Idle | Reexec::Wanted | Reexec::Checking { .. } | Reexec::Checked { .. }) => {
                Ok(waiting)
            }
        };
        match advanced {
            Ok(state) => self.reexec = state,
            Err(error) => {
                self.log.error("no re-exec; going on as before", &[("error", &chain(&error))]);
            }
        }
    }

    /// Takes note that process `pid` was reaped, if it was checking the state.
    pub(super) fn check_reaped(&mut self, pid: Pid, exit: ExitStatus) -> bool {
        match std::mem::take(&mut self.reexec) {
            Reexec::Checking { binary, pid: checking, answer, expected, .. } if checking == pid => {
                // A program that is no ptyd may end well too.
                if exit == ExitStatus::Code(0) && given(&answer) == Some(expected) {
                    self.reexec = Reexec::Checked { binary };
                } else {
                    self.log.error("the new binary refused the state; going on with the old one", &[]);
                }
                true
            }
            other @ (Reexec::Idle | Reexec::Wanted | Reexec::Checking { .. } | Reexec::Checked { .. }) => {
                self.reexec = other;
                false
            }
        }
    }

    fn start_check(&self, now: Millis) -> Result<Reexec, ReexecError> {
        let os = |what| move |source| ReexecError::Os { what, source };
        let binary = File::open(&self.executable).map_err(ReexecError::Open)?;
        // Here and not in the new program: with no files to write it cannot fail, and the check sees what it will find.
        if let Some(certificates) = &self.certificates {
            certificates.renew(self.log);
        }
        let saved = self.saved();
        let state = write_memfd(&saved)?;
        let mut bytes = Vec::new();
        saved.write(&mut bytes)?;
        let (answer, theirs) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(os("pipe"))?;
        let arguments = arguments("--check-state", EXTRA);
        let stderr = io::stderr();
        let pid = child::start(&Plan {
            standard: [self.null.as_fd(), theirs.as_fd(), stderr.as_fd()],
            terminal: false,
            extra: Some(state.as_fd()),
            second: None,
            report: None,
            cgroup: None,
            oom_score: None,
            limits: &[],
            confined: false,
            identity: None,
            home: None,
            directory: None,
            program: Program::Open(binary.as_fd(), &arguments),
            environment: &own_environment(),
        })
        .map_err(os("fork"))?;
        Ok(Reexec::Checking {
            binary,
            pid,
            deadline: now + CHECK_PATIENCE,
            answer,
            expected: answer_to(&bytes),
        })
    }

    /// Becomes `binary`; returns only if that fails, with everything as before.
    fn exec(&self, binary: &File) -> Result<Reexec, ReexecError> {
        let saved = self.saved();
        let state = write_memfd(&saved)?;
        let kept: Vec<RawFd> = saved.descriptors().chain([state.as_raw_fd()]).collect();
        self.log.info("replacing the keeper in place", &[("sessions", &saved.sessions.len())]);
        let result = set_close_on_exec(&kept, false).and_then(|()| {
            fexecve(binary, &arguments("--resume-state", state.as_raw_fd()), &own_environment())
                .map(|never| match never {})
        });
        set_close_on_exec(&kept, true).map_err(|source| ReexecError::Os { what: "fcntl", source })?;
        match result {
            Ok(()) => Ok(Reexec::Idle),
            Err(source) => Err(ReexecError::Os { what: "exec", source }),
        }
    }

    fn saved(&self) -> Saved {
        let sessions: Vec<SavedSession> = self
            .sessions
            .iter()
            .map(|(session_id, session)| SavedSession {
                session_id,
                owner: session.owner,
                pid: session.pid.as_raw(),
                ring: session.ring.as_raw_fd(),
                layout: layout_mark(&session.ring),
                master: session.master.as_ref().map(AsRawFd::as_raw_fd),
                record: session.record.clone(),
                end: session.end,
                kill: session.kill.map(|kill| (kill.at, kill.rounds)),
                process_limit: session.process_limit,
            })
            .collect();
        let bytes = |path: &std::path::Path| path.as_os_str().as_bytes().to_vec();
        let worker = self.worker.process();
        let keeper = SavedKeeper {
            node_id: self.node_id,
            boot_id: self.boot_id,
            state_dir: bytes(self.state_dir.path()),
            lock: self.state_dir.lock().as_raw_fd(),
            executable: bytes(&self.executable),
            listener: self.sockets.listener.as_raw_fd(),
            listener_path: bytes(&self.sockets.path),
            udp: self.sockets.udp.as_ref().map(AsRawFd::as_raw_fd),
            worker: worker.map(|(pid, socket)| SavedWorker { pid: pid.as_raw(), socket: socket.as_raw_fd() }),
            inherited_files: self.limits.inherited_files,
            oom_protected: self.oom_score.is_some(),
            cgroup: self.cgroups.as_ref().map(|cgroups| bytes(cgroups.base())),
            sessions: u32::try_from(sessions.len()).unwrap_or(u32::MAX),
        };
        let finds = SavedFinds {
            owner: self.owner,
            secrets: self.secrets.to_vec(),
            shell: self.users.shell.saved(),
            worker: self.users.worker.saved(),
            link: self.users.link.as_ref().map(Account::saved),
            tty_gid: self.users.tty_gid,
            by_root: self.users.by_root,
        };
        let more = SavedMore {
            cgroup_lock: self.cgroups.as_ref().and_then(Cgroups::lock).map(AsRawFd::as_raw_fd),
            certificates: self.certificates.as_ref().and_then(Certificates::saved),
        };
        let scripts = self.sessions.iter().filter_map(|(session_id, session)| {
            let master = session.script.as_ref()?.as_raw_fd();
            Some(SavedScript { session_id, master })
        });
        let held = SavedHeld {
            metrics: self.sockets.metrics.as_ref().map(AsRawFd::as_raw_fd),
            scripts: scripts.collect(),
        };
        Saved { keeper, finds: Some(finds), more: Some(more), held: Some(held), sessions }
    }
}

/// What a program that can take over the state in `bytes` says on its standard output: only one that has read it can.
pub(super) fn answer_to(bytes: &[u8]) -> Answer {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut answer: Answer = [b'\n'; _];
    for (to, byte) in answer.chunks_exact_mut(2).zip(digest.as_ref()) {
        to.copy_from_slice(format!("{byte:02x}").as_bytes());
    }
    answer
}

/// What a checking program that has ended said, if it is as long as it should be.
fn given(answer: &OwnedFd) -> Option<Answer> {
    let mut bytes = [0; size_of::<Answer>() + 1];
    let length = read(answer, &mut bytes).ok()?;
    bytes.get(..length)?.try_into().ok()
}

/// What a session's memory begins with. Zeros if that cannot be read: then its worker will say what is wrong.
fn layout_mark(memory: &OwnedFd) -> LayoutMark {
    let mut mark = LayoutMark::default();
    let _unreadable = pread(memory, &mut mark, 0);
    mark
}

fn write_memfd(saved: &Saved) -> Result<OwnedFd, ReexecError> {
    let os = |source| ReexecError::Os { what: "memfd_create", source };
    let mut file = File::from(memfd_create(c"ptyd-state", MFdFlags::MFD_CLOEXEC).map_err(os)?);
    saved.write(BufWriter::new(&file))?;
    file.rewind().map_err(SavedError::Io)?;
    Ok(file.into())
}

fn set_close_on_exec(descriptors: &[RawFd], close: bool) -> Result<(), Errno> {
    descriptors.iter().try_for_each(|fd| sys::set_close_on_exec(*fd, close))
}

/// Our own arguments, with `option` in place of what told us which state to resume.
fn arguments(option: &str, fd: RawFd) -> Vec<CString> {
    with_option(std::env::args_os().collect(), option, fd)
        .into_iter()
        .filter_map(|argument| CString::new(argument.as_bytes()).ok())
        .collect()
}

fn with_option(arguments: Vec<OsString>, option: &str, fd: RawFd) -> Vec<OsString> {
    let is_state = |argument: &OsString| argument == "--resume-state" || argument == "--check-state";
    let mut kept: Vec<OsString> = Vec::with_capacity(arguments.len() + 2);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if is_state(&argument) {
            arguments.next();
        } else {
            kept.push(argument);
        }
    }
    kept.extend([option.into(), fd.to_string().into()]);
    kept
}

/// The environment we were started with: the new binary is configured by the same.
fn own_environment() -> Vec<CString> {
    let pair = |(name, value): (OsString, OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    };
    std::env::vars_os().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_kept_and_name_one_state_only() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let first = with_option(words(&["ptyd", "--state-dir", "/s"]), "--resume-state", 7);
        assert_eq!(first, words(&["ptyd", "--state-dir", "/s", "--resume-state", "7"]));
        assert_eq!(
            with_option(first, "--check-state", 3),
            words(&["ptyd", "--state-dir", "/s", "--check-state", "3"])
        );
    }
}
