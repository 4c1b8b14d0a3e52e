//! What the worker counts, for Prometheus (docs/metrics.md). It is all of this worker: the next one begins at zero.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use devpocket_shared::metrics::Metrics;
use devpocket_shared::wire::{Resume, SnapshotReason};
use metrics::{Counter, counter, describe_counter, describe_gauge, gauge};
use tracing::{info, warn};

use super::Context;

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
    describe_gauge!("ptyd_sessions", "Live sessions");
    describe_gauge!("ptyd_sessions_capacity", "Most live sessions this node takes");
    describe_gauge!("ptyd_sessions_ended_kept", "Ended sessions that can still be asked for");
    describe_gauge!("ptyd_attachments", "Clients attached");
    describe_gauge!(
        "ptyd_link_certificate_expiry_timestamp_seconds",
        "When the link's certificate or its CA ends"
    );
    describe_counter!("ptyd_sessions_started_total", "Sessions started");
    describe_counter!("ptyd_sessions_adopted_total", "Sessions taken over from a worker before");
    describe_counter!("ptyd_sessions_ended_total", "Sessions that ended");
    describe_counter!("ptyd_attaches_total", "Attaches, by how output went on");
    describe_counter!("ptyd_output_bytes_total", "Bytes read from terminals");
    describe_counter!("ptyd_input_bytes_total", "Bytes written to terminals");
    describe_counter!("ptyd_snapshots_total", "Snapshots sent, by reason");
    describe_counter!(
        "ptyd_snapshots_shortened_total",
        "Snapshots without the scrollback asked for, by cause"
    );
    info!("metrics are at http://{address}/metrics");
    let stop = context.stop.clone();
    context.tasks.spawn(async move { stop.run_until_cancelled(metrics.serve(listener)).await });
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
    counter!("ptyd_sessions_started_total").increment(1);
}

pub(super) fn session_adopted() {
    counter!("ptyd_sessions_adopted_total").increment(1);
}

pub(super) fn session_ended() {
    counter!("ptyd_sessions_ended_total").increment(1);
}

pub(super) fn attached(resume: Resume) {
    let how = match resume {
        Resume::Fresh => "fresh",
        Resume::Replay => "replay",
        Resume::Snapshot => "snapshot",
    };
    counter!("ptyd_attaches_total", "resume" => how).increment(1);
}

pub(super) fn snapshot_sent(reason: SnapshotReason) {
    let why = match reason {
        SnapshotReason::Attach => "attach",
        SnapshotReason::Lagged => "lagged",
        SnapshotReason::Recovered => "recovered",
    };
    counter!("ptyd_snapshots_total", "reason" => why).increment(1);
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
    let cause = match cause {
        Shortened::NoRoom => "no_room",
        Shortened::Slow => "slow",
    };
    counter!("ptyd_snapshots_shortened_total", "cause" => cause).increment(1);
}

pub(super) fn output_read(bytes: usize) {
    OUTPUT.increment(bytes as u64);
}

pub(super) fn input_written(bytes: usize) {
    INPUT.increment(bytes as u64);
}
