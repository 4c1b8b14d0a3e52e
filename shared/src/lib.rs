//! What the api and ptyd must agree on, and no more: ids, wire frames, link certificates, log set-up.
#![forbid(unsafe_code)]

#[cfg(feature = "certificates")]
pub mod certificates;
pub mod ids;
#[cfg(feature = "telemetry")]
pub mod telemetry;
pub mod wire;
