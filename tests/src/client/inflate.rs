//! The server's binary frames out of the one raw-deflate stream of `devpocket.bin.v1.deflate` (protocol section 1). Must
//! not know what is in them.

use bytes::{Buf, Bytes, BytesMut};
use flate2::{Decompress, FlushDecompress};

use super::event::Violation;

/// The subprotocol's name.
pub const SUBPROTOCOL: &str = "devpocket.bin.v1.deflate";

/// What the server leaves out at the end of each message.
const FLUSH_END: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Room made at a time, in bytes.
const ROOM_BYTES: usize = 16 << 10;

/// The longest frame that a server may send: a part of a snapshot and its header. Generous.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// The stream of one socket.
pub struct Inflate {
    stream: Decompress,
    inflated: BytesMut,
}

impl Default for Inflate {
    fn default() -> Self {
        Self { stream: Decompress::new(false), inflated: BytesMut::new() }
    }
}

impl Inflate {
    /// The frames that are whole with this message.
    pub fn message(&mut self, message: &[u8]) -> Result<Vec<Bytes>, Violation> {
        self.inflate(message)?;
        self.inflate(&FLUSH_END)?;
        let mut frames = Vec::new();
        while let Some((len, rest)) = self.inflated.split_first_chunk::<4>() {
            let len = u32::from_be_bytes(*len) as usize;
            if len > MAX_FRAME_BYTES {
                return Err(Violation(format!("a frame of {len} bytes in the deflate stream")));
            }
            if rest.len() < len {
                break;
            }
            self.inflated.advance(4);
            frames.push(self.inflated.split_to(len).freeze());
        }
        Ok(frames)
    }

    fn inflate(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        let mut room = vec![0; ROOM_BYTES];
        loop {
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            let inflated = self.stream.decompress(bytes, &mut room, FlushDecompress::None);
            let broken = |what: &dyn std::fmt::Display| Violation(format!("a broken deflate stream: {what}"));
            if inflated.map_err(|err| broken(&err))? == flate2::Status::StreamEnd {
                return Err(broken(&"it ended"));
            }
            bytes = &bytes[(self.stream.total_in() - read) as usize..];
            let written = (self.stream.total_out() - written) as usize;
            self.inflated.extend_from_slice(&room[..written]);
            if bytes.is_empty() && written < room.len() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_its_end_gives_its_frames() {
        let mut inflate = Inflate::default();
        // A stored block of two frames and a half, then an empty one without its length, and the other half alike.
        let first = b"\x00\x0c\x00\xf3\xff\0\0\0\x01a\0\0\0\0\0\0\0\x00";
        assert_eq!(inflate.message(first).unwrap(), [&b"a"[..], b""]);
        assert_eq!(inflate.message(b"\x00\x02\x00\xfd\xff\x01b\x00").unwrap(), [&b"b"[..]]);
    }

    #[test]
    fn a_broken_stream_is_a_violation() {
        assert!(Inflate::default().message(b"\x07").is_err());
        // A final block.
        assert!(Inflate::default().message(b"\x01\x00\x00\xff\xff").is_err());
    }
}
