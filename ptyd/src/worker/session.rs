//! One session as the worker's tasks share it: its memory, its holds, its waiting input, who is attached. Every method
//! takes the lock, decides and lets go; none waits.

mod history;
mod output;
mod render;
#[cfg(test)]
pub(crate) mod sample;
mod shell;
mod typing;
mod unattached;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use devpocket_shared::ids::{Offset, Seq, SessionId, TerminalSize, UserId};
use devpocket_shared::wire::{self, AttachMode, Attached, EndReason, Exit, Resume, SessionInfo};
use memmap2::MmapMut;
use ptyd_session::picture::SCROLLBACK_LINES;
use ptyd_session::{
    Attachment, Commands, Cutter, Holder, Holds, InputQueue, Kept, Lease, Life, Notices, Picture, Refused,
    Region, Slot,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::create::now_ms;
use super::drawing::Drawn;
use super::record::Record;
use super::told_commands::ToldCommands;
use super::{numbers, sys};
use crate::handover::ExitStatus;

/// Attachments one session takes at once.
pub(crate) const MAX_ATTACHMENTS: usize = 64;

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) owner: UserId,
    shared: Mutex<Shared>,
    /// Counts changes that attachments want to see: output, applied input, the end.
    changed: watch::Sender<u64>,
    /// Wakes the session's own task: input waits, a size is wanted, a hold moved, the leader is gone.
    pub(crate) work: Notify,
    /// Somebody was told of it.
    told: AtomicBool,
    /// Its owner wants it gone.
    discarded: AtomicBool,
    /// Held while its record is on its way to the keeper, so that the newest one is the last to arrive.
    pub(crate) storing: tokio::sync::Mutex<()>,
}

/// A session's memory and what is made of it.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) region: Region<MmapMut>,
    pub(crate) cutter: Cutter,
    pub(crate) picture: Picture<MmapMut>,
    pub(crate) commands: Commands<MmapMut>,
}

/// What is behind the session's lock.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) region: Region<MmapMut>,
    cutter: Cutter,
    /// Which screen output ahead of the picture shows last: the alternate one? None: none of it says so.
    switched: Option<bool>,
    pub(crate) picture: Picture<MmapMut>,
    /// What its shell ran.
    pub(crate) commands: Commands<MmapMut>,
    pub(crate) notices: Notices,
    /// What the terminal does with typed bytes, as last read; none: not known yet.
    pub(crate) line_discipline: Option<LineDiscipline>,
    pub(crate) input: InputQueue,
    pub(crate) holds: Holds,
    pub(crate) wanted_size: Option<TerminalSize>,
    /// The leader was reaped.
    pub(crate) exit: Option<ExitStatus>,
    /// ... and the terminal read to its end.
    pub(crate) ended: bool,
    /// Reading stopped at a hold; whoever moves a hold wakes the session's task.
    pub(crate) held_back: bool,
    /// Reading stopped because more queries came than may wait.
    pub(crate) answers_first: bool,
    pub(crate) life: Life,
    typing: shell::Typing,
    pub(crate) looks: shell::Looks,
    /// The large snapshot drawn last, while somebody still reads it.
    pub(crate) drawn: Weak<Drawn>,
    record: Record,
    lease: Lease,
    attached: BTreeMap<u64, Entry>,
    next_attachment: u64,
    id: SessionId,
    /// How much of the screen checkpoints hold, as far as that was told.
    told_kept: Kept,
}

/// What a terminal does with typed bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LineDiscipline {
    /// It repeats them.
    pub(crate) echo: bool,
    /// It gathers lines.
    pub(crate) canonical: bool,
}

/// A living attachment, as the session knows it.
#[derive(Debug)]
struct Entry {
    slot: Option<Slot>,
    holder: Holder,
    mode: AttachMode,
    size: Option<TerminalSize>,
    /// The uncertain input its client was told of.
    told_uncertain: Option<Seq>,
    superseded: CancellationToken,
}

/// An attachment just begun.
pub(crate) struct Begun {
    /// Its number in the session.
    pub(crate) number: u64,
    pub(crate) slot: Option<Slot>,
    pub(crate) attachment: Attachment,
    pub(crate) answer: Attached,
    /// The last input of its client that waits; none: what was taken was applied.
    pub(crate) input_queued: Option<Seq>,
    /// Scrollback lines its client wants in a snapshot.
    pub(crate) scrollback: u32,
    /// How many notices there have been: those that follow are for it.
    pub(crate) notices: u64,
    /// Likewise of commands.
    pub(crate) commands: ToldCommands,
    /// Cancelled when another attach of the same client takes over.
    pub(crate) superseded: CancellationToken,
}

