//! The worker's sockets, bound before any worker runs and handed to each, so that connections wait for the next one; and
//! how keys go with them. Knows nothing of what is said on them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::stat::{Mode, SFlag, fstat, umask};
use nix::unistd::{Uid, fchownat};

use super::users::Account;

/// Receive and send buffer asked for on the UDP socket, in bytes: room for a window while the worker is replaced.
const UDP_BUFFER_BYTES: usize = 2 << 20;

/// A socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there.
    #[error("another process listens on {}", .0.display())]
    InUse(PathBuf),
    /// There is something that is no socket.
    #[error("{} exists and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// The link's user could not reach the socket.
    #[error(
        "PTYD_SOCKET must be outside of PTYD_STATE_DIR when PTYD_LINK_USER is set: nobody else may enter that"
    )]
    Unreachable,
    /// The path cannot be bound.
    #[error("cannot listen on {}", .path.display())]
    Unix { path: PathBuf, source: io::Error },
    /// The address cannot be bound.
    #[error("cannot bind PTYD_LINK_LISTEN {address}")]
    Udp { address: SocketAddr, source: io::Error },
    /// The address cannot be listened on.
    #[error("cannot listen on PTYD_METRICS_LISTEN {address}")]
    Metrics { address: SocketAddr, source: io::Error },
}

/// The worker's bound sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Listens at `path`.
    pub(super) listener: OwnedFd,
    /// Where the listener is, as an absolute path.
    pub(super) path: PathBuf,
    /// For QUIC.
    pub(super) udp: Option<OwnedFd>,
    /// For `/metrics`.
    pub(super) metrics: Option<OwnedFd>,
}

impl Sockets {
    /// Binds them. `link`: who besides root may connect to the listener.
    pub(super) fn bind(
        path: &Path,
        state_dir: &Path,
        link: Option<&Account>,
        udp: Option<SocketAddr>,
        metrics: Option<SocketAddr>,
    ) -> Result<Self, SocketError> {
        let unix = |source| SocketError::Unix { path: path.to_owned(), source };
        let path = std::path::absolute(path).map_err(unix)?;
        let inside =
            path.parent().and_then(|parent| parent.canonicalize().ok()).is_some_and(|p| p == state_dir);
        if link.is_some() && inside {
            return Err(SocketError::Unreachable);
        }
        let udp = udp.map(|address| bind_udp(address).map_err(|source| SocketError::Udp { address, source }));
        let udp = udp.transpose()?;
        let metrics = metrics.map(listen_for_metrics).transpose()?;
        remove_stale(&path)?;
        // Born with mode 0600: there is no moment at which anybody else could connect.
        let former = umask(Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(&path);
        umask(former);
        let listener = bound.map_err(unix)?;
        listener.set_nonblocking(true).map_err(unix)?;
        if let Some(link) = link {
            give(&path, Uid::from_raw(link.uid)).map_err(|errno| unix(errno.into()))?;
        }
        Ok(Self { listener: listener.into(), path, udp, metrics })
    }

    /// Takes the listener's name away: nobody can connect any more.
    pub(super) fn remove(&self) {
        // Already gone is as good.
        let _gone = fs::remove_file(&self.path);
    }
}

/// A file that is nowhere, so that a worker has no path to ours, and what becomes of ours is nothing to it.
pub(super) fn key_file(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"ptyd-keys", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(content)?;
    Ok(file)
}

fn bind_udp(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    // Best effort: the kernel caps both at net.core.{r,w}mem_max.
    let _capped = setsockopt(&socket, sockopt::RcvBuf, &UDP_BUFFER_BYTES);
    let _capped = setsockopt(&socket, sockopt::SndBuf, &UDP_BUFFER_BYTES);
    Ok(socket.into())
}

/// Listens for who asks for metrics.
pub(super) fn listen_for_metrics(address: SocketAddr) -> Result<OwnedFd, SocketError> {
    let listening = TcpListener::bind(address);
    listening.map(OwnedFd::from).map_err(|source| SocketError::Metrics { address, source })
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let unix = |source| SocketError::Unix { path: path.to_owned(), source };
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unix(error)),
    };
    if !kind.is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(unix),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unix(error)),
        Ok(_answers) => Err(SocketError::InUse(path.to_owned())),
    }
}

/// Gives the socket at `path` to `owner`, and never anything else that was put in its place meanwhile.
fn give(path: &Path, owner: Uid) -> Result<(), Errno> {
    let socket = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let kind = SFlag::from_bits_truncate(fstat(&socket)?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFSOCK {
        return Err(Errno::ENOTSOCK);
    }
    fchownat(socket.as_fd(), c"", Some(owner), None, AtFlags::AT_EMPTY_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ptyd.sock");
        let bind = || Sockets::bind(&path, Path::new("/nowhere"), None, None, None);
        drop(bind().unwrap());
        let _second = bind().unwrap();
        assert!(matches!(bind(), Err(SocketError::InUse(_))));
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            Sockets::bind(&path, Path::new("/nowhere"), None, None, None),
            Err(SocketError::NoSocket(_))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
