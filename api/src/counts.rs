//! What this api counts beside requests, for whoever is to be woken at night (docs/metrics.md). Knows no route and no page.
//!
//! No label has a value that a client chooses.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

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

const CLOSED: &str = "devpocket_websockets_closed_total";
/// Codes that sockets are closed with (docs/protocol.md), and what becomes of those of clients.
const SERVER_CODES: [&str; 6] = ["1001", "1002", "1007", "1008", "1009", "4401"];
const CLIENT_CODES: [&str; 5] = ["1000", "1001", "1005", "1006", "other"];

/// What each metric is, as docs/metrics.md has it.
const COUNTERS: [(&str, &str); 8] = [
    (
        "devpocket_http_requests_total",
        "requests answered; route is the pattern, none where none matched; a WebSocket counts when it is upgraded (101)",
    ),
    (
        "devpocket_http_problems_total",
        "errors answered, by the stable word in their body: invalid_credentials is a failed login, account_locked one that was \
         not looked at, token_reused a refresh token that somebody has a copy of",
    ),
    (
        "devpocket_rate_limited_total",
        "refusals for their number, on the terminal stream too; name is a name that is tried from everywhere",
    ),
    ("devpocket_tickets_total", "tickets shown to open a socket"),
    (
        "devpocket_redis_fallbacks_total",
        "decisions (limits, failed logins, tickets, revocations) that this api made by its own memory because Redis did not \
         answer",
    ),
    (
        "devpocket_websockets_closed_total",
        "sockets that ended: by this api with a close code of the protocol, or by the client with 1000, 1001, 1005 (no code), \
         other, or 1006 (gone without a word)",
    ),
    ("devpocket_websockets_opened_total", "sockets opened"),
    (
        "devpocket_link_requests_total",
        "requests to ptyd; unreachable after 10 s of trying, or earlier where nothing runs",
    ),
];
const GAUGES: [(&str, &str); 4] = [
    (
        "devpocket_database_up",
        "1 if it answered within the last 5 s and has refused no write since one was taken, else 0",
    ),
    ("devpocket_redis_up", "1 if it answered within the last 5 s, else 0; without REDIS_URL it is not there"),
    ("devpocket_websockets", "sockets open now"),
    (
        "devpocket_link_certificate_expiry_timestamp_seconds",
        "when the api's certificate for a link over QUIC or its CA ends, in seconds since 1970",
    ),
];
const HISTOGRAMS: [(&str, &str); 3] = [
    ("devpocket_http_request_seconds", "from the last header byte to the answer's first"),
    ("devpocket_database_wait_seconds", "how long statements waited for a connection of the pool"),
    (
        "devpocket_link_request_seconds",
        "how long requests to ptyd took, retries while a worker restarts included",
    ),
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

/// Says what each number is, and begins them at zero, all but those of labels that nobody can list beforehand.
pub fn begin() {
    for (name, meaning) in COUNTERS {
        describe_counter!(name, meaning);
    }
    for (name, meaning) in GAUGES {
        describe_gauge!(name, meaning);
    }
    for (name, meaning) in HISTOGRAMS {
        describe_histogram!(name, meaning);
    }
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
    counter!("devpocket_websockets_opened_total").increment(0);
    gauge!("devpocket_websockets").set(0.0);
    for code in SERVER_CODES {
        counter!(CLOSED, "by" => "server", "code" => code).increment(0);
    }
    for code in CLIENT_CODES {
        counter!(CLOSED, "by" => "client", "code" => code).increment(0);
    }
    for outcome in ["answered", "unreachable"] {
        counter!("devpocket_link_requests_total", "outcome" => outcome).increment(0);
    }
    // A histogram is there from when somebody had it.
    drop([histogram!("devpocket_database_wait_seconds"), histogram!("devpocket_link_request_seconds")]);
}

/// Begins an operation's count at zero, by an answer that it has when it succeeds.
pub fn begin_operation(method: &'static str, route: String, status: String) {
    counter!("devpocket_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(0);
    drop(histogram!("devpocket_http_request_seconds", "route" => route));
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
    counter!(CLOSED, "by" => by, "code" => code).increment(1);
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
