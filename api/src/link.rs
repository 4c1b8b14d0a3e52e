//! The api's side of the link: a stream to the ptyd of a session, over the Unix socket of this host or over QUIC. Knows
//! neither clients nor what travels after a request's answer.

pub mod quic;
mod sessions;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use devpocket_shared::certificates::{self, CA_FILE, CertificateError, MAKE_COMMAND, RENEW_AHEAD, Role};
use devpocket_shared::ids::NodeId;
use devpocket_shared::wire::message::{FEATURE_COMMANDS, LINK_VERSION};
use devpocket_shared::wire::stream::{self, FrameReader, FrameWriter, StreamError};
use devpocket_shared::wire::{Answer, Hello, Request, frame};
use metrics::{counter, histogram};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::warn;

use quic::Quic;

use crate::config::PtydAddress;

/// How long a request may take, retries while the worker restarts included.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a look at the node's health may take, and how long it is good for.
const LOOK: Duration = Duration::from_secs(1);
/// First wait before a request is tried again; it doubles up to [`MAX_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(10);
const MAX_RETRY: Duration = Duration::from_millis(500);

/// The node cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The transport failed.
    #[error("the node cannot be reached")]
    Transport(#[from] StreamError),
    /// QUIC could not connect or open a stream.
    #[error("the node cannot be reached over QUIC")]
    Quic(#[source] quinn::ConnectionError),
    /// QUIC refused to begin a connection.
    #[error("a connection to the node cannot be begun")]
    Connect(#[from] quinn::ConnectError),
    /// Its name has no address.
    #[error("the node's name has no address")]
    NoAddress,
    /// It did not answer when it was last looked at, a moment ago.
    #[error("the node is away")]
    Away,
    /// It did not answer in time.
    #[error("the node did not answer within {REQUEST:?}")]
    TimedOut,
    /// It closed the stream without an answer.
    #[error("the node closed the stream without an answer")]
    Closed,
}

impl LinkError {
    /// Whether nothing runs at the node: the keeper holds the socket of its host from its start to its end, whatever
    /// becomes of its workers. Over QUIC nobody can tell that from a network that is down.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Transport(StreamError::Io(err)) if err.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// A request that is made once was not answered.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// It was not sent: nothing happened.
    #[error("the request was not sent")]
    NotSent(#[source] LinkError),
    /// It was sent, and may or may not have been done.
    #[error("the request was sent and not answered")]
    Unknown(#[source] LinkError),
}

/// The link cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LinkSetupError {
    /// QUIC without certificates.
    #[error("LINK_CERT_DIR is needed for a ptyd over QUIC")]
    NoCertificates,
    /// A certificate file cannot be read.
    #[error("LINK_CERT_DIR: {} cannot be read{}", path.display(), hint(source))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificates do not fit.
    #[error("the link's certificates cannot be used")]
    Certificates(#[from] CertificateError),
    /// QUIC cannot be set up.
    #[error("QUIC cannot be set up")]
    Quic(#[from] quic::QuicSetupError),
}

/// Where a ptyd is reached.
#[derive(Debug)]
pub enum Target {
    /// On this host.
    Unix(PathBuf),
    /// On another.
    Quic(Quic),
}

/// The way to the one ptyd of a static placement.
#[derive(Debug)]
pub struct Link {
    target: Target,
    tasks: TaskTracker,
    /// When somebody last looked at the node, and whether it answered. Held while looking, so that one look serves all.
    seen: Mutex<Option<(Instant, bool)>>,
}

/// A stream whose request was answered.
#[derive(Debug)]
pub struct LinkStream {
    /// Frames from ptyd.
    pub reader: FrameReader,
    /// Frames to ptyd.
    pub writer: FrameWriter,
    /// Which ptyd answered.
    pub node_id: Option<NodeId>,
    /// Keeps the connection's keep-alive short for as long as the stream lives.
    pub presence: Option<quic::Presence>,
}

impl Link {
    /// The link a configuration asks for: to a socket of this host, or over QUIC with the certificates in `certificates`.
    pub fn from_config(
        address: PtydAddress,
        certificates: Option<&Path>,
        tasks: TaskTracker,
    ) -> Result<Self, LinkSetupError> {
        let target = match address {
            PtydAddress::Unix(path) => Target::Unix(path),
            PtydAddress::Quic(address) => {
                let directory = certificates.ok_or(LinkSetupError::NoCertificates)?;
                let read = |name: &str| {
                    let path = directory.join(name);
                    std::fs::read(&path).map_err(|source| LinkSetupError::Read { path, source })
                };
                let ca = read(CA_FILE)?;
                let (certificate, key) = (read(Role::Api.certificate_file())?, read(Role::Api.key_file())?);
                let check = |ahead| certificates::check(Role::Api, &ca, &certificate, &key, ahead);
                // TLS itself does not look at what it shows: no ptyd would let us in, and none of our logs would say why.
                check(Duration::ZERO)?;
                if check(RENEW_AHEAD).is_err() {
                    warn!(
                        "the api's certificate in LINK_CERT_DIR ends in less than 90 days: renew it (docs/operations.md)"
                    );
                }
                let tls = certificates::client_config(&ca, &certificate, &key)?;
                Target::Quic(Quic::new(address, tls)?)
            }
        };
        Ok(Self::new(target, tasks))
    }

    /// A link to `target`; its tasks run on `tasks`.
    pub fn new(target: Target, tasks: TaskTracker) -> Self {
        Self { target, tasks, seen: Mutex::default() }
    }

    /// Sends a request and waits for its answer, trying again while the node's worker restarts: requests are such that a
    /// repeat does no harm.
    pub async fn request(
        &self,
        request_id: &str,
        request: &Request,
    ) -> Result<(Answer, LinkStream), LinkError> {
        let opening = opening(request_id, request)?;
        patiently(|| async { Self::ask(self.open().await?, &opening).await }).await
    }

    /// As [`Link::request`], for what is done twice if it is sent twice: tries again only until it is sent.
    pub async fn request_once(
        &self,
        request_id: &str,
        request: &Request,
    ) -> Result<(Answer, LinkStream), OnceError> {
        let opening = opening(request_id, request).map_err(OnceError::NotSent)?;
        let stream = patiently(|| self.open()).await.map_err(OnceError::NotSent)?;
        let asked = timeout(REQUEST, Self::ask(stream, &opening)).await;
        asked.unwrap_or(Err(LinkError::TimedOut)).map_err(OnceError::Unknown)
    }

    /// Reads one more answer: `Attached` after `Created`.
    pub async fn next_answer(stream: &mut LinkStream) -> Result<Answer, LinkError> {
        let answer = timeout(REQUEST, stream.reader.next_control()).await.map_err(|_| LinkError::TimedOut)?;
        answer?.ok_or(LinkError::Closed)
    }

    /// Whether the node answers at all, as of at most a second ago. Waits for it a second and no longer.
    pub async fn answers(&self) -> bool {
        let mut seen = self.seen.lock().await;
        if let Some((at, answered)) = *seen
            && at.elapsed() < LOOK
        {
            return answered;
        }
        let look = async { Self::ask(self.open().await?, &opening("health", &Request::Info)?).await };
        let answered = matches!(timeout(LOOK, look).await, Ok(Ok(_)));
        *seen = Some((Instant::now(), answered));
        answered
    }

    async fn ask(mut stream: LinkStream, opening: &[u8]) -> Result<(Answer, LinkStream), LinkError> {
        stream.writer.write_all(opening).await.map_err(StreamError::from)?;
        let its_hello: Hello = stream.reader.next_control().await?.ok_or(LinkError::Closed)?;
        stream.node_id = its_hello.node_id;
        let answer = stream.reader.next_control().await?.ok_or(LinkError::Closed)?;
        Ok((answer, stream))
    }

    async fn open(&self) -> Result<LinkStream, LinkError> {
        match &self.target {
            Target::Unix(path) => {
                let socket = UnixStream::connect(path).await.map_err(StreamError::from)?;
                let (reader, writer) = stream::over_unix(socket)?;
                Ok(LinkStream { reader, writer, node_id: None, presence: None })
            }
            Target::Quic(quic) => {
                let (reader, writer, presence) = quic.open(&self.tasks).await?;
                Ok(LinkStream { reader, writer, node_id: None, presence: Some(presence) })
            }
        }
    }
}

/// What an operator does about a file of the link's certificates that is not there.
fn hint(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        format!(": `{MAKE_COMMAND} DIR` makes the link's certificates (docs/operations.md)")
    } else {
        String::new()
    }
}

/// The first two frames of a stream.
fn opening(request_id: &str, request: &Request) -> Result<BytesMut, LinkError> {
    let mut opening = BytesMut::new();
    let hello = Hello {
        version: LINK_VERSION,
        features: FEATURE_COMMANDS,
        node_id: None,
        boot_id: None,
        request_id: request_id.to_owned(),
    };
    frame::put_control(&mut opening, &hello).map_err(StreamError::from)?;
    frame::put_control(&mut opening, request).map_err(StreamError::from)?;
    Ok(opening)
}

/// Tries until it succeeds, for at most [`REQUEST`].
async fn patiently<T, F: Future<Output = Result<T, LinkError>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, LinkError> {
    let mut failure = LinkError::TimedOut;
    let trying = async {
        let mut wait = FIRST_RETRY;
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(err) => failure = err,
            }
            sleep(wait).await;
            wait = (wait * 2).min(MAX_RETRY);
        }
    };
    let began = Instant::now();
    let outcome = timeout(REQUEST, trying).await.map_err(|_| failure);
    let word = if outcome.is_ok() { "answered" } else { "unreachable" };
    counter!("devpocket_link_requests_total", "outcome" => word).increment(1);
    histogram!("devpocket_link_request_seconds").record(began.elapsed());
    outcome
}

impl From<io::Error> for LinkError {
    fn from(err: io::Error) -> Self {
        Self::Transport(err.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It once started, and every ptyd turned it away without a word in its log.
    #[test]
    fn a_certificate_that_is_not_an_apis_is_refused_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        certificates::make_all(dir.path()).unwrap();
        for (from, to) in [("ptyd.pem", "api.pem"), ("ptyd.key", "api.key")] {
            std::fs::copy(dir.path().join(from), dir.path().join(to)).unwrap();
        }
        let address = PtydAddress::Quic("localhost:1".to_owned());
        let refused = Link::from_config(address, Some(dir.path()), TaskTracker::new());
        assert!(matches!(refused, Err(LinkSetupError::Certificates(_))), "{refused:?}");
    }
}
