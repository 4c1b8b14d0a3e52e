//! The one place that names the codec of control frames (bincode 2.0.1, see deny.toml for why it is pinned).

use bincode::{Decode, Encode};

/// The largest control message, in bytes. A message that claims more costs an error, not memory.
pub const MAX_CONTROL_BYTES: usize = 1 << 20;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_CONTROL_BYTES>,
> = bincode::config::standard().with_limit::<MAX_CONTROL_BYTES>();

/// A control message could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The message is larger than [`MAX_CONTROL_BYTES`].
    #[error("control message cannot be encoded")]
    Encode(#[source] bincode::error::EncodeError),
    /// The bytes are no message of the expected type, or claim more than the limit.
    #[error("control message cannot be decoded")]
    Decode(#[source] bincode::error::DecodeError),
    /// The message ended before the bytes did.
    #[error("{0} bytes left over after a control message")]
    Trailing(usize),
}

/// What the codec can write and read.
pub trait Message: Encode + Decode<()> {}

impl<T: Encode + Decode<()>> Message for T {}

/// Writes `message` as bytes.
pub fn encode<T: Encode>(message: &T) -> Result<Vec<u8>, CodecError> {
    bincode::encode_to_vec(message, CONFIG).map_err(CodecError::Encode)
}

/// Reads a message that takes up exactly `bytes`.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (message, used) = bincode::decode_from_slice(bytes, CONFIG).map_err(CodecError::Decode)?;
    if used == bytes.len() { Ok(message) } else { Err(CodecError::Trailing(bytes.len() - used)) }
}
