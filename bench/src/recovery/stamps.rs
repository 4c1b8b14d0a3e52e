//! A program that prints what time it is, and a client's sink that reads it: shows whether output is from before or after
//! an event. Must not know which event.

use std::time::Duration;

use devpocket_tests::client::Sink;

/// Prints CLOCK_MONOTONIC in nanoseconds, a line each millisecond.
pub const PROGRAM: &str = r#"exec perl -e '
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);
$| = 1;
for (;;) { printf "%.0f\n", clock_gettime(CLOCK_MONOTONIC) * 1e9; sleep 0.001; }'"#;

/// Reads the stamps.
#[derive(Debug, Default)]
pub struct Stamps {
    /// The digits of the line that has not ended yet.
    digits: u64,
    last: u64,
}

impl Stamps {
    /// When the last whole line was printed.
    pub const fn last(&self) -> Duration {
        Duration::from_nanos(self.last)
    }
}

impl Sink for Stamps {
    fn output(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.last = std::mem::take(&mut self.digits),
                digit => self.digits = self.digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_once_it_is_whole() {
        let mut stamps = Stamps::default();
        stamps.output(b"1700000000\n18");
        assert_eq!(stamps.last(), Duration::from_nanos(1_700_000_000));
        stamps.output(b"00000000\n");
        assert_eq!(stamps.last(), Duration::from_nanos(1_800_000_000));
    }
}
