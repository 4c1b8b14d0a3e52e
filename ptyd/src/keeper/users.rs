//! As whom shells and workers run. As root each is a user of its own, looked up once at start; without root all of it
//! is whoever runs ptyd. Knows nothing of what they do.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{Group, User, geteuid, getgrouplist, getuid};

use super::saved::{SavedAccount, SavedFinds};
use super::sys::child::Identity;
use crate::config::KeeperConfig;

/// A configured user cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("user {name} of {setting} does not exist; make it with: {}", .setting.useradd(.name))]
    Missing { name: String, setting: Setting },
    /// The user is root.
    #[error("{setting} names {name}, which is root: a shell or worker never runs as root")]
    Root { name: String, setting: Setting },
    /// A shell could do what only that user may.
    #[error("{setting} names {name}, as whom the shells run: what runs in one could {}", .setting.power())]
    Shared { name: String, setting: Setting },
    /// Only root may become somebody else.
    #[error("{setting} names {name}, but only root can use another user")]
    NotRoot { name: String, setting: Setting },
    /// The user database cannot be read.
    #[error("cannot look up user {name}")]
    Lookup { name: String, source: Errno },
}

/// The setting that names a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Setting {
    /// Whom shells run as.
    Shell,
    /// Whom the worker runs as.
    Worker,
    /// Who may connect to the link.
    Link,
}

impl Setting {
    /// What whoever runs as the user can do.
    fn power(self) -> &'static str {
        match self {
            Self::Shell => "end other shells",
            Self::Worker => "end the worker and read what it holds",
            Self::Link => "speak as an api and open every session",
        }
    }

    fn useradd(self, name: &str) -> String {
        match self {
            Self::Shell => format!("useradd --create-home --shell /bin/bash {name}"),
            Self::Worker | Self::Link => {
                format!("useradd --system --no-create-home --shell /usr/sbin/nologin {name}")
            }
        }
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shell => "PTYD_SHELL_USER",
            Self::Worker => "PTYD_WORKER_USER",
            Self::Link => "PTYD_LINK_USER",
        })
    }
}

/// A user as passwd(5) has it, with all groups.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Its name.
    pub name: String,
    /// Its home.
    pub home: PathBuf,
    /// Its login shell.
    pub shell: PathBuf,
    /// Its user id.
    pub uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl Account {
    /// What a child must become to be this user.
    pub(super) fn identity(&self) -> Identity<'_> {
        Identity { uid: self.uid, gid: self.gid, groups: &self.groups }
    }

    /// It in writing.
    pub(super) fn saved(&self) -> SavedAccount {
        SavedAccount {
            name: self.name.clone(),
            home: self.home.as_os_str().as_bytes().to_vec(),
            shell: self.shell.as_os_str().as_bytes().to_vec(),
            uid: self.uid,
            gid: self.gid,
            groups: self.groups.clone(),
        }
    }

    fn resume(saved: &SavedAccount) -> Self {
        Self {
            name: saved.name.clone(),
            home: OsString::from_vec(saved.home.clone()).into(),
            shell: OsString::from_vec(saved.shell.clone()).into(),
            uid: saved.uid,
            gid: saved.gid,
            groups: saved.groups.clone(),
        }
    }
}

/// Everyone the keeper deals with.
#[derive(Clone, Debug)]
pub(super) struct Users {
    /// Whom shells run as.
    pub shell: Account,
    /// Whom the worker runs as.
    pub worker: Account,
    /// Who besides root may connect to the link's socket; `None`: whoever runs ptyd.
    pub link: Option<Account>,
    /// Group of terminals, for mesg(1) and wall(1).
    pub tty_gid: Option<u32>,
    /// The keeper is root, and children become their users.
    pub by_root: bool,
}