/// Why a client's message was not applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotApplied {
    /// It was superseded; nothing more is applied from it.
    Superseded,
    /// It only watches.
    View,
    /// The session is over.
    Ended,
    /// A number without a client id at attach.
    NoClientId,
    /// The input queue refused.
    Refused(Refused),
}

/// What became of the wish that a session end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// Its record is to be stored.
    Noted,
    /// It was noted before.
    Known,
    /// It has ended already.
    Ended,
}

/// How an attachment ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    /// On purpose.
    Detached,
    /// Its connection ended, or its client took over from elsewhere.
    Lost,
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        owner: UserId,
        record: Record,
        memory: Memory,
        exit: Option<ExitStatus>,
        now: Instant,
    ) -> Self {
        let Memory { region, cutter, picture, commands } = memory;
        let mut holds = Holds::default();
        // After a worker kill: clients that held the program back have their ten seconds to come again.
        for (slot, offset) in region.holding_clients() {
            holds.linger(slot, offset, now);
        }
        let age = Duration::from_millis(now_ms().saturating_sub(record.created_at_ms));
        let active = region.active_at_ms();
        let quiet = active.map_or(Duration::ZERO, |at| Duration::from_millis(now_ms().saturating_sub(at)));
        let life = Life::new(record.limits, age, quiet, now);
        let discarded = AtomicBool::new(record.discarded);
        let mut shared = Shared {
            region,
            cutter,
            switched: None,
            picture,
            commands,
            notices: Notices::default(),
            line_discipline: None,
            input: InputQueue::default(),
            holds,
            wanted_size: None,
            exit,
            ended: false,
            held_back: false,
            answers_first: false,
            life,
            typing: shell::Typing::default(),
            looks: shell::Looks::default(),
            drawn: Weak::new(),
            record,
            lease: Lease::default(),
            attached: BTreeMap::new(),
            next_attachment: 1,
            id,
            told_kept: Kept::Whole,
        };
        if active.is_none() {
            shared.region.note_active(now_ms());
        }
        // What the worker before left waiting for its answers.
        shared.cut();
        Self {
            id,
            owner,
            shared: Mutex::new(shared),
            changed: watch::Sender::new(0),
            work: Notify::new(),
            told: AtomicBool::new(false),
            discarded,
            storing: tokio::sync::Mutex::default(),
        }
    }

    /// Clients attached now.
    pub(crate) fn attachments(&self) -> usize {
        self.lock().attached.len()
    }

    /// Notes that whoever asked for it knows that it is there.
    pub(crate) fn note_told(&self) {
        self.told.store(true, Ordering::Release);
    }

    pub(crate) fn was_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic under the lock leaves the memory as a kill would: in a state the next worker could take over too.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells attachments to look again.
    pub(crate) fn publish(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Begins an attachment; none if as many as may be are there.
    pub(crate) fn attach(&self, attach: &wire::Attach, fresh: bool, now: Instant) -> Option<Begun> {
        let mut guard = self.lock();
        let shared = &mut *guard;
        let in_use = |slot| {
            shared.attached.values().any(|entry| entry.slot == Some(slot))
                || shared.holds.lingers(slot)
                || shared.input.waits_for(slot)
        };
        let known = attach.client_id.as_ref().and_then(|client| shared.region.find_client(client));
        // Before anything is given away for it: its own former attachment makes room.
        let former = |entry: &&Entry| known.is_some() && entry.slot == known;
        if shared.attached.values().filter(|entry| !former(entry)).count() >= MAX_ATTACHMENTS {
            return None;
        }
        let replaces_control =
            shared.attached.values().filter(former).any(|entry| entry.mode == AttachMode::Control);
        let slot = match &attach.client_id {
            Some(client) => Some(shared.region.admit_client(client, in_use)?),
            None => None,
        };
        if let Some(slot) = slot {
            shared.supersede(slot);
            shared.holds.release_client(slot);
        }
        let number = shared.next_attachment;
        shared.next_attachment += 1;
        let (mut attachment, resume) = Attachment::new(attach, &shared.region, fresh);
        let comes_back = known.filter(|_| resume == Resume::Replay);
        if let Some(since) = comes_back.and_then(|slot| shared.holds.behind_since(slot, attachment.cursor()))
        {
            attachment.carry_on(since, now);
        }
        numbers::attached(resume);
        let holder = match &attach.client_id {
            Some(client) => Holder::Client(client.clone()),
            None => Holder::Attachment(number),
        };
        let superseded = CancellationToken::new();
        let mode = attach.mode;
        let input_queued = known
            .map(|slot| (shared.region.applied(slot), shared.input.last_taken(&shared.region, slot)))
            .and_then(|(applied, taken)| (taken > applied).then_some(taken));
        let input_uncertain = known.and_then(|slot| shared.region.uncertain(slot));
        let entry = Entry {
            slot,
            holder,
            mode,
            size: attach.size,
            told_uncertain: input_uncertain,
            superseded: superseded.clone(),
        };
        match (slot, mode) {
            (Some(slot), AttachMode::Control) => shared.input.client_attached(&shared.region, slot, now),
            (Some(slot), AttachMode::View) if replaces_control => {
                shared.input.client_left(&shared.region, slot, now);
            }
            (Some(_), AttachMode::View) | (None, _) => {}
        }
        match mode {
            AttachMode::Control => {
                let wanted = shared.lease.attach(&entry.holder, attach.size, now);
                shared.want_size(wanted);
            }
            // Nobody is left there to act: as if the connection that had the size were lost.
            AttachMode::View if replaces_control => shared.lease.lose(&entry.holder, now),
            AttachMode::View => {}
        }
        shared.attached.insert(number, entry);
        shared.note_activity(now);
        shared.note_hold(number, slot, &attachment);
        let answer = Attached {
            session_id: self.id,
            resume,
            offset: attachment.cursor(),
            input_seq: known.map(|slot| shared.region.applied(slot)),
            input_uncertain,
            window: attachment.window(),
            size: match resume {
                Resume::Fresh | Resume::Replay => attachment.told_size().size,
                Resume::Snapshot => shared.region.size(),
            },
        };
        let (scrollback, notices) = (attach.scrollback.min(SCROLLBACK_LINES), shared.notices.count());
        let commands = ToldCommands::all_of(&shared.commands);
        drop(guard);
        self.work.notify_one();
        Some(Begun {
            number,
            slot,
            attachment,
            answer,
            input_queued,
            scrollback,
            notices,
            commands,
            superseded,
        })
    }

    /// Ends an attachment. A lost one's hold and lease go on for their time.
    pub(crate) fn leave(&self, number: u64, attachment: &Attachment, left: Left, now: Instant) {
        let mut guard = self.lock();
        let shared = &mut *guard;
        shared.holds.set(number, None);
        let Some(entry) = shared.attached.remove(&number) else {
            // Superseded: what it had belongs to its successor.
            drop(guard);
            self.work.notify_one();
            return;
        };
        shared.note_activity(now);
        // One that only watched has no say in the size, whatever else its client is attached as.
        if entry.mode == AttachMode::Control {
            match left {
                Left::Detached => shared.lease.detach(&entry.holder),
                Left::Lost => shared.lease.lose(&entry.holder, now),
            }
        }
        if let Some(slot) = entry.slot {
            if entry.mode == AttachMode::Control {
                shared.input.client_left(&shared.region, slot, now);
            }
            let lingering = attachment.lingering_hold().filter(|_| left == Left::Lost && !shared.ended);
            shared.holds.note_behind(slot, lingering.and_then(|_| attachment.behind()));
            match lingering {
                Some(offset) => shared.holds.linger(slot, offset, now),
                None => {
                    let acked = shared.region.acked(slot);
                    shared.region.note_acked(slot, acked, false);
                }
            }
        }
        drop(guard);
        self.work.notify_one();
    }

    /// Notes an attachment's screen size, and sets it if the lease says so.
    pub(crate) fn resize(&self, number: u64, size: TerminalSize, claim: bool) -> Result<(), NotApplied> {
        let mut guard = self.lock();
        guard.may_act(number)?;
        if claim {
            guard.act(number, Some(size));
        } else if let Some(entry) = guard.attached.get_mut(&number) {
            entry.size = Some(size);
            let holder = entry.holder.clone();
            let wanted = guard.lease.report(&holder, size);
            guard.want_size(wanted);
        }
        drop(guard);
        self.work.notify_one();
        Ok(())
    }

    /// Whether an attachment may send signals and end the session.
    pub(crate) fn check_may_act(&self, number: u64) -> Result<(), NotApplied> {
        self.lock().may_act(number).map(|_| ())
    }

    /// Notes that the session is to end, and why; of several reasons the first counts.
    pub(crate) fn mark_ending(&self, reason: EndReason) -> Wish {
        let mut shared = self.lock();
        if shared.exit.is_some() {
            return Wish::Ended;
        }
        shared.life.note_ending();
        if shared.record.reason.is_some() {
            return Wish::Known;
        }
        shared.record.reason = Some(reason);
        Wish::Noted
    }

    /// The leader was reaped.
    pub(crate) fn exited(&self, exit: ExitStatus) {
        self.lock().exit = Some(exit);
        self.work.notify_one();
    }

    pub(crate) fn info(&self) -> SessionInfo {
        self.lock().info(self.id)
    }

    /// Has an ended session keep its last screen alone; false: it cannot now.
    pub(crate) fn keep_last_screen(&self) -> bool {
        self.lock().keep_last_screen()
    }

    /// Puts its screen away, if it has its last one alone and nobody is attached.
    pub(crate) fn put_away(&self) {
        self.lock().put_away();
    }

    /// Bytes of memory that it takes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let shared = self.lock();
        shared.region.memory_bytes() + shared.picture.memory_bytes()
    }

    pub(crate) fn record(&self) -> Record {
        self.lock().record.clone()
    }

    /// Whether its owner wants it gone: it is there for nobody any more.
    pub(crate) fn is_discarded(&self) -> bool {
        self.discarded.load(Ordering::Acquire)
    }
}

