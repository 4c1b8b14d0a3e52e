//! What the api and ptyd must agree on, and no more: ids, wire frames, link certificates, log set-up.
#![forbid(unsafe_code)]

#[cfg(feature = "certificates")]
pub mod certificates;
pub mod ids;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "telemetry")]
pub mod telemetry;
pub mod wire;

/// An error and what caused it, as one line for the log.
pub fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
