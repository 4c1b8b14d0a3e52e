//! Turns what an attachment decided to send into frames, reading the bytes from the ring. Knows no transport.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use devpocket_shared::ids::Seq;
use devpocket_shared::wire::frame::{self, FrameError, MAX_OUTPUT_BYTES};
use devpocket_shared::wire::{SnapshotReason, ToApi};
use ptyd_screen::Effect;
use ptyd_session::{Attachment, Outgoing, Slot};

use super::drawing::{Drawn, MAX_SMALL_BYTES, Parts, SMALL_BYTES, Sketch, Turn};
use super::drive::now;
use super::numbers::{self, Shortened};
use super::session::{LineDiscipline, Session, Shared};
use super::told_commands::ToldCommands;

/// Frames are gathered up to this many bytes before they are written.
pub(crate) const GATHER_BYTES: usize = MAX_OUTPUT_BYTES;
/// What an attachment has told its client already.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its place in the ledger, if it has a client id.
    pub(crate) slot: Option<Slot>,
    /// Input acknowledged last.
    pub(crate) applied: Option<Seq>,
    /// Its input that is uncertain, told with the attach or since.
    pub(crate) uncertain: Option<Seq>,
    /// When an acknowledgement that is due goes out even without output beside it.
    pub(crate) ack_by: Option<Instant>,
    /// Scrollback lines it wants in a snapshot.
    pub(crate) scrollback: u32,
    /// It has waited for a snapshot with those until it is better served with the screen alone.
    pub(crate) has_waited: bool,
    /// Its snapshot came to more than was thought: it waits for a turn, and is not drawn at each output until then.
    pub(crate) is_larger: bool,
    /// What the terminal does with typed bytes, and whether its alternate screen is shown.
    pub(crate) echo: Option<(LineDiscipline, bool)>,
    /// How many notices there were when the last was told.
    pub(crate) notices: u64,
    /// Which commands; none: its api does not know of any.
    pub(crate) commands: Option<ToldCommands>,
}

/// How long an acknowledgement waits for output to travel with. A key's echo is there within a millisecond; alone, the
/// acknowledgement would wake everybody on the way twice.
const ACK_DELAY: Duration = Duration::from_millis(10);

/// How the attachment goes on after what was encoded.
#[derive(Debug)]
pub(crate) enum Next {
    /// As it is.
    GoesOn,
    /// A snapshot is due that takes a turn to be drawn.
    Waits,
    /// This is to be drawn now.
    Draws(Box<Sketch>),
    /// With this snapshot, before anything else.
    Sends(Parts),
    /// The session's end is encoded; nothing follows.
    Ends,
}

/// Appends to `to` what the attachment's client is due. `turn`: its turn to have a large snapshot drawn, given back where it
/// needs none any more.
pub(crate) fn encode_due(
    session: &Session,
    number: u64,
    attachment: &mut Attachment,
    told: &mut Told,
    mut turn: Option<Turn>,
    to: &mut BytesMut,
) -> Result<Next, FrameError> {
    let mut shared = session.lock();
    let due = ack_due(&shared, told);
    let hold = attachment.hold();
    let mut next = Next::GoesOn;
    put_uncertain(&mut shared, number, told, to)?;
    put_echo(&shared, attachment, told, to)?;
    while to.len() < GATHER_BYTES || turn.is_some() {
        let view = shared.region.view(attachment.cursor(), attachment.told_size());
        let room = GATHER_BYTES.saturating_sub(to.len());
        let Some(outgoing) = attachment.poll_send(&view, room, now()) else { break };
        match outgoing {
            Outgoing::Output { offset, len } => {
                let (first, second) = shared.region.slices(offset, len);
                frame::put_output_header(to, offset, first.len() + second.len());
                to.put_slice(first);
                to.put_slice(second);
            }
            Outgoing::Resized { offset, size } => {
                frame::put_control(to, &ToApi::Resized { offset, size })?;
            }
            Outgoing::Snapshot(reason) => match snapshot(&mut shared, attachment, told, &mut turn, reason) {
                // One frame of it travels with what is there already.
                Some(Next::Sends(mut parts)) => {
                    let more = parts.put_next(to)?;
                    if more {
                        next = Next::Sends(parts);
                        break;
                    }
                }
                Some(other) => {
                    next = other;
                    break;
                }
                None => {}
            },
        }
    }
    drop(turn);
    put_notices(&shared, told, to)?;
    put_commands(&shared, told, to)?;
    if let Some(seq) = due
        && (!to.is_empty() || shared.ended || told.ack_by.is_some_and(|by| by <= now()))
    {
        told.applied = due;
        told.ack_by = None;
        frame::put_control(to, &ToApi::InputAck { seq })?;
    }
    if attachment.hold() != hold {
        let held_back = shared.held_back;
        shared.note_hold(number, told.slot, attachment);
        if held_back {
            session.work.notify_one();
        }
    }
    if let Some((exit, reason)) = shared.end()
        && attachment.cursor() == shared.region.held().end
        && !attachment.owes_snapshot()
        && matches!(next, Next::GoesOn)
    {
        frame::put_control(to, &ToApi::Ended { offset: attachment.cursor(), exit, reason })?;
        return Ok(Next::Ends);
    }
    Ok(next)
}

