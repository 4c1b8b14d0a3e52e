//! The secrets that sign tokens: which of them signs when, and which are accepted. Knows no token and no file.

use secrecy::{ExposeSecret, SecretString};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::MIN_SECRET_BYTES;
use super::guess::can_be_guessed;

/// Most keys of a list: far more than a deployment that rotates them every few minutes has.
pub const MAX_KEYS: usize = 16;

/// The keys of a deployment, as every api of it is told them: one a line, with the time from which it signs before it if
/// there was a key before it. All that are listed are accepted.
#[derive(Clone)]
pub struct KeyList(Vec<ListedKey>);

/// A key, and from when it signs; none: from the first.
#[derive(Clone)]
pub(super) struct ListedKey {
    pub(super) signs_from: Option<OffsetDateTime>,
    pub(super) secret: SecretString,
}

/// A list of keys is no good. Never repeats a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadKeys {
    /// There is no key.
    #[error("holds no key")]
    Empty,
    /// There are more than [`MAX_KEYS`].
    #[error("holds more than {MAX_KEYS} keys")]
    TooMany,
    /// One is shorter than [`MIN_SECRET_BYTES`].
    #[error("line {line}: a key needs at least {MIN_SECRET_BYTES} bytes")]
    TooShort {
        /// Its line, from 1.
        line: usize,
    },
    /// One is such as strangers try.
    #[error("key {number} can be guessed: make one with `openssl rand -hex 32`")]
    Weak {
        /// Which, from 1.
        number: usize,
    },
}

impl KeyList {
    /// Reads a list. A line is `KEY`, or `2026-01-31T12:00:00Z KEY` for one that signs from then on.
    pub fn parse(text: &SecretString) -> Result<Self, BadKeys> {
        let mut keys = Vec::new();
        for (index, line) in text.expose_secret().lines().enumerate() {
            // However the text came here: the end of a file is easily one space longer.
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            let dated = line
                .split_once(' ')
                .and_then(|(time, key)| Some((OffsetDateTime::parse(time, &Rfc3339).ok()?, key)));
            let (signs_from, key) = match dated {
                Some((time, key)) => (Some(time), key),
                None => (None, line),
            };
            if key.len() < MIN_SECRET_BYTES {
                return Err(BadKeys::TooShort { line: index + 1 });
            }
            keys.push(ListedKey { signs_from, secret: key.into() });
        }
        match keys.len() {
            0 => Err(BadKeys::Empty),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(BadKeys::TooMany),
        }
    }

    /// As [`KeyList::parse`]. With `strict`, a key that strangers would try is refused, as [`KeyList::check`] does.
    pub fn accept(text: &SecretString, strict: bool) -> Result<Self, BadKeys> {
        let list = Self::parse(text)?;
        if strict {
            list.check()?;
        }
        Ok(list)
    }

    /// Refuses a key that strangers would try: one out of some documentation, a few characters over and over, runs, words.
    pub fn check(&self) -> Result<(), BadKeys> {
        match self.0.iter().position(|key| can_be_guessed(key.secret.expose_secret())) {
            Some(index) => Err(BadKeys::Weak { number: index + 1 }),
            None => Ok(()),
        }
    }

    /// The list as [`KeyList::parse`] reads it.
    pub fn to_text(&self) -> SecretString {
        let line = |key: &ListedKey| match key.signs_from.and_then(|time| time.format(&Rfc3339).ok()) {
            Some(time) => format!("{time} {}\n", key.secret.expose_secret()),
            None => format!("{}\n", key.secret.expose_secret()),
        };
        self.0.iter().map(line).collect::<String>().into()
    }

    /// Adds a key that signs from `from` on, and drops those of which another took over longer ago than `kept`: nothing
    /// they signed is good any more.
    pub fn add(&mut self, secret: SecretString, from: OffsetDateTime, kept: Duration, now: OffsetDateTime) {
        let taken_over = |key: &ListedKey| {
            let later = self.0.iter().filter_map(|other| other.signs_from);
            later.filter(|time| key.signs_from.is_none_or(|own| *time > own)).min()
        };
        let stale: Vec<bool> =
            self.0.iter().map(|key| taken_over(key).is_some_and(|time| time + kept <= now)).collect();
        let mut stale = stale.into_iter();
        self.0.retain(|_| !stale.next().unwrap_or(false));
        self.0.push(ListedKey { signs_from: Some(from), secret });
    }

