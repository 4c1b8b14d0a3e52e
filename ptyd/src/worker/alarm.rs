//! A deadline that moves often.

use std::pin::Pin;
use std::time::Instant;

use tokio::time::Sleep;

/// Waits for a deadline that moves often. A timer that is set and comes before all others makes the runtime wake itself, with
/// every key that is typed: so one that rings too early is left alone, and set anew when it has rung.
#[derive(Debug)]
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it rings, if it is set.
    set: Option<Instant>,
}

impl Alarm {
    /// One that is not set.
    pub(crate) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(tokio::time::Instant::now())), set: None }
    }

    /// Completes at `deadline`; never without one. Cancel-safe.
    pub(crate) async fn until(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return std::future::pending().await };
        loop {
            let rings = self.set.filter(|set| *set <= deadline).unwrap_or(deadline);
            if self.set != Some(rings) {
                self.sleep.as_mut().reset(rings.into());
                self.set = Some(rings);
            }
            self.sleep.as_mut().await;
            self.set = None;
            if rings == deadline {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_deadline_wherever_that_has_moved() {
        let began = tokio::time::Instant::now();
        let at = |ms: u32| Some((began + MS * ms).into_std());
        let mut alarm = Alarm::new();
        timeout(MS * 2, alarm.until(at(10))).await.expect_err("not yet");
        timeout(MS * 30, alarm.until(at(50))).await.expect_err("later now");
        assert_eq!(began.elapsed(), MS * 32);
        alarm.until(at(50)).await;
        assert_eq!(began.elapsed(), MS * 50);
        timeout(MS * 2, alarm.until(at(90))).await.expect_err("not yet");
        alarm.until(at(60)).await;
        assert_eq!(began.elapsed(), MS * 60, "earlier again");
        timeout(MS * 100, alarm.until(None)).await.expect_err("never");
        alarm.until(at(10)).await;
        assert_eq!(began.elapsed(), MS * 160, "at once, since it is past");
    }
}
