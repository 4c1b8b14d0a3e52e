//! The private directory of one stack: who may read what, and free ports. Must not know what runs in it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, chown};
use tempfile::TempDir;

use super::{binaries, users};
use crate::Random;

/// Programs that the suites run in sessions, written into [`Place::work`].
const PROGRAMS: [(&str, &str); 3] = [
    ("flood.pl", include_str!("../../programs/flood.pl")),
    ("trickle.pl", include_str!("../../programs/trickle.pl")),
    ("probe.pl", include_str!("../../programs/probe.pl")),
];

/// The directory of a stack.
pub struct Place {
    root: TempDir,
    /// Who runs the api; none: nobody but the test's own user.
    pub api_user: Option<User>,
    /// Who runs the shells.
    pub shell_user: Option<User>,
}

impl Place {
    /// Makes the directory with the binaries in it; unprivileged users can pass through and reach their own parts.
    pub fn make() -> Self {
        // Not the user's TMPDIR: its parents may be closed to the unprivileged users.
        let root =
            tempfile::Builder::new().prefix("devpocket-").tempdir_in("/tmp").expect("a temporary directory");
        mode(root.path(), 0o711);
        let (api_user, shell_user) = if users::is_root() {
            users::ensure(users::WORKER);
            (Some(users::ensure(users::API)), Some(users::ensure(users::SHELL)))
        } else {
            (None, None)
        };
        let place = Self { root, api_user, shell_user };
        for (name, bits) in [("bin", 0o755), ("run", 0o755), ("log", 0o700), ("keys", 0o700)] {
            place.directory(name, bits, None);
        }
        place.directory("api", 0o700, place.api_user.as_ref());
        place.directory("work", 0o755, place.shell_user.as_ref());
        binaries::bring(&place.path("bin"));
        for (name, text) in PROGRAMS {
            let path = place.work(name);
            fs::write(&path, text).expect("a program can be written");
            mode(&path, 0o755);
        }
        place
    }

    /// A path in the stack's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A path in the directory that belongs to the shells.
    pub fn work(&self, name: &str) -> PathBuf {
        self.path("work").join(name)
    }

    /// Makes a directory for `owner`.
    pub fn directory(&self, name: &str, bits: u32, owner: Option<&User>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("a directory");
        mode(&path, bits);
        give(&path, owner);
        path
    }

    /// Writes a file that the shells may read.
    pub fn write_work(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.work(name);
        fs::write(&path, content).expect("a file can be written");
        mode(&path, 0o644);
        path
    }

    /// Copies a private file for another user.
    pub fn hand_over(&self, from: &Path, to: &Path, owner: Option<&User>) {
        fs::copy(from, to).unwrap_or_else(|err| panic!("{}: {err}", from.display()));
        mode(to, 0o600);
        give(to, owner);
    }
}

/// A loopback address whose port nobody has now, for TCP and UDP.
///
/// Outside the range the kernel picks from: a client that dials a dead server on a port of that range may be connected
/// to itself, and a restarted server may find its port taken.
pub fn free_address() -> SocketAddr {
    let mut random = Random::new(uuid::Uuid::new_v4().as_u64_pair().0);
    loop {
        let port = u16::try_from(random.between(10_000, 32_000)).expect("a port");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

pub(super) fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("a mode can be set");
}

pub(super) fn give(path: &Path, owner: Option<&User>) {
    if let Some(user) = owner {
        chown(path, Some(user.uid), Some(user.gid)).expect("an owner can be set");
    }
}
