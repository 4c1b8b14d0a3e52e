//! The monotonic clock as programs in sessions read it too. Must not know what is timed.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC (clock_gettime(2)): comparable between the processes of one machine, unlike an `Instant`.
pub fn monotonic() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}
