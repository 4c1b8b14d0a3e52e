//! What tokens name keys by, and by which keys somebody was let in. Knows no key.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Names a key that signs tokens; 16 hex digits, as in the `kid` of a header. Says nothing of a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyId([u8; 16]);

/// The keys that vouch for somebody: with any of them refused, what they signed may be anybody's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Vouchers {
    /// What signed the access token.
    pub access: KeyId,
    /// What signed the ticket that stood for it, if one did: who holds this key could have written any access token's into it.
    pub ticket: Option<KeyId>,
}

impl KeyId {
    /// None for what no key is named.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(Self(text.as_bytes().try_into().ok()?))
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("no key is named so"))
    }
}
