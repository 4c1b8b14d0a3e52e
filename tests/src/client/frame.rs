//! Binary frames of the subprotocol `devpocket.bin.v1` (protocol section 5). Must not know whose channel is whose.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The subprotocol's name.
pub const SUBPROTOCOL: &str = "devpocket.bin.v1";

const OUTPUT: u8 = 0x01;
const SNAPSHOT: u8 = 0x02;
const INPUT: u8 = 0x03;
const ACK: u8 = 0x04;
const INPUT_ACK: u8 = 0x05;

const SNAPSHOT_MORE: u8 = 0x80;

/// A frame from the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerFrame {
    /// Output from `offset` on.
    Output { channel: u16, offset: u64, bytes: Bytes },
    /// A snapshot or a part of one.
    Snapshot { channel: u16, offset: u64, cols: u16, rows: u16, reason: u8, more: bool, bytes: Bytes },
    /// Input up to `seq` was handed to the terminal.
    InputAck { channel: u16, seq: u64 },
}

/// Reads a frame from the server; none if it breaks section 5.
pub fn parse(mut frame: Bytes) -> Option<ServerFrame> {
    let kind = frame.try_get_u8().ok()?;
    let channel = frame.try_get_u16().ok()?;
    match kind {
        OUTPUT => Some(ServerFrame::Output { channel, offset: frame.try_get_u64().ok()?, bytes: frame }),
        SNAPSHOT => {
            let offset = frame.try_get_u64().ok()?;
            let (cols, rows) = (frame.try_get_u16().ok()?, frame.try_get_u16().ok()?);
            let flags = frame.try_get_u8().ok()?;
            let (reason, more) = (flags & !SNAPSHOT_MORE, flags & SNAPSHOT_MORE != 0);
            (reason <= 2).then_some(ServerFrame::Snapshot {
                channel,
                offset,
                cols,
                rows,
                reason,
                more,
                bytes: frame,
            })
        }
        INPUT_ACK => {
            let seq = frame.try_get_u64().ok()?;
            frame.is_empty().then_some(ServerFrame::InputAck { channel, seq })
        }
        _ => None,
    }
}

/// An input frame; `seq` 0 is unsequenced.
pub fn input(channel: u16, seq: u64, bytes: &[u8]) -> Bytes {
    numbered(INPUT, channel, seq, bytes)
}

/// An ack frame.
pub fn ack(channel: u16, offset: u64) -> Bytes {
    numbered(ACK, channel, offset, &[])
}

fn numbered(kind: u8, channel: u16, number: u64, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(11 + bytes.len());
    frame.put_u8(kind);
    frame.put_u16(channel);
    frame.put_u64(number);
    frame.put_slice(bytes);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_laid_out_as_the_protocol_says() {
        assert_eq!(&input(0x0102, 3, b"ls")[..], b"\x03\x01\x02\0\0\0\0\0\0\0\x03ls");
        assert_eq!(&ack(1, 256)[..], b"\x04\0\x01\0\0\0\0\0\0\x01\0");
        let frame = parse(Bytes::from_static(b"\x02\0\x07\0\0\0\0\0\0\0\x09\0\x50\0\x18\x81hi")).unwrap();
        let bytes = Bytes::from_static(b"hi");
        let expected =
            ServerFrame::Snapshot { channel: 7, offset: 9, cols: 80, rows: 24, reason: 1, more: true, bytes };
        assert_eq!(frame, expected);
    }

    #[test]
    fn a_frame_cut_short_is_none() {
        let whole = b"\x02\0\x07\0\0\0\0\0\0\0\x09\0\x50\0\x18\x01";
        for cut in 0..whole.len() {
            assert_eq!(parse(Bytes::from_static(&whole[..cut])), None, "{cut}");
        }
        assert_eq!(parse(Bytes::from_static(b"\x05\0\x01\0\0\0\0\0\0\x01\0\0")), None, "too long");
    }
}
