//! How a keeper begins: afresh, or with the state of the one that ran in this process before; and how it starts a
//! worker. Knows nothing of what happens afterwards.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use devpocket_shared::ids::{BootId, SessionId};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use uuid::Uuid;

use super::certificates::Certificates;
use super::cgroup::Cgroups;
use super::limits::{self, Limits, TaskCount};
use super::log::Log;
use super::reexec::{self, Reexec};
use super::saved::{Inherited, Saved, SavedError, SavedSession};

use super::session::{Kill, Session, Sessions};
use super::shell::Scripts;
use super::sockets::{self, Sockets, key_file};
use super::state_dir::{self, Secrets, StateDir};
use super::sys::child::{self, Plan, Program};
use super::sys::{self, Millis};
use super::users::Users;
use super::worker::Worker;
use super::{Keeper, KeeperError};
use crate::chain;
use crate::config::KeeperConfig;
use crate::handover::socket::{self, HandoverError};
use crate::handover::{Descriptor, MAX_PACKET_BYTES, ToWorker, Welcome};

/// What a worker finds as its PATH; it starts no programs.
const WORKER_PATH: &str = "PATH=/usr/local/bin:/usr/bin:/bin";

/// No worker could be started.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error("the worker's program cannot be opened")]
    Open(#[source] io::Error),
    #[error("the link's keys cannot be handed over")]
    Keys(#[source] io::Error),
    #[error("{what} failed")]
    Os { what: &'static str, source: Errno },
    #[error("the worker cannot be welcomed")]
    Welcome(#[from] HandoverError),
}

/// Says whether this binary, configured like this, could take over the state in `fd`.
pub(super) fn check(config: &KeeperConfig, fd: i32) -> Result<(), KeeperError> {
    let mut state = Vec::new();
    File::from(Inherited::default().take(fd)?).read_to_end(&mut state).map_err(SavedError::Io)?;
    let saved = Saved::read(&state[..])?;
    saved.check_layouts()?;
    Users::find(config)?;
    let own = state_dir::link_certificates(&path(saved.keeper.state_dir));
    if let Some(mut certificates) = Certificates::of(config, own) {
        if let Some(good) = saved.more.and_then(|more| more.certificates) {
            certificates.resume(good);
        }
        // Bad files are a reason to stay only where there is nothing to go on with.
        certificates.load().or_else(|error| if certificates.are_usable() { Ok(()) } else { Err(error) })?;
    }
    let said = io::stdout().write_all(&reexec::answer_to(&state));
    said.map_err(|error| KeeperError::Os { what: "answering", source: errno(&error) })
}

impl Keeper {
    /// Becomes the keeper.
    pub(super) fn start(config: KeeperConfig) -> Result<Self, KeeperError> {
        let os = |what| move |source| KeeperError::Os { what, source };
        sys::fill_standard_descriptors();
        // A shell of the same user could read our memory and environment, or trace us.
        prctl::set_dumpable(false).map_err(os("prctl"))?;
        // An exec by descriptor may have named us after its number.
        prctl::set_name(c"ptyd").map_err(os("prctl"))?;
        umask(Mode::from_bits_truncate(0o077));
        // Before the first child, and for ever: over exec too, so that no end of a child goes unseen.
        let mask: SigSet =
            [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        mask.thread_block().map_err(os("sigprocmask"))?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(os("signalfd"))?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let null = null.map_err(|error| os("opening /dev/null")(errno(&error)))?.into();
        match config.resume_state {
            None => Self::afresh(config, signals, null),
            Some(fd) => Self::resume(config, signals, null, fd),
        }
    }

    fn afresh(config: KeeperConfig, signals: SignalFd, null: OwnedFd) -> Result<Self, KeeperError> {
        let log = Log::new(&config.log);
        let users = Users::find(&config)?;
        let path = config.state_dir.clone().ok_or(KeeperError::Missing("PTYD_STATE_DIR"))?;
        let state_dir = StateDir::open(&path)?;
        let (node_id, owner, secrets) = (state_dir.node_id()?, state_dir.owner()?, state_dir.link_secrets()?);
        let mut certificates = Certificates::of(&config, state_dir::link_certificates(state_dir.path()));
        if let Some(certificates) = &mut certificates {
            certificates.make(log);
            certificates.load()?;
        }
        let cgroups = Cgroups::make(node_id)?;
        let socket = config.socket.clone().unwrap_or_else(|| state_dir.path().join("ptyd.sock"));
        let link = users.link.as_ref();
        let sockets =
            Sockets::bind(&socket, state_dir.path(), link, config.link_listen, config.metrics_listen)?;
        let executable = std::env::current_exe()
            .map_err(|error| KeeperError::Os { what: "finding our own binary", source: errno(&error) })?;
        let limits = Limits::raise(None)
            .map_err(|source| KeeperError::Os { what: "raising the open-files limit", source })?;
        let now = sys::monotonic();
        let scripts = scripts(&state_dir, log);
        let keeper = Self {
            log,
            executable,
            state_dir,
            node_id,
            boot_id: BootId::new(Uuid::new_v4()),
            sockets,
            users,
            owner,
            secrets,
            certificates,
            lang: super::environment::host_lang(),
            scripts,
            limits,
            tasks: TaskCount::default(),
            cgroups,
            oom_score: limits::protect_from_oom(),
            null,
            signals,
            buffer: vec![0; MAX_PACKET_BYTES],
            sessions: Sessions::default(),
            worker: Worker::down(now),
            reexec: Reexec::Idle,
            shutdown: None,
            settle_at: 0,
            housekeeping_at: now,
            certificates_at: now,
            held_back: Vec::new(),
            config,
        };
        keeper.begin();
        let left = keeper.cgroups.as_ref().map_or(0, Cgroups::kill_lost);
        if left > 0 {
            keeper.log.warn(format_args!("ended {left} processes of sessions that were lost"), &[]);
        }
        let with_cgroups = keeper.cgroups.is_some();
        keeper.log.info(
            format_args!("keeping sessions as node {node_id}"),
            &[
                ("node.id", &node_id),
                ("boot.id", &keeper.boot_id),
                ("capacity", &keeper.capacity()),
                ("cgroups", &with_cgroups),
            ],
        );
        Ok(keeper)
    }

    /// There is no way back from here, and an error would end every session: what was found well a moment ago, by
    /// [`check`] or by the keeper before, is asked for again, but gone on without.
    fn resume(config: KeeperConfig, signals: SignalFd, null: OwnedFd, fd: i32) -> Result<Self, KeeperError> {
        let log = Log::new(&config.log);
        let mut inherited = Inherited::default();
        let Saved { keeper: saved, finds, more, held, sessions: saved_sessions } =
            Saved::read(File::from(inherited.take(fd)?))?;
        let state_dir = StateDir::resume(path(saved.state_dir), inherited.take(saved.lock)?);
        let sockets = Sockets {
            listener: inherited.take(saved.listener)?,
            path: path(saved.listener_path),
            udp: saved.udp.map(|udp| inherited.take(udp)).transpose()?,
            // Nothing hangs on these, and what follows is gone on without.
            metrics: held.as_ref().and_then(|held| inherited.take(held.metrics?).ok()),
        };
        let saved_scripts = held.iter().flat_map(|held| &held.scripts);
        let mut unread: BTreeMap<SessionId, OwnedFd> = saved_scripts
            .filter_map(|script| Some((script.session_id, inherited.take(script.master).ok()?)))
            .collect();
        let now = sys::monotonic();
        let mut worker = match saved.worker {
            Some(worker) => Worker::resume(Pid::from_raw(worker.pid), inherited.take(worker.socket)?, now),
            None => Worker::down(now),
        };
        let mut sessions = Sessions::default();
        for saved in saved_sessions {
            let session_id = saved.session_id;
            match session(saved, &mut inherited) {
                Ok((session_id, mut session)) => {
                    session.script = unread.remove(&session_id);
                    sessions.insert(session_id, session);
                }
                // One session lost is better than all.
                Err(error) => {
                    log.error("a session is lost", &[("session.id", &session_id), ("error", &error)])
                }
            }
        }
        let limits = Limits::resume(saved.inherited_files);
        let users = match (Users::find(&config), &finds) {
            (Ok(users), _) => users,
            (Err(error), Some(finds)) => {
                log.error("going on with the users of before", &[("error", &chain(&error))]);
                Users::resume(finds)
            }
            (Err(error), None) => return Err(error.into()),
        };
        let (owner, secrets) = (state_dir.owner(), state_dir.link_secrets());
        for error in [owner.as_ref().err(), secrets.as_ref().err()].into_iter().flatten() {
            log.error("going on with what the state directory held before", &[("error", &chain(error))]);
        }
        let owner = match &finds {
            Some(finds) => finds.owner,
            None => owner.unwrap_or_else(|_| sessions.iter().next().map(|(_, session)| session.owner)),
        };
        let saved_secrets = finds.and_then(|finds| Secrets::try_from(finds.secrets).ok());
        let secrets = saved_secrets.or(secrets.ok()).unwrap_or_else(state_dir::fresh_secrets);
        let scripts = scripts(&state_dir, log);
        let (cgroup_lock, good) = more.map_or((None, None), |more| (more.cgroup_lock, more.certificates));
        // Without it nothing is wrong but that a keeper on a copy of our state would not be noticed.
        let cgroup_lock = cgroup_lock.and_then(|lock| inherited.take(lock).ok());
        // Read afresh for the first worker, which is started at once.
        let mut certificates = Certificates::of(&config, state_dir::link_certificates(state_dir.path()));
        if let Some((certificates, good)) = certificates.as_mut().zip(good) {
            certificates.resume(good);
        }
        // The worker that runs is of the old binary: the next one takes over from it.
        worker.stop(now);
        log.info(
            format_args!("replaced in place, keeping {} sessions", sessions.live()),
            &[
                ("node.id", &saved.node_id),
                ("boot.id", &saved.boot_id),
                ("version", &env!("CARGO_PKG_VERSION")),
            ],
        );
        let keeper = Self {
            log,
            executable: path(saved.executable),
            state_dir,
            node_id: saved.node_id,
            boot_id: saved.boot_id,
            sockets,
            users,
            owner,
            secrets,
            certificates,
            lang: super::environment::host_lang(),
            scripts,
            limits,
            tasks: TaskCount::default(),
            cgroups: saved.cgroup.map(|base| Cgroups::resume(path(base), cgroup_lock)),
            oom_score: if saved.oom_protected { limits::protect_from_oom() } else { None },
            null,
            signals,
            buffer: vec![0; MAX_PACKET_BYTES],
            sessions,
            worker,
            reexec: Reexec::Idle,
            shutdown: None,
            settle_at: 0,
            housekeeping_at: now,
            certificates_at: now,
            held_back: Vec::new(),
            config,
        };
        keeper.begin();
        Ok(keeper)
    }

    /// What a keeper does however it begins, and goes on without where it fails.
    fn begin(&self) {
        for told in [self.state_dir.write_pid(), self.state_dir.write_settings(&settings())] {
            if let Err(error) = told {
                // A full disk, most likely. Neither file is needed for any session.
                self.log.error("others are not told of this keeper", &[("error", &chain(&error))]);
            }
        }
        // What sessions leave behind is to stay among our descendants where no control group holds it together.
        if self.cgroups.is_none() && prctl::set_child_subreaper(true).is_err() {
            self.log.warn("what leaves its session will not be ended with it", &[]);
        }
    }

    /// Starts a worker, or says when the next attempt is.
    pub(super) fn start_worker(&mut self, now: Millis) {
        if let Some(Err(error)) = self.certificates.as_mut().map(Certificates::load) {
            self.log.error(
                "the link's certificates are bad; the worker gets the last good ones",
                &[("error", &chain(&error))],
            );
        }
        self.listen_for_metrics_again();
        match self.try_start_worker() {
            Ok((pid, socket)) => {
                self.log.info("the worker is started", &[("worker.pid", &pid)]);
                self.worker.started(pid, socket, now);
            }
            Err(error) => {
                let delay = self.worker.not_started(now);
                self.log.error(
                    "the worker cannot be started",
                    &[("error", &chain(&error)), ("restart_in_ms", &delay)],
                );
            }
        }
    }

    /// A keeper of an earlier release had its worker listen for metrics itself, whose place is free once that is gone.
    fn listen_for_metrics_again(&mut self) {
        if let Some(address) = self.config.metrics_listen
            && self.sockets.metrics.is_none()
        {
            match sockets::listen_for_metrics(address) {
                Ok(metrics) => self.sockets.metrics = Some(metrics),
                Err(error) => self.log.error("there are no metrics", &[("error", &chain(&error))]),
            }
        }
    }

    fn try_start_worker(&self) -> Result<(Pid, OwnedFd), WorkerError> {
        let os = |what| move |source| WorkerError::Os { what, source };
        let contents = self.certificates.iter().flat_map(Certificates::contents);
        let files = [(Descriptor::LinkSecrets, &self.secrets[..])]
            .into_iter()
            .chain(contents)
            .map(|(descriptor, content)| Ok((descriptor, key_file(content)?)))
            .collect::<io::Result<Vec<_>>>()
            .map_err(WorkerError::Keys)?;
        // Not what lies at our path by now: a worker of another release may not fit the sessions' memory, which is checked
        // when we are replaced ourselves.
        let ourselves = Path::new("/proc/self/exe");
        let program = self.config.worker_program.as_deref().unwrap_or(ourselves);
        // Opened by us: the worker's user may not be able to reach its path.
        let binary = File::open(program).map_err(WorkerError::Open)?;
        let (socket, theirs) = socket::pair().map_err(os("socketpair"))?;
        let files = files.iter().map(|(descriptor, file)| (*descriptor, file.as_fd()));
        let (kinds, descriptors): (Vec<Descriptor>, Vec<BorrowedFd<'_>>) =
            self.own_descriptors().into_iter().chain(files).unzip();
        let welcome = ToWorker::Welcome(Box::new(Welcome {
            node_id: self.node_id,
            boot_id: self.boot_id,
            sessions: u32::try_from(self.sessions.adoptable()).unwrap_or(u32::MAX),
            capacity: self.capacity(),
            ring_bytes: self.ring_bytes(),
            link_uid: self.users.link.as_ref().map(|account| account.uid),
            descriptors: kinds,
        }));
        // Into the empty buffer of a socket nobody reads yet: whether it can be sent is known before a worker exists.
        socket::send(socket.as_fd(), &welcome, &descriptors)?;
        let arguments =
            [OsStr::new("ptyd")].into_iter().chain(self.config.worker_argument.iter().map(OsStr::new));
        let arguments: Vec<CString> =
            arguments.filter_map(|text| CString::new(text.as_bytes()).ok()).collect();
        let environment = [format!("PTYD_LOG={}", self.config.log), WORKER_PATH.to_owned()];
        let environment: Vec<CString> =
            environment.into_iter().filter_map(|text| CString::new(text).ok()).collect();
        let stderr = io::stderr();
        let pid = child::start(&Plan {
            standard: [self.null.as_fd(), stderr.as_fd(), stderr.as_fd()],
            terminal: false,
            extra: Some(theirs.as_fd()),
            second: None,
            report: None,
            cgroup: None,
            oom_score: self.oom_score,
            limits: &[limits::NO_CORE],
            confined: true,
            identity: self.users.by_root.then(|| self.users.worker.identity()),
            home: Some(c"/"),
            directory: None,
            program: Program::Open(binary.as_fd(), &arguments),
            environment: &environment,
        })
        .map_err(os("fork"))?;
        Ok((pid, socket))
    }
}

/// Without scripts sessions lack the marks of their shells, and nothing else.
fn scripts(state_dir: &StateDir, log: Log) -> Option<Scripts> {
    let put = Scripts::put(state_dir);
    if let Err(error) = &put {
        log.error("shells are started without integration", &[("error", &chain(error))]);
    }
    put.ok()
}

fn session(saved: SavedSession, inherited: &mut Inherited) -> Result<(SessionId, Session), SavedError> {
    let session = Session {
        owner: saved.owner,
        pid: Pid::from_raw(saved.pid),
        ring: inherited.take(saved.ring)?,
        script: None,
        master: saved.master.map(|master| inherited.take(master)).transpose()?,
        record: saved.record,
        end: saved.end,
        starting: None,
        kill: saved.kill.map(|(at, rounds)| Kill { at, rounds }),
        process_limit: saved.process_limit,
    };
    Ok((saved.session_id, session))
}

/// The variables this keeper was configured by, as proc_pid_environ(5) would show them if it could be looked into.
fn settings() -> Vec<u8> {
    let ours = std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"PTYD_"));
    ours.flat_map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat()).collect()
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}
