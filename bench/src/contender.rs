//! Who is measured. Must not know how.

/// A way from a program's terminal to a client.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Contender {
    /// The master of a PTY, read and written in this process: what the kernel allows.
    Bare,
    /// OpenSSH over loopback.
    Ssh,
    /// tmux on a PTY of this process, where sessions outlive their client.
    Tmux,
    /// DevPocket, api and ptyd over a Unix socket.
    Unix,
    /// DevPocket, api and ptyd over QUIC.
    Quic,
}

impl Contender {
    /// All, baselines first.
    pub const ALL: [Self; 5] = [Self::Bare, Self::Ssh, Self::Tmux, Self::Unix, Self::Quic];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare PTY",
            Self::Ssh => "ssh",
            Self::Tmux => "tmux",
            Self::Unix => "ours, Unix",
            Self::Quic => "ours, QUIC",
        }
    }

    /// Its key in JSON.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Ssh => "ssh",
            Self::Tmux => "tmux",
            Self::Unix => "unix",
            Self::Quic => "quic",
        }
    }

    /// Whether it is the product.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Unix | Self::Quic)
    }
}
