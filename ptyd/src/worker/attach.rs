//! Drives one attachment: frames from its client in, what the attachment decides to send out. Its rules are the session
//! engine's; this only moves bytes.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use devpocket_shared::wire::frame::{self, Frame, FrameError, FrameKind};
use devpocket_shared::wire::stream::{FrameReader, FrameWriter, StreamError};
use devpocket_shared::wire::{Answer, EndReason, ErrorCode, Failure, Signal, ToApi, ToPtyd};
use ptyd_screen::History;
use ptyd_session::{Accepted, Refused};

use super::Context;
use super::alarm::Alarm;
use super::drive::now;
use super::encode::{Next, Told, encode_due};
use super::session::{Begun, Left, NotApplied, Session, Wish};
use crate::handover::{Target, ToKeeper};

/// Replies waiting for a client that does not read; beyond that its own messages are not read either.
const MAX_REPLY_BYTES: usize = 256 << 10;

/// Runs an attachment until its client leaves, the session ends or the worker stops.
pub(crate) async fn run(
    context: &Arc<Context>,
    session: &Arc<Session>,
    mut begun: Begun,
    reader: FrameReader,
    writer: FrameWriter,
) -> Result<(), StreamError> {
    let mut pending = BytesMut::new();
    frame::put_control(&mut pending, &Answer::Attached(begun.answer.clone()))?;
    let told = Told {
        slot: begun.slot,
        applied: begun.answer.input_seq.filter(|seq| seq.0 > 0),
        ack_by: None,
        scrollback: begun.scrollback,
        echo: None,
        notices: begun.notices,
    };
    let mut client = Client { context, session, number: begun.number, told };
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
        loop {
            // A fast client's socket is always ready: the other tasks of this thread want their turn.
            tokio::task::coop::consume_budget().await;
            if last.is_none() && pending.len() < super::encode::GATHER_BYTES / 2 {
                // One picture after the other, and everybody else's turn in between: a large one takes milliseconds.
                let drawing = begun.attachment.owes_snapshot().then_some(&self.context.drawing);
                let _turn = match drawing {
                    Some(drawing) => drawing.acquire().await.ok(),
                    None => None,
                };
                changed.mark_unchanged();
                let next = encode_due(
                    self.session,
                    self.number,
                    &mut begun.attachment,
                    &mut self.told,
                    &mut pending,
                )?;
                last = (next == Next::Ends).then_some(Left::Lost);
            }
            if let Some(left) = last
                && pending.is_empty()
            {
                writer.finish().await?;
                return Ok(left);
            }
            tokio::select! {
                // However much is on its way to the client: its Ctrl-C does not wait for that.
                frame = reader.next(), if owed < MAX_REPLY_BYTES && last.is_none() => {
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
                    begun.attachment.handle_written(written, pending.is_empty(), now());
                }
                _ = changed.changed(), if pending.is_empty() && last.is_none() => {}
                () = ack_alarm.until(self.told.ack_by), if pending.is_empty() && last.is_none() => {}
                () = pace_alarm.until(begun.attachment.poll_timeout()) => {
                    begun.attachment.handle_timeout(now());
                    self.note_hold(begun);
                }
                () = superseded.as_mut(), if last.is_none() => {
                    frame::put_control(&mut pending, &ToApi::Superseded)?;
                    last = Some(Left::Lost);
                }
                () = stopped.as_mut(), if last.is_none() => {
                    frame::put_control(&mut pending, &ToApi::Draining)?;
                    last = Some(Left::Lost);
                }
            }
        }
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
            let result = self.session.input(self.number, input.seq, &input.bytes);
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
                let result = self.session.paste(self.number, seq, &text);
                self.answer_input(tag, result, pending)?;
            }
            ToPtyd::Signal { tag, signal } => {
                let result = self.session.check_may_act(self.number);
                if result.is_ok() {
                    let (session_id, signal) = (self.session.id, signal_number(signal));
                    let message = ToKeeper::Signal { session_id, signal, target: Target::Foreground };
                    self.to_keeper(&message).await;
                }
                answer(tag, result, pending)?;
            }
            // The owner's right, also of one that only watches.
            ToPtyd::Terminate { tag: _ } => {
                end_for(self.context, self.session, EndReason::Terminated).await;
            }
            ToPtyd::Detach => return Ok(Some(Left::Detached)),
            ToPtyd::History { tag, before_line, lines } => {
                let page = self.session.history(before_line, lines);
                let History { first_line, lines, total } = page;
                frame::put_control(pending, &ToApi::History { tag, first_line, lines, total })?;
            }
        }
        Ok(None)
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

    async fn to_keeper(&self, message: &ToKeeper) {
        if self.context.keeper.send(message).await.is_err() {
            self.context.stop.cancel();
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
