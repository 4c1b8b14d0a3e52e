//! The one task that owns a session's terminal: reads it into the ring, writes input to it, sets its size, and sees its
//! end. It decides nothing that the session engine can decide.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devpocket_shared::wire::EndReason;
use ptyd_session::InputQueue;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::{error, info, warn};

use super::alarm::Alarm;
use super::session::{LineDiscipline, Session, Shared};
use super::{Context, attach, numbers, sys};
use crate::handover::ToKeeper;

/// Other tasks get their turn, and attachments are told, once so much is read: with the last 4 KiB still one frame.
const READ_BYTES: usize = 60 << 10;
/// Most input writes before other tasks get their turn.
const WRITES: usize = 16;
/// How often a terminal is tried again whose other side is closed while its leader lives: it may be opened again.
const HUNG_UP_RETRY: Duration = Duration::from_millis(100);

/// Most output the screen is fed before other tasks get their turn.
const FEED_BYTES: usize = 32 << 10;
/// How often, and for how long after it did something, a terminal's line discipline is looked at (DESIGN section 9).
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_FOR: Duration = Duration::from_millis(500);

/// A read shorter than this, and than there was room for, has emptied the terminal: what comes after it is reported anew. In a flood more may have come
/// meanwhile, and trying again at once is cheaper than waiting to be told.
const SHORT_READ_BYTES: usize = 2 << 10;

/// What the terminal can take or give now.
#[derive(Debug, Default)]
struct State {
    /// It takes no input now; there until it does. Only then is it watched for that: a terminal is reported as writable
    /// each time its program has read something.
    full: Option<AsyncFd<OwnedFd>>,
    /// Its other side is closed; try again then.
    hung_up_until: Option<Instant>,
    /// Until then its line discipline is looked at again and again: Linux tells a master nothing of a change.
    watch_until: Option<Instant>,
    /// When it is looked at next.
    look_at: Option<Instant>,
    /// Of the screen, what was published: so many notices, and whether the alternate screen is shown.
    published: (u64, bool),
}

/// Runs the session's terminal until its end, or until the worker stops.
pub(crate) async fn drive(context: Arc<Context>, session: Arc<Session>, master: OwnedFd) {
    let mut master = match sys::watch_for(master, Interest::READABLE) {
        Ok(master) => master,
        Err(err) => {
            warn!(session.id = %session.id, %err, "terminal of session {} cannot be watched", session.id);
            return;
        }
    };
    let mut state = State::default();
    let mut alarm = Alarm::new();
    let mut stopped = pin!(context.stop.cancelled());
    loop {
        // A terminal always has something to say in a flood: the other tasks of this thread want their turn.
        tokio::task::coop::consume_budget().await;
        let plan = plan(&session, &state, &master);
        if plan.feed {
            // First those who wait for the output itself.
            tokio::task::yield_now().await;
            let seen = {
                let mut shared = session.lock();
                shared.feed(FEED_BYTES);
                (shared.notices.count(), shared.shows_alternate_screen())
            };
            if std::mem::replace(&mut state.published, seen) != seen {
                session.publish();
            }
        }
        tokio::select! {
            () = stopped.as_mut() => return,
            taking = writable(state.full.as_ref()), if plan.write => match taking {
                Taking::Input => write_some(&session, &master, &mut state),
                Taking::Nothing => state.hung_up_until = Some(now() + HUNG_UP_RETRY),
            },
            ready = master.readable(), if plan.read => {
                let Ok(mut ready) = ready else { return };
                match read_some(&session, &master, &mut state, Until::Short) {
                    Progress::More => {}
                    // Once its other side was closed, it is reported as readable for ever, opened again or not.
                    Progress::Empty if ready.ready().is_read_closed() => {
                        state.hung_up_until = Some(now() + HUNG_UP_RETRY);
                    }
                    Progress::Empty => ready.clear_ready(),
                    Progress::HungUp => state.hung_up_until = Some(now() + HUNG_UP_RETRY),
                }
            }
            () = session.work.notified() => {
                look(&session, &master);
                state.hung_up_until = state.hung_up_until.filter(|_| !exited(&session));
            }
            () = std::future::ready(()), if plan.feed => {}
            () = alarm.until(plan.deadline) => {
                note_line_discipline(&session, &master, &mut state);
                // A hung-up terminal is watched anew: what was reported of it before stays reported.
                if state.hung_up_until.is_some_and(|until| until <= now()) {
                    state.hung_up_until = None;
                    state.full = None;
                    let Ok(again) = sys::watch_for(master.into_inner(), Interest::READABLE) else { return };
                    master = again;
                }
                release_holds(&session);
                if let Some(reason) = over(&session) {
                    info!(session.id = %session.id, "session {} is ended: {}", session.id, reason.as_str());
                    attach::end_for(&context, &session, reason).await;
                }
            }
        }
        if exited(&session) && read_to_end(&session, &master, &mut state) {
            break;
        }
    }
    end(&context, &session).await;
}

