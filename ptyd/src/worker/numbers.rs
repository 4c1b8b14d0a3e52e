//! What the worker counts, for Prometheus (docs/metrics.md). It is all of this worker: the next one begins at zero.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use devpocket_shared::metrics::Metrics;
use devpocket_shared::wire::{Resume, SnapshotReason};
use metrics::{Counter, counter, describe_counter, describe_gauge, gauge};
use tracing::{info, warn};

use super::Context;

/// What each metric is, as docs/metrics.md has it.
const GAUGES: [(&str, &str); 5] = [
    (
        "ptyd_link_certificate_expiry_timestamp_seconds",
        "when ptyd's certificate for a link over QUIC or its CA ends, in seconds since 1970",
    ),
    ("ptyd_sessions", "live sessions"),
    ("ptyd_sessions_capacity", "most live sessions this node takes"),
    ("ptyd_sessions_ended_kept", "ended sessions that can still be asked for"),
    ("ptyd_attachments", "clients attached"),
];
const COUNTERS: [(&str, &str); 8] = [
    ("ptyd_sessions_started_total", "sessions started"),
    ("ptyd_sessions_adopted_total", "sessions taken over from the worker before"),
    ("ptyd_sessions_ended_total", "sessions that ended"),
    ("ptyd_attaches_total", "attaches, by how output went on"),
    ("ptyd_output_bytes_total", "bytes read from terminals"),
    ("ptyd_input_bytes_total", "bytes written to terminals"),
    ("ptyd_snapshots_total", "snapshots sent"),
    ("ptyd_snapshots_shortened_total", "snapshots of the screen alone where scrollback was asked for"),
];

const STARTED: &str = "ptyd_sessions_started_total";
const ADOPTED: &str = "ptyd_sessions_adopted_total";
const ENDED: &str = "ptyd_sessions_ended_total";

// Handles, not names to be looked up: these are counted for each read and write.
static OUTPUT: LazyLock<Counter> = LazyLock::new(|| counter!("ptyd_output_bytes_total"));
static INPUT: LazyLock<Counter> = LazyLock::new(|| counter!("ptyd_input_bytes_total"));

/// Begins to count, and to show the numbers to who comes to `listener`, the keeper's.
pub(super) fn show(context: &Context, listener: OwnedFd) {
    let listener = TcpListener::from(listener);
    let listening = listener.local_addr().and_then(|address| {
        listener.set_nonblocking(true)?;
        Ok((address, tokio::net::TcpListener::from_std(listener)?))
    });
    let (address, listener) = match listening {
        Ok(listening) => listening,
        Err(err) => {
            warn!(%err, "there will be no metrics: their listener cannot be used");
            return;
        }
    };
    let metrics = match Metrics::install("ptyd worker", env!("CARGO_PKG_VERSION")) {
        Ok(metrics) => metrics,
        Err(err) => {
            warn!(%err, "there will be no metrics");
            return;
        }
    };
    begin();
    info!("metrics are at http://{address}/metrics");
    let stop = context.stop.clone();
    context.tasks.spawn(async move { stop.run_until_cancelled(metrics.serve(listener)).await });
}

/// Says what each number is, and begins the counters at zero: one that appears with its first event has no rise.
fn begin() {
    for (name, meaning) in GAUGES {
        describe_gauge!(name, meaning);
    }
    for (name, meaning) in COUNTERS {
        describe_counter!(name, meaning);
    }
    for counter in [STARTED, ADOPTED, ENDED] {
        counter!(counter).increment(0);
    }
    output_read(0);
    input_written(0);
    for resume in [Resume::Fresh, Resume::Replay, Resume::Snapshot] {
        attaches(resume).increment(0);
    }
    for reason in [SnapshotReason::Attach, SnapshotReason::Lagged, SnapshotReason::Recovered] {
        snapshots(reason).increment(0);
    }
    for cause in [Shortened::NoRoom, Shortened::Slow] {
        shortened(cause).increment(0);
    }
}

/// Notes what can be looked up at any time.
#[expect(clippy::cast_precision_loss, reason = "counts of sessions are small")]
pub(super) fn look(context: &Context) {
    let census = context.registry.census();
    gauge!("ptyd_sessions").set(census.live as f64);
    gauge!("ptyd_sessions_ended_kept").set(census.ended as f64);
    gauge!("ptyd_attachments").set(census.attachments as f64);
    gauge!("ptyd_sessions_capacity").set(f64::from(context.capacity));
}

/// Notes when the link's certificate ends, in seconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "seconds of any date are far below 2^53")]
pub(crate) fn certificate_ends(at: u64) {
    gauge!("ptyd_link_certificate_expiry_timestamp_seconds").set(at as f64);
}

pub(super) fn session_started() {
    counter!(STARTED).increment(1);
}

pub(super) fn session_adopted() {
    counter!(ADOPTED).increment(1);
}

pub(super) fn session_ended() {
    counter!(ENDED).increment(1);
}

pub(super) fn attached(resume: Resume) {
    attaches(resume).increment(1);
}

fn attaches(resume: Resume) -> Counter {
    let how = match resume {
        Resume::Fresh => "fresh",
        Resume::Replay => "replay",
        Resume::Snapshot => "snapshot",
    };
    counter!("ptyd_attaches_total", "resume" => how)
}

pub(super) fn snapshot_sent(reason: SnapshotReason) {
    snapshots(reason).increment(1);
}

fn snapshots(reason: SnapshotReason) -> Counter {
    let why = match reason {
        SnapshotReason::Attach => "attach",
        SnapshotReason::Lagged => "lagged",
        SnapshotReason::Recovered => "recovered",
    };
    counter!("ptyd_snapshots_total", "reason" => why)
}

/// Why a client has the screen alone, without the scrollback it asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shortened {
    /// Others held the memory for it.
    NoRoom,
    /// It read slowly while others waited.
    Slow,
}

pub(super) fn snapshot_shortened(cause: Shortened) {
    shortened(cause).increment(1);
}

fn shortened(cause: Shortened) -> Counter {
    let cause = match cause {
        Shortened::NoRoom => "no_room",
        Shortened::Slow => "slow",
    };
    counter!("ptyd_snapshots_shortened_total", "cause" => cause)
}

pub(super) fn output_read(bytes: usize) {
    OUTPUT.increment(bytes as u64);
}

pub(super) fn input_written(bytes: usize) {
    INPUT.increment(bytes as u64);
}
