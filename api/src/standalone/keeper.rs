//! ptyd as the supervisor sees it: whether one answers, starting one, taking one back, ending it. Knows nothing of the
//! link's frames.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::layout::Layout;
use super::ptyd_log;
use super::settings::Settings;
use super::users::{self, Users};
use super::{Ends, signal_process};

/// How long ptyd has to listen.
const START_LIMIT: Duration = Duration::from_secs(15);
/// How long ptyd has to end: sessions are killed 5 s after they were asked, then it goes itself.
const END_LIMIT: Duration = Duration::from_secs(15);
/// How often it is looked at while it starts.
const LOOK: Duration = Duration::from_millis(20);

/// Variables a keeper needs from outside: it gives a session its language and time zone, and nothing else of it.
const PASSED_ON: [&str; 6] = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HOME"];

/// ptyd does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Its binary is not where ours is.
    #[error("its program is not there: {}", path.display())]
    NoProgram {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file of it cannot be used.
    #[error("{}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A variable of its own is wrong.
    #[error("it refuses its settings:\n{said}")]
    Config {
        /// What it said.
        said: String,
    },
    /// It ended instead of listening.
    #[error("it ended at once ({status}) and said:\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it logged.
        log: String,
    },
    /// It does not listen.
    #[error("it does not listen after {START_LIMIT:?} and said:\n{log}")]
    Silent {
        /// What it logged.
        log: String,
    },
}

/// A keeper that listens.
#[derive(Debug)]
pub(super) struct Keeper {
    pid: u32,
    life: Life,
    /// How it was configured when it started, as far as is known.
    told: Option<Settings>,
    /// How it would have been configured just now.
    wanted: Settings,
}

/// How the end of a keeper is seen.
#[derive(Debug)]
enum Life {
    /// It was started here.
    Ours(Child),
    /// It was there before; cancelled when it has ended.
    Anothers(CancellationToken),
}

impl Keeper {
    /// Takes back the keeper that answers on the directory's socket, or starts one.
    pub(super) async fn adopt_or_start(layout: &Layout, users: Option<&Users>) -> Result<Self, KeeperError> {
        let path = program()?;
        let wanted = Settings::of(environment(layout, users));
        match running(&layout.socket()).await {
            Some((pid, life)) => {
                // Before it may become another version, which says the same.
                let told = Settings::told(&layout.ptyd());
                info!("ptyd {pid} is running already");
                if may_be_older(pid, &path) {
                    // It tries the new program first, and replaces itself without losing a session.
                    info!("asking ptyd {pid} to become the present version");
                    signal_process(pid, Signal::SIGHUP);
                }
                Ok(Self { pid, life, told, wanted })
            }
            None => {
                let (pid, life) = start(&path, layout, users).await?;
                Ok(Self { pid, life, told: Some(wanted.clone()), wanted })
            }
        }
    }

    /// Whom its shells run as, as root.
    pub(super) fn shell_user(&self) -> Option<String> {
        self.told.as_ref().unwrap_or(&self.wanted).shell_user()
    }

    /// The variables that are other now than when it was started.
    pub(super) fn stale_settings(&self) -> Vec<String> {
        self.told.as_ref().map(|told| told.differing(&self.wanted)).unwrap_or_default()
    }

    /// Whether this supervisor started it.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.life, Life::Ours(_))
    }

    /// Ends it and every session, and waits until it is gone. Asked again meanwhile, it ends without waiting for sessions.
    pub(super) async fn end(&mut self, ends: &mut Ends) {
        signal_process(self.pid, Signal::SIGTERM);
        let pid = self.pid;
        let gone = timeout(END_LIMIT, async {
            loop {
                tokio::select! {
                    () = self.gone() => return,
                    () = ends.asked() => signal_process(pid, Signal::SIGTERM),
                }
            }
        });
        if gone.await.is_err() {
            warn!("ptyd {pid} has not ended after {END_LIMIT:?}");
        }
    }

    /// Waits until its process is gone. Cancel-safe.
    pub(super) async fn gone(&mut self) {
        let seen = match &mut self.life {
            Life::Ours(child) => child.wait().await.map(drop),
            Life::Anothers(ended) => {
                ended.cancelled().await;
                Ok(())
            }
        };
        if let Err(err) = seen {
            warn!("ptyd {} cannot be waited for: {err}", self.pid);
        }
    }
}

