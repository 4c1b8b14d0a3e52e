//! Where api processes reach this node: the same streams over a Unix socket and over QUIC, on sockets that the keeper
//! bound and hands to each worker in turn.

mod quic;
mod unix;

use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use devpocket_shared::certificates::{self, CertificateError, Role};
use tokio::sync::Semaphore;
use tracing::error;

use crate::handover::Descriptor;
use crate::worker::{Context, WorkerError, numbers};

/// Streams served at once; further ones wait to be accepted.
const MAX_STREAMS: usize = 16 << 10;

/// The link cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A socket from the keeper cannot be used.
    #[error("a socket of the link cannot be used")]
    Socket(#[source] std::io::Error),
    /// The certificates do not fit.
    #[error("the link's certificates cannot be used")]
    Certificates(#[from] CertificateError),
    /// QUIC refuses the certificates' TLS settings.
    #[error("the link's TLS settings do not suit QUIC")]
    Tls,
    /// QUIC does not take our packet size.
    #[error("the link's packet size does not suit QUIC")]
    PacketSize,
    /// A key file is shorter than it should be.
    #[error("the link's secrets are too short")]
    Secrets,
}

/// What the keeper bound and opened for the link.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    listener: Option<OwnedFd>,
    udp: Option<OwnedFd>,
    /// No api's, but it comes with the others.
    pub(crate) metrics: Option<OwnedFd>,
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    secrets: Vec<u8>,
}

impl Sockets {
    /// Sorts the descriptors of a welcome.
    pub(crate) fn from_descriptors(
        kinds: &[Descriptor],
        descriptors: Vec<OwnedFd>,
    ) -> Result<Self, WorkerError> {
        let mut sockets = Self::default();
        if kinds.len() != descriptors.len() {
            return Err(WorkerError::OutOfTurn("a welcome without its descriptors"));
        }
        for (kind, descriptor) in kinds.iter().zip(descriptors) {
            let content = || read_all(&descriptor).map_err(|err| WorkerError::Descriptor(*kind, err));
            match kind {
                Descriptor::LinkCa => sockets.ca = content()?,
                Descriptor::LinkCertificate => sockets.certificate = content()?,
                Descriptor::LinkKey => sockets.key = content()?,
                Descriptor::LinkSecrets => sockets.secrets = content()?,
                Descriptor::LinkListener => sockets.listener = Some(descriptor),
                Descriptor::LinkUdp => sockets.udp = Some(descriptor),
                Descriptor::Metrics => sockets.metrics = Some(descriptor),
            }
        }
        Ok(sockets)
    }
}

/// Serves the link on every socket there is. Without QUIC the apis of this host still come in.
pub(crate) fn listen(mut sockets: Sockets, context: &Arc<Context>) -> Result<(), LinkError> {
    let permits = Arc::new(Semaphore::new(MAX_STREAMS));
    if let Some(listener) = sockets.listener.take() {
        unix::listen(listener, context, &permits)?;
    }
    if let Some(udp) = sockets.udp.take()
        && let Err(err) = listen_on_quic(udp, &sockets, context, &permits)
    {
        error!(err = %crate::chain(&err), "the link is not served over QUIC: {err}");
    }
    Ok(())
}

fn listen_on_quic(
    udp: OwnedFd,
    keys: &Sockets,
    context: &Arc<Context>,
    permits: &Arc<Semaphore>,
) -> Result<(), LinkError> {
    let tls = certificates::server_config(&keys.ca, &keys.certificate, &keys.key)?;
    quic::listen(udp, tls, &keys.secrets, context, permits)?;
    if let Some(end) = certificates::end(Role::Ptyd, &keys.ca, &keys.certificate, &keys.key) {
        numbers::certificate_ends(end);
    }
    Ok(())
}

/// Reads a file from its start: its position is shared with every worker that had it before.
fn read_all(descriptor: &OwnedFd) -> std::io::Result<Vec<u8>> {
    use std::io::{Seek, SeekFrom};
    const MAX_FILE_BYTES: u64 = 64 << 10;
    let mut file = std::fs::File::from(descriptor.try_clone()?);
    file.seek(SeekFrom::Start(0))?;
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut content)?;
    Ok(content)
}
