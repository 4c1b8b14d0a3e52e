//! A keeper in a directory of its own, ended with the test; knows nothing of what tests ask it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use crate::worker::Worker;

/// Nothing takes that long, not even on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// As whom shells run when the tests run as root.
pub const SHELL_USER: &str = "devpocket-shell";
const WORKER_USER: &str = "devpocket-worker";

pub struct Node {
    dir: TempDir,
    keeper: Child,
    control: UnixListener,
}

impl Node {
    /// Starts a keeper.
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Starts a keeper with more flags, or as somebody else.
    pub fn start_with(more: impl FnOnce(&mut Command)) -> Self {
        let node = Self::spawn(more);
        let pid_file = node.state_dir().join("keeper.pid");
        node.wait_until("the keeper listens", || {
            fs::read_to_string(&pid_file).is_ok_and(|text| text.trim() == node.pid().to_string())
        });
        node
    }

    /// As [`Node::start_with`], for a keeper that serves once it has logged `said`.
    pub fn start_waiting_for(said: &str, more: impl FnOnce(&mut Command)) -> Self {
        let node = Self::spawn(more);
        node.wait_until("the keeper says that it serves", || node.log().contains(said));
        node
    }

    fn wait_until(&self, what: &str, mut reached: impl FnMut() -> bool) {
        wait_until(what, || {
            assert!(kill(self.pid(), None).is_ok() && !self.is_zombie(), "the keeper ended:\n{}", self.log());
            reached()
        });
    }

    fn spawn(more: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The worker's user must find the control socket, and only that: what else is in here is closed to it.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let control = UnixListener::bind(dir.path().join("control.sock")).unwrap();
        fs::set_permissions(dir.path().join("control.sock"), Permissions::from_mode(0o777)).unwrap();
        // Run from a place of its own, so that a test can put another binary there.
        let binary = dir.path().join("ptyd");
        put(Path::new(env!("CARGO_BIN_EXE_ptyd")), &binary);
        let mut command = Self::command(dir.path(), &binary);
        more(&mut command);
        let keeper = command.spawn().unwrap();
        Self { dir, keeper, control }
    }

    /// What starts a keeper in `dir` whose workers come to its control socket.
    pub fn command(dir: &Path, binary: &Path) -> Command {
        if geteuid().is_root() {
            make_user(SHELL_USER, &["--create-home", "--shell", "/bin/bash"]);
            make_user(WORKER_USER, &["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]);
        }
        let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut command = Command::new(binary);
        command.env("SECRET_OF_THE_DAEMON", "hunter2").env("PTYD_LOG", "debug").env_remove("SUDO_USER");
        // By a link, so that a test can put another worker there.
        let worker = dir.join("worker");
        if !worker.exists() {
            symlink(stand_in(), &worker).unwrap();
        }
        command.arg("--state-dir").arg(dir.join("state")).arg("--worker-program").arg(worker);
        command.arg("--worker-argument").arg(dir.join("control.sock"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // A group of its own: signals meant for the test runner are not for it.
        command.process_group(0);
        command
    }

    /// The next worker the keeper starts.
    pub fn worker(&self) -> Worker {
        wait_readable("the keeper starts a worker", &self.control);
        Worker::new(self.control.accept().unwrap().0)
    }

    /// The next worker, with everything handed over to it.
    pub fn serving(&self) -> Worker {
        let mut worker = self.worker();
        worker.take_over();
        worker
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.keeper.id()).unwrap())
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn node_id(&self) -> String {
        fs::read_to_string(self.state_dir().join("node_id")).unwrap().trim().to_owned()
    }

    /// Whether sessions have control groups; where they have none, tests of them prove nothing.
    pub fn has_cgroups(&self) -> bool {
        self.log().contains("\"cgroups\":\"true\"")
    }

    /// The control groups of this node: none, or the one that holds its sessions'.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        cgroups_named(Path::new("/sys/fs/cgroup"), &format!("devpocket-{}", self.node_id()), 4)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the keeper's end.
    pub fn ended(&mut self) -> ExitStatus {
        wait_until("the keeper ends", || self.keeper.try_wait().unwrap().is_some());
        self.keeper.wait().unwrap()
    }

    fn is_zombie(&self) -> bool {
        state_of(self.pid()) == Some('Z')
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The first asks, the second makes it be at once; sessions go with it.
        while let Ok(None) = self.keeper.try_wait() {
            let _ended = kill(self.pid(), Signal::SIGTERM);
            pause();
        }
        // One that was killed leaves its control groups to the next keeper of the node, which never comes.
        if self.state_dir().join("node_id").exists() {
            self.cgroups().iter().for_each(|group| remove_cgroup(group));
        }
        if std::thread::panicking() {
            eprintln!("log of the keeper:\n{}", self.log());
        }
    }
}

/// Makes the keeper an ordinary user's.
pub fn as_shell_user(command: &mut Command) {
    let user = shell_user();
    let dir = Path::new(command.get_program()).parent().unwrap().to_owned();
    chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
}

fn cgroups_named(under: &Path, name: &str, depth: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(under).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories
        .flat_map(|entry| match (entry.file_name() == *name, depth) {
            (true, _) => vec![entry.path()],
            (false, 0) => Vec::new(),
            (false, _) => cgroups_named(&entry.path(), name, depth - 1),
        })
        .collect()
}

/// Kills who is left in a node's control group, and removes it.
fn remove_cgroup(group: &Path) {
    let until = clock() + PATIENCE;
    while group.exists() && clock() < until {
        for session in fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path()) {
            for pid in fs::read_to_string(session.join("cgroup.procs")).unwrap_or_default().lines() {
                let _gone = kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL);
            }
            let _occupied_or_no_group = fs::remove_dir(session);
        }
        let _occupied = fs::remove_dir(group);
        pause();
    }
}

/// Polls a state until it is reached; fails the test with `what` if it never is.
pub fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let until = clock() + PATIENCE;
    while !reached() {
        assert!(clock() < until, "timed out: {what}");
        pause();
    }
}

