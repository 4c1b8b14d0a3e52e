//! Every id and every number with a role, as a type of its own; knows nothing of where they travel.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes any UUID as this id.
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The id as a plain UUID, for storage.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl Encode for $name {
            fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
                self.0.as_bytes().encode(encoder)
            }
        }

        impl<C> Decode<C> for $name {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                <[u8; 16]>::decode(decoder).map(|bytes| Self(Uuid::from_bytes(bytes)))
            }
        }
        bincode::impl_borrow_decode!($name);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// Names one session from creation to tombstone; it outlives every attach, api and worker.
    SessionId
}
uuid_id! {
    /// Names an account.
    UserId
}
uuid_id! {
    /// Names a signed-in device of an account.
    DeviceId
}
uuid_id! {
    /// Names a ptyd host; kept in its state directory, so it outlives every boot.
    NodeId
}
uuid_id! {
    /// Names a command that a session's shell ran, as clients see it.
    CommandId
}
uuid_id! {
    /// Names one life of a node's keeper; fences everything said to the lives before it.
    BootId
}

impl CommandId {
    /// The id of command `number` of a session: another one for each (version 8, RFC 9562 section 5.8).
    pub const fn of(session_id: SessionId, number: u64) -> Self {
        let (high, low) = session_id.0.as_u64_pair();
        let (high, low) = (high & !0xF000 | 0x8000, (low ^ number) & (u64::MAX >> 2) | 1 << 63);
        Self(Uuid::from_u64_pair(high, low))
    }
}

/// Names one app instance of an account in a session; at most 64 bytes of UTF-8, never empty.
#[derive(Clone, Debug, Encode, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientId(String);

impl ClientId {
    /// The longest client id, in bytes (PROTOCOL section 3).
    pub const MAX_BYTES: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A client id was empty or longer than [`ClientId::MAX_BYTES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a client id has 1 to {} bytes", ClientId::MAX_BYTES)]
pub struct BadClientId;

impl TryFrom<String> for ClientId {
    type Error = BadClientId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || text.len() > Self::MAX_BYTES { Err(BadClientId) } else { Ok(Self(text)) }
    }
}

impl<C> Decode<C> for ClientId {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Self::try_from(String::decode(decoder)?)
            .map_err(|_| bincode::error::DecodeError::Other("client id out of bounds"))
    }
}
bincode::impl_borrow_decode!(ClientId);

/// A position in a session's output, in bytes since its start.
#[derive(
    Clone, Copy, Debug, Decode, Default, Deserialize, Encode, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The position `bytes` further on; stops at the largest offset.
    #[must_use]
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// How many bytes lie between `earlier` and this offset; 0 if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of one client's input message in one session: 1, 2, 3 ...
#[derive(
    Clone, Copy, Debug, Decode, Default, Deserialize, Encode, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A terminal's size in character cells; both between 1 and 1000 (PROTOCOL section 3).
#[derive(Clone, Copy, Debug, Encode, Eq, Hash, PartialEq, Serialize)]
pub struct TerminalSize {
    rows: u16,
    cols: u16,
}

/// A size had a side outside 1..=1000.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("rows and cols must be between 1 and {}", TerminalSize::MAX)]
pub struct BadTerminalSize;

impl TerminalSize {
    /// The largest number of rows or columns.
    pub const MAX: u16 = 1000;
    /// What a terminal has when nobody said otherwise.
    pub const DEFAULT: Self = Self { rows: 24, cols: 80 };

    /// A size within bounds.
    pub const fn new(rows: u16, cols: u16) -> Result<Self, BadTerminalSize> {
        if rows == 0 || cols == 0 || rows > Self::MAX || cols > Self::MAX {
            return Err(BadTerminalSize);
        }
        Ok(Self { rows, cols })
    }

    /// Height in rows.
    pub const fn rows(self) -> u16 {
        self.rows
    }

    /// Width in columns.
    pub const fn cols(self) -> u16 {
        self.cols
    }
}

impl<C> Decode<C> for TerminalSize {
    fn decode<D: bincode::de::Decoder<Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Self::new(u16::decode(decoder)?, u16::decode(decoder)?)
            .map_err(|_| bincode::error::DecodeError::Other("terminal size out of bounds"))
    }
}
bincode::impl_borrow_decode!(TerminalSize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_has_one_to_sixty_four_bytes() {
        assert_eq!(ClientId::try_from(String::new()), Err(BadClientId));
        assert!(ClientId::try_from("x".repeat(64)).is_ok());
        assert_eq!(ClientId::try_from("x".repeat(65)), Err(BadClientId));
    }

    #[test]
    fn every_command_of_a_session_has_an_id_of_its_own() {
        let session = SessionId(Uuid::from_u128(u128::MAX));
        let ids: std::collections::BTreeSet<Uuid> =
            (1..1000).map(|number| CommandId::of(session, number).0).collect();
        assert_eq!(ids.len(), 999);
        assert!(ids.iter().all(|id| id.get_version_num() == 8 && id.get_variant() == uuid::Variant::RFC4122));
        assert_ne!(CommandId::of(SessionId(Uuid::nil()), 1), CommandId::of(session, 1));
    }

    #[test]
    fn a_terminal_size_stays_between_one_and_a_thousand() {
        assert_eq!(TerminalSize::new(0, 80), Err(BadTerminalSize));
        assert_eq!(TerminalSize::new(24, 1001), Err(BadTerminalSize));
        assert!(TerminalSize::new(1000, 1).is_ok());
    }
}
