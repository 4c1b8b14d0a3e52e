//! The api as the supervisor's child: gives root up, makes its secret, and serves until it is told to end or the
//! supervisor is gone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode as FileMode, umask};
use nix::unistd::{Uid, dup2_stdin, getppid};
use secrecy::{ExposeSecret, SecretString};

use super::StandaloneArgs;
use super::layout::Layout;
use super::users::{UsersError, become_api_user};
use crate::config::{Config, ConfigError, JwtAlgorithm, Mode, PtydAddress, ServeArgs};
use crate::domain::secret_token::{self, NoRandomness};
use crate::domain::token::KeyList;

/// What the supervisor's child serves with.
#[derive(Debug)]
pub struct ApiChild {
    /// Everything it is told.
    pub config: Config,
    /// Bound by the supervisor.
    pub listener: TcpListener,
}

/// The api could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// Root could not be given up.
    #[error("the api must not run as root")]
    Users(#[from] UsersError),
    /// The supervisor is gone already.
    #[error("the supervisor is gone")]
    Orphan,
    /// The system refused something every Linux does.
    #[error("process set-up")]
    System(#[from] nix::Error),
    /// The listener was not handed over.
    #[error("no listener on stdin")]
    Listener(#[source] io::Error),
    /// The token secret cannot be made or read.
    #[error("{}", path.display())]
    Secret {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system gave no randomness.
    #[error("token secret")]
    Randomness(#[from] NoRandomness),
    /// A variable is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ApiChild {
    /// Becomes the api of the supervisor `parent`, over the directory it prepared. Call it before any thread is started.
    pub fn begin(args: StandaloneArgs, parent: i32, directory: PathBuf) -> Result<Self, ChildError> {
        let listener = take_listener().map_err(ChildError::Listener)?;
        if Uid::effective().is_root() {
            become_api_user()?;
        }
        // A shell may run as the same user; it must not read tokens out of our memory.
        set_dumpable(false)?;
        // After the change of user, which forgets it. SIGKILL, because what ends this way must free the port at once.
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid().as_raw() != parent {
            return Err(ChildError::Orphan);
        }
        umask(FileMode::S_IRWXG | FileMode::S_IRWXO);

        let layout = Layout::prepared(directory);
        let mut args = args.serve;
        args.database.data_dir = Some(layout.api());
        args.ptyd_address = Some(PtydAddress::Unix(layout.socket()));
        find_keys(&mut args, &layout.api())?;
        Ok(Self { config: Config::new(args, Mode::Standalone)?, listener })
    }
}

/// Names the files with the keys of tokens that nobody has named: made if they are to sign, and what was made for the other
/// algorithm, whose tokens are good still.
fn find_keys(args: &mut ServeArgs, directory: &Path) -> Result<(), ChildError> {
    let (secrets, private_keys) = (directory.join("jwt.key"), directory.join("jwt.pem"));
    if args.jwt_secret_key.is_none() && args.jwt_secret_key_file.is_none() {
        if args.jwt_algorithm == JwtAlgorithm::Hs256 {
            make(&secrets, secret_token::random)?;
        }
        args.jwt_secret_key_file = there(secrets)?;
    }
    if args.jwt_private_key_file.is_none() {
        if args.jwt_algorithm == JwtAlgorithm::EdDsa {
            make(&private_keys, KeyList::fresh_pem)?;
        }
        args.jwt_private_key_file = there(private_keys)?;
    }
    Ok(())
}

fn there(path: PathBuf) -> Result<Option<PathBuf>, ChildError> {
    match fs::exists(&path) {
        Ok(there) => Ok(there.then_some(path)),
        Err(source) => Err(ChildError::Secret { path, source }),
    }
}

/// Takes the listener that is our stdin, and leaves /dev/null in its place: held there, it would never close.
fn take_listener() -> io::Result<TcpListener> {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    dup2_stdin(OpenOptions::new().read(true).open("/dev/null")?)?;
    Ok(listener)
}

/// Makes the file with a fresh key if it is not there. As a whole or not at all.
fn make(path: &Path, fresh_key: fn() -> Result<SecretString, NoRandomness>) -> Result<(), ChildError> {
    let failed = |source| ChildError::Secret { path: path.to_owned(), source };
    if fs::exists(path).map_err(failed)? {
        return Ok(());
    }
    let key = fresh_key()?;
    let fresh = path.with_extension("new");
    let put = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(key.expose_secret().as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    put().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone_and_one_of_the_other_algorithm_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (secrets, private_keys) = (dir.path().join("jwt.key"), dir.path().join("jwt.pem"));
        let found = |flags: &[&str]| {
            let mut args = Cli::try_parse_from([&["devpocket"], flags].concat()).unwrap().serve;
            find_keys(&mut args, dir.path()).unwrap();
            (args.jwt_secret_key_file, args.jwt_private_key_file)
        };
        let eddsa = ["--jwt-algorithm", "EdDSA"];
        assert_eq!(found(&[]), (Some(secrets.clone()), None));
        let first = fs::read_to_string(&secrets).unwrap();
        assert_eq!((first.len(), fs::metadata(&secrets).unwrap().mode() & 0o777), (64, 0o600));
        assert_eq!(found(&eddsa), (Some(secrets.clone()), Some(private_keys.clone())));
        let pem = fs::read_to_string(&private_keys).unwrap();
        assert_eq!(fs::metadata(&private_keys).unwrap().mode() & 0o777, 0o600);
        assert_eq!(KeyList::parse_pem(&pem.as_str().into()).unwrap().accepted(), 1);
        assert_eq!(found(&[]), (Some(secrets.clone()), Some(private_keys.clone())));
        assert_eq!(
            found(&["--jwt-secret-key", "x", "--jwt-private-key-file", "/x"]),
            (None, Some("/x".into()))
        );
        assert_eq!(fs::read_to_string(&secrets).unwrap(), first);
        assert_eq!(fs::read_to_string(&private_keys).unwrap(), pem);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
