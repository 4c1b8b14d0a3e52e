//! Drives one attachment: frames from its client in, what the attachment decides to send out. Its rules are the session
//! engine's; this only moves bytes.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use devpocket_shared::wire::frame::{self, Frame, FrameError, FrameKind};
use devpocket_shared::wire::message::FEATURE_COMMANDS;
use devpocket_shared::wire::stream::{FrameReader, FrameWriter, StreamError};
use devpocket_shared::wire::{Answer, EndReason, ErrorCode, Failure, Signal, ToApi, ToPtyd};
use ptyd_screen::History;
use ptyd_session::{Accepted, Refused};
use tracing::info;

use super::Context;
use super::alarm::Alarm;
use super::drawing::{Drawn, Kept, Outcome, Parts};
use super::drive::now;
use super::encode::{Next, Told, encode_due, take_drawn};
use super::numbers::{self, Shortened};
use super::session::{Begun, Left, NotApplied, Session, Wish};
use super::wait::Wait;
use crate::handover::{Target, ToKeeper};

/// Replies waiting for a client that does not read; beyond that its own messages are not read either.
const MAX_REPLY_BYTES: usize = 256 << 10;

/// Large pages of history that one client waits for at once; beyond that its own messages are not read.
const MAX_PAGES: usize = 8;

/// Runs an attachment until its client leaves, the session ends or the worker stops.
pub(crate) async fn run(
    context: &Arc<Context>,
    session: &Arc<Session>,
    mut begun: Begun,
    features: u64,
    reader: FrameReader,
    writer: FrameWriter,
) -> Result<(), StreamError> {
    let mut pending = BytesMut::new();
    let attached = begun.answer.clone();
    let answer = match begun.input_queued {
        Some(input_queued) => Answer::AttachedWaiting { attached, input_queued },
        None => Answer::Attached(attached),
    };
    frame::put_control(&mut pending, &answer)?;
    let told = Told {
        slot: begun.slot,
        applied: begun.answer.input_seq.filter(|seq| seq.0 > 0),
        uncertain: begun.answer.input_uncertain,
        ack_by: None,
        scrollback: begun.scrollback,
        has_waited: false,
        is_larger: false,
        echo: None,
        notices: begun.notices,
        commands: (features & FEATURE_COMMANDS != 0).then_some(begun.commands),
    };
    let (asked, page) = (VecDeque::new(), Wait::none());
    let mut client = Client { context, session, number: begun.number, told, asked, page };
    let result = client.pump(&mut begun, pending, reader, writer).await;
    let left = if matches!(result, Ok(Left::Detached)) { Left::Detached } else { Left::Lost };
    session.leave(begun.number, &begun.attachment, left, now());
    result.map(|_| ())
}

struct Client<'a> {
    context: &'a Arc<Context>,
    session: &'a Arc<Session>,
    number: u64,
    told: Told,
    /// Large pages of history asked for: tag, line and number of lines. The first is being drawn.
    asked: VecDeque<(u32, Option<u64>, u32)>,
    page: Wait<(u32, History)>,
}

