//! The link's certificates as the keeper has them: renewed where they are its own, checked, and kept in memory, so that
//! every worker gets good ones whatever becomes of the files. Knows nothing of how a worker is given them.

use std::path::PathBuf;
use std::time::Duration;

use devpocket_shared::certificates::{
    self, CA_FILE, CertificateError, Content, FileError, MAKE_COMMAND, Made, RENEW_AHEAD, Role,
    make_all_at_once, renew_at_once, server_config,
};
use nix::unistd::geteuid;

use super::log::Log;
use super::saved::SavedCertificates;
use super::state_dir::{StateDirError, only_ours_to_write};
use crate::chain;
use crate::config::KeeperConfig;
use crate::handover::Descriptor;

/// There are no certificates that the link could use now.
#[derive(Debug, thiserror::Error)]
pub enum LinkCertificateError {
    /// A file cannot be read, or not be trusted.
    #[error("cannot use {}{}", .path.display(), hint(.source))]
    File { path: PathBuf, source: FileError },
    /// The directory is not for this.
    #[error("the link's certificates cannot be trusted")]
    Directory(#[from] StateDirError),
    /// They do not do for a ptyd.
    #[error("the link's certificates in {} cannot be used", .directory.display())]
    Unusable { directory: PathBuf, source: CertificateError },
}

/// The certificates of one directory.
#[derive(Debug)]
pub(super) struct Certificates {
    directory: PathBuf,
    /// Made by ptyd itself; an operator's are left as they are.
    own: bool,
    /// The last that were good when they were read.
    good: Option<Pem>,
}

/// What the files hold.
#[derive(Clone, Debug)]
struct Pem {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    /// Those the link uses, if it uses any: the operator's, or else ptyd's own. Nothing is read yet.
    pub(super) fn of(config: &KeeperConfig, own: PathBuf) -> Option<Self> {
        config.link_listen?;
        let (directory, own) = match &config.link_cert_dir {
            Some(operators) => (operators.clone(), false),
            None => (own, true),
        };
        Some(Self { directory, own, good: None })
    }

    /// Makes what is missing, a CA too, and renews what is near its end, where that is ptyd's to do. What cannot be renewed
    /// may still be good for long: it is for [`Self::load`] to say.
    pub(super) fn make(&self, log: Log) {
        if self.own {
            self.log_made(make_all_at_once(&self.directory), log);
        }
    }

    /// As [`Self::make`], but for a new CA, which no api would know: the certificates in memory are good for all of them.
    pub(super) fn renew(&self, log: Log) {
        if self.own {
            self.log_made(renew_at_once(&self.directory), log);
        }
    }

    fn log_made(&self, made: Result<Vec<Made>, CertificateError>, log: Log) {
        let directory = self.directory.display();
        match made {
            Ok(made) => {
                for made in made {
                    log.info(format_args!("made {}", news(made)), &[("directory", &directory)]);
                }
            }
            Err(error) => log.error(
                "the link's certificates are not renewed",
                &[("directory", &directory), ("error", &chain(&error))],
            ),
        }
    }

    /// Goes on with what was good last in the keeper before.
    pub(super) fn resume(&mut self, saved: SavedCertificates) {
        let SavedCertificates { ca, certificate, key } = saved;
        self.good = Some(Pem { ca, certificate, key });
    }

    /// The last good ones in writing.
    pub(super) fn saved(&self) -> Option<SavedCertificates> {
        let Pem { ca, certificate, key } = self.good.clone()?;
        Some(SavedCertificates { ca, certificate, key })
    }

    /// Whether the last good ones could still be used now.
    pub(super) fn are_usable(&self) -> bool {
        self.good.as_ref().is_some_and(|pem| pem.usable().is_ok())
    }

    /// Reads the files afresh: renewed ones count from the next worker on. On an error the last good ones stay.
    pub(super) fn load(&mut self) -> Result<(), LinkCertificateError> {
        if self.directory.exists() {
            only_ours_to_write(&self.directory)?;
        }
        let read = |name, content| {
            let path = self.directory.join(name);
            certificates::read_trusted(&path, content, geteuid().as_raw())
                .map_err(|source| LinkCertificateError::File { path, source })
        };
        let pem = Pem {
            ca: read(CA_FILE, Content::Certificate)?,
            certificate: read(Role::Ptyd.certificate_file(), Content::Certificate)?,
            key: read(Role::Ptyd.key_file(), Content::Key)?,
        };
        pem.usable()
            .map_err(|source| LinkCertificateError::Unusable { directory: self.directory.clone(), source })?;
        self.good = Some(pem);
        Ok(())
    }

    /// Warns of an end that is near or past.
    pub(super) fn warn_of_end(&self, log: Log) {
        let directory = self.directory.display();
        let Some(pem) = &self.good else { return };
        if let Err(error) = pem.check(Duration::ZERO) {
            let (message, error) =
                ("the link's certificates can no longer be used: no api gets in", chain(&error));
            log.error(message, &[("directory", &directory), ("error", &error)]);
        } else if pem.check(RENEW_AHEAD).is_err() {
            log.warn("the link's certificates end in less than 90 days", &[("directory", &directory)]);
        }
    }

    /// The last good ones, as a worker is told of them.
    pub(super) fn contents(&self) -> impl Iterator<Item = (Descriptor, &[u8])> {
        self.good.iter().flat_map(|pem| {
            [
                (Descriptor::LinkCa, &pem.ca[..]),
                (Descriptor::LinkCertificate, &pem.certificate[..]),
                (Descriptor::LinkKey, &pem.key[..]),
            ]
        })
    }
}

impl Pem {
    fn check(&self, ahead: Duration) -> Result<(), CertificateError> {
        certificates::check(Role::Ptyd, &self.ca, &self.certificate, &self.key, ahead)
    }

    fn usable(&self) -> Result<(), CertificateError> {
        self.check(Duration::ZERO)?;
        server_config(&self.ca, &self.certificate, &self.key).map(drop)
    }
}

/// What was made, and what is to be done about it.
fn news(made: Made) -> &'static str {
    match made {
        Made::Ca => "the link's CA; an api needs its ca.pem",
        Made::Leaf(Role::Api) => "the link's certificate for apis; an api needs api.pem and api.key",
        Made::Leaf(Role::Ptyd) => "the link's certificate for ptyd",
    }
}

/// What an operator does about a file of the link's certificates that is not there.
fn hint(error: &FileError) -> String {
    if error.is_absence() {
        format!(": `{MAKE_COMMAND} DIR` makes the link's certificates (docs/operations.md)")
    } else {
        String::new()
    }
}
