//! Who is measured. Must not know how.

/// A way from a program's terminal to a client, or who answers HTTP requests.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Contender {
    /// The master of a PTY, read and written in this process: what the kernel allows.
    Bare,
    /// OpenSSH over loopback.
    Ssh,
    /// tmux on a PTY of this process, where sessions outlive their client.
    Tmux,
    /// A web terminal of node-pty and ws.
    NodePty,
    /// DevPocket, api and ptyd over a Unix socket.
    Unix,
    /// DevPocket, api and ptyd over QUIC.
    Quic,
    /// The libraries below the api with nothing on top: what they allow.
    Libraries,
    /// DevPocket on SQLite, alone.
    Sqlite,
    /// DevPocket on PostgreSQL and Redis.
    Postgres,
}

impl Contender {
    /// Who shows terminals, baselines first.
    pub const TERMINALS: &[Self] =
        &[Self::Bare, Self::Ssh, Self::Tmux, Self::NodePty, Self::Unix, Self::Quic];
    /// Who answers HTTP requests, baselines first.
    pub const SERVERS: &[Self] = &[Self::Libraries, Self::Sqlite, Self::Postgres];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare PTY",
            Self::Ssh => "ssh",
            Self::Tmux => "tmux",
            Self::NodePty => "node-pty + ws",
            Self::Unix => "ours, Unix",
            Self::Quic => "ours, QUIC",
            Self::Libraries => "libraries alone",
            Self::Sqlite => "ours, SQLite",
            Self::Postgres => "ours, PostgreSQL and Redis",
        }
    }

    /// Its key in JSON.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Ssh => "ssh",
            Self::Tmux => "tmux",
            Self::NodePty => "node_pty",
            Self::Unix => "unix",
            Self::Quic => "quic",
            Self::Libraries => "libraries",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// Whether it is the product.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Unix | Self::Quic)
    }
}