fn release_holds(session: &Session) {
    let mut shared = session.lock();
    for slot in shared.holds.handle_timeout(now()) {
        let acked = shared.region.acked(slot);
        shared.region.note_acked(slot, acked, false);
    }
}

/// The limit by which the session's time is over, the first time it is asked.
fn over(session: &Session) -> Option<EndReason> {
    let mut shared = session.lock();
    if shared.exit.is_some() {
        return None;
    }
    let is_attached = shared.is_attached();
    shared.life.handle_timeout(is_attached, now())
}

/// The monotonic time, as a paused clock moves it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

struct Plan {
    feed: bool,
    read: bool,
    write: bool,
    deadline: Option<Instant>,
}

/// Sets a wanted size and says what to wait for.
fn plan(session: &Session, state: &State, master: &AsyncFd<OwnedFd>) -> Plan {
    let mut shared = session.lock();
    if let Some(size) = shared.wanted_size.take() {
        match sys::resize(master.get_ref().as_fd(), size) {
            Ok(()) => shared.record_size(size),
            Err(err) => {
                warn!(session.id = %session.id, %err, "terminal of session {} keeps its size", session.id)
            }
        }
        session.publish();
    }
    let writable = state.full.is_none() && state.hung_up_until.is_none() && shared.exit.is_none();
    // Output does not stand still for a client that is to send the rest of its paste.
    let takes_answers = writable && !shared.input.awaits_paste(&shared.region);
    if shared.answers_first && !takes_answers {
        shared.cut_unanswered();
        session.publish();
    }
    let Shared { region, input, .. } = &mut *shared;
    if let Some((_, seq)) = input.handle_timeout(region, now()) {
        warn!(session.id = %session.id, "session {} goes on without the rest of the paste in input {}", session.id, seq.0);
        session.publish();
    }
    let paste = input.poll_timeout(region);
    let hold = shared.lowest_hold();
    shared.held_back = shared.region.space(hold).is_empty();
    let looking = state.look_at.filter(|_| shared.is_attached());
    let life = shared.life.poll_timeout(shared.is_attached()).filter(|_| shared.exit.is_none());
    let deadlines = [shared.holds.poll_timeout(), state.hung_up_until, looking, life, paste];
    Plan {
        feed: shared.picture.is_behind(&shared.region),
        read: !shared.held_back && !shared.answers_first && state.hung_up_until.is_none(),
        write: !shared.input.is_empty(&shared.region) && state.hung_up_until.is_none(),
        deadline: deadlines.into_iter().flatten().min(),
    }
}

/// Whether a terminal takes input.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Taking {
    /// As far as one can tell before trying.
    Input,
    /// Its other side is closed. It would be reported as writable again and again, and take nothing.
    Nothing,
}

/// Completes when the terminal takes input, at once unless it was full, or when it is hung up.
async fn writable(full: Option<&AsyncFd<OwnedFd>>) -> Taking {
    let Some(full) = full else { return Taking::Input };
    let Ok(mut ready) = full.writable().await else { return Taking::Nothing };
    let closed = ready.ready().is_write_closed() || ready.ready().is_error();
    // Whether it really takes any shows when it is written to.
    ready.clear_ready();
    if closed { Taking::Nothing } else { Taking::Input }
}

/// How far to read.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Until {
    /// Until a read comes back short.
    Short,
    /// Until the terminal says that nothing is there: it empties the kernel's own buffers before it says so.
    Empty,
}

enum Progress {
    /// There may be more.
    More,
    /// Nothing is there now.
    Empty,
    /// The other side is closed now.
    HungUp,
}

/// Reads until nothing is there, a hold forbids, or others are due.
fn read_some(session: &Session, master: &AsyncFd<OwnedFd>, state: &mut State, until: Until) -> Progress {
    let mut total = 0;
    let progress = loop {
        if total >= READ_BYTES {
            break Progress::More;
        }
        let mut guard = session.lock();
        let hold = guard.lowest_hold();
        let space = guard.region.space(hold);
        if space.is_empty() {
            guard.held_back = true;
            break Progress::More;
        }
        let room = space.len();
        match sys::read(master.get_ref().as_fd(), space) {
            Ok(0) => break Progress::HungUp,
            Ok(read) => {
                guard.region.commit(read);
                guard.cut();
                total += read;
                if guard.answers_first {
                    break Progress::More;
                }
                if until == Until::Short && read < room && read < SHORT_READ_BYTES {
                    break Progress::Empty;
                }
            }
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => break Progress::Empty,
            Err(_) => break Progress::HungUp,
        }
    };
    if total > 0 {
        numbers::output_read(total);
        session.lock().note_activity(now());
        watch_line_discipline(state);
        note_line_discipline(session, master, state);
        session.publish();
    }
    progress
}

