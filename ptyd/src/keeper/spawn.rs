//! Starting a session: terminal, ring and child. The answer comes later, when the child runs its program or says why it
//! cannot, so nobody waits for a slow file system. Knows nothing of how the worker is reached.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use devpocket_shared::wire::{ErrorCode, Spec};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::libc;
use nix::pty::{grantpt, posix_openpt, unlockpt};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fchmod};
use nix::sys::termios::{InputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{Gid, Pid, Uid, fchown, ftruncate, pipe2, read};
use ptyd_session::{Integration, Nonce};

use super::session::{Session, Starting};
use super::sys::child::{self, Failed, Plan, Program, Step};
use super::sys::{self, Millis};
use super::{Keeper, environment, limits, shell};
use crate::chain;
use crate::handover::{MAX_RECORD_BYTES, Spawn};

/// How long a child may take to run its program: a working directory on a dead file server hangs for ever.
const START_PATIENCE: Millis = 10_000;
/// Smallest and, beyond the ring itself, largest room for what the worker keeps beside a ring's bytes.
const LEAST_REGION_BYTES: u64 = 4096;
const MOST_BESIDE_RING_BYTES: u64 = 64 << 20;

/// Why no session was started.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The stable word.
    pub(super) code: ErrorCode,
    /// For people.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What a child reported.
    pub(super) fn failed(failed: Failed) -> Self {
        let what = match failed.step {
            Step::SetUp => "the session could not be set up",
            Step::Identity => "the session's user could not be taken on",
            Step::Directory => "the working directory cannot be entered",
            Step::Exec => "the program could not be started",
        };
        Self::new(ErrorCode::SpawnFailed, format!("{what}: {}", failed.errno.desc()))
    }

    fn system(what: &str, errno: Errno) -> Self {
        let full =
            matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC | Errno::ENOMEM | Errno::EAGAIN);
        let code = if full { ErrorCode::NodeFull } else { ErrorCode::SpawnFailed };
        Self::new(code, format!("{what}: {}", errno.desc()))
    }
}

/// What became of a starting child.
pub(super) enum Report {
    /// It has said nothing so far.
    Nothing,
    /// Its program runs, or ran.
    Started,
    /// It never got there.
    Failed(Failed),
}

impl Starting {
    /// Reads what the child has to say.
    pub(super) fn hear(&self) -> Report {
        let mut bytes = [0; Failed::BYTES];
        match read(&self.report, &mut bytes) {
            Ok(0) => Report::Started,
            Ok(_) => Report::Failed(Failed::read(bytes)),
            Err(_) => Report::Nothing,
        }
    }
}

