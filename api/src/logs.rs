//! The api's logs: JSON lines on stdout, and in files under `LOG_DIR` for who wants them kept apart: `app`, `access` (a line
//! for each request) and `error`. Knows nothing of what is logged.

use std::io;
use std::path::{Path, PathBuf};

use devpocket_shared::telemetry::TelemetryError;
use tracing::{Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Target of the lines about requests.
pub const ACCESS: &str = "access";
/// Target of the line that says where an api listens, which scripts wait for: no filter keeps it back.
pub const READY: &str = "ready";
/// Files kept of each kind; a new one begins every day (UTC).
const KEPT: usize = 14;

/// Logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter is no good, or there are logs already.
    #[error("LOG")]
    Telemetry(#[from] TelemetryError),
    /// The directory cannot be written to.
    #[error("LOG_DIR: {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file cannot be made there.
    #[error("LOG_DIR: {}", path.display())]
    File {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: InitError,
    },
}

/// The files' writers; what they still hold is written when this is dropped.
#[derive(Debug, Default)]
pub struct Logs(Vec<WorkerGuard>);

/// Where the lines go that are not kept in files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// Of a server, which says nothing else there.
    Stdout,
    /// Of what says something else on stdout.
    Stderr,
}

/// Starts logging for the whole process. Call it once, as the user that is to own the files.
pub fn init(filter: &str, stream: Stream, directory: Option<&Path>) -> Result<Logs, LogsError> {
    let parsed = || -> Result<EnvFilter, LogsError> {
        let unfit = |source| TelemetryError::Filter { filter: filter.to_owned(), source };
        Ok(EnvFilter::try_new(format!("{filter},{READY}=info")).map_err(unfit)?)
    };
    let mut logs = Logs::default();
    let first = match stream {
        Stream::Stdout => json(io::stdout).with_filter(parsed()?).boxed(),
        Stream::Stderr => json(io::stderr).with_filter(parsed()?).boxed(),
    };
    let mut layers = vec![first];
    if let Some(path) = directory {
        let unfit = |source| LogsError::Directory { path: path.to_owned(), source };
        // Absolute, because the appender's links are.
        let path = &std::path::absolute(path).map_err(unfit)?;
        std::fs::create_dir_all(path).map_err(unfit)?;
        let is_access = |about: &Metadata<'_>| about.target() == ACCESS;
        let is_error = |about: &Metadata<'_>| *about.level() == Level::ERROR;
        // Which request it was is said by the spans around a line.
        let is_around = |about: &Metadata<'_>| about.is_span() && *about.level() <= Level::INFO;
        let app = json(logs.file(path, "app")?);
        let app = app.with_filter(filter_fn(move |about| !is_access(about))).with_filter(parsed()?);
        layers.push(app.boxed());
        let access = filter_fn(move |about| is_access(about) || is_around(about));
        layers.push(json(logs.file(path, "access")?).with_filter(access).boxed());
        let error = filter_fn(move |about| is_error(about) || is_around(about));
        layers.push(json(logs.file(path, "error")?).with_filter(error).boxed());
    }
    let subscriber = tracing_subscriber::registry().with(layers);
    subscriber.try_init().map_err(|err| TelemetryError::Twice(Box::new(err)))?;
    Ok(logs)
}

impl Logs {
    /// A file of this kind for each day, and `KIND.log` as the way to the newest. Writing waits for nobody: of lines that a
    /// disk is too slow for, those beyond 128,000 are dropped.
    fn file(&mut self, directory: &Path, kind: &str) -> Result<NonBlocking, LogsError> {
        let file = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(kind)
            .filename_suffix("log")
            .latest_symlink(format!("{kind}.log"))
            .max_log_files(KEPT)
            .build(directory)
            .map_err(|source| LogsError::File { path: directory.to_owned(), source })?;
        let (writer, guard) = tracing_appender::non_blocking(file);
        self.0.push(guard);
        Ok(writer)
    }
}

fn json<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        // It reports a failed write by eprintln!, which panics when the stream is a closed pipe.
        .log_internal_errors(false)
        .with_writer(writer)
}
