//! What lies where in the data directory, and whose it is. Knows nothing of what is in the files.
//!
//! As root everything is root's but `api/`, which is the api's user's: whoever takes over the api must not reach what
//! root's keeper trusts. Therefore the directory itself is only passable for others (0711), not theirs.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, chown};

use super::users::Users;
use crate::config::DEFAULT_DATA_DIR;

/// Where a root that was started somewhere private keeps its data.
const SYSTEM_DIRECTORY: &str = "/var/lib/devpocket";

/// A data directory, prepared.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A directory cannot be made or opened.
    #[error("{}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It was made by another user, who could put anything there.
    #[error("{} belongs to the user {owner}, but should belong to {wanted}; start as that user or choose another directory", path.display())]
    ForeignOwner {
        /// Which directory.
        path: PathBuf,
        /// Whose it is, by uid.
        owner: u32,
        /// Whose it should be, by uid.
        wanted: u32,
    },
    /// As root: the api, which gives root up, would not come there.
    #[error("{} cannot be reached by the user {user}, as which the api runs; open the directories above it to that user, or choose another directory", path.display())]
    Unreachable {
        /// The directory.
        path: PathBuf,
        /// Who cannot.
        user: String,
    },
    /// Somebody else is at work there.
    #[error("another devpocket standalone uses {}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

impl Layout {
    /// Makes what is missing under the directory that was asked for. As root, the default one is left alone where the
    /// api's user cannot reach it, and the system's directory used instead.
    pub(super) fn prepare(
        asked: Option<&Path>,
        users: Option<&Users>,
        say: &dyn Fn(&str),
    ) -> Result<Self, LayoutError> {
        let wanted = asked.unwrap_or(Path::new(DEFAULT_DATA_DIR));
        let wanted = std::path::absolute(wanted).map_err(|source| file_error(wanted, source))?;
        let root = match users {
            Some(users) if !passable(&wanted, &users.api) => {
                let user = users.api.name.clone();
                if asked.is_some() {
                    return Err(LayoutError::Unreachable { path: wanted, user });
                }
                let path = wanted.display();
                say(&format!(
                    "{path} cannot be reached by the user {user}, as which the api runs: using {SYSTEM_DIRECTORY} instead."
                ));
                PathBuf::from(SYSTEM_DIRECTORY)
            }
            _ => wanted,
        };
        let layout = Self { root };
        let ours = Uid::effective();
        let passable_mode = if users.is_some() { 0o711 } else { 0o700 };
        make(&layout.root, passable_mode, ours)?;
        make(&layout.run(), passable_mode, ours)?;
        make(&layout.link(), 0o700, ours)?;
        make(&layout.log(), 0o700, ours)?;
        make(&layout.ptyd(), 0o700, ours)?;
        make(&layout.api(), 0o700, users.map_or(ours, |users| users.api.uid))?;
        Ok(layout)
    }

    /// The layout of a directory that the supervisor has prepared.
    pub(super) fn prepared(root: PathBuf) -> Self {
        Self { root }
    }

    /// Holds the directory against a second supervisor until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, LayoutError> {
        let path = self.run().join("standalone.lock");
        // 0600: whoever can open it can lock it.
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|source| file_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LayoutError::InUse { path: self.root.clone() }),
            Err(TryLockError::Error(source)) => Err(file_error(&path, source)),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The api's own: database and token secret.
    pub(super) fn api(&self) -> PathBuf {
        self.root.join("api")
    }

    /// Certificates of the link.
    pub(super) fn link(&self) -> PathBuf {
        self.root.join("link")
    }

    fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// What ptyd logs.
    pub(super) fn ptyd_log(&self) -> PathBuf {
        self.log().join("ptyd.log")
    }

    /// State of ptyd.
    pub(super) fn ptyd(&self) -> PathBuf {
        self.root.join("ptyd")
    }

    fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Where ptyd listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.run().join("ptyd.sock")
    }
}

/// Makes `path` with this mode and owner; one that is there must be that owner's.
fn make(path: &Path, mode: u32, owner: Uid) -> Result<(), LayoutError> {
    let file = |source| file_error(path, source);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(file)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => chown(path, Some(owner), None).map_err(|errno| file(errno.into()))?,
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
        Err(err) => return Err(file(err)),
    }
    let found = fs::metadata(path).map_err(file)?;
    if !found.is_dir() {
        return Err(file(io::ErrorKind::NotADirectory.into()));
    }
    if found.uid() != owner.as_raw() {
        return Err(LayoutError::ForeignOwner {
            path: path.to_owned(),
            owner: found.uid(),
            wanted: owner.as_raw(),
        });
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(file)
}

/// Whether `user` may pass every directory above `path` that is there already.
fn passable(path: &Path, user: &User) -> bool {
    path.ancestors().skip(1).filter_map(|above| fs::metadata(above).ok()).all(|above| {
        let bits = match (above.uid() == user.uid.as_raw(), above.gid() == user.gid.as_raw()) {
            (true, _) => above.mode() >> 6,
            (false, true) => above.mode() >> 3,
            (false, false) => above.mode(),
        };
        bits & 1 == 1
    })
}

fn file_error(path: &Path, source: io::Error) -> LayoutError {
    LayoutError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(_: &str) {}

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_fresh_directory_is_private_and_a_second_start_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let layout = Layout::prepare(Some(&dir.path().join("deep/data")), None, &silent).unwrap();
            let all = [
                layout.root().to_owned(),
                layout.api(),
                layout.link(),
                layout.log(),
                layout.ptyd(),
                layout.run(),
            ];
            for path in all {
                assert_eq!(mode(&path), 0o700, "{}", path.display());
            }
        }
    }

    #[test]
    fn a_directory_is_used_by_one_supervisor_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(Some(dir.path()), None, &silent).unwrap();
        let held = layout.lock().unwrap();
        assert!(matches!(layout.lock(), Err(LayoutError::InUse { .. })));
        drop(held);
        layout.lock().unwrap();
    }

    #[test]
    fn what_is_no_directory_is_said() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("data"), "").unwrap();
        let refused = Layout::prepare(Some(&dir.path().join("data")), None, &silent);
        assert!(matches!(refused, Err(LayoutError::File { .. })), "{refused:?}");
    }

    #[test]
    fn a_directory_that_was_asked_for_is_never_replaced_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let nobody = nix::unistd::Gid::from_raw(4_000_000);
        let ours = User::from_uid(Uid::current()).unwrap().unwrap();
        let users = Users {
            api: User { uid: Uid::from_raw(4_000_000), gid: nobody, ..ours },
            shell: "devpocket-shell".to_owned(),
        };
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let refused = Layout::prepare(Some(&dir.path().join("data")), Some(&users), &silent);
        assert!(matches!(refused, Err(LayoutError::Unreachable { .. })), "{refused:?}");
        assert!(!dir.path().join("data").exists());
    }

    #[test]
    fn a_user_passes_where_the_bits_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let stranger =
            User { uid: Uid::from_raw(4_000_000), ..User::from_uid(Uid::current()).unwrap().unwrap() };
        let stranger = User { gid: nix::unistd::Gid::from_raw(4_000_000), ..stranger };
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(passable(&path, &stranger));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o710)).unwrap();
        assert!(!passable(&path, &stranger));
        assert!(passable(&path, &User::from_uid(Uid::current()).unwrap().unwrap()));
    }
}
