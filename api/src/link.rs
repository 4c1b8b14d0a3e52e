//! The api's side of the link: a stream to the ptyd of a session, over the Unix socket of this host or over QUIC. Knows
//! neither clients nor what travels after a request's answer.

mod certificate;
pub mod quic;
mod sessions;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex as Lock, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use devpocket_shared::certificates::{CertificateError, FileError, MAKE_COMMAND};
use devpocket_shared::ids::NodeId;
use devpocket_shared::wire::message::{FEATURE_COMMANDS, LINK_VERSION};
use devpocket_shared::wire::stream::{self, FrameReader, FrameWriter, StreamError};
use devpocket_shared::wire::{Answer, Hello, Request, frame};
use metrics::{counter, histogram};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use certificate::{OwnCertificate, hint};
use quic::Quic;

use crate::config::PtydAddress;

/// How long a request may take, retries while the worker restarts included.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a look at the node's health may take, and how long it is good for.
const LOOK: Duration = Duration::from_secs(1);
/// How long nobody is reached before it is said in the log, and again.
const SAY_AFTER: Duration = Duration::from_secs(1);
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// How long it is tried to reach a node where nothing runs: a keeper that is started again takes less.
const ABSENCE: Duration = Duration::from_secs(1);
/// How long a request may take at a node that has answered nobody for as long as [`REQUEST`].
const SILENT_REQUEST: Duration = Duration::from_secs(2);
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
    /// Nobody answers at any of its addresses.
    #[error("nobody answers over QUIC at {tried}")]
    NoAnswer {
        /// Where it was tried.
        tried: String,
    },
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

    /// Whether nobody listens there now: it ended, or was never started.
    fn nobody_listens(&self) -> bool {
        let not_found = |err: &io::Error| err.kind() == io::ErrorKind::NotFound;
        self.is_absence() || matches!(self, Self::Transport(StreamError::Io(err)) if not_found(err))
    }
}

/// A request was not answered, for whom it matters whether it was sent.
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
    /// A certificate file cannot be read, or not be trusted.
    #[error("LINK_CERT_DIR: {} cannot be read{}", path.display(), hint(source))]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// The certificates do not fit, or no longer.
    #[error(
        "LINK_CERT_DIR: {} cannot be used with the ca.pem and api.key beside it; `{MAKE_COMMAND} DIR` renews what has ended \
         (docs/operations.md)",
        path.display()
    )]
    Certificates {
        /// The file of the api's certificate.
        path: PathBuf,
        /// Why.
        source: CertificateError,
    },
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

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Quic(quic) => write!(f, "quic:{}", quic.address()),
        }
    }
}

/// The way to the one ptyd of a static placement.
#[derive(Debug)]
pub struct Link {
    target: Target,
    tasks: TaskTracker,
    /// What it proves itself with over QUIC.
    own: Option<OwnCertificate>,
    /// When it was last said that the node cannot be reached, while it cannot.
    silence: Lock<Option<Instant>>,
    /// When somebody last looked at the node, and whether it answered. Held while looking, so that one look serves all.
    seen: Mutex<Option<(Instant, bool)>>,
    heard: Lock<Heard>,
}

/// What was heard of the node.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// When it answered last.
    answered_at: Option<Instant>,
    /// Since when whoever asked had no answer; none: the last one had.
    silent_since: Option<Instant>,
}

/// How long a node is waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// In all.
    whole: Duration,
    /// While nothing runs there.
    absent: Duration,
}

impl Patience {
    const LONG: Self = Self { whole: REQUEST, absent: REQUEST };
}