impl Shared {
    /// How the session ended, once it has and its terminal was read to the end.
    pub(crate) fn end(&self) -> Option<(Exit, Option<EndReason>)> {
        let exit = self.exit.filter(|_| self.ended)?;
        Some((wire_exit(exit), self.record.reason))
    }

    fn info(&self, session_id: SessionId) -> SessionInfo {
        SessionInfo {
            session_id,
            name: self.record.name.clone(),
            created_at_ms: self.record.created_at_ms,
            size: self.region.size(),
            attached_clients: u32::try_from(self.attached.len()).unwrap_or(u32::MAX),
            bytes_out: self.region.held().end.0,
            exit: self.end().map(|(exit, _)| exit),
            reason: self.end().and_then(|(_, reason)| reason),
        }
    }

    /// Notes that the session did something: printed, or a client came or went.
    pub(crate) fn note_activity(&mut self, now: Instant) {
        self.life.note_activity(now);
        self.region.note_active(now_ms());
    }

    /// Stores how far an attachment's client has drawn and what it holds; wakes nobody.
    pub(crate) fn note_hold(&mut self, number: u64, slot: Option<Slot>, attachment: &Attachment) {
        if !self.attached.contains_key(&number) {
            return;
        }
        self.holds.set(number, attachment.hold());
        if let Some(slot) = slot {
            self.holds.note_behind(slot, attachment.behind());
            let hold = attachment.lingering_hold();
            let acked = hold.unwrap_or_else(|| self.region.acked(slot));
            if self.region.acked(slot) != acked || hold.is_some() != self.region.holds(slot) {
                self.region.note_acked(slot, acked, hold.is_some());
            }
        }
    }

