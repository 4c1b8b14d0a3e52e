//! What the command line asks for, and the sizes that follow. Must not know how anything is measured.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::contender::Contender;

/// What can be measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Figure {
    /// Keystroke echo, idle and beside busy sessions
    Echo,
    /// Large output: MB/s and CPU
    Bulk,
    /// Sessions opened per second
    Creation,
    /// Memory of an idle session
    Memory,
    /// Worker kill to first output
    Recovery,
    /// A new device until it shows the screen
    Reattach,
    /// Bytes on the wire while somebody works
    Wire,
    /// Ctrl-C in a flood, at 1 Mbit/s, to the prompt
    CtrlC,
    /// One client at 16 kbit/s beside twenty fast ones
    Slow,
    /// HTTP requests per second and their p99, on both databases
    Http,
    /// Keystroke echo while 8 clients give wrong passwords
    LoginStorm,
    /// Memory and CPU of the api with idle sockets
    Sockets,
}

impl Figure {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Bulk => "bulk",
            Self::Creation => "creation",
            Self::Memory => "memory",
            Self::Recovery => "recovery",
            Self::Reattach => "reattach",
            Self::Wire => "wire",
            Self::CtrlC => "ctrl-c",
            Self::Slow => "slow",
            Self::Http => "http",
            Self::LoginStorm => "login-storm",
            Self::Sockets => "sockets",
        }
    }
}

/// Measures DevPocket beside a bare PTY, `ssh localhost` and a web terminal of node-pty and ws
#[derive(Debug, Parser)]
#[command(name = "devpocket-bench", version)]
pub struct Options {
    /// Figures to measure; without any: all
    figures: Vec<Figure>,
    /// Only over the Unix socket, unless --quic is given as well
    #[arg(long)]
    unix: bool,
    /// Only over QUIC, unless --unix is given as well
    #[arg(long)]
    quic: bool,
    /// Small sizes: shows within three minutes that everything works; the figures are rough
    #[arg(long)]
    quick: bool,
    /// Writes the same figures, with every round, to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Bytes of each bulk transfer
    #[arg(long)]
    bulk_bytes: Option<u64>,
    /// Sessions whose memory is measured
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=3000))]
    memory_sessions: Option<u16>,
    /// Sessions that print beside the one that echoes
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=500))]
    busy_sessions: Option<u16>,
    /// Worker kills over each link
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    kills: Option<u16>,
    /// Sockets that do nothing
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4000))]
    idle_sockets: Option<u16>,
    /// Rounds of a figure in which the contenders take turns
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Whether node-pty and ws are here: they take part where they can.
    #[arg(skip)]
    pub has_node_pty: bool,
}

impl Options {
    /// What to measure, in an order in which nothing disturbs what follows.
    pub fn figures(&self) -> Vec<Figure> {
        let wanted = |figure: &Figure| self.figures.is_empty() || self.figures.contains(figure);
        Figure::value_variants().iter().copied().filter(wanted).collect()
    }

    /// Who takes part: the baselines, and ours over the links asked for.
    pub fn contenders(&self) -> Vec<Contender> {
        let mut contenders = self.contenders_and_node_pty();
        contenders.retain(|contender| *contender != Contender::NodePty);
        contenders
    }

    /// The same, with the web terminal where it is here.
    pub fn contenders_and_node_pty(&self) -> Vec<Contender> {
        let both = self.unix == self.quic;
        let wanted = |contender: &Contender| match contender {
            Contender::Bare | Contender::Ssh => true,
            // Only where sessions outlive their client.
            Contender::Tmux => false,
            Contender::NodePty => self.has_node_pty,
            Contender::Unix => self.unix || both,
            Contender::Quic => self.quic || both,
            // Only where requests are answered.
            Contender::Libraries | Contender::Sqlite | Contender::Postgres => false,
        };
        Contender::TERMINALS.iter().copied().filter(wanted).collect()
    }