impl From<OnceError> for LinkError {
    fn from(err: OnceError) -> Self {
        match err {
            OnceError::NotSent(err) | OnceError::Unknown(err) => err,
        }
    }
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
                let own = OwnCertificate::read(directory)?;
                let quic = Quic::new(address, own.tls()?)?;
                return Ok(Self { own: Some(own), ..Self::new(Target::Quic(quic), tasks) });
            }
        };
        Ok(Self::new(target, tasks))
    }

    /// A link to `target`; its tasks run on `tasks`.
    pub fn new(target: Target, tasks: TaskTracker) -> Self {
        Self {
            target,
            tasks,
            own: None,
            seen: Mutex::default(),
            silence: Lock::default(),
            heard: Lock::default(),
        }
    }

    /// Warns, for ever, when the api's own certificate is about to end.
    pub async fn watch_certificate(&self) {
        match &self.own {
            Some(own) => own.watch().await,
            None => std::future::pending().await,
        }
    }

    /// Sends a request and waits for its answer, trying again while the node's worker restarts: requests are such that a
    /// repeat does no harm.
    pub async fn request(
        &self,
        request_id: &str,
        request: &Request,
    ) -> Result<(Answer, LinkStream), LinkError> {
        let opening = opening(request_id, request)?;
        self.patiently(Patience::LONG, || async { self.ask(self.open().await?, &opening).await }).await
    }

    /// As [`Link::request`], for who need not wait until a node is started: a worker's restart is waited for, a node where
    /// nothing runs, or that is known to be silent, for a moment.
    pub async fn request_now(
        &self,
        request_id: &str,
        request: &Request,
    ) -> Result<(Answer, LinkStream), OnceError> {
        let opening = opening(request_id, request).map_err(OnceError::NotSent)?;
        let sent = AtomicBool::new(false);
        let asking = self.patiently(self.patience(), || async {
            let stream = self.open().await?;
            sent.store(true, Ordering::Relaxed);
            self.ask(stream, &opening).await
        });
        let asked = asking.await;
        asked.map_err(if sent.into_inner() { OnceError::Unknown } else { OnceError::NotSent })
    }

    /// As [`Link::request_now`], for what is done twice if it is sent twice: tries again only until it is sent.
    pub async fn request_once(
        &self,
        request_id: &str,
        request: &Request,
    ) -> Result<(Answer, LinkStream), OnceError> {
        let opening = opening(request_id, request).map_err(OnceError::NotSent)?;
        let opened = self.patiently(self.patience(), || self.open()).await;
        let stream = opened.map_err(OnceError::NotSent)?;
        let began = Instant::now();
        let asked = timeout(REQUEST, self.ask(stream, &opening)).await.unwrap_or(Err(LinkError::TimedOut));
        asked.map_err(|err| {
            self.note_silence(began);
            OnceError::Unknown(err)
        })
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
        let look = async { self.ask(self.open().await?, &opening("health", &Request::Info)?).await };
        let began = Instant::now();
        let answered = matches!(timeout(LOOK, look).await, Ok(Ok(_)));
        if !answered {
            self.note_silence(began);
        }
        *seen = Some((Instant::now(), answered));
        answered
    }

    /// How long a request waits that need not wait until a node is started.
    fn patience(&self) -> Patience {
        let silent = self.heard().silent_since.is_some_and(|since| since.elapsed() >= REQUEST);
        Patience { whole: if silent { SILENT_REQUEST } else { REQUEST }, absent: ABSENCE }
    }

    /// Notes that whoever asked at this time had no answer. Others may have had one since.
    fn note_silence(&self, since: Instant) {
        let mut heard = self.heard();
        let since = heard.answered_at.map_or(since, |answered_at| answered_at.max(since));
        heard.silent_since.get_or_insert(since);
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        // Whatever panicked left two times.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries until it succeeds, for as long as `patience` says.
    async fn patiently<T, F: Future<Output = Result<T, LinkError>>>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, LinkError> {
        let mut failure = LinkError::TimedOut;
        let began = Instant::now();
        let trying = async {
            let (mut wait, mut absent_since) = (FIRST_RETRY, None);
            loop {
                match attempt().await {
                    Ok(done) => return Ok(done),
                    Err(err) => failure = err,
                }
                let absent = failure.nobody_listens().then(Instant::now);
                absent_since = absent.map(|now| absent_since.unwrap_or(now));
                if absent_since.is_some_and(|since: Instant| since.elapsed() >= patience.absent) {
                    return Err(());
                }
                if began.elapsed() >= SAY_AFTER {
                    self.say_silent(&failure);
                }
                sleep(wait).await;
                wait = (wait * 2).min(MAX_RETRY);
            }
        };
        let outcome = timeout(patience.whole, trying).await.unwrap_or(Err(()));
        let word = if outcome.is_ok() { "answered" } else { "unreachable" };
        counter!("devpocket_link_requests_total", "outcome" => word).increment(1);
        histogram!("devpocket_link_request_seconds").record(began.elapsed());
        outcome.inspect(|_| self.say_answering()).map_err(|()| {
            self.note_silence(began);
            self.say_silent(&failure);
            failure
        })
    }

    /// Says where nobody can be reached and why, once in a while.
    fn say_silent(&self, failure: &LinkError) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        if silence.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            *silence = Some(Instant::now());
            warn!(err = %crate::chain(failure), "ptyd cannot be reached at {}: {}", self.target, crate::chain(failure));
        }
    }

    fn say_answering(&self) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        if silence.take().is_some() {
            info!("ptyd answers again at {}", self.target);
        }
    }

    async fn ask(&self, mut stream: LinkStream, opening: &[u8]) -> Result<(Answer, LinkStream), LinkError> {
        stream.writer.write_all(opening).await.map_err(StreamError::from)?;
        let its_hello: Hello = stream.reader.next_control().await?.ok_or(LinkError::Closed)?;
        stream.node_id = its_hello.node_id;
        let answer = stream.reader.next_control().await?.ok_or(LinkError::Closed)?;
        *self.heard() = Heard { answered_at: Some(Instant::now()), silent_since: None };
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

impl From<io::Error> for LinkError {
    fn from(err: io::Error) -> Self {
        Self::Transport(err.into())
    }
}

#[cfg(test)]
mod tests;
