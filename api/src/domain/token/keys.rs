//! The keys that sign tokens: which of them signs when, and which are accepted. Knows no token and no file.

mod der;
mod known;
mod pem;
mod public;

use secrecy::{ExposeSecret, SecretString};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use self::pem::EdKey;
use super::MIN_SECRET_BYTES;
use super::guess::can_be_guessed;
use crate::domain::secret_token::{self, NoRandomness};

/// Most keys of a list: far more than a deployment that rotates them every few minutes has.
pub const MAX_KEYS: usize = 16;

/// The keys of a deployment for one algorithm, as every api of it is told them, with the time from which each signs if there
/// was a key before it. All that are listed are accepted.
#[derive(Clone)]
pub struct KeyList {
    algorithm: KeyAlgorithm,
    keys: Vec<ListedKey>,
}

/// What keys of a list are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyAlgorithm {
    /// HMAC-SHA-256 (RFC 7518 section 3.2): a secret signs and checks.
    Hs256,
    /// Ed25519 (RFC 8037 section 3.1): a private key signs, and its public key checks.
    EdDsa,
}

/// A key, and from when it signs; none: from the first.
#[derive(Clone)]
pub(super) struct ListedKey {
    pub(super) signs_from: Option<OffsetDateTime>,
    pub(super) material: Material,
}

/// What a key is made of.
#[derive(Clone)]
pub(super) enum Material {
    /// Of [`KeyAlgorithm::Hs256`].
    Secret(SecretString),
    /// Of [`KeyAlgorithm::EdDsa`].
    Ed(EdKey),
}

/// All keys of a deployment: one list's sign, and those of the other, if there is one, are accepted beside them. A deployment
/// that goes over to the other algorithm signs nobody out so.
#[derive(Clone)]
pub struct TokenKeys {
    /// Holds at least one key that can sign.
    pub(super) signing: KeyList,
    pub(super) accepted: Option<KeyList>,
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
    #[error("key {number} can be guessed: make one with `{instead}`")]
    Weak {
        /// Which, from 1.
        number: usize,
        /// What makes a good one.
        instead: &'static str,
    },
    /// A key of the other algorithm: as secrets, the lines of a public key would be known to everybody.
    #[error("line {line}: keys in PEM are for JWT_ALGORITHM=EdDSA, in JWT_PRIVATE_KEY_FILE")]
    Pem {
        /// Its line, from 1.
        line: usize,
    },
    /// A secret is a public key, in another form.
    #[error("line {line}: a public key, which everybody may know, is no secret")]
    Public {
        /// Its line, from 1.
        line: usize,
    },
    /// A secret is the public key of one of the other algorithm's.
    #[error(
        "key {number} of JWT_SECRET_KEY is the public key of one in JWT_PRIVATE_KEY_FILE, which everybody may know"
    )]
    PublicOfPair {
        /// Which, from 1.
        number: usize,
    },
    /// What stands there belongs to no key in PEM.
    #[error("line {line}: neither a key in PEM nor a time like 2027-01-31T12:00:00Z before one")]
    NoPem {
        /// Its line, from 1.
        line: usize,
    },
    /// A key in PEM is cut short or damaged.
    #[error("line {line}: the key that begins here is damaged or has no end")]
    Damaged {
        /// Its first line, from 1.
        line: usize,
    },
    /// A key is not for Ed25519.
    #[error(
        "line {line}: {kind}, and EdDSA needs Ed25519 in PKCS#8: make a key with `openssl genpkey -algorithm ed25519`"
    )]
    OtherKind {
        /// Its first line, from 1.
        line: usize,
        /// What it is.
        kind: &'static str,
    },
    /// All keys are public.
    #[error("holds public keys alone, and one is to sign")]
    NoneSigns,
}

impl KeyList {
    /// Reads a list for [`KeyAlgorithm::Hs256`]. A line is `KEY`, or `2026-01-31T12:00:00Z KEY` for one that signs from then
    /// on.
    pub fn parse(text: &SecretString) -> Result<Self, BadKeys> {
        let mut keys = Vec::new();
        for (index, line) in text.expose_secret().lines().enumerate() {
            // However the text came here: the end of a file is easily one space longer.
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            if line.contains(pem::BEGIN.trim_end()) {
                return Err(BadKeys::Pem { line: index + 1 });
            }
            let dated = line
                .split_once(' ')
                .and_then(|(time, key)| Some((OffsetDateTime::parse(time, &Rfc3339).ok()?, key)));
            let (signs_from, key) = match dated {
                Some((time, key)) => (Some(time), key),
                None => (None, line),
            };
            if public::is_key_of_a_pair(key) {
                return Err(BadKeys::Pem { line: index + 1 });
            }
            if public::is_public_key(key) {
                return Err(BadKeys::Public { line: index + 1 });
            }
            if key.len() < MIN_SECRET_BYTES {
                return Err(BadKeys::TooShort { line: index + 1 });
            }
            keys.push(ListedKey { signs_from, material: Material::Secret(key.into()) });
        }
        Self::of(KeyAlgorithm::Hs256, keys)
    }

