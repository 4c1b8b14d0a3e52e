//! The users that processes run as when standalone is started by root, and giving root up. Knows nothing of what they run.

use std::ffi::CString;
use std::io;
use std::process::Command;

use nix::errno::Errno;
use nix::unistd::{Uid, User, getgroups, getresgid, getresuid, initgroups, setgid, setuid};

/// Runs the api.
pub(super) const API: &str = "devpocket";
/// Runs ptyd's worker.
pub(super) const WORKER: &str = "devpocket-worker";
/// Runs the shells, unless somebody else is named or has called sudo.
const SHELL: &str = "devpocket-shell";

/// The users of one standalone server, all there.
#[derive(Clone, Debug)]
pub(super) struct Users {
    pub(super) api: User,
    /// Name of the one that runs the shells.
    pub(super) shell: String,
}

/// A user is missing, or root cannot be given up.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The user database cannot be read.
    #[error("the user database cannot be read")]
    Database(#[source] Errno),
    /// useradd failed.
    #[error("the user {name} is missing, and `{command}` failed: {said}")]
    Useradd {
        /// Who is missing.
        name: &'static str,
        /// What was run.
        command: String,
        /// What it said.
        said: String,
    },
    /// useradd cannot be run.
    #[error("the user {name} is missing, and useradd cannot be run")]
    NoUseradd {
        /// Who is missing.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// No user of this name.
    #[error("PTYD_SHELL_USER: there is no user {name}, or it is root")]
    NoShellUser {
        /// As given.
        name: String,
    },
    /// Root could not be given up.
    #[error("cannot become the user {name}")]
    Become {
        /// Who.
        name: String,
        /// Why not.
        source: Errno,
    },
    /// Root was given up, but could be had back.
    #[error("root was not really given up")]
    StillRoot,
}

impl Users {
    /// Finds the users, and makes those that are missing. Shells are run by `PTYD_SHELL_USER`, else by who called sudo, else
    /// by a user made for them; never by root.
    pub(super) fn ensure() -> Result<Self, UsersError> {
        const NOLOGIN: [&str; 4] = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"];
        let api = ensure(API, &NOLOGIN)?;
        ensure(WORKER, &NOLOGIN)?;
        let said = |name: &str| {
            let mut all = std::env::vars_os();
            all.find(|(key, _)| key == name)
                .and_then(|(_, value)| value.into_string().ok())
                .filter(|v| !v.is_empty())
        };
        if let Some(name) = said("PTYD_SHELL_USER") {
            return match find(&name)? {
                Some(user) if !user.uid.is_root() => Ok(Self { api, shell: user.name }),
                Some(_) | None => Err(UsersError::NoShellUser { name }),
            };
        }
        let caller = said("SUDO_USER").map(|name| find(&name)).transpose()?.flatten();
        let shell = match caller.filter(|user| !user.uid.is_root()) {
            Some(user) => user,
            None => ensure(SHELL, &["--create-home", "--shell", "/bin/bash"])?,
        };
        Ok(Self { api, shell: shell.name })
    }
}

/// As whom the api runs that is started by us, if that user is there already.
pub(super) fn api_uid() -> Result<Option<Uid>, UsersError> {
    let ours = Uid::effective();
    if ours.is_root() { Ok(find(API)?.map(|user| user.uid)) } else { Ok(Some(ours)) }
}

/// Gives root up for good and becomes the api's user. Call it before any thread is started.
pub(super) fn become_api_user() -> Result<(), UsersError> {
    let user = find(API)?.ok_or(UsersError::Become { name: API.to_owned(), source: Errno::ENOENT })?;
    let name = CString::new(user.name.as_str()).unwrap_or_default();
    initgroups(&name, user.gid)
        .and_then(|()| setgid(user.gid))
        .and_then(|()| setuid(user.uid))
        .map_err(|source| UsersError::Become { name: user.name.clone(), source })?;
    let (uids, gids) = (getresuid(), getresgid());
    let gone = uids.is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [user.uid; 3])
        && gids.is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [user.gid; 3])
        && getgroups().is_ok_and(|groups| groups.iter().all(|group| group.as_raw() != 0))
        && setuid(Uid::from_raw(0)).is_err();
    if gone { Ok(()) } else { Err(UsersError::StillRoot) }
}

fn ensure(name: &'static str, options: &[&str]) -> Result<User, UsersError> {
    if let Some(user) = find(name)? {
        return Ok(user);
    }
    let mut useradd = Command::new("useradd");
    // root's PATH need not hold /usr/sbin.
    useradd.args(options).arg(name).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let ran = useradd.output().map_err(|source| UsersError::NoUseradd { name, source })?;
    // Another process may have made it meanwhile, so what counts is that it is there.
    find(name)?.ok_or_else(|| UsersError::Useradd {
        name,
        command: format!("useradd {} {name}", options.join(" ")),
        said: String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
    })
}

fn find(name: &str) -> Result<Option<User>, UsersError> {
    User::from_name(name).map_err(UsersError::Database)
}