impl Users {
    /// Everyone as the keeper before knew them.
    pub(super) fn resume(saved: &SavedFinds) -> Self {
        Self {
            shell: Account::resume(&saved.shell),
            worker: Account::resume(&saved.worker),
            link: saved.link.as_ref().map(Account::resume),
            tty_gid: saved.tty_gid,
            by_root: saved.by_root,
        }
    }

    /// Looks everyone up.
    pub(super) fn find(config: &KeeperConfig) -> Result<Self, UserError> {
        let tty_gid = Group::from_name("tty").ok().flatten().map(|group| group.gid.as_raw());
        let (shell, worker, link) =
            (config.shell_user.as_deref(), config.worker_user.as_deref(), config.link_user.as_deref());
        if !geteuid().is_root() {
            let me = myself()?;
            for (name, setting) in [(shell, Setting::Shell), (worker, Setting::Worker), (link, Setting::Link)]
            {
                if let Some(name) = name.filter(|name| *name != me.name) {
                    return Err(UserError::NotRoot { name: name.to_owned(), setting });
                }
            }
            return Ok(Self { shell: me.clone(), worker: me, link: None, tty_gid, by_root: false });
        }
        let sudo = config.sudo_user.as_deref().filter(|name| !name.is_empty() && *name != "root");
        let shell = unprivileged(shell.or(sudo).unwrap_or("devpocket-shell"), Setting::Shell)?;
        let worker = unprivileged(worker.unwrap_or("devpocket-worker"), Setting::Worker)?;
        let link = link.map(|name| find(name, Setting::Link)).transpose()?;
        for (account, setting) in [(Some(&worker), Setting::Worker), (link.as_ref(), Setting::Link)] {
            if let Some(account) = account.filter(|account| account.uid == shell.uid) {
                return Err(UserError::Shared { name: account.name.clone(), setting });
            }
        }
        Ok(Self { shell, worker, link, tty_gid, by_root: true })
    }
}

fn unprivileged(name: &str, setting: Setting) -> Result<Account, UserError> {
    let account = find(name, setting)?;
    if account.uid == 0 { Err(UserError::Root { name: name.to_owned(), setting }) } else { Ok(account) }
}

fn find(name: &str, setting: Setting) -> Result<Account, UserError> {
    let lookup = |source| UserError::Lookup { name: name.to_owned(), source };
    let user = User::from_name(name)
        .map_err(lookup)?
        .ok_or_else(|| UserError::Missing { name: name.to_owned(), setting })?;
    let c_name = CString::new(name).map_err(|_| lookup(Errno::EINVAL))?;
    let groups = getgrouplist(&c_name, user.gid).map_err(lookup)?;
    Ok(account(user, groups.into_iter().map(|gid| gid.as_raw()).collect()))
}

/// Whoever runs ptyd; containers run it as numbers without a passwd entry.
fn myself() -> Result<Account, UserError> {
    let uid = getuid();
    let user = User::from_uid(uid).map_err(|source| UserError::Lookup { name: uid.to_string(), source })?;
    Ok(match user {
        Some(user) => account(user, Vec::new()),
        None => Account {
            name: uid.to_string(),
            home: "/".into(),
            shell: "/bin/sh".into(),
            uid: uid.as_raw(),
            gid: nix::unistd::getgid().as_raw(),
            groups: Vec::new(),
        },
    })
}

fn account(user: User, groups: Vec<u32>) -> Account {
    let empty = user.shell.as_os_str().is_empty();
    Account {
        name: user.name,
        home: user.dir,
        // passwd(5): an empty field means /bin/sh.
        shell: if empty { "/bin/sh".into() } else { user.shell },
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups,
    }
}

#[cfg(test)]
impl Users {
    /// An account that is in no database.
    pub(super) fn test_account(name: &str, home: &str, shell: &str) -> Account {
        let (name, home, shell) = (name.to_owned(), home.into(), shell.into());
        Account { name, home, shell, uid: 12345, gid: 12345, groups: Vec::new() }
    }
}