/// Sees to the snapshot that is due: none if it is sent after all what it would have replaced.
fn snapshot(
    shared: &mut Shared,
    attachment: &mut Attachment,
    told: &mut Told,
    turn: &mut Option<Turn>,
    reason: SnapshotReason,
) -> Option<Next> {
    let wanted = if reason == SnapshotReason::Lagged { 0 } else { told.scrollback };
    if let Some(parts) = shared.drawn_before(attachment.cursor(), reason, wanted) {
        return take(shared, attachment, parts);
    }
    let lines = if told.has_waited { 0 } else { wanted };
    let is_small = |shared: &Shared| shared.picture.screen().drawing_bytes(lines, SMALL_BYTES) <= SMALL_BYTES;
    if turn.is_none() && (told.is_larger || !is_small(shared)) {
        // Meanwhile the screen comes along by itself.
        return Some(Next::Waits);
    }
    // It is of the end of the output, where the attachment goes on.
    shared.feed(usize::MAX);
    let (at, size) = (shared.picture.fed(), shared.region.followed_to_end());
    if turn.is_none() && is_small(shared) {
        let bytes = shared.picture.draw(|screen| screen.snapshot(lines)).unwrap_or_default();
        // What it came to is only known now; what is more than was thought has to have room, too.
        if bytes.len() <= MAX_SMALL_BYTES {
            if lines < wanted {
                numbers::snapshot_shortened(Shortened::NoRoom);
            }
            return take_all(shared, attachment, Drawn::small(bytes, at, size, lines), reason);
        }
        told.is_larger = true;
    }
    let Some(turn) = turn.take() else { return Some(Next::Waits) };
    // Without a copy there is no picture, and an empty screen in its place.
    let picture = &shared.picture;
    let still = if lines > 0 { picture.still() } else { picture.still_without_scrollback() };
    let Some(still) = still else {
        return take_all(shared, attachment, Drawn::small(Vec::new(), at, size, lines), reason);
    };
    attachment.begin_snapshot(at, size, now());
    Some(Next::Draws(Box::new(Sketch { still, size, lines, turn })))
}

/// Takes the snapshot that was drawn for this attachment alone.
fn take_all(
    shared: &Shared,
    attachment: &mut Attachment,
    drawn: Drawn,
    reason: SnapshotReason,
) -> Option<Next> {
    let parts = Arc::new(drawn).read(reason, now())?;
    take(shared, attachment, parts)
}

/// Takes the snapshot that was drawn; none if what it would have replaced is sent.
fn take(shared: &Shared, attachment: &mut Attachment, parts: Parts) -> Option<Next> {
    attachment.begin_snapshot(parts.at, parts.size, now());
    let view = shared.region.view(attachment.cursor(), attachment.told_size());
    attachment.take_snapshot(&view, parts.len(), now()).then(|| {
        numbers::snapshot_sent(parts.reason);
        Next::Sends(parts)
    })
}