impl Client<'_> {
    async fn pump(
        &mut self,
        begun: &mut Begun,
        mut pending: BytesMut,
        mut reader: FrameReader,
        mut writer: FrameWriter,
    ) -> Result<Left, StreamError> {
        let mut changed = self.session.subscribe();
        let mut last = None;
        // Replies that `pending` holds, about, in bytes.
        let mut owed = 0;
        let (mut ack_alarm, mut pace_alarm) = (Alarm::new(), Alarm::new());
        let (superseded, stop) = (begun.superseded.clone(), self.context.stop.clone());
        let (mut superseded, mut stopped) = (pin!(superseded.cancelled()), pin!(stop.cancelled()));
        // The snapshot on its way, and whether others want the room it takes.
        let mut sending: Option<Parts> = None;
        let (mut wanted, mut room_alarm) = (self.context.drawings.wanted(), Alarm::new());
        // A large snapshot: its turn is waited for, then it is drawn.
        let mut turn = None;
        let (mut waiting, mut drawing) = (Wait::<Outcome>::none(), Wait::<Option<Arc<Drawn>>>::none());
        loop {
            // A fast client's socket is always ready: the other tasks of this thread want their turn.
            tokio::task::coop::consume_budget().await;
            if last.is_none() && (turn.is_some() || pending.len() < super::encode::GATHER_BYTES / 2) {
                if let Some(parts) = &mut sending {
                    if !parts.put_next(&mut pending)? {
                        sending = None;
                    }
                    if self.make_room(sending.as_mut()) == Kept::TooSlow {
                        return Ok(Left::Lost);
                    }
                } else {
                    changed.mark_unchanged();
                    let (session, told) = (self.session, &mut self.told);
                    let attachment = &mut begun.attachment;
                    match encode_due(session, self.number, attachment, told, turn.take(), &mut pending)? {
                        Next::GoesOn => waiting.forget(),
                        Next::Waits if waiting.is_none() => {
                            let (drawings, owner) = (self.context.drawings.clone(), self.session.owner);
                            waiting = Wait::new(async move { drawings.snapshot_turn(owner).await });
                        }
                        Next::Waits => {}
                        Next::Draws(sketch) => {
                            let drawn = self.context.tasks.spawn_blocking(move || sketch.draw());
                            drawing = Wait::new(async move { drawn.await.ok() });
                        }
                        Next::Sends(parts) => {
                            waiting.forget();
                            sending = Some(parts);
                        }
                        Next::Ends => last = Some(Left::Lost),
                    }
                }
            }
            if let Some(left) = last
                && pending.is_empty()
            {
                writer.finish().await?;
                return Ok(left);
            }
            let room_due = sending.as_ref().and_then(Parts::room_due);
            let done = pending.is_empty() && sending.is_none() && last.is_none();
            tokio::select! {
                // However much is on its way to the client: its Ctrl-C does not wait for that.
                frame = reader.next(), if owed < MAX_REPLY_BYTES && self.asked.len() < MAX_PAGES && last.is_none() => {
                    let Some(frame) = frame? else { return Ok(Left::Lost) };
                    let before = pending.len();
                    if self.handle(frame, begun, &mut pending).await? == Some(Left::Detached) {
                        return Ok(Left::Detached);
                    }
                    owed += pending.len() - before;
                }
                written = writer.write(&pending), if !pending.is_empty() => {
                    let written = written?;
                    if written == 0 {
                        return Ok(Left::Lost);
                    }
                    pending.advance(written);
                    if pending.is_empty() {
                        owed = 0;
                    }
                    sending.iter_mut().for_each(|parts| parts.note_taken(written, now()));
                    begun.attachment.handle_written(written, pending.is_empty() && sending.is_none(), now());
                }
                got = waiting.done(), if last.is_none() => {
                    self.told.is_larger = false;
                    match got {
                        Outcome::Turn(got) => turn = Some(got),
                        Outcome::NoRoom => self.told.has_waited = true,
                    }
                }
                drawn = drawing.done(), if last.is_none() => {
                    let Some(drawn) = drawn else { return Ok(Left::Lost) };
                    sending = take_drawn(self.session, self.number, &mut begun.attachment, &self.told, drawn);
                }
                (tag, page) = self.page.done(), if last.is_none() => {
                    let before = pending.len();
                    put_page(&mut pending, tag, page)?;
                    self.asked.pop_front();
                    owed += pending.len() - before;
                    self.ask_next();
                }
                () = room_alarm.until(room_due) => if self.make_room(sending.as_mut()) == Kept::TooSlow {
                    return Ok(Left::Lost);
                },
                _ = wanted.changed(), if room_due.is_some() => if self.make_room(sending.as_mut()) == Kept::TooSlow {
                    return Ok(Left::Lost);
                },
                _ = changed.changed(), if done => {}
                () = ack_alarm.until(self.told.ack_by), if done => {}
                () = pace_alarm.until(begun.attachment.poll_timeout()) => {
                    begun.attachment.handle_timeout(now());
                    self.note_hold(begun);
                }
                () = superseded.as_mut(), if last.is_none() => {
                    (sending, waiting, drawing) = (None, Wait::none(), Wait::none());
                    frame::put_control(&mut pending, &ToApi::Superseded)?;
                    last = Some(Left::Lost);
                }
                () = stopped.as_mut(), if last.is_none() => {
                    (sending, waiting, drawing) = (None, Wait::none(), Wait::none());
                    frame::put_control(&mut pending, &ToApi::Draining)?;
                    last = Some(Left::Lost);
                }
            }
        }
    }

    /// Has the snapshot on its way make room for others, if they wait for that.
    fn make_room(&self, sending: Option<&mut Parts>) -> Kept {
        let kept = sending.map_or(Kept::All, |parts| parts.make_room(&self.context.drawings, now()));
        let id = self.session.id;
        match kept {
            Kept::All => {}
            Kept::CutShort => {
                numbers::snapshot_shortened(Shortened::Slow);
                info!(session.id = %id, "a client of session {id} reads its snapshot slowly while others wait, and has the screen alone");
            }
            // It is to come again.
            Kept::TooSlow => {
                info!(session.id = %id, "a client of session {id} reads its screen slowly while others wait")
            }
        }
        kept
    }

    /// Applies one frame; replies go to `pending`.
    async fn handle(
        &mut self,
        frame: Frame,
        begun: &mut Begun,
        pending: &mut BytesMut,
    ) -> Result<Option<Left>, StreamError> {
        if frame.kind == FrameKind::Input {
            let input = frame.into_input()?;
            let result = self.session.input(self.number, input.seq, &input.bytes.0);
            self.answer_input(input.tag, result, pending)?;
            return Ok(None);
        }
        match frame.control::<ToPtyd>()? {
            ToPtyd::Ack { offset } => {
                begun.attachment.handle_ack(offset, now());
                self.note_hold(begun);
            }
            ToPtyd::Resize { tag, size, claim } => {
                let result = self.session.resize(self.number, size, claim);
                answer(tag, result, pending)?;
            }
            ToPtyd::Key { tag, byte } => {
                let result = self.session.key(self.number, byte);
                answer(tag, result, pending)?;
            }
            ToPtyd::Paste { tag, seq, text } => {
                let result = self.session.paste(self.number, seq, &text.0);
                self.answer_input(tag, result, pending)?;
            }
            ToPtyd::Signal { tag, signal } => {
                let result = self.session.check_may_act(self.number);
                if result.is_ok() {
                    let (session_id, signal) = (self.session.id, signal_number(signal));
                    let message = ToKeeper::Signal { session_id, signal, target: Target::Foreground };
                    if self.context.keeper.send(&message).await.is_err() {
                        self.context.stop.cancel();
                    }
                }
                answer(tag, result, pending)?;
            }
            // The owner's right, also of one that only watches.
            ToPtyd::Terminate { tag: _ } => {
                end_for(self.context, self.session, EndReason::Terminated).await;
            }
            ToPtyd::Detach => return Ok(Some(Left::Detached)),
            ToPtyd::History { tag, before_line, lines } => {
                let first = self.asked.is_empty();
                match first.then(|| self.session.small_page(before_line, lines)).flatten() {
                    Some(page) => put_page(pending, tag, page)?,
                    None => {
                        self.asked.push_back((tag, before_line, lines));
                        self.ask_next();
                    }
                }
            }
        }
        Ok(None)
    }

    /// Has the page of history drawn that was asked for first, the one before it is there.
    fn ask_next(&mut self) {
        if !self.page.is_none() {
            return;
        }
        let Some((tag, before_line, lines)) = self.asked.front().copied() else { return };
        let (context, session) = (Arc::clone(self.context), Arc::clone(self.session));
        self.page = Wait::new(async move { (tag, session.history(&context, before_line, lines).await) });
    }

    fn note_hold(&self, begun: &Begun) {
        let mut shared = self.session.lock();
        shared.note_hold(self.number, begun.slot, &begun.attachment);
        if shared.held_back {
            self.session.work.notify_one();
        }
    }

    fn answer_input(
        &mut self,
        tag: u32,
        result: Result<Accepted, NotApplied>,
        pending: &mut BytesMut,
    ) -> Result<(), FrameError> {
        match result {
            Ok(Accepted::Queued) => Ok(()),
            Ok(Accepted::Repeated) => {
                // Its acknowledgement may have been lost: say it again.
                self.told.applied = None;
                Ok(())
            }
            Err(why) => answer(tag, Err(why), pending),
        }
    }
}

