//! What time it is, as something a test can move.

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

/// The wall clock of one api.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> OffsetDateTime + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(OffsetDateTime::now_utc))
    }

    /// A clock that shows what `now` says.
    pub fn from_fn(now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time, in UTC, to the microsecond as storage keeps it: what was just written reads the same as what is read back.
    pub fn now(&self) -> OffsetDateTime {
        to_the_microsecond((self.0)())
    }
}

/// A time as storage keeps it and every answer has it.
pub fn to_the_microsecond(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_microsecond(at.microsecond()).unwrap_or(at)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