pub fn wait_readable(what: &str, socket: &impl std::os::fd::AsFd) {
    let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(PATIENCE).unwrap();
    assert_eq!(poll(&mut ready, timeout), Ok(1), "timed out: {what}");
}

pub fn clock() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "real processes keep real time")]
    Instant::now()
}

/// Between two looks at a state.
fn pause() {
    poll(&mut [], PollTimeout::from(10u8)).unwrap();
}

/// The one-letter state of a process, if there is one (proc_pid_stat(5)).
pub fn state_of(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The file a process runs, by its number; the keeper's is not for everybody to see.
pub fn binary_of(pid: Pid) -> Option<u64> {
    match fs::metadata(format!("/proc/{pid}/exe")) {
        Ok(metadata) => Some(metadata.ino()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_root() => None,
        Err(error) => panic!("{error}"),
    }
}

/// Whether a process runs (a zombie does not).
pub fn runs(pid: Pid) -> bool {
    state_of(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

pub fn is_root() -> bool {
    geteuid().is_root()
}

/// As whom shells run in these tests.
pub fn shell_user() -> User {
    if is_root() { User::from_name(SHELL_USER) } else { User::from_uid(geteuid()) }.unwrap().unwrap()
}

/// Replaces a file that may be running.
pub fn put(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    // By another process: were it open for writing here, a test forking meanwhile would keep it so, and nobody could run
    // it.
    assert!(Command::new("cp").arg(from).arg(&new).status().unwrap().success());
    fs::rename(&new, to).unwrap();
}

fn stand_in() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_ptyd")).with_file_name("examples").join("stand_in_worker");
    assert!(path.exists(), "build it first: cargo build -p ptyd --example stand_in_worker");
    path
}

fn make_user(name: &str, arguments: &[&str]) {
    let lock =
        File::options().create(true).append(true).open(std::env::temp_dir().join("ptyd-tests-users.lock"));
    let _one_at_a_time =
        Flock::lock(lock.unwrap(), FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
    if User::from_name(name).unwrap().is_none() {
        let made = Command::new("useradd").args(arguments).arg(name).output();
        let made = made.map_err(|error| io::Error::other(format!("useradd: {error}"))).unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}
