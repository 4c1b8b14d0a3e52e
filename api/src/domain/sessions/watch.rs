//! Who is still there, by times that others write down with clocks of their own: what matters is that a time changes, not what
//! it says. Knows no clock and no storage.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

/// The longest that may count as having passed between two looks: a machine that slept, or whose clock was put right, has not
/// watched meanwhile.
const LONGEST_GAP: Duration = Duration::minutes(1);

/// Others, and for how long each has not been heard of, as far as it was watched.
#[derive(Debug)]
pub(super) struct Watch<K> {
    heard: BTreeMap<K, Heard>,
    /// The last look.
    looked_at: Option<OffsetDateTime>,
    /// How long it has been watched.
    watched: Duration,
}

#[derive(Debug)]
struct Heard {
    /// What it wrote last.
    at: Option<OffsetDateTime>,
    /// For how long it has written nothing else.
    silent: Duration,
}

impl<K> Default for Watch<K> {
    fn default() -> Self {
        Self { heard: BTreeMap::new(), looked_at: None, watched: Duration::ZERO }
    }
}

impl<K: Copy + Ord> Watch<K> {
    /// Looks at what the others wrote; none: one that has written nothing.
    pub(super) fn look(
        &mut self,
        now: OffsetDateTime,
        written: impl Iterator<Item = (K, Option<OffsetDateTime>)>,
    ) {
        let passed = self.looked_at.replace(now).map_or(Duration::ZERO, |before| now - before);
        let passed = passed.clamp(Duration::ZERO, LONGEST_GAP);
        self.watched += passed;
        for heard in self.heard.values_mut() {
            heard.silent += passed;
        }
        for (key, at) in written {
            let heard = self.heard.entry(key).or_insert(Heard { at, silent: Duration::ZERO });
            // What was forgotten says nothing.
            if at.is_some() && heard.at != at {
                *heard = Heard { at, silent: Duration::ZERO };
            }
        }
    }

    /// For how long this one has been silent.
    pub(super) fn silence(&self, key: K) -> Duration {
        self.heard.get(&key).map_or(Duration::ZERO, |heard| heard.silent)
    }

    /// Whether nobody but `me` has been heard of for so long.
    pub(super) fn is_alone(&self, me: K, long: Duration) -> bool {
        self.watched >= long && self.heard.iter().all(|(key, heard)| *key == me || heard.silent >= long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::minutes(1);

    fn t0() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
    }

    /// The story: an api whose clock was a day ahead took all others' nodes for gone.
    #[test]
    fn a_clock_that_is_wrong_makes_nobody_silent() {
        let day = Duration::days(1);
        for off in [-day, day] {
            let mut watch = Watch::default();
            for minute in 0..100 {
                let now = t0() + MINUTE * minute;
                watch.look(now + off, [(1, Some(now))].into_iter());
                assert_eq!(watch.silence(1), Duration::ZERO);
            }
            assert!(!watch.is_alone(2, MINUTE));
            for minute in 100..105 {
                watch.look(t0() + MINUTE * minute + off, [(1, Some(t0() + MINUTE * 99))].into_iter());
            }
            assert_eq!(watch.silence(1), MINUTE * 5);
            assert!(watch.is_alone(2, MINUTE));
        }
    }

    #[test]
    fn a_machine_that_slept_has_heard_nothing_meanwhile() {
        let mut watch = Watch::default();
        watch.look(t0(), [(1, Some(t0()))].into_iter());
        watch.look(t0() + Duration::days(3), [(1, Some(t0()))].into_iter());
        assert_eq!(watch.silence(1), LONGEST_GAP);
        // Back again.
        watch.look(t0(), [(1, Some(t0()))].into_iter());
        assert_eq!(watch.silence(1), LONGEST_GAP);
    }

    #[test]
    fn one_that_was_never_heard_of_is_silent_since_it_was_asked_for() {
        let mut watch = Watch::default();
        for minute in 0..3 {
            watch.look(t0() + MINUTE * minute, [(1, None)].into_iter());
        }
        assert_eq!(watch.silence(1), MINUTE * 2);
        watch.look(t0() + MINUTE * 3, [(1, Some(t0()))].into_iter());
        assert_eq!(watch.silence(1), Duration::ZERO);
        assert!(!Watch::<i32>::default().is_alone(1, MINUTE), "nobody has looked yet");
    }
}
