//! Frames of a link stream: a length, a kind, a payload. Control payloads are encoded messages, all others a fixed
//! header and the terminal's raw bytes.
//!
//! ```text
//! payload length u32 | kind u8 | payload           integers big-endian
//! 0 control   an encoded message
//! 1 output    offset u64, bytes
//! 2 snapshot  offset u64, cols u16, rows u16, reason u8 (bit 7: more of it follows), bytes
//! 3 input     tag u32, seq u64 (0 = unsequenced), bytes
//! ```
//! The payloads of output and snapshot are those of PROTOCOL section 5, so that the api passes them on without a copy.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::codec::{self, CodecError, MAX_CONTROL_BYTES, Message};
use super::message::SnapshotReason;
use super::private::Private;
use crate::ids::{Offset, Seq, TerminalSize};

/// Bytes of length and kind before a payload.
pub const HEADER_BYTES: usize = 5;
/// Bytes before the terminal's bytes in an output payload.
pub const OUTPUT_HEADER_BYTES: usize = 8;
/// Bytes before the terminal's bytes in a snapshot payload.
pub const SNAPSHOT_HEADER_BYTES: usize = 13;
/// Bytes before the terminal's bytes in an input payload.
pub const INPUT_HEADER_BYTES: usize = 12;
/// Most terminal bytes in one input frame: the largest client message (PROTOCOL section 1).
pub const MAX_INPUT_BYTES: usize = 1 << 20;
/// Most terminal bytes in one output or snapshot frame: small enough that acks and other sessions get their turn.
pub const MAX_OUTPUT_BYTES: usize = 64 << 10;
/// Most terminal bytes in all parts of one snapshot together.
pub const MAX_SNAPSHOT_BYTES: usize = 16 << 20;
/// Bit of the reason byte that says the snapshot goes on in the next frame.
pub const SNAPSHOT_MORE: u8 = 0x80;

const MAX_PAYLOAD_BYTES: usize = MAX_CONTROL_BYTES + 64;

/// The kinds of frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum FrameKind {
    /// An encoded message.
    Control = 0,
    /// Terminal output, ptyd to api.
    Output = 1,
    /// A snapshot or a part of one, ptyd to api.
    Snapshot = 2,
    /// Typed bytes, api to ptyd.
    Input = 3,
}

/// A frame that breaks the rules of this file.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length is beyond what any frame may have.
    #[error("frame of {0} bytes is too long")]
    TooLong(usize),
    /// The kind is not known.
    #[error("frame kind {0} is not known")]
    UnknownKind(u8),
    /// The payload is shorter than its fixed header, or a field in it is out of bounds.
    #[error("frame payload is malformed")]
    Malformed,
    /// The control message in it cannot be read or written.
    #[error("control frame is malformed")]
    Control(#[from] CodecError),
}

/// Length and kind of a frame, checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameHeader {
    /// What the payload is.
    pub kind: FrameKind,
    /// Its length in bytes, within bounds.
    pub payload_bytes: usize,
}

impl FrameHeader {
    /// Reads a header from the front of `bytes`; none while fewer than [`HEADER_BYTES`] are there.
    pub fn peek(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(mut header) = bytes.get(..HEADER_BYTES) else { return Ok(None) };
        let payload_bytes = header.get_u32() as usize;
        let kind = match header.get_u8() {
            0 => FrameKind::Control,
            1 => FrameKind::Output,
            2 => FrameKind::Snapshot,
            3 => FrameKind::Input,
            other => return Err(FrameError::UnknownKind(other)),
        };
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(FrameError::TooLong(payload_bytes));
        }
        Ok(Some(Self { kind, payload_bytes }))
    }
}

/// One whole frame as read; its payload is still raw.
#[derive(Clone, Eq, PartialEq)]
pub struct Frame {
    /// What the payload is.
    pub kind: FrameKind,
    /// Header and payload, as they stood on the wire.
    bytes: BytesMut,
}

/// Without the payload: what is typed and printed is nobody's business.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("kind", &self.kind).field("bytes", &self.bytes.len()).finish()
    }
}

/// Typed bytes with their number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Input {
    /// The api's mark, repeated in an error about this message; 0 = none.
    pub tag: u32,
    /// Its number; none = unsequenced.
    pub seq: Option<Seq>,
    /// The bytes typed.
    pub bytes: Private<Bytes>,
}

/// The fixed part of a snapshot frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SnapshotHeader {
    /// Output goes on from here.
    pub offset: Offset,
    /// Set the terminal to this size first.
    pub size: TerminalSize,
    /// Why it was sent.
    pub reason: SnapshotReason,
    /// The next frame goes on with it.
    pub more: bool,
}