/// The terminal did something: its line discipline is watched for a while.
fn watch_line_discipline(state: &mut State) {
    let now = now();
    state.watch_until = Some(now + LOOK_FOR);
    state.look_at.get_or_insert(now + LOOK_EVERY);
}

/// Looks at the terminal's line discipline, and tells attachments if it has changed.
fn note_line_discipline(session: &Session, master: &AsyncFd<OwnedFd>, state: &mut State) {
    let now = now();
    let more = state.watch_until.is_some_and(|until| now < until);
    state.look_at = more.then_some(now + LOOK_EVERY);
    let Ok((echo, canonical)) = sys::line_discipline(master.get_ref().as_fd()) else { return };
    let read = Some(LineDiscipline { echo, canonical });
    let mut shared = session.lock();
    if shared.line_discipline != read {
        shared.line_discipline = read;
        drop(shared);
        session.publish();
    }
}

/// Looks at whom keys go to, if somebody wants to know.
fn look(session: &Session, master: &AsyncFd<OwnedFd>) {
    let mut shared = session.lock();
    if shared.looks.are_wanted() {
        shared.looks.note(sys::key_reader(master.get_ref().as_fd()));
        drop(shared);
        session.publish();
    }
}

/// Writes waiting input until there is none, the terminal takes no more, or others are due.
fn write_some(session: &Session, master: &AsyncFd<OwnedFd>, state: &mut State) {
    let mut applied = false;
    watch_line_discipline(state);
    note_line_discipline(session, master, state);
    for _ in 0..WRITES {
        let mut guard = session.lock();
        let Shared { region, input, .. } = &mut *guard;
        if input.is_empty(region) {
            break;
        }
        let next = input.next_write(region);
        let written = if next.is_empty() { Ok(0) } else { sys::write(master.get_ref().as_fd(), next) };
        match written {
            Ok(written) => {
                numbers::input_written(written);
                state.full = None;
                applied |= input.wrote(region, written).is_some();
                if written > 0 && input.is_writing_answer() {
                    guard.note_answered();
                }
                if guard.answers_first {
                    guard.cut();
                    applied = true;
                }
            }
            Err(err) => {
                // Nothing was taken; what waits goes on waiting.
                input.wrote(region, 0);
                if err.kind() == io::ErrorKind::WouldBlock && state.full.is_none() {
                    let again = master.get_ref().try_clone();
                    state.full = again.and_then(|again| sys::watch_for(again, Interest::WRITABLE)).ok();
                }
                if err.kind() != io::ErrorKind::WouldBlock || state.full.is_none() {
                    state.hung_up_until = Some(now() + HUNG_UP_RETRY);
                }
                break;
            }
        }
    }
    if applied {
        session.publish();
    }
}

fn exited(session: &Session) -> bool {
    session.lock().exit.is_some()
}

/// Reads what an ended program left behind; true when nothing is left.
fn read_to_end(session: &Session, master: &AsyncFd<OwnedFd>, state: &mut State) -> bool {
    matches!(read_some(session, master, state, Until::Empty), Progress::Empty | Progress::HungUp)
}

/// Ends a session whose task panicked: nobody reads its terminal any more, and its clients must not wait for that.
pub(crate) async fn give_up(context: &Context, session: &Session) {
    error!(session.id = %session.id, "session {} is ended: its terminal cannot be served", session.id);
    attach::end_for(context, session, EndReason::Terminated).await;
    while !exited(session) {
        tokio::select! {
            () = session.work.notified() => {}
            () = context.stop.cancelled() => return,
        }
    }
    end(context, session).await;
}

async fn end(context: &Context, session: &Session) {
    {
        let mut shared = session.lock();
        shared.finish();
        shared.ended = true;
        shared.holds = ptyd_session::Holds::default();
        shared.input = InputQueue::default();
    }
    session.note_ended();
    session.publish();
    numbers::session_ended();
    info!(session.id = %session.id, "session {} ended", session.id);
    attach::store_record(context, session).await;
    context.registry.ended(session, now());
    if context.keeper.send(&ToKeeper::Drained { session_id: session.id }).await.is_err() {
        // The keeper is gone: this worker is about to end, and so is the need to tell.
        context.stop.cancel();
    }
}