    /// Reads a list for [`KeyAlgorithm::EdDsa`]: private keys in PEM, PKCS#8 (RFC 8410), a line with a time before one that
    /// signs from then on, and public keys of which the private one is gone, whose tokens are accepted still.
    pub fn parse_pem(text: &SecretString) -> Result<Self, BadKeys> {
        Self::of(KeyAlgorithm::EdDsa, pem::parse(text.expose_secret())?)
    }

    /// The text of a list of one fresh private key.
    pub fn fresh_pem() -> Result<SecretString, NoRandomness> {
        Ok(EdKey::random()?.to_pem())
    }

    /// [`KeyList::parse`] or [`KeyList::parse_pem`].
    pub fn parse_for(algorithm: KeyAlgorithm, text: &SecretString) -> Result<Self, BadKeys> {
        match algorithm {
            KeyAlgorithm::Hs256 => Self::parse(text),
            KeyAlgorithm::EdDsa => Self::parse_pem(text),
        }
    }

    fn of(algorithm: KeyAlgorithm, keys: Vec<ListedKey>) -> Result<Self, BadKeys> {
        match keys.len() {
            0 => Err(BadKeys::Empty),
            1..=MAX_KEYS => Ok(Self { algorithm, keys }),
            _ => Err(BadKeys::TooMany),
        }
    }

    /// Refuses a key that strangers would try: one out of some documentation, a few characters over and over, runs, words.
    pub fn check(&self) -> Result<(), BadKeys> {
        let weak = |key: &ListedKey| match &key.material {
            Material::Secret(secret) => can_be_guessed(secret.expose_secret().as_bytes()),
            Material::Ed(key) => known::is_known(key),
        };
        let instead = match self.algorithm {
            KeyAlgorithm::Hs256 => "openssl rand -hex 32",
            KeyAlgorithm::EdDsa => "openssl genpkey -algorithm ed25519",
        };
        match self.keys.iter().position(weak) {
            Some(index) => Err(BadKeys::Weak { number: index + 1, instead }),
            None => Ok(()),
        }
    }

    /// The list as it is read.
    pub fn to_text(&self) -> SecretString {
        let line = |key: &ListedKey| {
            let time = key.signs_from.and_then(|time| time.format(&Rfc3339).ok());
            match &key.material {
                Material::Secret(secret) => {
                    let time = time.map(|time| time + " ").unwrap_or_default();
                    format!("{time}{}\n", secret.expose_secret())
                }
                Material::Ed(key) => {
                    let time = time.map(|time| time + "\n").unwrap_or_default();
                    time + key.to_pem().expose_secret()
                }
            }
        };
        self.keys.iter().map(line).collect::<String>().into()
    }

    /// Adds a fresh key that signs from `from` on, and drops those of which another took over longer ago than `kept`: nothing
    /// they signed is good any more.
    pub fn add(
        &mut self,
        from: OffsetDateTime,
        kept: Duration,
        now: OffsetDateTime,
    ) -> Result<(), NoRandomness> {
        let material = match self.algorithm {
            KeyAlgorithm::Hs256 => Material::Secret(secret_token::random()?),
            KeyAlgorithm::EdDsa => Material::Ed(EdKey::random()?),
        };
        self.add_key(material, from, kept, now);
        Ok(())
    }

    fn add_key(&mut self, material: Material, from: OffsetDateTime, kept: Duration, now: OffsetDateTime) {
        let taken_over = |key: &ListedKey| {
            // One that cannot sign took nothing over, whatever its time: another signs still.
            let later =
                self.keys.iter().filter(|other| other.material.can_sign()).filter_map(|key| key.signs_from);
            later.filter(|time| key.signs_from.is_none_or(|own| *time > own)).min()
        };
        let stale: Vec<bool> =
            self.keys.iter().map(|key| taken_over(key).is_some_and(|time| time + kept <= now)).collect();
        let mut stale = stale.into_iter();
        self.keys.retain(|_| !stale.next().unwrap_or(false));
        self.keys.push(ListedKey { signs_from: Some(from), material });
    }

