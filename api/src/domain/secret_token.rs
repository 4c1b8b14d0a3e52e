//! Random secrets that are handed out as text and remembered as a hash only. Knows nothing of what they open.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of a secret text: enough, because the secrets are 256 random bits and cannot be guessed from it.
#[derive(Clone, Copy, Debug)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of `text`.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The bytes, for storage.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `text` is the secret, in time that says nothing of how close it is.
    pub fn matches(&self, text: &str) -> bool {
        self.0.ct_eq(&Self::of(text).0).into()
    }
}

/// What a secret and its successor have to do with each other: 256 random bits, which say nothing of either.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// A fresh one.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// One out of storage; none if it never was one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for storage.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret that follows `spent`: always the same, and nobody finds it out who lacks either of the two.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub fn successor(&self, spent: &SecretString) -> SecretString {
        let keyed = Hmac::<Sha256>::new_from_slice(spent.expose_secret().as_bytes()).expect("any key length");
        let purpose = keyed.chain_update("devpocket refresh successor");
        hex(&purpose.chain_update(self.0).finalize().into_bytes()).into()
    }
}

/// The system gave no randomness.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no randomness")]
pub struct NoRandomness(#[from] getrandom::Error);

/// A fresh secret: 256 random bits in lower-case hex.
pub fn random() -> Result<SecretString, NoRandomness> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut())?;
    Ok(SecretString::from(hex(bytes.as_ref())))
}

/// `bytes` as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
        }
    }
    text
}

/// The hash of a secret.
pub fn hash(secret: &SecretString) -> SecretHash {
    SecretHash::of(secret.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_64_hex_digits_and_never_the_same() {
        let (a, b) = (random().unwrap(), random().unwrap());
        let text = a.expose_secret();
        assert!(text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
        assert_ne!(text, b.expose_secret());
        assert_eq!(hex(&[0, 0x5a, 0xff]), "005aff");
    }

    #[test]
    fn a_successor_is_that_of_its_secret_and_salt_alone() {
        let (spent, salt) = (random().unwrap(), Salt::random().unwrap());
        let next = salt.successor(&spent);
        let again = Salt::from_bytes(salt.as_bytes()).unwrap().successor(&spent);
        assert_eq!(next.expose_secret(), again.expose_secret());
        assert_eq!(next.expose_secret().len(), 64);
        for other in [salt.successor(&random().unwrap()), Salt::random().unwrap().successor(&spent)] {
            assert_ne!(next.expose_secret(), other.expose_secret());
        }
        assert_eq!(Salt::from_bytes(&[0; 31]), None);
    }

    #[test]
    fn a_hash_matches_its_secret_alone() {
        let secret = random().unwrap();
        assert!(hash(&secret).matches(secret.expose_secret()));
        assert!(!hash(&secret).matches(""));
        assert!(!hash(&secret).matches(&secret.expose_secret()[1..]));
    }
}