impl Frame {
    /// Takes one frame off the front of `buffer`; none while it is not whole yet.
    pub fn take(buffer: &mut BytesMut) -> Result<Option<Self>, FrameError> {
        let Some(header) = FrameHeader::peek(buffer)? else { return Ok(None) };
        let whole = HEADER_BYTES + header.payload_bytes;
        if buffer.len() < whole {
            return Ok(None);
        }
        Ok(Some(Self { kind: header.kind, bytes: buffer.split_to(whole) }))
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// The control message in a control frame.
    pub fn control<T: Message>(&self) -> Result<T, FrameError> {
        if self.kind != FrameKind::Control {
            return Err(FrameError::Malformed);
        }
        Ok(codec::decode(self.payload())?)
    }

    /// The offset of an output frame and how many terminal bytes follow it.
    pub fn output(&self) -> Result<(Offset, &[u8]), FrameError> {
        let payload = self.payload();
        if self.kind != FrameKind::Output || payload.len() < OUTPUT_HEADER_BYTES {
            return Err(FrameError::Malformed);
        }
        let (mut header, bytes) = payload.split_at(OUTPUT_HEADER_BYTES);
        Ok((Offset(header.get_u64()), bytes))
    }

    /// The fixed part of a snapshot frame and the terminal bytes after it.
    pub fn snapshot(&self) -> Result<(SnapshotHeader, &[u8]), FrameError> {
        let payload = self.payload();
        if self.kind != FrameKind::Snapshot || payload.len() < SNAPSHOT_HEADER_BYTES {
            return Err(FrameError::Malformed);
        }
        let (mut header, bytes) = payload.split_at(SNAPSHOT_HEADER_BYTES);
        let offset = Offset(header.get_u64());
        let cols = header.get_u16();
        let size = TerminalSize::new(header.get_u16(), cols).map_err(|_| FrameError::Malformed)?;
        let flags = header.get_u8();
        let reason = match flags & !SNAPSHOT_MORE {
            0 => SnapshotReason::Attach,
            1 => SnapshotReason::Lagged,
            2 => SnapshotReason::Recovered,
            _ => return Err(FrameError::Malformed),
        };
        Ok((SnapshotHeader { offset, size, reason, more: flags & SNAPSHOT_MORE != 0 }, bytes))
    }

    /// The typed bytes in an input frame.
    pub fn into_input(self) -> Result<Input, FrameError> {
        let mut bytes = self.bytes;
        if self.kind != FrameKind::Input || bytes.len() < HEADER_BYTES + INPUT_HEADER_BYTES {
            return Err(FrameError::Malformed);
        }
        bytes.advance(HEADER_BYTES);
        let tag = bytes.get_u32();
        let seq = bytes.get_u64();
        Ok(Input { tag, seq: (seq != 0).then_some(Seq(seq)), bytes: bytes.freeze().into() })
    }

    /// The payload with three bytes of our choice in front, in place: `mark`, then `channel`. That is a binary frame
    /// of PROTOCOL section 5 for output and snapshot frames.
    pub fn into_channel_frame(self, mark: u8, channel: u16) -> Bytes {
        const SPARE: usize = HEADER_BYTES - 3;
        let mut bytes = self.bytes;
        bytes.advance(SPARE);
        bytes[0] = mark;
        bytes[1..3].copy_from_slice(&channel.to_be_bytes());
        bytes.freeze()
    }
}

/// Appends a control frame to `to`.
pub fn put_control<T: Message>(to: &mut BytesMut, message: &T) -> Result<(), FrameError> {
    let payload = codec::encode(message)?;
    put_header(to, FrameKind::Control, payload.len());
    to.put_slice(&payload);
    Ok(())
}

/// Appends an input frame to `to`; `bytes` holds at most [`MAX_INPUT_BYTES`].
pub fn put_input(to: &mut BytesMut, tag: u32, seq: Option<Seq>, bytes: &[u8]) {
    put_header(to, FrameKind::Input, INPUT_HEADER_BYTES + bytes.len());
    to.put_u32(tag);
    to.put_u64(seq.map_or(0, |seq| seq.0));
    to.put_slice(bytes);
}

/// Appends the head of an output frame of `len` terminal bytes, which the caller appends next.
pub fn put_output_header(to: &mut BytesMut, offset: Offset, len: usize) {
    put_header(to, FrameKind::Output, OUTPUT_HEADER_BYTES + len);
    to.put_u64(offset.0);
}

/// Appends a snapshot frame to `to`.
pub fn put_snapshot(to: &mut BytesMut, header: SnapshotHeader, bytes: &[u8]) {
    put_header(to, FrameKind::Snapshot, SNAPSHOT_HEADER_BYTES + bytes.len());
    to.put_u64(header.offset.0);
    to.put_u16(header.size.cols());
    to.put_u16(header.size.rows());
    to.put_u8(header.reason as u8 | if header.more { SNAPSHOT_MORE } else { 0 });
    to.put_slice(bytes);
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "payloads are bounded far below 4 GiB by the constants above"
)]
fn put_header(to: &mut BytesMut, kind: FrameKind, payload_bytes: usize) {
    debug_assert!(payload_bytes <= MAX_PAYLOAD_BYTES);
    to.reserve(HEADER_BYTES + payload_bytes);
    to.put_u32(payload_bytes as u32);
    to.put_u8(kind as u8);
}
