//! Random secrets that are handed out as text and remembered as a hash only. Knows nothing of what they open.

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
    fn a_hash_matches_its_secret_alone() {
        let secret = random().unwrap();
        assert!(hash(&secret).matches(secret.expose_secret()));
        assert!(!hash(&secret).matches(""));
        assert!(!hash(&secret).matches(&secret.expose_secret()[1..]));
    }
}
