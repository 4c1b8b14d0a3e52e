//! Waiting for a state with a deadline, in place of sleeping. Must not know what the state is.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a state is looked at: short against every deadline in the suites, long against the cost of a look.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Returns once `probe` is true; panics with `what` after `limit`. The probe looks at a state, not at an edge.
pub async fn wait_until(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> bool) {
    wait_for(what, limit, async || probe().await.then_some(())).await;
}

/// Returns what `probe` found, once it finds something; panics with `what` after `limit`.
pub async fn wait_for<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain until {what}");
        sleep(LOOK_EVERY).await;
    }
}
