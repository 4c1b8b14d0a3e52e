//! Certificates of the link: who may speak as an api, who as a ptyd, and how TLS checks it. Takes PEM bytes and knows
//! nothing of sockets.
//!
//! One private CA signs one leaf a role. The role stands in the leaf twice, as its only extended key usage and as its
//! only name, so that neither side can pose as the other with a certificate that is good for its own side.

mod file;
mod issue;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

pub use file::{Content, FileError, read_trusted};
pub use issue::{Made, RENEW_AHEAD, make_all, make_all_at_once, renew_at_once};
pub use tls::{client_config, server_config};

use rustls_pki_types::UnixTime;

/// The name in every api's certificate.
pub const API_NAME: &str = "api.devpocket.internal";
/// The name in every ptyd's certificate, and the one an api dials.
pub const PTYD_NAME: &str = "ptyd.devpocket.internal";
/// The only application protocol of the link's TLS.
pub const ALPN: &[u8] = b"devpocket-link/1";

/// The file of the CA's certificate, beside a role's two files.
pub const CA_FILE: &str = "ca.pem";
/// The command that makes what is missing.
pub const MAKE_COMMAND: &str = "devpocket admin make-link-certificates";

/// An end beyond it is none.
const FARTHEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Which side of the link a certificate speaks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Dials: clientAuth, [`API_NAME`].
    Api,
    /// Is dialled: serverAuth, [`PTYD_NAME`].
    Ptyd,
}

impl Role {
    /// Both roles.
    pub const ALL: [Self; 2] = [Self::Api, Self::Ptyd];

    /// The name in the role's certificate.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => API_NAME,
            Self::Ptyd => PTYD_NAME,
        }
    }

    /// File name of the role's certificate.
    pub const fn certificate_file(self) -> &'static str {
        match self {
            Self::Api => "api.pem",
            Self::Ptyd => "ptyd.pem",
        }
    }

    /// File name of the role's private key.
    pub const fn key_file(self) -> &'static str {
        match self {
            Self::Api => "api.key",
            Self::Ptyd => "ptyd.key",
        }
    }
}

/// Says why a leaf and its key would not do for `role`, `ahead` of now; `Ok` if they would.
pub fn check(
    role: Role,
    ca_pem: &[u8],
    cert_pem: &[u8],
    key_pem: &[u8],
    ahead: Duration,
) -> Result<(), CertificateError> {
    let now = Duration::from_secs(UnixTime::now().as_secs());
    tls::check_leaf(role, ca_pem, cert_pem, key_pem, UnixTime::since_unix_epoch(now + ahead))
}

/// When a leaf that is good now, or its CA, will have ended, in seconds since 1970; to the second.
///
/// TLS gives no dates, only whether it would do at a time: so it is looked for.
pub fn end(role: Role, ca_pem: &[u8], cert_pem: &[u8], key_pem: &[u8]) -> Option<u64> {
    let good = |at| {
        tls::check_leaf(role, ca_pem, cert_pem, key_pem, UnixTime::since_unix_epoch(Duration::from_secs(at)))
            .is_ok()
    };
    let now = UnixTime::now().as_secs();
    if !good(now) {
        return None;
    }
    let (mut last_good, mut first_bad) = (now, now + FARTHEST.as_secs());
    while first_bad - last_good > 1 {
        let between = last_good + (first_bad - last_good) / 2;
        if good(between) {
            last_good = between;
        } else {
            first_bad = between;
        }
    }
    Some(first_bad)
}

/// Certificates could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read or written.
    #[error("certificate file {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The PEM text holds no certificate or key where one is needed.
    #[error("{what} is not PEM")]
    Pem {
        /// What was being read.
        what: &'static str,
        /// Why not.
        source: rustls_pki_types::pem::Error,
    },
    /// Key generation or signing failed.
    #[error("certificate could not be issued")]
    Issue(#[from] rcgen::Error),
    /// The certificates do not fit each other, or TLS does not take them.
    #[error("certificate not usable for TLS")]
    Tls(#[from] rustls::Error),
    /// No verifier could be built from the CA certificate.
    #[error("CA certificate not usable")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    /// Another process makes certificates there.
    #[error("{} is in use by another process that makes certificates", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// A symbolic link leads nowhere.
    #[error("{} is a symbolic link to a file that is not there", path.display())]
    Dangling {
        /// The link.
        path: PathBuf,
    },
    /// The CA's file does not hold a CA's certificate.
    #[error("{} holds no CA certificate", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<CertificateError>,
    },
    /// The CA's key file does not hold a key.
    #[error("{} holds no usable private key", path.display())]
    CaKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rcgen::Error,
    },
    /// The CA is gone, but not what it signed.
    #[error(
        "{} is missing, and so is ca.key, but there are certificates of that CA: bring ca.pem back from any host that has \
         a copy, or remove all certificates here for a new CA, which every host then needs",
        path.display()
    )]
    CaLost {
        /// Where the CA's certificate should be.
        path: PathBuf,
    },
    /// There is no CA, and a new one is not to be made now.
    #[error(
        "{} is missing, and so is ca.key, and a new CA would turn every api away: bring one of them back; a new one is made \
         at a start alone",
        path.display()
    )]
    NoCa {
        /// Where the CA's certificate should be.
        path: PathBuf,
    },
    /// The CA's key is of another CA.
    #[error("{} does not belong to ca.pem", path.display())]
    ForeignKey {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with a leaf of it.
        source: Box<CertificateError>,
    },
    /// A leaf is not there, and the CA's key is kept elsewhere.
    #[error("{} or its key is missing, and there is no ca.key to make it with", path.display())]
    CannotMake {
        /// The certificate in question.
        path: PathBuf,
    },
    /// A leaf must be renewed, but the CA's key is kept elsewhere.
    #[error("{} has expired, is about to, or does not fit its CA, and there is no ca.key to renew it with", path.display())]
    CannotRenew {
        /// The certificate in question.
        path: PathBuf,
        /// What is wrong with it, or soon will be.
        source: Box<CertificateError>,
    },
}