    /// Drops every key but the one added last.
    pub fn keep_last(&mut self) {
        if let Some(last) = self.0.pop() {
            self.0 = vec![last];
        }
    }

    /// How many keys are accepted.
    pub fn accepted(&self) -> usize {
        self.0.len()
    }

    pub(super) fn keys(&self) -> &[ListedKey] {
        &self.0
    }
}

/// Which of several keys signs at `now`: the one whose time came last, of two of the same time the one added later; of those
/// without a time, the first.
pub(super) fn signing(from: impl Iterator<Item = Option<OffsetDateTime>>, now: OffsetDateTime) -> usize {
    let begun = from.enumerate().filter(|(_, time)| time.is_none_or(|time| time <= now));
    let last = begun.reduce(|best, next| if next.1.is_some() && next.1 >= best.1 { next } else { best });
    last.map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "b b bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const C: &str = "cccccccccccccccccccccccccccccccccccc";

    fn t0() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn list(text: &str) -> Result<KeyList, BadKeys> {
        KeyList::parse(&text.into())
    }

    fn signs(list: &KeyList, now: OffsetDateTime) -> &str {
        let from = list.keys().iter().map(|key| key.signs_from);
        list.keys()[signing(from, now)].secret.expose_secret()
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_what_is_wrong_is_said_by_its_line() {
        let text = format!("{A}\n2026-01-31T12:00:00Z {B}\n");
        let read = list(&format!("{A} \r\n \n2026-01-31T12:00:00Z {B}")).unwrap();
        assert_eq!(read.to_text().expose_secret(), text);
        assert_eq!(list(B).unwrap().keys()[0].secret.expose_secret(), B, "a space is part of it");
        assert_eq!(list("\n").err(), Some(BadKeys::Empty));
        assert_eq!(list(&format!("{A}\nshort")).err(), Some(BadKeys::TooShort { line: 2 }));
        let dated = format!("{A}\n2026-01-31T12:00:00Z {}", &A[..31]);
        assert_eq!(list(&dated).err(), Some(BadKeys::TooShort { line: 2 }));
        assert!(list(&format!("{A}\n").repeat(MAX_KEYS)).is_ok());
        assert_eq!(list(&format!("{A}\n").repeat(MAX_KEYS + 1)).err(), Some(BadKeys::TooMany));
    }

    #[test]
    fn a_new_key_signs_when_its_time_has_come_and_old_ones_stay_until_what_they_signed_has_ended() {
        let (kept, second) = (Duration::hours(1), Duration::SECOND);
        let mut keys = list(A).unwrap();
        keys.add(B.into(), t0() + second, kept, t0());
        assert_eq!((signs(&keys, t0()), signs(&keys, t0() + second)), (A, B));
        keys.add(C.into(), t0() + 2 * second, kept, t0() + second);
        assert_eq!(
            (keys.accepted(), signs(&keys, t0() + second), signs(&keys, t0() + 2 * second)),
            (3, B, C)
        );
        // A was taken over by B an hour ago, B by C a second less ago.
        keys.add(A.into(), t0() + kept * 2, kept, t0() + kept + second);
        assert_eq!(
            keys.keys().iter().map(|key| key.secret.expose_secret()).collect::<Vec<_>>(),
            [B, C, A],
            "the first is dropped"
        );
        keys.keep_last();
        assert_eq!((keys.accepted(), signs(&keys, t0())), (1, A), "one alone signs whatever its time");
        assert_eq!(signs(&list(&format!("{B}\n{A}")).unwrap(), t0()), B, "of two without a time the first");
        let mut keys = list(A).unwrap();
        keys.add(B.into(), t0(), kept, t0());
        keys.add(C.into(), t0(), kept, t0());
        assert_eq!(signs(&keys, t0()), C, "of two of one time the one added later");
    }
}