    /// Drops every key but the one added last.
    pub fn keep_last(&mut self) {
        if let Some(last) = self.keys.pop() {
            self.keys = vec![last];
        }
    }

    /// How many keys are accepted.
    pub fn accepted(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn keys(&self) -> &[ListedKey] {
        &self.keys
    }
}

impl TokenKeys {
    /// Keys of which `signing` sign. An error if none of them can, or a secret is the public key of another.
    pub fn new(signing: KeyList, accepted: Option<KeyList>) -> Result<Self, BadKeys> {
        if !signing.keys.iter().any(|key| key.material.can_sign()) {
            return Err(BadKeys::NoneSigns);
        }
        if let Some(index) =
            accepted.as_ref().and_then(|accepted| public::secret_of_a_pair(&signing, accepted))
        {
            return Err(BadKeys::PublicOfPair { number: index + 1 });
        }
        Ok(Self { signing, accepted })
    }

    /// One secret, for tests.
    #[cfg(test)]
    pub(crate) fn of_secret(secret: &str) -> Self {
        Self::new(KeyList::parse(&secret.into()).unwrap(), None).unwrap()
    }

    /// How many keys are accepted.
    pub fn count(&self) -> usize {
        self.signing.accepted() + self.accepted.as_ref().map_or(0, KeyList::accepted)
    }
}

impl Material {
    fn can_sign(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::Ed(key) => key.private().is_some(),
        }
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

    fn secret(key: &ListedKey) -> &str {
        let Material::Secret(secret) = &key.material else { panic!("no secret") };
        secret.expose_secret()
    }

    fn signs(list: &KeyList, now: OffsetDateTime) -> &str {
        let from = list.keys().iter().map(|key| key.signs_from);
        secret(&list.keys()[signing(from, now)])
    }

