//! The api's own certificate for a link over QUIC: read and judged at the start, and looked at daily, because TLS does not
//! look at what it shows: no ptyd would let us in, and none of our logs would say why.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devpocket_shared::certificates::{
    self, CA_FILE, CertificateError, Content, FileError, MAKE_COMMAND, RENEW_AHEAD, Role,
};
use metrics::gauge;
use nix::unistd::geteuid;
use tokio::time::sleep;
use tracing::{error, warn};

use super::LinkSetupError;

/// How often a running api looks at it, and with how much left it warns each time.
const LOOK: Duration = Duration::from_secs(24 * 3600);
const WARN_AHEAD: Duration = Duration::from_secs(30 * 24 * 3600);

/// What the api proves itself with.
#[derive(Debug)]
pub(super) struct OwnCertificate {
    /// The file of the certificate.
    path: PathBuf,
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl OwnCertificate {
    /// That of a directory, which must be good now.
    pub(super) fn read(directory: &Path) -> Result<Self, LinkSetupError> {
        let read = |name: &str, content| {
            let path = directory.join(name);
            certificates::read_trusted(&path, content, geteuid().as_raw())
                .map_err(|source| LinkSetupError::Read { path, source })
        };
        let own = Self {
            path: directory.join(Role::Api.certificate_file()),
            ca: read(CA_FILE, Content::Certificate)?,
            certificate: read(Role::Api.certificate_file(), Content::Certificate)?,
            key: read(Role::Api.key_file(), Content::Key)?,
        };
        own.check(Duration::ZERO)
            .map_err(|source| LinkSetupError::Certificates { path: own.path.clone(), source })?;
        if own.check(RENEW_AHEAD).is_err() {
            warn!("{} ends in less than 90 days: renew it (docs/operations.md)", own.path.display());
        }
        if let Some(end) = certificates::end(Role::Api, &own.ca, &own.certificate, &own.key) {
            #[expect(clippy::cast_precision_loss, reason = "seconds of any date are far below 2^53")]
            gauge!("devpocket_link_certificate_expiry_timestamp_seconds").set(end as f64);
        }
        Ok(own)
    }

    /// TLS that shows it.
    pub(super) fn tls(&self) -> Result<rustls::ClientConfig, LinkSetupError> {
        certificates::client_config(&self.ca, &self.certificate, &self.key)
            .map_err(|source| LinkSetupError::Certificates { path: self.path.clone(), source })
    }

    /// Warns of its end, for ever.
    pub(super) async fn watch(&self) {
        loop {
            sleep(LOOK).await;
            let path = self.path.display();
            if self.check(Duration::ZERO).is_err() {
                error!(
                    "{path} has ended: no ptyd lets this api in. `{MAKE_COMMAND} DIR` renews it, and a restart reads it"
                );
            } else if self.check(WARN_AHEAD).is_err() {
                warn!(
                    "{path} ends in less than 30 days: `{MAKE_COMMAND} DIR` renews it, and a restart reads it"
                );
            }
        }
    }

    fn check(&self, ahead: Duration) -> Result<(), CertificateError> {
        certificates::check(Role::Api, &self.ca, &self.certificate, &self.key, ahead)
    }
}

/// What an operator does about a file of the link's certificates that is not there.
pub(super) fn hint(error: &FileError) -> String {
    if error.is_absence() {
        format!(": `{MAKE_COMMAND} DIR` makes the link's certificates (docs/operations.md)")
    } else {
        String::new()
    }
}
