//! Attachments on a simulated link and clock: a program that prints, a driver that writes what it is told to, a link with
//! a rate and a delay, a client that draws and acknowledges as PROTOCOL asks.

mod cases;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::{Attach, Delivery, SnapshotReason};

use super::tests::{plain, windowed};
use super::*;
use crate::region::region_bytes;
use crate::test_clock::t0;

const MS: Duration = Duration::from_millis(1);
const RING_BYTES: u64 = 1 << 20;
/// What the driver gathers before it writes.
const GATHER_BYTES: usize = 64 << 10;
/// Frame headers of link, socket and kernel, as the client's side sees them.
const HEADER_BYTES: u64 = 40;
/// How far behind output may be that is not left out yet: half a second, by an estimate of the rate.
const ABOUT_BEHIND: Duration = Duration::from_millis(600);
const PROMPT_BYTES: u64 = 20;

/// The way from the daemon to a client.
#[derive(Clone, Copy, Debug)]
struct Way {
    bytes_per_second: u64,
    delay: Duration,
    /// What its buffers take before the driver has to wait.
    buffer_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Setting {
    way: Way,
    delivery: Delivery,
    window: Option<u64>,
    ack_every: Duration,
    snapshot_bytes: u64,
    printed_per_second: u64,
}

/// One message on the way.
#[derive(Clone, Copy, Debug)]
struct Message {
    what: Outgoing,
    end: Offset,
    bytes: u64,
}

struct Simulation {
    setting: Setting,
    now: Instant,
    attachment: Attachment,
    // The program.
    printed: u64,
    oldest: u64,
    printing: bool,
    /// What was printed at each millisecond.
    history: Vec<u64>,
    // The link.
    pending: VecDeque<Message>,
    buffered: VecDeque<Message>,
    /// Of the first message in the buffers, what has left them, in bytes times 1000.
    left: u64,
    arriving: VecDeque<(Instant, Message)>,
    stuck: bool,
    // The client.
    drawn: Offset,
    acked: Offset,
    ack_at: Option<Instant>,
    acks: VecDeque<(Instant, Offset)>,
    /// Where the last snapshot stands: it opens the window again.
    snapshot_at: Offset,
    snapshots: usize,
    /// How long the driver draws a snapshot, and when the one that it draws now is done.
    draws_for: Duration,
    drawn_up_at: Option<Instant>,
    most_unacknowledged: u64,
}

impl Simulation {
    fn start(setting: Setting) -> Self {
        let memory = vec![0; crate::ring::as_usize(region_bytes(RING_BYTES))];
        let region = Region::create(memory, 1, TerminalSize::DEFAULT).unwrap();
        let attach = match setting.window {
            Some(window) => Attach { delivery: setting.delivery, ..windowed(window) },
            None => Attach { delivery: setting.delivery, ..plain() },
        };
        Self {
            setting,
            now: t0(),
            attachment: Attachment::new(&attach, &region, true).0,
            printed: 0,
            oldest: 0,
            printing: true,
            history: Vec::new(),
            pending: VecDeque::new(),
            buffered: VecDeque::new(),
            left: 0,
            arriving: VecDeque::new(),
            stuck: false,
            drawn: Offset(0),
            acked: Offset(0),
            ack_at: None,
            acks: VecDeque::new(),
            snapshot_at: Offset(0),
            snapshots: 0,
            draws_for: Duration::ZERO,
            drawn_up_at: None,
            most_unacknowledged: 0,
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// One millisecond.
    fn step(&mut self) {
        self.now += MS;
        if self.printing {
            self.print(self.setting.printed_per_second / 1000);
        }
        self.history.push(self.printed);
        self.carry();
        self.draw();
        while let Some((at, offset)) = self.acks.front().copied()
            && at <= self.now
        {
            self.acks.pop_front();
            self.attachment.handle_ack(offset, self.now);
        }
        if self.attachment.poll_timeout().is_some_and(|at| at <= self.now) {
            self.attachment.handle_timeout(self.now);
        }
        self.send();
    }

    fn print(&mut self, bytes: u64) {
        let most = self
            .attachment
            .hold()
            .map_or(u64::MAX, |hold| (hold.0 + RING_BYTES).saturating_sub(self.printed));
        self.printed += bytes.min(most);
        self.oldest = self.oldest.max(self.printed.saturating_sub(RING_BYTES));
    }

    fn send(&mut self) {
        let mut gathered: u64 = self.pending.iter().map(|message| message.bytes).sum();
        while gathered < GATHER_BYTES as u64 {
            let view = self.view();
            let room = GATHER_BYTES - crate::ring::as_usize(gathered);
            let drawn_up = self.drawn_up_at.take_if(|at| *at <= self.now).is_some();
            let what = if drawn_up {
                Some(Outgoing::Snapshot(SnapshotReason::Attach))
            } else {
                self.attachment.poll_send(&view, room, self.now)
            };
            let Some(what) = what else { break };
            let bytes = match what {
                Outgoing::Output { len, .. } => len as u64,
                Outgoing::Snapshot(_) if !drawn_up && !self.draws_for.is_zero() => {
                    self.attachment.begin_snapshot(view.held.end, view.size_now, self.now);
                    self.drawn_up_at = Some(self.now + self.draws_for);
                    continue;
                }
                Outgoing::Snapshot(_) => {
                    let bytes = self.setting.snapshot_bytes;
                    if !self.attachment.take_snapshot(&view, crate::ring::as_usize(bytes), self.now) {
                        continue;
                    }
                    bytes
                }
                Outgoing::Resized { .. } => panic!("the size never changes"),
            };
            let end = self.attachment.cursor();
            let message = Message { what, end, bytes: bytes + HEADER_BYTES };
            self.pending.push_back(message);
            gathered += message.bytes;
        }
    }

    /// From the driver into the buffers, and from there over the link.
    fn carry(&mut self) {
        let mut buffered: u64 = self.buffered.iter().map(|message| message.bytes).sum();
        let mut taken = 0;
        while let Some(message) = self.pending.front().copied()
            && (buffered == 0 || buffered + message.bytes <= self.setting.way.buffer_bytes)
        {
            self.pending.pop_front();
            self.buffered.push_back(message);
            buffered += message.bytes;
            taken += message.bytes;
        }
        if taken > 0 {
            let taken = crate::ring::as_usize(taken);
            self.attachment.handle_written(taken, self.pending.is_empty(), self.now);
        }
        if self.stuck || self.buffered.is_empty() {
            return;
        }
        self.left += self.setting.way.bytes_per_second;
        while let Some(message) = self.buffered.front().copied()
            && message.bytes * 1000 <= self.left
        {
            self.left -= message.bytes * 1000;
            self.buffered.pop_front();
            self.arriving.push_back((self.now + self.setting.way.delay, message));
        }
        if self.buffered.is_empty() {
            self.left = 0;
        }
    }

    fn draw(&mut self) {
        while let Some((at, message)) = self.arriving.front().copied()
            && at <= self.now
        {
            self.arriving.pop_front();
            if let Outgoing::Output { offset, .. } = message.what {
                assert_eq!(offset, self.drawn, "each byte once and in order, or a snapshot in between");
                let unacknowledged = message.end.since(self.acked.max(self.snapshot_at));
                self.most_unacknowledged = self.most_unacknowledged.max(unacknowledged);
                if let Some(window) = self.setting.window {
                    assert!(unacknowledged <= window, "{unacknowledged} bytes unacknowledged");
                }
            } else {
                assert!(message.end > self.drawn, "a snapshot of the past");
                self.snapshots += 1;
                self.snapshot_at = message.end;
            }
            self.drawn = message.end;
        }
        let Some(window) = self.setting.window else { return };
        if self.drawn > self.acked {
            self.ack_at.get_or_insert(self.now + self.setting.ack_every);
        }
        let due = self.ack_at.is_some_and(|at| at <= self.now);
        if due || self.drawn.since(self.acked) >= window / 4 {
            self.ack_at = None;
            self.acked = self.drawn;
            self.acks.push_back((self.now + self.setting.way.delay, self.drawn));
        }
    }

    /// The client sends Ctrl-C, and the program ends and a prompt comes; gives how long until it is drawn.
    fn interrupt(&mut self) -> Duration {
        let began = self.now;
        self.run(self.setting.way.delay);
        self.printing = false;
        self.print(PROMPT_BYTES);
        self.until_drawn(began)
    }

    fn until_drawn(&mut self, began: Instant) -> Duration {
        while self.drawn.0 < self.printed {
            assert!(self.now - began < Duration::from_secs(120), "never drawn: {:?}", self.attachment);
            self.step();
        }
        self.now - began
    }

    /// How long ago what the client sees now was printed.
    fn age(&self) -> Duration {
        let newer = self.history.iter().rev().take_while(|printed| **printed > self.drawn.0).count();
        MS * u32::try_from(newer).unwrap()
    }

    fn view(&self) -> View {
        View {
            held: Offset(self.oldest)..Offset(self.printed),
            size_here: TerminalSize::DEFAULT.into(),
            next_change: None,
            size_now: TerminalSize::DEFAULT.into(),
        }
    }
}
