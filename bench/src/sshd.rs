//! An OpenSSH server of our own: private directory, loopback port, one key. Must not know what runs over it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use devpocket_tests::stack::{START_LIMIT, place, proc, users};
use devpocket_tests::wait_until;
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;

use crate::tty;

/// Where sshd needs a directory to exist when it runs as root (sshd(8), FILES).
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// A running server; ends in `Drop`.
pub struct Sshd {
    directory: TempDir,
    address: SocketAddr,
    user: String,
    child: Child,
}

impl Sshd {
    /// Makes keys and configuration, starts the server, waits until it listens.
    pub async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("devpocket-sshd-").tempdir()?;
        let address = place::free_address();
        let user = User::from_uid(Uid::effective())?.context("the user of this process has a name")?.name;
        for key in ["host", "client"] {
            make_key(&directory.path().join(key))?;
        }
        fs::copy(directory.path().join("client.pub"), directory.path().join("authorized_keys"))?;
        let host = fs::read_to_string(directory.path().join("host.pub"))?;
        let known = format!("[{}]:{} {host}", address.ip(), address.port());
        fs::write(directory.path().join("known_hosts"), known)?;
        let config = directory.path().join("sshd_config");
        fs::write(&config, configuration(directory.path(), address, &tty::home()?))?;
        if users::is_root() {
            fs::create_dir_all(PRIVILEGE_SEPARATION)?;
        }
        // sshd executes itself for each connection and insists on an absolute path.
        let log = fs::File::create(directory.path().join("log"))?;
        let child = Command::new(program()?)
            .args(["-D", "-e", "-f"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("sshd does not start")?;
        let mut sshd = Self { directory, address, user, child };
        wait_until("sshd listens", START_LIMIT, async || {
            let ended = sshd.child.try_wait().is_ok_and(|status| status.is_some());
            assert!(!ended, "sshd ended at once: {}", sshd.logged());
            TcpStream::connect(sshd.address).is_ok()
        })
        .await;
        Ok(sshd)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client that runs `script` on a terminal of the server, or the login shell.
    pub fn client(&self, script: Option<&str>) -> Command {
        self.client_at(self.address, false, script)
    }

    /// The same, through somebody who passes the connection on.
    pub fn client_at(&self, address: SocketAddr, compressed: bool, script: Option<&str>) -> Command {
        let path = |name: &str| self.directory.path().join(name);
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-tt", "-e", "none", "-p", &address.port().to_string(), "-i"]);
        command.arg(path("client"));
        for option in [
            &format!("UserKnownHostsFile={}", path("known_hosts").display()),
            &format!("HostKeyAlias=[{}]:{}", self.address.ip(), self.address.port()),
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "BatchMode=yes",
            "ControlMaster=no",
            "ControlPath=none",
            "LogLevel=ERROR",
            // From 9.5 on a client holds keystrokes back for 20 ms to hide their timing: not what is measured here.
            "IgnoreUnknown=ObscureKeystrokeTiming",
            "ObscureKeystrokeTiming=no",
        ] {
            command.args(["-o", option]);
        }
        if compressed {
            command.arg("-C");
        }
        command.env("TERM", "xterm-256color").env_remove("SSH_AUTH_SOCK");
        command.arg(format!("{}@{}", self.user, address.ip()));
        command.args(script);
        command
    }

    /// The server and what it has started for connections; not the programs in them.
    pub fn processes(&self) -> Vec<Pid> {
        let all = proc::all();
        let mut ours = vec![Pid::from_raw(self.child.id().cast_signed())];
        let mut looked_at = 0;
        while let Some(parent) = ours.get(looked_at).copied() {
            let is_server = |process: &&proc::ProcessFacts| {
                process.parent == parent
                    && process.arguments.first().is_some_and(|name| name.starts_with("sshd"))
            };
            ours.extend(all.iter().filter(is_server).map(|process| process.pid));
            looked_at += 1;
        }
        ours
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn make_key(path: &Path) -> anyhow::Result<()> {
    let mut keygen = Command::new("ssh-keygen");
    let status = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    let status = status.context("ssh-keygen is not here: install openssh-client")?;
    ensure!(status.success(), "ssh-keygen: {status}");
    Ok(())
}

fn configuration(directory: &Path, address: SocketAddr, home: &Path) -> String {
    let (directory, home) = (directory.display(), home.display());
    format!(
        "ListenAddress {address}\nHostKey {directory}/host\nAuthorizedKeysFile {directory}/authorized_keys\n\
         PidFile none\nStrictModes no\nUsePAM no\nUseDNS no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\nPrintLastLog no\n\
         MaxStartups 500\nSetEnv HOME={home}\nLogLevel ERROR\n"
    )
}

/// sshd lives where an ordinary user's PATH does not reach.
fn program() -> anyhow::Result<PathBuf> {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].map(PathBuf::from);
    places.into_iter().find(|path| path.exists()).context("sshd is not here: install openssh-server")
}
