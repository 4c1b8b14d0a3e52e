//! Access tokens made from a valid one with the stack's own keys, to show what an api refuses. JWT with HS256 and EdDSA
//! (RFC 7515, RFC 7519, RFC 8037). Must not know what is refused.

use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::Value;
use sha2::Sha256;

/// The private key of stacks that sign with EdDSA: none out of a standard, which is refused.
pub const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIObA8EOkCnHFfXQeXdTFTYxVN0i0xT2+uOxERY8P708+\n-----END PRIVATE KEY-----\n";
/// Its public key, which everybody may know.
pub const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAG9d1roPEqZXmE+cq6I6Bvk8cSCdRn8mP54/hbX4EH4Y=\n-----END PUBLIC KEY-----\n";
const SEED: [u8; 32] = *b"\xe6\xc0\xf0\x43\xa4\x0a\x71\xc5\x7d\x74\x1e\x5d\xd4\xc5\x4d\x8c\x55\x37\x48\xb4\xc5\x3d\xbe\xb8\xec\x44\x45\x8f\x0f\xef\x4f\x3e";

/// A token taken apart.
#[derive(Clone, Debug)]
pub struct Token {
    /// Algorithm, key id.
    pub header: Value,
    /// The claims.
    pub claims: Value,
}

impl Token {
    /// Takes a token apart; its signature is dropped.
    pub fn parse(token: &str) -> Self {
        let mut parts = token.split('.').map(|part| serde_json::from_slice(&from_base64url(part)));
        let mut part = || parts.next().expect("three parts").expect("JSON");
        Self { header: part(), claims: part() }
    }

    /// The token signed with [`PRIVATE_PEM`].
    pub fn sign_eddsa(&self) -> String {
        let signed = self.unsigned();
        let signature = pair().sign(signed.as_bytes());
        format!("{signed}.{}", to_base64url(signature.as_ref()))
    }

    /// The token signed with `secret`.
    pub fn sign(&self, secret: impl AsRef<[u8]>) -> String {
        let signed = self.unsigned();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_ref()).expect("a key of any length");
        mac.update(signed.as_bytes());
        format!("{signed}.{}", to_base64url(&mac.finalize().into_bytes()))
    }

    /// Header and claims, without a signature.
    pub fn unsigned(&self) -> String {
        format!(
            "{}.{}",
            to_base64url(self.header.to_string().as_bytes()),
            to_base64url(self.claims.to_string().as_bytes())
        )
    }
}

/// The bytes of [`PUBLIC_PEM`]'s key.
pub fn public_key() -> Vec<u8> {
    pair().public_key().as_ref().to_vec()
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&SEED).expect("a key")
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64url without padding (RFC 4648 section 5).
fn to_base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(group);
        for digit in 0..=chunk.len() {
            text.push(ALPHABET[(bits >> (18 - 6 * digit)) as usize & 63].into());
        }
    }
    text
}

fn from_base64url(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == digit).expect("base64url");
        bits = bits << 6 | u32::try_from(value).expect("six bits");
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7515 appendix A.1 has another key encoding; this vector is from RFC 4648 section 10.
    #[test]
    fn base64url_is_that_of_the_rfc() {
        for (plain, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")]
        {
            assert_eq!(to_base64url(plain.as_bytes()), text);
            assert_eq!(from_base64url(text), plain.as_bytes());
        }
        assert_eq!(to_base64url(&[0xFB, 0xFF]), "-_8");
    }
}
