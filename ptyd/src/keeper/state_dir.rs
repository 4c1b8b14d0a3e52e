//! The state directory: what a node keeps over every boot, and the lock that makes its keeper the only one. Knows
//! nothing of sessions.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use devpocket_shared::ids::{NodeId, UserId};
use nix::libc;
use nix::unistd::geteuid;
use uuid::Uuid;

/// QUIC's reset key, then its connection-id key.
const SECRET_BYTES: usize = 64;
/// The most a file with an id holds, in bytes.
const MAX_ID_BYTES: u64 = 1 << 10;
/// See [`StateDir::link_secrets`].
pub(super) type Secrets = [u8; SECRET_BYTES];

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another keeper holds it.
    #[error("another keeper runs on {}", .0.display())]
    Taken(PathBuf),
    /// It is somebody else's.
    #[error("{} belongs to user {owner}, not to {wanted}, as whom ptyd runs", .path.display())]
    Foreign { path: PathBuf, owner: u32, wanted: u32 },
    /// Others could put files of theirs there.
    #[error("others may write to {}: ptyd keeps and believes nothing there (chmod go-w)", .0.display())]
    Writable(PathBuf),
    /// It is used for something else, and ptyd closes its directory to everybody else.
    #[error("{} is not empty and holds no node: PTYD_STATE_DIR must be a directory of its own", .0.display())]
    NotOurs(PathBuf),
    /// Something in it cannot be read or written.
    #[error("cannot use {} in the state directory", .path.display())]
    Io { path: PathBuf, source: io::Error },
    /// A file in it does not hold what it should.
    #[error("{} does not hold {what}", .path.display())]
    Damaged { path: PathBuf, what: &'static str },
}

/// An open and locked state directory.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    lock: OwnedFd,
}

