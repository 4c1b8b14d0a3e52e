//! The api tier: accounts, HTTP, and the terminal stream in front of ptyd. Holds nothing between requests that the
//! database or ptyd does not hold.
#![forbid(unsafe_code)]

pub mod config;
pub mod domain;
pub mod http;
pub mod link;
pub mod problem;
pub mod run;
pub mod server;
pub mod standalone;
pub mod state;
pub mod store;
pub mod terminal;

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
