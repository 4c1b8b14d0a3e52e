//! Log set-up of every binary: JSON lines on stderr, behind a filter. Knows nothing of what is logged.

use std::io;

use tracing_subscriber::EnvFilter;

/// Logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("log filter {filter:?} is not valid")]
    Filter {
        /// As given.
        filter: String,
        /// Why not.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody set up logging before.
    #[error("logging was set up twice")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Starts logging to stderr for the whole process: one JSON object a line, with the fields of its spans.
///
/// `filter` is a level or a list like `info,sqlx=warn` (tracing-subscriber's `EnvFilter`). Call it once, before threads
/// are started. A stderr that is gone loses the lines and nothing else.
pub fn init(filter: &str) -> Result<(), TelemetryError> {
    let parsed = parse(filter)?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        // It reports a failed write by eprintln!, which panics when stderr is a closed pipe.
        .log_internal_errors(false)
        .with_env_filter(parsed)
        .with_writer(io::stderr)
        .try_init()
        .map_err(TelemetryError::Twice)
}

/// Whether `filter` is one that [`init`] takes.
pub fn check(filter: &str) -> Result<(), TelemetryError> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_parse_is_named() {
        let err = init("info,=nonsense=").unwrap_err();
        assert!(err.to_string().contains("=nonsense="), "{err}");
    }

    #[test]
    fn logging_is_set_up_once() {
        init("off").unwrap();
        assert!(matches!(init("off"), Err(TelemetryError::Twice(_))));
    }
}