impl StateDir {
    /// Opens `path` for this keeper alone; makes it if it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, StateDirError> {
        let io = |source| StateDirError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        only_ours_to_write(path)?;
        if !holds_nothing_else(path).map_err(io)? {
            return Err(StateDirError::NotOurs(path.to_owned()));
        }
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io)?;
        let path = path.canonicalize().map_err(io)?;
        let lock_path = path.join("keeper.lock");
        let io = |source| StateDirError::Io { path: lock_path.clone(), source };
        let file = open_private(OpenOptions::new().write(true).create(true), &lock_path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, lock: file.into() }),
            Err(TryLockError::WouldBlock) => Err(StateDirError::Taken(path)),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Goes on with the lock of the keeper that ran in this process before.
    pub(super) fn resume(path: PathBuf, lock: OwnedFd) -> Self {
        Self { path, lock }
    }

    /// Where it is, as an absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What holds the lock as long as it is open anywhere.
    pub(super) fn lock(&self) -> &OwnedFd {
        &self.lock
    }

    /// The node's id; made at the first start.
    pub(super) fn node_id(&self) -> Result<NodeId, StateDirError> {
        if let Some(id) = self.read_id("node_id", "a node id")? {
            return Ok(id);
        }
        let id = NodeId::new(Uuid::new_v4());
        self.write("node_id", 0o600, format!("{id}\n").as_bytes())?;
        Ok(id)
    }

    /// The one account served without a uid range, if there has been one.
    pub(super) fn owner(&self) -> Result<Option<UserId>, StateDirError> {
        self.read_id("owner", "an account's id")
    }

    /// Makes `owner` the one account served.
    pub(super) fn set_owner(&self, owner: UserId) -> Result<(), StateDirError> {
        self.write("owner", 0o600, format!("{owner}\n").as_bytes())
    }

    /// The link's secrets; made at the first start.
    pub(super) fn link_secrets(&self) -> Result<Secrets, StateDirError> {
        let path = self.path.join("link_secrets");
        let io = |source| StateDirError::Io { path: path.clone(), source };
        let mut file = match open_plain(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secrets = fresh_secrets();
                self.write("link_secrets", 0o600, &secrets)?;
                return Ok(secrets);
            }
            Err(error) => return Err(io(error)),
        };
        if file.metadata().map_err(io)?.len() != SECRET_BYTES as u64 {
            return Err(StateDirError::Damaged { path, what: "64 secret bytes" });
        }
        let mut secrets = [0; SECRET_BYTES];
        file.read_exact(&mut secrets).map_err(io)?;
        Ok(secrets)
    }

    /// Says which process keeps this directory.
    pub(super) fn write_pid(&self) -> Result<(), StateDirError> {
        self.write("keeper.pid", 0o644, format!("{}\n", std::process::id()).as_bytes())
    }

    /// Says how that process was configured, for who finds it running and would have started it otherwise.
    pub(super) fn write_settings(&self, settings: &[u8]) -> Result<(), StateDirError> {
        self.write("keeper.settings", 0o600, settings)
    }

    /// Says that no process does.
    pub(super) fn remove_pid(&self) {
        for name in ["keeper.pid", "keeper.settings"] {
            // Nobody may rely on it being gone: a keeper killed by SIGKILL leaves it too. The lock is the truth.
            let _left_behind = fs::remove_file(self.path.join(name));
        }
    }

    /// Makes a directory that everybody may read who is given it, with these files in it, and gives its path.
    pub(super) fn write_shared(&self, name: &str, files: &[(&str, &str)]) -> Result<PathBuf, StateDirError> {
        let path = self.path.join(name);
        let io = |source| StateDirError::Io { path: path.clone(), source };
        DirBuilder::new().recursive(true).create(&path).map_err(io)?;
        only_ours_to_write(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(io)?;
        for (file, content) in files {
            replace(&path.join(file), 0o644, content.as_bytes())?;
        }
        Ok(path)
    }

    fn read_id<T: FromStr>(&self, name: &str, what: &'static str) -> Result<Option<T>, StateDirError> {
        let path = self.path.join(name);
        match read_text(&path) {
            Ok(text) => match text.trim().parse() {
                Ok(id) => Ok(Some(id)),
                Err(_) => Err(StateDirError::Damaged { path, what }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateDirError::Io { path, source }),
        }
    }

    fn write(&self, name: &str, mode: u32, content: &[u8]) -> Result<(), StateDirError> {
        replace(&self.path.join(name), mode, content)
    }
}

/// Replaces a file as a whole: whoever reads it sees the old or the new content.
fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), StateDirError> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let new = path.with_file_name(name);
    let written = (|| {
        let mut file = open_private(OpenOptions::new().write(true).create(true).truncate(true), &new)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    written.map_err(|source| StateDirError::Io { path: path.to_owned(), source })
}

/// Says what is wrong with a directory that holds what ptyd believes, if others could put something there.
pub(super) fn only_ours_to_write(path: &Path) -> Result<(), StateDirError> {
    let metadata =
        fs::metadata(path).map_err(|source| StateDirError::Io { path: path.to_owned(), source })?;
    let (owner, wanted) = (metadata.uid(), geteuid().as_raw());
    // What is root's, root could do anyway.
    if owner != wanted && owner != 0 {
        return Err(StateDirError::Foreign { path: path.to_owned(), owner, wanted });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(StateDirError::Writable(path.to_owned()));
    }
    Ok(())
}

/// Whether a directory is a node's, or can become one: a first start may have come to its end anywhere.
fn holds_nothing_else(path: &Path) -> io::Result<bool> {
    const BEFORE_THE_ID: [&str; 4] = ["keeper.lock", ".node_id.new", "link", "lost+found"];
    if path.join("node_id").exists() {
        return Ok(true);
    }
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if !BEFORE_THE_ID.iter().any(|ours| name == *ours) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where in the state directory at `path` the link's certificates are that ptyd makes for itself.
pub(super) fn link_certificates(path: &Path) -> PathBuf {
    path.join("link")
}

/// Secrets that nobody had before.
#[expect(clippy::expect_used, reason = "the kernel's generator is long since seeded when any service starts")]
pub(super) fn fresh_secrets() -> Secrets {
    let mut secrets = [0; SECRET_BYTES];
    getrandom::fill(&mut secrets).expect("random bytes");
    secrets
}

/// Reads what is as long as an id, and no more of what is longer.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_plain(path)?.take(MAX_ID_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Opens what is a plain file: to open a pipe waits for whoever writes to it, and every session with us.
fn open_plain(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no plain file")) }
}

fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_secrets_stay_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/state");
        let state = StateDir::open(&path).unwrap();
        let (node, secrets) = (state.node_id().unwrap(), state.link_secrets().unwrap());
        drop(state);
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.node_id().unwrap(), node);
        assert_eq!(state.link_secrets().unwrap(), secrets);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("link_secrets")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_second_keeper_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = StateDir::open(dir.path()).unwrap();
        assert!(matches!(StateDir::open(dir.path()), Err(StateDirError::Taken(_))));
    }

    /// `PTYD_STATE_DIR=/tmp` once closed /tmp to everybody.
    #[test]
    fn a_directory_that_is_used_otherwise_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        let refused = |with_mode: u32| {
            mode(with_mode);
            let error = StateDir::open(dir.path()).unwrap_err();
            assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o7777, with_mode);
            error
        };
        assert!(matches!(refused(0o1777), StateDirError::Writable(_)));
        assert!(matches!(refused(0o770), StateDirError::Writable(_)));
        fs::write(dir.path().join("somebody's"), "").unwrap();
        assert!(matches!(refused(0o755), StateDirError::NotOurs(_)));
        fs::rename(dir.path().join("somebody's"), dir.path().join("lost+found")).unwrap();
        StateDir::open(dir.path()).unwrap().node_id().unwrap();
        fs::write(dir.path().join("a note"), "").unwrap();
        StateDir::open(dir.path()).unwrap();
    }

    #[test]
    fn damage_is_said_and_not_papered_over() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        fs::write(dir.path().join("node_id"), "zero").unwrap();
        fs::write(dir.path().join("link_secrets"), "short").unwrap();
        assert!(matches!(state.node_id(), Err(StateDirError::Damaged { .. })));
        assert!(matches!(state.link_secrets(), Err(StateDirError::Damaged { .. })));
    }
}