async fn start(path: &Path, layout: &Layout, users: Option<&Users>) -> Result<(u32, Life), KeeperError> {
    let log_path = layout.ptyd_log();
    let file = |source| KeeperError::File { path: log_path.clone(), source };
    let (log, from) = ptyd_log::open(&log_path).map_err(file)?;
    let ourselves = std::env::current_exe().map_err(file)?;
    let mut child = Command::new(ourselves)
        .arg("launch-keeper")
        .arg(path)
        .env_clear()
        .envs(environment(layout, users))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.try_clone().map_err(file)?))
        .stderr(Stdio::from(log))
        .spawn()
        .map_err(|source| KeeperError::File { path: path.to_owned(), source })?;
    let listens = timeout(START_LIMIT, async {
        let mut looks = interval(LOOK);
        loop {
            looks.tick().await;
            if let Some(found) = running(&layout.socket()).await {
                return Ok(found);
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(KeeperError::Ended { status, log: ptyd_log::quote(&log_path, from) });
            }
        }
    });
    match listens.await {
        Ok(Ok((pid, _))) if child.id() == Some(pid) => {
            info!("started ptyd {pid}");
            Ok((pid, Life::Ours(child)))
        }
        // Another's, should two have raced: ours ends by itself, refused by the directory's lock.
        Ok(Ok(another)) => Ok(another),
        Ok(Err(err)) => Err(err),
        Err(_) => {
            if let Some(pid) = child.id() {
                signal_process(pid, Signal::SIGTERM);
            }
            Err(KeeperError::Silent { log: ptyd_log::quote(&log_path, from) })
        }
    }
}

/// The keeper behind a socket; none if nobody answers, or somebody who is neither us nor root.
///
/// A worker that has not noticed its keeper's death yet holds the socket, under the name of the dead one: that is waited for.
async fn running(socket: &Path) -> Option<(u32, Life)> {
    let looking = async {
        let mut looks = interval(LOOK);
        loop {
            looks.tick().await;
            let pid = answering(socket).await?;
            if let Some(ended) = watch(pid) {
                return Some((pid, Life::Anothers(ended)));
            }
        }
    };
    timeout(START_LIMIT, looking).await.ok().flatten()
}

/// The process id of who listens on a socket.
async fn answering(socket: &Path) -> Option<u32> {
    let listener = UnixStream::connect(socket).await.ok()?.peer_cred().ok()?;
    let trusted = listener.uid() == 0 || listener.uid() == Uid::effective().as_raw();
    u32::try_from(listener.pid()?).ok().filter(|pid| trusted && *pid > 1)
}

/// Watches a process that lives, which need not be a child. On a thread of its own: it may take for ever, and a runtime
/// would wait for it.
fn watch(pid: u32) -> Option<CancellationToken> {
    let process = pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()?;
    if !runs(pid) {
        // Dead and not reaped: that has a descriptor too.
        return None;
    }
    let ended = CancellationToken::new();
    let told = ended.clone();
    std::thread::spawn(move || {
        // Readable once the process has ended (pidfd_open(2)).
        let mut wanted = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        while poll(&mut wanted, PollTimeout::NONE) == Err(Errno::EINTR) {}
        told.cancel();
    });
    Some(ended)
}

/// Whether a process runs another program file than the one at `path`. A keeper of our own user hides that from us: then
/// it may, and replacing it by itself costs nothing.
fn may_be_older(pid: u32, path: &Path) -> bool {
    match (fs::metadata(format!("/proc/{pid}/exe")), fs::metadata(path)) {
        (Ok(running), Ok(present)) => (running.dev(), running.ino()) != (present.dev(), present.ino()),
        _ => true,
    }
}

