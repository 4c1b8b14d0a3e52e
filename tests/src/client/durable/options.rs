//! What a durable client wants, what happened to it, how its session ended. Must not know how it works.

use serde_json::Value;

use crate::client::opening::Opening;

/// What a durable client is and wants.
#[derive(Clone, Debug)]
pub struct DurableOptions {
    /// Where it opens its sockets, one after the other.
    pub openings: Vec<Opening>,
    /// Its name in the session.
    pub client_id: String,
    /// The most bytes sent beyond its last ack.
    pub window: Option<u64>,
    /// `lossless` or `realtime`.
    pub delivery: &'static str,
    /// Anything but an exact resume is a violation.
    pub exact: bool,
    /// For the pauses between attempts.
    pub seed: u64,
}

impl DurableOptions {
    /// A lossless client with a window, whose every byte counts.
    pub fn lossless(openings: Vec<Opening>) -> Self {
        let id = uuid::Uuid::new_v4();
        let (seed, _) = id.as_u64_pair();
        let client_id = format!("client-{}", id.simple());
        Self { openings, client_id, window: Some(256 << 10), delivery: "lossless", exact: true, seed }
    }
}

/// What happened to a client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Sockets opened.
    pub sockets: u64,
    /// Connections lost while attached.
    pub lost: u64,
    /// Attaches that went on at the exact byte.
    pub replays: u64,
    /// Attaches that got a snapshot, and snapshots in place of output.
    pub snapshots: u64,
    /// `status: interrupted`.
    pub interrupted: u64,
    /// `status: draining`.
    pub draining: u64,
    /// `error: input_full`.
    pub input_full: u64,
}

/// How a session ended.
#[derive(Clone, Debug)]
pub struct End {
    /// `{code}` or `{signal}`.
    pub exit: Value,
    /// Why, if not by itself.
    pub reason: Option<String>,
}
