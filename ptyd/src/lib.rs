//! ptyd's parts as a library, so that its tests reach them; the binary in `main.rs` only chooses one. Knows no command
//! line beyond [`config`].

pub mod config;
pub mod handover;
pub mod keeper;
pub mod link;
pub mod worker;

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