/// Whether a process is there and no zombie.
fn runs(pid: u32) -> bool {
    // pid (name) state: the name may hold anything, but the last parenthesis is its end (proc_pid_stat(5)).
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

fn program() -> Result<PathBuf, KeeperError> {
    let ourselves =
        std::env::current_exe().map_err(|source| KeeperError::File { path: "devpocket".into(), source })?;
    let path = ourselves.with_file_name("ptyd");
    if path.is_file() { Ok(path) } else { Err(KeeperError::NoProgram { path }) }
}

/// Has ptyd read what the operator said to it, before anything is made.
pub(super) async fn check_config() -> Result<(), KeeperError> {
    let path = program()?;
    let mut asked = Command::new(&path);
    asked.arg("--check-config").env_clear().envs(said_by_operator()).current_dir("/").stdin(Stdio::null());
    let answer = asked.output().await.map_err(|source| KeeperError::File { path, source })?;
    if answer.status.success() {
        return Ok(());
    }
    Err(KeeperError::Config { said: String::from_utf8_lossy(&answer.stderr).trim().to_owned() })
}

fn said_by_operator() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        name.to_str().is_some_and(|name| PASSED_ON.contains(&name) || name.starts_with("PTYD_"))
    })
}

/// A keeper's environment: what the operator said to it, and nothing else of ours.
fn environment(layout: &Layout, users: Option<&Users>) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = said_by_operator().collect();
    let mut set = |name: &str, value: OsString| {
        all.retain(|(held, _)| held != name);
        all.push((name.into(), value));
    };
    set("PTYD_STATE_DIR", layout.ptyd().into());
    set("PTYD_SOCKET", layout.socket().into());
    set("PTYD_LINK_CERT_DIR", layout.link().into());
    if let Some(users) = users {
        set("PTYD_SHELL_USER", users.shell.clone().into());
        set("PTYD_WORKER_USER", users::WORKER.into());
        set("PTYD_LINK_USER", users::API.into());
    }
    all
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn layout(dir: &tempfile::TempDir) -> Layout {
        Layout::prepare(Some(dir.path()), None, &|_| {}).unwrap()
    }

    #[tokio::test]
    async fn who_listens_is_who_answers() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("ptyd.sock");
        assert_eq!(answering(&socket).await, None);
        let listener = UnixListener::bind(&socket).unwrap();
        assert_eq!(answering(&socket).await, Some(std::process::id()));
        drop(listener);
        assert_eq!(answering(&socket).await, None, "a socket nobody listens on is left over");
    }

    #[tokio::test]
    async fn the_end_of_a_keeper_that_was_there_before_is_seen() {
        // Not tokio's: that one reaps by itself.
        let mut child = std::process::Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let (life, wanted) = (Life::Anothers(watch(child.id()).unwrap()), Settings::of([]));
        let mut keeper = Keeper { pid: child.id(), life, told: None, wanted };
        assert!(timeout(Duration::from_millis(50), keeper.gone()).await.is_err(), "it lives");
        drop(child.stdin.take());
        timeout(START_LIMIT, keeper.gone()).await.expect("its end is seen");
        assert!(watch(child.id()).is_none(), "a zombie is nobody");
        child.wait().unwrap();
        assert!(watch(child.id()).is_none());
    }

    #[test]
    fn a_process_runs_the_file_it_was_started_from_and_no_other() {
        let ourselves = std::env::current_exe().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let rebuilt = dir.path().join("ptyd");
        fs::copy(&ourselves, &rebuilt).unwrap();
        assert!(!may_be_older(std::process::id(), &ourselves));
        assert!(may_be_older(std::process::id(), &rebuilt));
        assert!(may_be_older(u32::MAX, &ourselves), "one that cannot be seen");
    }

    #[tokio::test]
    async fn a_zombie_is_gone() {
        assert!(runs(std::process::id()));
        // Not tokio's: that one reaps by itself.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        timeout(START_LIMIT, async {
            let mut looks = interval(LOOK);
            while runs(child.id()) {
                looks.tick().await;
            }
        })
        .await
        .expect("a zombie counts as gone before it is waited for");
        child.wait().unwrap();
        assert!(!runs(child.id()));
    }

    #[test]
    fn a_keeper_learns_nothing_it_does_not_need() {
        let dir = tempfile::tempdir().unwrap();
        let environment = environment(&layout(&dir), None);
        let hidden = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO"));
        assert!(hidden.count() > 0, "there is something to hide");
        for (name, _) in &environment {
            let name = name.to_string_lossy();
            assert!(PASSED_ON.contains(&&*name) || name.starts_with("PTYD_"), "{name}");
        }
        let socket = environment.iter().filter(|(name, _)| name == "PTYD_SOCKET").collect::<Vec<_>>();
        assert_eq!(socket, [&("PTYD_SOCKET".into(), dir.path().join("run/ptyd.sock").into())]);
    }
}