/// Takes the snapshot that was drawn for the attachment, beside the runtime. Others may share it.
pub(crate) fn take_drawn(
    session: &Session,
    number: u64,
    attachment: &mut Attachment,
    told: &Told,
    drawn: Arc<Drawn>,
) -> Option<Parts> {
    let mut shared = session.lock();
    shared.drawn = Arc::downgrade(&drawn);
    let reason = attachment.due_snapshot()?;
    let taken = drawn.read(reason, now()).and_then(|parts| take(&shared, attachment, parts));
    shared.note_hold(number, told.slot, attachment);
    drop(shared);
    session.work.notify_one();
    session.publish();
    match taken {
        Some(Next::Sends(parts)) => Some(parts),
        Some(_) | None => None,
    }
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

/// Says which input has become uncertain while its client is attached: before it is acknowledged.
fn put_uncertain(
    shared: &mut Shared,
    number: u64,
    told: &mut Told,
    to: &mut BytesMut,
) -> Result<(), FrameError> {
    let uncertain = told.slot.and_then(|slot| shared.region.uncertain(slot));
    if uncertain != told.uncertain
        && let Some(seq) = uncertain
    {
        shared.note_told_uncertain(number, seq);
        frame::put_control(to, &ToApi::InputUncertain { seq })?;
    }
    told.uncertain = uncertain;
    Ok(())
}

/// Says what the terminal does with typed bytes, when that has changed: before the output that was read with it.
fn put_echo(
    shared: &Shared,
    attachment: &Attachment,
    told: &mut Told,
    to: &mut BytesMut,
) -> Result<(), FrameError> {
    let Some(line) = shared.line_discipline else { return Ok(()) };
    let alternate_screen = shared.shows_alternate_screen();
    if told.echo == Some((line, alternate_screen)) {
        return Ok(());
    }
    told.echo = Some((line, alternate_screen));
    let input_seq = told.slot.map(|slot| shared.region.applied(slot)).filter(|seq| seq.0 > 0);
    let LineDiscipline { echo, canonical } = line;
    let offset = attachment.cursor();
    frame::put_control(to, &ToApi::Echo { offset, echo, canonical, alternate_screen, input_seq })
}

fn put_notices(shared: &Shared, told: &mut Told, to: &mut BytesMut) -> Result<(), FrameError> {
    for effect in shared.notices.after(told.notices) {
        let message = match effect.clone() {
            Effect::Title(text) => ToApi::Title { text },
            Effect::Bell => ToApi::Bell,
            Effect::Clipboard(text) => ToApi::Clipboard { text: text.into() },
            Effect::Cwd(text) => ToApi::Cwd { text },
            Effect::Notify(text) => ToApi::Notify { text },
        };
        frame::put_control(to, &message)?;
    }
    told.notices = shared.notices.count();
    Ok(())
}

/// Says which commands have begun and ended. A client that was busy for very long is told of the last ones.
fn put_commands(shared: &Shared, told: &mut Told, to: &mut BytesMut) -> Result<(), FrameError> {
    let Some(told) = &mut told.commands else { return Ok(()) };
    for message in told.next(&shared.commands) {
        frame::put_control(to, &message)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::TerminalSize;
    use devpocket_shared::wire::{Attach, AttachMode};

    use super::*;
    use crate::worker::drawing::{Drawings, Outcome};
    use crate::worker::session::sample::{attach, print, session};

    #[tokio::test]
    async fn a_large_snapshot_is_drawn_from_a_copy_of_what_was_asked_for() {
        let (session, drawings) = (session(), Drawings::new());
        session.lock().region.record_size(TerminalSize::new(300, 300).unwrap());
        print(&session, "\x1b[44mx\x1b[42my".repeat(150 * 1000).as_bytes());
        for scrollback in [0, 100] {
            let attach = Attach { scrollback, ..attach(AttachMode::Control) };
            let mut begun = session.attach(&attach, false, now()).unwrap();
            let mut told = Told {
                slot: None,
                applied: None,
                uncertain: None,
                ack_by: None,
                scrollback: begun.scrollback,
                has_waited: false,
                is_larger: false,
                echo: None,
                notices: 0,
                commands: None,
            };
            let Outcome::Turn(turn) = drawings.snapshot_turn(session.owner).await else { unreachable!() };
            let (attachment, mut to) = (&mut begun.attachment, BytesMut::new());
            let next =
                encode_due(&session, begun.number, attachment, &mut told, Some(turn), &mut to).unwrap();
            let Next::Draws(sketch) = next else { panic!("{next:?}") };
            let rows = sketch.still.draw(|screen| screen.scrollback_rows()).unwrap();
            assert_eq!(
                rows > 0,
                scrollback > 0,
                "{rows} rows above the screen, asked for {scrollback} lines"
            );
            session.leave(begun.number, &begun.attachment, crate::worker::session::Left::Detached, now());
        }
    }
}
