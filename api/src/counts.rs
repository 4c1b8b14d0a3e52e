//! What this api counts beside requests, for whoever is to be woken at night (docs/metrics.md). Knows no route and no page.
//!
//! No label has a value that a client chooses.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::domain::limits::{Class, NAME_BUCKET};

/// Codes of problems that alerts are about: they are there from the start, since a number that appears with its first
/// event has no rise.
const WATCHED: [&str; 6] = [
    "invalid_credentials",
    "account_locked",
    "token_reused",
    "origin_not_allowed",
    "database_unavailable",
    "node_unavailable",
];

/// What became of a ticket for a socket.
#[derive(Clone, Copy, Debug)]
pub enum Ticket {
    /// It opened one.
    Accepted,
    /// It was none of ours, or too old.
    Invalid,
    /// It had been used: a copy of it is about.
    UsedBefore,
    /// Nobody could have remembered that it was used.
    NoRoom,
}

/// Who ended a socket.
#[derive(Clone, Copy, Debug)]
pub enum ClosedBy {
    /// This api, with this code.
    Server(u16),
    /// The client, with what it said; none: it was gone without a word.
    Client(Option<u16>),
}

/// Begins all that alerts are about at zero.
pub fn begin() {
    for code in WATCHED {
        counter!("devpocket_http_problems_total", "code" => code).increment(0);
    }
    let classes = [Class::General, Class::Auth, Class::Connect, Class::Open].map(Class::as_str);
    for bucket in classes.into_iter().chain([NAME_BUCKET]) {
        counter!("devpocket_rate_limited_total", "bucket" => bucket).increment(0);
    }
    for ticket in [Ticket::Accepted, Ticket::Invalid, Ticket::UsedBefore, Ticket::NoRoom] {
        counter!("devpocket_tickets_total", "outcome" => ticket.as_str()).increment(0);
    }
    counter!("devpocket_redis_fallbacks_total").increment(0);
}

/// An error was answered.
pub fn problem(code: &'static str) {
    counter!("devpocket_http_problems_total", "code" => code).increment(1);
}

/// A request, a try of a name or an attach was one too many.
pub fn rate_limited(bucket: &'static str) {
    counter!("devpocket_rate_limited_total", "bucket" => bucket).increment(1);
}

/// A ticket was shown.
pub fn ticket(outcome: Ticket) {
    counter!("devpocket_tickets_total", "outcome" => outcome.as_str()).increment(1);
}

/// A socket ended.
pub fn socket_closed(by: ClosedBy) {
    let (by, code) = match by {
        ClosedBy::Server(code) => ("server", code.to_string()),
        // RFC 6455 section 7.4.1: there was no close at all.
        ClosedBy::Client(None) => ("client", "1006".to_owned()),
        ClosedBy::Client(Some(code @ (1000 | 1001 | 1005))) => ("client", code.to_string()),
        ClosedBy::Client(Some(_)) => ("client", "other".to_owned()),
    };
    counter!("devpocket_websockets_closed_total", "by" => by, "code" => code).increment(1);
}

/// Redis was to be asked and did not answer, so this api decided alone.
pub fn redis_fallback() {
    counter!("devpocket_redis_fallbacks_total").increment(1);
}

/// Whether the database answers.
pub fn database_up(up: bool) {
    gauge!("devpocket_database_up").set(f64::from(u8::from(up)));
}

/// Whether Redis does.
pub fn redis_up(up: bool) {
    gauge!("devpocket_redis_up").set(f64::from(u8::from(up)));
}

/// A statement had a connection after so long, or gave up.
pub fn database_wait(took: Duration) {
    histogram!("devpocket_database_wait_seconds").record(took);
}

impl Ticket {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Invalid => "invalid",
            Self::UsedBefore => "used_before",
            Self::NoRoom => "no_room",
        }
    }
}