impl Keeper {
    /// Starts what `spawn` asks for, as far as that can be done without waiting; a shell is to sign marks with `nonce`, if
    /// there is one.
    pub(super) fn spawn(&mut self, spawn: Spawn, nonce: Option<Nonce>, now: Millis) -> Result<(), Refusal> {
        self.check(&spawn)?;
        self.claim_owner(&spawn)?;
        let master =
            open_master(&spawn.spec).map_err(|errno| Refusal::system("no terminal could be made", errno))?;
        let ring =
            make_ring(spawn.region_bytes).map_err(|errno| Refusal::system("no ring could be made", errno))?;
        let (report, report_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .map_err(|errno| Refusal::system("no pipe could be made", errno))?;
        let cgroup = self.cgroups.as_mut().and_then(|cgroups| match cgroups.enter(spawn.session_id) {
            Ok(file) => Some(file),
            Err(error) => {
                self.log.warn("no control group for a session", &[("error", &error)]);
                None
            }
        });
        let process_limit = cgroup.is_none().then(|| self.process_limit(now));
        let (pid, integration, script) = self
            .start_child(&spawn, nonce, &master, &report_end, cgroup.as_ref(), process_limit)
            .map_err(|errno| Refusal::system("no process could be made", errno))?;
        let deadline = now + START_PATIENCE;
        let starting = Starting { request: spawn.request, report, deadline, integration };
        let session = Session {
            owner: spawn.owner,
            pid,
            ring,
            master: Some(master),
            script,
            record: spawn.record,
            end: None,
            starting: Some(starting),
            kill: None,
            process_limit,
        };
        self.sessions.insert(spawn.session_id, session);
        Ok(())
    }

    fn check(&self, spawn: &Spawn) -> Result<(), Refusal> {
        if self.shutdown.is_some() || !self.worker.serves() {
            return Err(Refusal::new(ErrorCode::NodeUnavailable, "the node takes no sessions now"));
        }
        if let Err(field) = spawn.spec.check() {
            return Err(Refusal::new(ErrorCode::InvalidField, format!("{field} is out of bounds")));
        }
        let most_region = self.ring_bytes() + MOST_BESIDE_RING_BYTES;
        if spawn.record.len() > MAX_RECORD_BYTES
            || !(LEAST_REGION_BYTES..=most_region).contains(&spawn.region_bytes)
            || self.sessions.find(spawn.session_id).is_some()
        {
            return Err(Refusal::new(ErrorCode::Internal, "the session cannot be made like this"));
        }
        if self.sessions.live() >= usize::try_from(self.capacity()).unwrap_or(usize::MAX) {
            return Err(Refusal::new(ErrorCode::NodeFull, "the node has no room for another session"));
        }
        Ok(())
    }

    /// All sessions share a user here, so they belong to one account: the first that asks. What it leaves in that user's home
    /// outlives it, so that the operator alone lets another account in.
    fn claim_owner(&mut self, spawn: &Spawn) -> Result<(), Refusal> {
        match self.owner {
            Some(owner) if owner == spawn.owner => Ok(()),
            Some(_) if !self.is_released() => Err(Refusal::new(
                ErrorCode::LocalSessionsUnavailable,
                "local sessions on this node belong to the account that opened the first one (LOCAL_SESSIONS=all needs a \
                 keeper with PTYD_UID_RANGE, and this one has none); to let another one in, its \
                 operator removes the file owner in PTYD_STATE_DIR while no session runs",
            )),
            Some(_) | None => match self.state_dir.set_owner(spawn.owner) {
                Ok(()) => {
                    self.owner = Some(spawn.owner);
                    Ok(())
                }
                Err(error) => {
                    self.log.error("the node's owner cannot be kept", &[("error", &chain(&error))]);
                    // A full disk, most likely, which need not stay full.
                    Err(Refusal::new(ErrorCode::NodeUnavailable, "the node's owner cannot be kept"))
                }
            },
        }
    }

    /// Whether the operator has removed the name of the account served, and nothing of it runs.
    fn is_released(&self) -> bool {
        self.sessions.live() == 0 && matches!(self.state_dir.owner(), Ok(None))
    }

    /// The process limit for a session started now. What was given before is raised where the user has come to have
    /// many more processes since: the limit counts all of them, and would end in a shell that cannot start anything.
    fn process_limit(&mut self, now: Millis) -> u64 {
        let (limit, fresh) = self.tasks.limit(self.users.shell.uid, now);
        if fresh {
            for (_, session) in self.sessions.iter_mut().filter(|(_, session)| session.is_live()) {
                if let Some(given) = &mut session.process_limit
                    && *given + limits::PROCESSES / 2 < limit
                    && sys::raise_process_limit(session.pid, limit, self.users.by_root).is_ok()
                {
                    *given = limit;
                }
            }
        }
        limit
    }

    fn start_child(
        &self,
        spawn: &Spawn,
        nonce: Option<Nonce>,
        master: &OwnedFd,
        report: &OwnedFd,
        cgroup: Option<&File>,
        process_limit: Option<u64>,
    ) -> Result<(Pid, Option<Integration>, Option<OwnedFd>), Errno> {
        let user = &self.users.shell;
        let slave = sys::open_slave(master.as_fd())?;
        if self.users.by_root {
            // Else the shell could not open its own terminal (/dev/tty aside): tools such as screen and gpg do.
            fchown(&slave, Some(Uid::from_raw(user.uid)), self.users.tty_gid.map(Gid::from_raw))?;
            fchmod(&slave, Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IWGRP)?;
        }
        let mut modes = tcgetattr(&slave)?;
        // Erasing a character of several bytes erases all of them.
        modes.input_flags |= InputFlags::IUTF8;
        tcsetattr(&slave, SetArg::TCSANOW, &modes)?;
        let mut variables = environment::variables(user, &self.lang, spawn.session_id, &spawn.spec);
        let mut programs = environment::programs(user, &variables, &spawn.spec.command);
        let mut integration = nonce.map(|_| Integration::Unavailable);
        let (mut scripts, mut word, mut script) = (None, None, None);
        if let (Some(nonce), Some(placed)) = (nonce, &self.scripts) {
            let command = &spawn.spec.command;
            let (how, needs) = shell::integrate(&user.shell, command, nonce, &mut programs, &mut variables);
            integration = Some(how);
            match needs {
                shell::Needs::Nothing => {}
                shell::Needs::Descriptors => {
                    (scripts, word) = (Some(placed.directory()), Some(shell::word(nonce)?));
                }
                shell::Needs::Source(text) => {
                    let uid = self.users.by_root.then(|| Uid::from_raw(user.uid));
                    match shell::read_once(&text, uid) {
                        Ok((master, path)) => {
                            shell::source(&path, &mut programs);
                            script = Some(master);
                        }
                        // A shell without marks is better than none.
                        Err(_) => integration = Some(Integration::Unavailable),
                    }
                }
            }
        }
        let home = CString::new(user.home.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        let directory = spawn.spec.working_directory.as_deref().map(CString::new);
        let directory = directory.transpose().map_err(|_| Errno::EINVAL)?;
        let (soft, hard) = self.limits.session_files();
        let mut limits = vec![limits::NO_CORE, (libc::RLIMIT_NOFILE, soft, hard)];
        if let Some(limit) = process_limit {
            let (soft, hard) = limits::process_limit(limit, self.users.by_root);
            limits.push((libc::RLIMIT_NPROC, soft, hard));
        }
        let pid = child::start(&Plan {
            standard: [slave.as_fd(); 3],
            terminal: true,
            extra: scripts,
            second: word.as_ref().map(AsFd::as_fd),
            report: Some(report.as_fd()),
            cgroup: cgroup.map(AsFd::as_fd),
            oom_score: self.oom_score,
            limits: &limits,
            confined: false,
            identity: self.users.by_root.then(|| user.identity()),
            home: Some(&home),
            directory: directory.as_deref(),
            program: Program::Paths(&programs),
            environment: &environment::strings(&variables),
        })?;
        Ok((pid, integration, script))
    }
}

fn open_master(spec: &Spec) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = posix_openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let master: OwnedFd = master.into();
    sys::set_size(master.as_fd(), spec.size)?;
    Ok(master)
}

/// Makes a memfd that whoever maps it can rely on: its size never changes, and nobody can allow that again.
fn make_ring(bytes: u64) -> Result<OwnedFd, Errno> {
    let ring = memfd_create(c"ptyd-ring", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    ftruncate(&ring, i64::try_from(bytes).map_err(|_| Errno::EFBIG)?)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&ring, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(ring)
}