    /// Rounds of keystrokes.
    pub fn echo_rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 3 } else { 10 }, usize::from)
    }

    /// Keystrokes of a contender in a round: 4000 in all by default, the warm-up not counted.
    pub const fn keystrokes(&self) -> usize {
        if self.quick { 200 } else { 400 }
    }

    /// Sessions that print beside the one that echoes.
    pub fn busy_sessions(&self) -> usize {
        self.busy_sessions.map_or(if self.quick { 20 } else { 100 }, usize::from)
    }

    /// Rounds of bulk transfers.
    pub fn bulk_rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 2 } else { 5 }, usize::from)
    }

    /// Bytes of each bulk transfer.
    pub fn bulk_bytes(&self) -> u64 {
        self.bulk_bytes.unwrap_or(if self.quick { 40_000_000 } else { 200_000_000 })
    }

    /// Rounds of opening sessions.
    pub fn creation_rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 1 } else { 3 }, usize::from)
    }

    /// Sessions that each of the parallel openers opens in a round.
    pub const fn created_by_each(&self) -> usize {
        if self.quick { 5 } else { 25 }
    }

    /// Sessions whose memory is measured.
    pub fn memory_sessions(&self) -> usize {
        self.memory_sessions.map_or(if self.quick { 200 } else { 1000 }, usize::from)
    }

    /// SSH connections whose memory is measured: each is two processes of several MB.
    pub const fn memory_connections(&self) -> usize {
        if self.quick { 10 } else { 50 }
    }

    /// Times that a screen is brought to a new device.
    pub const fn reattaches(&self) -> usize {
        if self.quick { 20 } else { 200 }
    }

    /// Floods interrupted at 1 Mbit/s.
    pub fn interrupt_rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 1 } else { 5 }, usize::from)
    }

    /// Floods with a slow client beside fast ones.
    pub fn slow_rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 1 } else { 3 }, usize::from)
    }

    /// Rounds of HTTP requests, and of keystrokes beside wrong passwords.
    pub fn server_rounds(&self) -> usize {
        self.rounds.map_or(if self.quick { 1 } else { 3 }, usize::from)
    }

    /// Seconds of one kind of request in a round.
    pub const fn http_seconds(&self) -> u64 {
        if self.quick { 1 } else { 2 }
    }

    /// Sockets that do nothing; a session for each needs a process for each.
    pub fn idle_sockets(&self) -> usize {
        self.idle_sockets.map_or(if self.quick { 400 } else { 2000 }, usize::from)
    }

    /// Worker kills over each link.
    pub fn kills(&self) -> usize {
        self.kills.map_or(if self.quick { 3 } else { 20 }, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_both_unless_one_is_named() {
        let contenders = |words: &[&str]| Options::parse_from(words).contenders();
        let all = [Contender::Bare, Contender::Ssh, Contender::Unix, Contender::Quic];
        assert_eq!(contenders(&["bench"]), all);
        assert_eq!(contenders(&["bench", "--unix", "--quic"]), all);
        assert_eq!(contenders(&["bench", "--quic"]), [Contender::Bare, Contender::Ssh, Contender::Quic]);
    }

    #[test]
    fn node_pty_takes_part_where_it_is_here_and_asked_for() {
        let mut options = Options::parse_from(["bench", "--unix"]);
        assert!(!options.contenders_and_node_pty().contains(&Contender::NodePty));
        options.has_node_pty = true;
        let all = [Contender::Bare, Contender::Ssh, Contender::NodePty, Contender::Unix];
        assert_eq!(options.contenders_and_node_pty(), all);
        assert!(!options.contenders().contains(&Contender::NodePty));
    }

    #[test]
    fn figures_keep_their_order() {
        let options = Options::parse_from(["bench", "memory", "echo"]);
        assert_eq!(options.figures(), [Figure::Echo, Figure::Memory]);
    }
}
