//! A web terminal as most are built, node-pty and ws in a process of their own (`bench/peers/node-pty`). Must not know what runs
//! in its terminals.

pub mod terminal;

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};
use nix::unistd::Pid;
use serde_json::Value;
use uuid::Uuid;

use crate::tty;
use terminal::WebTerminal;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/node-pty");
const PACKAGE: &str = include_str!("../peers/node-pty/package.json");

/// A running server; ends in `Drop`.
pub struct NodePty {
    address: SocketAddr,
    /// What it answers at, which nobody else knows: it runs whatever it is told to.
    path: String,
    /// Node's version.
    node: String,
    child: Child,
}

impl NodePty {
    /// Starts the server and waits until it listens.
    pub fn start() -> anyhow::Result<Self> {
        ensure!(
            Path::new(DIRECTORY).join("node_modules").exists(),
            "not installed (make bench does it, or npm ci in bench/peers/node-pty)"
        );
        let path = format!("/{}", Uuid::new_v4().simple());
        let mut command = Command::new("node");
        command.arg(Path::new(DIRECTORY).join("server.mjs"));
        command.env("HOME", tty::home()?).env("BENCH_PATH", &path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().context("node does not start")?;
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Self { address: nowhere, path, node: String::new(), child };
        let mut line = String::new();
        let stdout = server.child.stdout.as_mut().context("stdout is a pipe")?;
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            bail!("its server ended at once: {}", server.complaint());
        }
        let said: Value = serde_json::from_str(&line).with_context(|| format!("its server says {line:?}"))?;
        // Else another process than the server, a wrapper of node's, would be measured.
        ensure!(said["pid"].as_u64() == Some(server.child.id().into()), "node is not the process started");
        server.address.set_port(said["port"].as_u64().unwrap_or_default().try_into()?);
        said["node"].as_str().unwrap_or_default().clone_into(&mut server.node);
        Ok(server)
    }

    /// What it is made of.
    pub fn versions(&self) -> anyhow::Result<String> {
        let package: Value = serde_json::from_str(PACKAGE)?;
        let version = |name: &str| package["dependencies"][name].as_str().unwrap_or_default().to_owned();
        Ok(format!("node-pty {}, ws {}, Node.js {}", version("node-pty"), version("ws"), self.node))
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process; not the programs in its terminals.
    pub fn process(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Runs a shell script on a terminal of the server.
    pub fn open(&self, script: &str) -> anyhow::Result<WebTerminal> {
        self.open_at(self.address, script)
    }

    /// The same, through somebody who passes the connection on.
    pub fn open_at(&self, address: SocketAddr, script: &str) -> anyhow::Result<WebTerminal> {
        WebTerminal::connect(address, &format!("{}?script={}", self.path, escaped(script)))
    }

    /// The line that says what went wrong, of all that node prints.
    fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // What could not be read is not told.
            let _read = stderr.read_to_string(&mut text);
        }
        let line = text.lines().find(|line| line.contains("Error")).or_else(|| text.lines().next());
        line.unwrap_or("without a word").to_owned()
    }
}

impl Drop for NodePty {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A script as part of a query (RFC 3986 section 2.1).
fn escaped(script: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    script.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_one_word_of_a_query() {
        assert_eq!(escaped("printf 'é+1'"), "printf%20%27%C3%A9%2B1%27");
    }
}