/// Ends a session: its owner asked for it, or its time is over.
pub(crate) async fn end_for(context: &Context, session: &Session, reason: EndReason) {
    let session_id = session.id;
    // Asked for again, it is told again: a worker may have died between noting the wish and passing it on.
    match session.mark_ending(reason) {
        Wish::Noted => store_record(context, session).await,
        Wish::Known => {}
        Wish::Ended => return,
    }
    if context.keeper.send(&ToKeeper::Terminate { session_id }).await.is_err() {
        context.stop.cancel();
    }
}

/// Kills a session at once, on request of its owner.
pub(crate) async fn kill(context: &Context, session: &Session) {
    let signal = nix::sys::signal::Signal::SIGKILL as i32;
    // Noted before: the end may come at once.
    if session.mark_ending(EndReason::Terminated) == Wish::Noted {
        store_record(context, session).await;
    }
    let message = ToKeeper::Signal { session_id: session.id, signal, target: Target::Session };
    if context.keeper.send(&message).await.is_err() {
        context.stop.cancel();
    }
    // What had time to make another process is seen to by the keeper.
    end_for(context, session, EndReason::Terminated).await;
}

/// Has the keeper keep the session's record as it is.
pub(crate) async fn store_record(context: &Context, session: &Session) {
    let _turn = session.storing.lock().await;
    let Some(record) = session.record().to_bytes() else { return };
    if context.keeper.send(&ToKeeper::Record { session_id: session.id, record }).await.is_err() {
        context.stop.cancel();
    }
}