    fn add(list: &mut KeyList, key: &str, from: OffsetDateTime, kept: Duration, now: OffsetDateTime) {
        list.add_key(Material::Secret(key.into()), from, kept, now);
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_what_is_wrong_is_said_by_its_line() {
        let text = format!("{A}\n2026-01-31T12:00:00Z {B}\n");
        let read = list(&format!("{A} \r\n \n2026-01-31T12:00:00Z {B}")).unwrap();
        assert_eq!(read.to_text().expose_secret(), text);
        assert_eq!(secret(&list(B).unwrap().keys()[0]), B, "a space is part of it");
        assert_eq!(list("\n").err(), Some(BadKeys::Empty));
        assert_eq!(list(&format!("{A}\nshort")).err(), Some(BadKeys::TooShort { line: 2 }));
        let dated = format!("{A}\n2026-01-31T12:00:00Z {}", &A[..31]);
        assert_eq!(list(&dated).err(), Some(BadKeys::TooShort { line: 2 }));
        let begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
        assert_eq!(list(&format!("{A}\n{begin}")).err(), Some(BadKeys::Pem { line: 2 }));
        assert!(list(&format!("{A}\n").repeat(MAX_KEYS)).is_ok());
        assert_eq!(list(&format!("{A}\n").repeat(MAX_KEYS + 1)).err(), Some(BadKeys::TooMany));
    }

    #[test]
    fn a_new_key_signs_when_its_time_has_come_and_old_ones_stay_until_what_they_signed_has_ended() {
        let (kept, second) = (Duration::hours(1), Duration::SECOND);
        let mut keys = list(A).unwrap();
        add(&mut keys, B, t0() + second, kept, t0());
        assert_eq!((signs(&keys, t0()), signs(&keys, t0() + second)), (A, B));
        add(&mut keys, C, t0() + 2 * second, kept, t0() + second);
        assert_eq!(
            (keys.accepted(), signs(&keys, t0() + second), signs(&keys, t0() + 2 * second)),
            (3, B, C)
        );
        // A was taken over by B an hour ago, B by C a second less ago.
        add(&mut keys, A, t0() + kept * 2, kept, t0() + kept + second);
        assert_eq!(keys.keys().iter().map(secret).collect::<Vec<_>>(), [B, C, A], "the first is dropped");
        keys.keep_last();
        assert_eq!((keys.accepted(), signs(&keys, t0())), (1, A), "one alone signs whatever its time");
        assert_eq!(signs(&list(&format!("{B}\n{A}")).unwrap(), t0()), B, "of two without a time the first");
        let mut keys = list(A).unwrap();
        add(&mut keys, B, t0(), kept, t0());
        add(&mut keys, C, t0(), kept, t0());
        assert_eq!(signs(&keys, t0()), C, "of two of one time the one added later");
    }

    /// The story: a new key was rolled back, its public one left in the file, and the next rotation dropped the one that signed.
    #[test]
    fn a_key_that_cannot_sign_takes_over_from_none() {
        let (public, now) = ("G9d1roPEqZXmE+cq6I6Bvk8cSCdRn8mP54/hbX4EH4Y=", t0() + Duration::days(1));
        let text = format!(
            "{}2027-01-15T07:59:00Z\n-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{public}\n-----END PUBLIC KEY-----\n",
            KeyList::fresh_pem().unwrap().expose_secret()
        );
        let mut keys = KeyList::parse_pem(&text.as_str().into()).unwrap();
        keys.add(now, Duration::hours(1), now).unwrap();
        assert!(keys.to_text().expose_secret().starts_with(&text), "both are listed still");
        keys.add(now + Duration::hours(1), Duration::hours(1), now + Duration::hours(1)).unwrap();
        assert_eq!(keys.accepted(), 2, "once another has taken over, both go");
    }

    /// The story: a public key was taken for a secret in any form but PEM and what is in that.
    #[test]
    fn a_public_key_is_no_secret_in_whatever_form() {
        let ssh = "AAAAC3NzaC1lZDI1NTE5AAAAIBvXda6DxKmV5hPnKuiOgb5PHEgnUZ/Jj+eP4W1+BB+G";
        let spki = "MCowBQYDK2VwAyEAG9d1roPEqZXmE+cq6I6Bvk8cSCdRn8mP54/hbX4EH4Y";
        for (key, refused) in [
            (format!("{spki}="), BadKeys::Pem { line: 1 }),
            (spki.to_owned(), BadKeys::Pem { line: 1 }),
            (spki.replace('+', "-").replace('/', "_"), BadKeys::Pem { line: 1 }),
            (ssh.to_owned(), BadKeys::Public { line: 1 }),
            (format!("ssh-ed25519 {ssh} ann@laptop"), BadKeys::Public { line: 1 }),
            ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7".to_owned(), BadKeys::Public { line: 1 }),
            ("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY".to_owned(), BadKeys::Public { line: 1 }),
            ("sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5".to_owned(), BadKeys::Public { line: 1 }),
            (
                r#"{"kty":"OKP","crv":"Ed25519","x":"G9d1roPEqZXmE-cq6I6Bvk8cSCdRn8mP54_hbX4EH4Y"}"#
                    .to_owned(),
                BadKeys::Public { line: 1 },
            ),
        ] {
            assert_eq!(list(&key).err(), Some(refused), "{key}");
            assert_eq!(list(&format!("2027-01-31T12:00:00Z {key}")).err(), Some(refused), "{key}");
        }
        for key in
            ["ssh-is-how-this-secret-begins-0123", r#"{"kty":"oct","k":"0123456789abcdef0123456789abcdef"}"#]
        {
            assert!(list(key).is_ok(), "{key}");
        }
        // These could be secrets, but for the private key that is listed.
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{spki}=\n-----END PUBLIC KEY-----\n");
        let with_private = format!("{}{pem}", KeyList::fresh_pem().unwrap().expose_secret());
        let pair = || KeyList::parse_pem(&with_private.as_str().into()).unwrap();
        let bare = &spki[16..];
        for key in [
            bare.to_owned(),
            format!("{bare}="),
            bare.replace('+', "-").replace('/', "_"),
            "1bd775ae83c4a995e613e72ae88e81be4f1c4827519fc98fe78fe16d7e041f86".to_owned(),
            "1BD775AE83C4A995E613E72AE88E81BE4F1C4827519FC98FE78FE16D7E041F86".to_owned(),
        ] {
            let secrets = || list(&format!("{A}\n{key}")).unwrap();
            let refused = Some(BadKeys::PublicOfPair { number: 2 });
            assert_eq!(TokenKeys::new(pair(), Some(secrets())).err(), refused, "{key}");
            assert_eq!(TokenKeys::new(secrets(), Some(pair())).err(), refused, "{key}");
            assert!(TokenKeys::new(secrets(), None).is_ok());
        }
    }
}