    /// Whether anybody is attached.
    pub(crate) fn is_attached(&self) -> bool {
        !self.attached.is_empty()
    }

    /// The first byte that must be kept, for clients or for the screen.
    pub(crate) fn lowest_hold(&self) -> Option<Offset> {
        let screen = self.picture.hold();
        Some(self.holds.lowest().map_or(screen, |hold| hold.min(screen)))
    }

    fn supersede(&mut self, slot: Slot) {
        let before =
            self.attached.iter().filter(|(_, entry)| entry.slot == Some(slot)).map(|(number, _)| *number);
        for number in before.collect::<Vec<_>>() {
            if let Some(entry) = self.attached.remove(&number) {
                entry.superseded.cancel();
            }
            self.holds.set(number, None);
        }
    }

    fn may_act(&self, number: u64) -> Result<Option<Slot>, NotApplied> {
        let entry = self.attached.get(&number).ok_or(NotApplied::Superseded)?;
        if entry.mode == AttachMode::View {
            return Err(NotApplied::View);
        }
        if self.ended { Err(NotApplied::Ended) } else { Ok(entry.slot) }
    }

    /// An attachment acted: it takes the geometry lease if its screen is known.
    fn act(&mut self, number: u64, size: Option<TerminalSize>) {
        let Some(entry) = self.attached.get_mut(&number) else { return };
        entry.size = size.or(entry.size);
        let wanted = self.lease.act(&entry.holder, entry.size);
        self.want_size(wanted);
    }

    fn want_size(&mut self, wanted: Option<TerminalSize>) {
        if let Some(size) = wanted {
            self.wanted_size = (size != self.region.size()).then_some(size);
        }
    }
}

/// A signal as clients see it, by name.
fn wire_exit(exit: ExitStatus) -> Exit {
    match exit {
        ExitStatus::Code(code) => Exit::Code(code),
        ExitStatus::Signal(number) => {
            let name = nix::sys::signal::Signal::try_from(number).map(|signal| signal.as_str().to_owned());
            Exit::Signal(name.unwrap_or_else(|_| format!("SIG{number}")))
        }
    }
}

#[cfg(test)]
mod tests;
