//! ptyd: the terminal-multiplexing daemon.
pub mod handover;
pub mod link;
pub mod worker;

/// An error and what caused it, as one line for the log.
pub(crate) fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