fn answer(tag: u32, result: Result<(), NotApplied>, pending: &mut BytesMut) -> Result<(), FrameError> {
    let Err(why) = result else { return Ok(()) };
    let (code, message, expected) = match why {
        // Nobody is there to read it: the client listens to its newer attachment.
        NotApplied::Superseded => return Ok(()),
        NotApplied::View => (ErrorCode::NotAllowed, "this attachment only watches", None),
        NotApplied::Ended => (ErrorCode::SessionEnded, "the session is over", None),
        NotApplied::NoClientId => (ErrorCode::InvalidField, "seq needs a client_id at attach", None),
        NotApplied::Refused(Refused::Gap { expected }) => {
            (ErrorCode::SeqGap, "an input before this one is missing", Some(expected))
        }
        NotApplied::Refused(Refused::Full) => {
            (ErrorCode::InputFull, "the program does not read its input; try again later", None)
        }
    };
    let failure = Failure { code, message: message.to_owned(), expected };
    frame::put_control(pending, &ToApi::Error { tag, failure })
}

fn put_page(pending: &mut BytesMut, tag: u32, page: History) -> Result<(), FrameError> {
    let History { first_line, lines, total } = page;
    frame::put_control(pending, &ToApi::History { tag, first_line, lines, total })
}

fn signal_number(signal: Signal) -> i32 {
    use nix::sys::signal::Signal as S;
    let signal = match signal {
        Signal::Int => S::SIGINT,
        Signal::Quit => S::SIGQUIT,
        Signal::Tstp => S::SIGTSTP,
        Signal::Cont => S::SIGCONT,
        Signal::Term => S::SIGTERM,
        Signal::Hup => S::SIGHUP,
        Signal::Kill => S::SIGKILL,
        Signal::Usr1 => S::SIGUSR1,
        Signal::Usr2 => S::SIGUSR2,
        Signal::Winch => S::SIGWINCH,
    };
    signal as i32
}
