//! What ptyd can be told, read once in `main`; knows nothing of what is done with it.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use devpocket_shared::telemetry;

/// The terminal-multiplexing daemon: holds shells that survive everything in front of them.
#[derive(Debug, Parser)]
#[command(name = "ptyd", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to be; the keeper if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What the keeper is told.
    #[command(flatten)]
    pub keeper: KeeperConfig,
}

/// The processes ptyd is made of, beside the keeper.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves sessions; started by the keeper alone, which it meets on descriptor 3.
    #[command(hide = true)]
    Worker {
        /// Log filter.
        #[arg(long, env = "PTYD_LOG", value_name = "PTYD_LOG", default_value = "info", value_parser = log_filter)]
        log: String,
    },
}

/// What the keeper is told.
#[derive(Args, Clone, Debug)]
pub struct KeeperConfig {
    /// Directory of the node's id and secrets; made if missing, for its owner alone.
    #[arg(long, env = "PTYD_STATE_DIR", value_name = "PTYD_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Path of the link's Unix socket [default: ptyd.sock in the state directory].
    #[arg(long, env = "PTYD_SOCKET", value_name = "PTYD_SOCKET")]
    pub socket: Option<PathBuf>,
    /// UDP address of the link over QUIC; none: the Unix socket only.
    #[arg(long, env = "PTYD_LINK_LISTEN", value_name = "PTYD_LINK_LISTEN")]
    pub link_listen: Option<SocketAddr>,
    /// Directory with ca.pem, ptyd.pem and ptyd.key for the link over QUIC [default: link in the state directory, made at
    /// the first start and renewed at each].
    #[arg(long, env = "PTYD_LINK_CERT_DIR", value_name = "PTYD_LINK_CERT_DIR")]
    pub link_cert_dir: Option<PathBuf>,
    /// User the shells run as, as root only [default: the user of sudo, else devpocket-shell].
    #[arg(long, env = "PTYD_SHELL_USER", value_name = "PTYD_SHELL_USER")]
    pub shell_user: Option<String>,
    /// User the worker runs as, as root only [default: devpocket-worker].
    #[arg(long, env = "PTYD_WORKER_USER", value_name = "PTYD_WORKER_USER")]
    pub worker_user: Option<String>,
    /// User who may connect to the link's Unix socket, as root only [default: root alone].
    #[arg(long, env = "PTYD_LINK_USER", value_name = "PTYD_LINK_USER")]
    pub link_user: Option<String>,
    /// Output bytes each session's ring holds; rounded up to whole pages.
    #[arg(long, env = "PTYD_RING_BYTES", value_name = "PTYD_RING_BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u64).range(128 << 10..=1 << 30))]
    pub ring_bytes: u64,
    /// Most live sessions; the host's terminals and open files may allow fewer.
    #[arg(long, env = "PTYD_MAX_SESSIONS", value_name = "PTYD_MAX_SESSIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sessions: u32,
    /// TCP address of the worker's page for Prometheus, `/metrics`; none: there is none. Whoever reaches it may read it.
    #[arg(long, env = "PTYD_METRICS_LISTEN", value_name = "PTYD_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// Log filter, such as `info` or `warn,ptyd=debug`.
    #[arg(long, env = "PTYD_LOG", value_name = "PTYD_LOG", default_value = "info", value_parser = log_filter)]
    pub log: String,

    /// Whom sudo ran ptyd for; the default of `shell_user`.
    #[arg(long, env = "SUDO_USER", hide = true)]
    pub sudo_user: Option<String>,
    /// Program to run as the worker in place of this binary itself, for tests.
    #[arg(long, hide = true)]
    pub worker_program: Option<PathBuf>,
    /// Arguments of the worker program.
    #[arg(long, hide = true, default_value = "worker")]
    pub worker_argument: Vec<String>,
    /// Only says whether this configuration can be read; given by standalone, before it makes anything.
    #[arg(long, hide = true)]
    pub check_config: bool,
    /// Only says whether the state in this descriptor could be taken over; given by the keeper that runs now.
    #[arg(long, hide = true)]
    pub check_state: Option<RawFd>,
    /// Takes over the state in this descriptor; given by the keeper that ran in this process before.
    #[arg(long, hide = true, conflicts_with = "check_state")]
    pub resume_state: Option<RawFd>,
}

/// A filter that the worker can use: said now, not by a worker that never starts.
fn log_filter(text: &str) -> Result<String, String> {
    telemetry::check(text).map(|()| text.to_owned()).map_err(|err| crate::chain(&err))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bad_value_is_refused_and_names_its_variable() {
        for (flag, value, variable) in [
            ("--ring-bytes", "4096", "PTYD_RING_BYTES"),
            ("--ring-bytes", "2000000000", "PTYD_RING_BYTES"),
            ("--max-sessions", "0", "PTYD_MAX_SESSIONS"),
            ("--link-listen", "localhost", "PTYD_LINK_LISTEN"),
            ("--metrics-listen", "9100", "PTYD_METRICS_LISTEN"),
            ("--log", "info,=nonsense=", "PTYD_LOG"),
        ] {
            let refused = Cli::try_parse_from(["ptyd", flag, value]).unwrap_err().to_string();
            assert!(refused.contains(variable) && refused.contains(value), "{refused}");
        }
        assert!(Cli::try_parse_from(["ptyd", "--ring-bytes", "131072", "--log", "warn,ptyd=debug"]).is_ok());
    }
}
