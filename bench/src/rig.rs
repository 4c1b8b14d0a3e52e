//! Everything that one figure is measured on: a system per link, an sshd, a web terminal. Must not know the figure.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use devpocket_tests::client::{Framing, Opening};
use devpocket_tests::stack::{DatabaseKind, LinkKind, Options as StackOptions, Stack};
use nix::unistd::Pid;

use crate::contender::Contender;
use crate::node_pty::NodePty;
use crate::sshd::Sshd;
use crate::tty::{self, Tty};

/// Running contenders; end in `Drop`.
pub struct Rig {
    /// Who takes part, in the order of their turns.
    pub contenders: Vec<Contender>,
    sshd: Option<Sshd>,
    node_pty: Option<NodePty>,
    stacks: BTreeMap<Contender, Stack>,
}

impl Rig {
    /// Starts what `contenders` need.
    pub async fn start(contenders: Vec<Contender>) -> anyhow::Result<Self> {
        let mut rig = Self { contenders, sshd: None, node_pty: None, stacks: BTreeMap::new() };
        for contender in rig.contenders.clone() {
            match contender {
                Contender::Bare | Contender::Tmux | Contender::Libraries => {}
                Contender::Ssh => rig.sshd = Some(Sshd::start().await?),
                Contender::NodePty => rig.node_pty = Some(NodePty::start()?),
                Contender::Unix | Contender::Sqlite => {
                    rig.start_stack(contender, StackOptions::default()).await;
                }
                Contender::Quic => {
                    let options = StackOptions { link: LinkKind::Quic, ..StackOptions::default() };
                    rig.start_stack(contender, options).await;
                }
                Contender::Postgres => {
                    let database = DatabaseKind::Postgres;
                    let options = StackOptions { database, redis: true, ..StackOptions::default() };
                    rig.start_stack(contender, options).await;
                }
            }
        }
        Ok(rig)
    }

    async fn start_stack(&mut self, contender: Contender, options: StackOptions) {
        self.stacks.insert(contender, Stack::start_with(options).await);
    }

    /// The system behind one of ours.
    pub fn stack(&self, contender: Contender) -> anyhow::Result<&Stack> {
        self.stacks.get(&contender).with_context(|| format!("{} has no stack", contender.name()))
    }

    /// How a binary socket is opened at one of ours.
    pub fn opening(&self, contender: Contender) -> anyhow::Result<Opening> {
        Ok(self.stack(contender)?.opening(0, Framing::Binary))
    }

    /// The ssh server.
    pub fn sshd(&self) -> anyhow::Result<&Sshd> {
        self.sshd.as_ref().context("no sshd was started")
    }

    /// The web terminal.
    pub fn node_pty(&self) -> anyhow::Result<&NodePty> {
        self.node_pty.as_ref().context("no web terminal was started")
    }

    /// Starts a shell script on a terminal of a baseline.
    pub fn tty(&self, contender: Contender, script: &str) -> anyhow::Result<Tty> {
        match contender {
            Contender::Ssh => Tty::piped(self.sshd()?.client(Some(script))),
            Contender::NodePty => bail!("a web terminal is reached through its own client"),
            Contender::Bare
            | Contender::Tmux
            | Contender::Unix
            | Contender::Quic
            | Contender::Libraries
            | Contender::Sqlite
            | Contender::Postgres => Tty::bare(tty::script(script)),
        }
    }

    /// The processes between terminal and client: keeper, worker and api, or those of sshd, or Node's.
    pub fn processes(&self, contender: Contender) -> anyhow::Result<Vec<Pid>> {
        Ok(match contender {
            Contender::Bare | Contender::Tmux | Contender::Libraries => Vec::new(),
            Contender::Ssh => self.sshd()?.processes(),
            Contender::NodePty => vec![self.node_pty()?.process()],
            Contender::Unix | Contender::Quic | Contender::Sqlite | Contender::Postgres => {
                let stack = self.stack(contender)?;
                let worker = stack.worker_pid().context("no worker runs")?;
                vec![stack.keeper_pid(), worker, stack.api_pid(0)]
            }
        })
    }
}
