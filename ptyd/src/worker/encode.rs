//! Turns what an attachment decided to send into frames, reading the bytes from the ring. Knows no transport.

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use devpocket_shared::ids::Seq;
use devpocket_shared::wire::frame::{self, FrameError, MAX_OUTPUT_BYTES, SnapshotHeader};
use devpocket_shared::wire::{SnapshotReason, ToApi};
use ptyd_session::{Attachment, Outgoing, Slot};

use super::drive::now;
use super::session::{Session, Shared};

/// Frames are gathered up to this many bytes before they are written.
pub(crate) const GATHER_BYTES: usize = MAX_OUTPUT_BYTES;
/// How far back a plain redraw reaches, in bytes: several screens of text, within one frame.
const REDRAW_BYTES: u64 = 60 << 10;

/// What an attachment has told its client already.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its place in the ledger, if it has a client id.
    pub(crate) slot: Option<Slot>,
    /// Input acknowledged last.
    pub(crate) applied: Option<Seq>,
    /// When an acknowledgement that is due goes out even without output beside it.
    pub(crate) ack_by: Option<Instant>,
}

/// How long an acknowledgement waits for output to travel with. A key's echo is there within a millisecond; alone, the
/// acknowledgement would wake everybody on the way twice.
const ACK_DELAY: Duration = Duration::from_millis(10);

/// Whether the attachment goes on after what was encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// It goes on.
    GoesOn,
    /// The session's end is encoded; nothing follows.
    Ends,
}

/// Appends to `to` what the attachment's client is due.
pub(crate) fn encode_due(
    session: &Session,
    number: u64,
    attachment: &mut Attachment,
    told: &mut Told,
    to: &mut BytesMut,
) -> Result<Next, FrameError> {
    let mut shared = session.lock();
    let due = ack_due(&shared, told);
    let mut sent = false;
    while to.len() < GATHER_BYTES {
        let view = shared.region.view(attachment.cursor());
        let room = GATHER_BYTES - to.len();
        let Some(outgoing) = attachment.poll_send(&view, room, now()) else { break };
        sent = true;
        match outgoing {
            Outgoing::Output { offset, len } => {
                let (first, second) = shared.region.slices(offset, len);
                frame::put_output_header(to, offset, first.len() + second.len());
                to.put_slice(first);
                to.put_slice(second);
            }
            Outgoing::Resized { offset, size } => frame::put_control(to, &ToApi::Resized { offset, size })?,
            Outgoing::Snapshot(reason) => put_redraw(&shared, reason, to),
        }
    }
    if let Some(seq) = due
        && (!to.is_empty() || shared.ended || told.ack_by.is_some_and(|by| by <= now()))
    {
        told.applied = due;
        told.ack_by = None;
        frame::put_control(to, &ToApi::InputAck { seq })?;
    }
    if sent {
        let held_back = shared.held_back;
        shared.note_hold(number, told.slot, attachment);
        if held_back {
            session.work.notify_one();
        }
    }
    if let Some((exit, reason)) = shared.end()
        && attachment.cursor() == shared.region.held().end
    {
        frame::put_control(to, &ToApi::Ended { offset: attachment.cursor(), exit, reason })?;
        return Ok(Next::Ends);
    }
    Ok(Next::GoesOn)
}

/// The input that is to be acknowledged, if any is.
fn ack_due(shared: &Shared, told: &mut Told) -> Option<Seq> {
    let applied = told.slot.map(|slot| shared.region.applied(slot)).filter(|seq| seq.0 > 0);
    if applied == told.applied {
        return None;
    }
    told.ack_by.get_or_insert_with(|| now() + ACK_DELAY);
    applied
}

/// A plain redraw: the last lines of the output, as they were printed.
fn put_redraw(shared: &Shared, reason: SnapshotReason, to: &mut BytesMut) {
    let (from, end) = (shared.redraw_from(REDRAW_BYTES), shared.region.held().end);
    let len = usize::try_from(end.since(from)).unwrap_or(0);
    let (first, second) = shared.region.slices(from, len);
    let header = SnapshotHeader { offset: end, size: shared.region.size(), reason, more: false };
    frame::put_snapshot(to, header, &[first, second].concat());
}
