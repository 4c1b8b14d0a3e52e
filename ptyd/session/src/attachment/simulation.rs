//! Attachments on a simulated link and clock: a program that prints, a driver that writes what it is told to, a link with
//! a rate and a delay, a client that draws and acknowledges as PROTOCOL asks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::{Attach, Delivery};
use proptest::prelude::*;

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
            let Some(what) = self.attachment.poll_send(&view, room, self.now) else { break };
            let bytes = match what {
                Outgoing::Output { len, .. } => len as u64,
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
            size_here: TerminalSize::DEFAULT,
            next_change: None,
            size_now: TerminalSize::DEFAULT,
        }
    }
}

/// `yes` on a phone.
fn phone(bytes_per_second: u64) -> Setting {
    Setting {
        way: Way { bytes_per_second, delay: MS, buffer_bytes: u64::MAX },
        delivery: Delivery::Realtime,
        window: Some(256 << 10),
        ack_every: 50 * MS,
        snapshot_bytes: 300,
        printed_per_second: 50_000_000,
    }
}

#[test]
fn a_prompt_after_a_flood_is_drawn_at_once_at_one_megabit() {
    for snapshot_bytes in [150, 300, 1000, 2500] {
        for after in [500, 1000, 2000, 2013, 2029, 5000, 5041] {
            let mut simulation = Simulation::start(Setting { snapshot_bytes, ..phone(125_000) });
            simulation.run(after * MS);
            let took = simulation.interrupt();
            assert!(took < 150 * MS, "{took:?} after {after} ms, with {snapshot_bytes} bytes");
        }
    }
}

#[test]
fn at_sixteen_kilobits_the_screen_is_right_within_a_second_of_the_end() {
    for after in [5000, 5500, 7777, 10_000] {
        let mut simulation = Simulation::start(phone(2000));
        simulation.run(after * MS);
        simulation.printing = false;
        let took = simulation.until_drawn(simulation.now);
        assert!(took < 1000 * MS, "{took:?} after {after} ms");
    }
}

#[test]
fn a_client_that_keeps_up_is_sent_every_byte() {
    for delay in [1, 20] {
        let mut simulation = Simulation::start(Setting {
            way: Way { bytes_per_second: 2_000_000, delay: delay * MS, buffer_bytes: u64::MAX },
            printed_per_second: 400_000,
            ..phone(0)
        });
        simulation.run(Duration::from_secs(20));
        assert_eq!(simulation.snapshots, 0, "at {delay} ms");
        assert!(simulation.age() < 300 * MS, "{:?} at {delay} ms", simulation.age());
    }
}

/// The story: a client that acknowledges output alone was sent nothing more after a snapshot.
#[test]
fn a_client_that_acknowledges_no_snapshot_is_sent_more_all_the_same() {
    for (reason, waits) in [(SnapshotReason::Attach, Duration::ZERO), (SnapshotReason::Lagged, 250 * MS)] {
        let mut simulation = Simulation::start(phone(125_000));
        simulation.print(9000);
        let mut view = simulation.view();
        let attachment = &mut simulation.attachment;
        attachment.snapshot = Some(reason);
        assert_eq!(attachment.poll_send(&view, 9000, t0()), Some(Outgoing::Snapshot(reason)));
        assert!(attachment.take_snapshot(&view, 8000, t0()));
        view.held.end = Offset(9100);
        let output = Some(Outgoing::Output { offset: Offset(9000), len: 100 });
        if waits > Duration::ZERO {
            assert_eq!(attachment.poll_send(&view, 9000, t0()), None);
            assert_eq!(attachment.poll_timeout(), Some(t0() + waits));
            attachment.handle_timeout(t0() + waits);
        }
        assert_eq!(attachment.poll_send(&view, 9000, t0() + waits), output);
    }
}

/// Without a window only the transport says how fast a client is, and whatever lies in its buffers comes first.
#[test]
fn a_client_without_a_window_is_right_soon_after_its_buffers_are_empty() {
    let mut setting = Setting { window: None, ..phone(125_000) };
    setting.way.buffer_bytes = 200_000;
    for after in [2000, 2500, 4000, 8000] {
        let mut simulation = Simulation::start(setting);
        simulation.run(after * MS);
        simulation.printing = false;
        let took = simulation.until_drawn(simulation.now);
        assert!(took < 1000 * MS, "{took:?} after {after} ms");
        assert!(simulation.snapshots > 0);
    }
}

#[test]
fn a_lossless_client_gets_every_byte_of_a_flood_and_its_program_waits() {
    for window in [None, Some(64 << 10)] {
        let mut setting = Setting { delivery: Delivery::Lossless, window, ..phone(125_000) };
        setting.way.buffer_bytes = 200_000;
        let mut simulation = Simulation::start(setting);
        simulation.run(Duration::from_secs(20));
        assert_eq!(simulation.snapshots, 0);
        let expected = 125_000 * 20 + RING_BYTES + 400_000;
        assert!((expected / 2..expected).contains(&simulation.printed), "{}", simulation.printed);
    }
}

#[test]
fn a_stuck_lossless_client_is_let_go_and_brought_up_when_it_moves_again() {
    for window in [None, Some(64 << 10)] {
        let mut setting = Setting { delivery: Delivery::Lossless, window, ..phone(125_000) };
        setting.way.buffer_bytes = 200_000;
        let mut simulation = Simulation::start(setting);
        simulation.run(Duration::from_secs(5));
        simulation.stuck = true;
        simulation.run(Duration::from_secs(12));
        let printed = simulation.printed;
        simulation.run(Duration::from_secs(1));
        assert!(simulation.printed > printed + 40_000_000, "the program runs freely");
        simulation.stuck = false;
        simulation.printing = false;
        let took = simulation.until_drawn(simulation.now);
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert!(simulation.snapshots > 0);
        // Brought up, it is lossless again.
        simulation.run(Duration::from_secs(1));
        assert!(simulation.attachment.hold().is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Any link, any program, any client that acknowledges as PROTOCOL asks: what it sees is never older than the lag
    /// bound, and a prompt after Ctrl-C comes within a round trip and what little is on its way.
    #[test]
    fn a_realtime_client_is_never_far_behind(
        rate in 11.0..23.0_f64, delay in 0..120_u32, ack_every in 10..50_u32, snapshot_bytes in 100..3000_u64,
        printed in 12.0..26.0_f64, window in 14..19_u32, extra in 0..100_u32,
    ) {
        let rate = rate.exp2() as u64;
        let (delay, ack_every) = (delay * MS, ack_every * MS);
        let setting = Setting {
            way: Way { bytes_per_second: rate, delay, buffer_bytes: u64::MAX },
            delivery: Delivery::Realtime,
            window: Some(1 << window),
            ack_every,
            snapshot_bytes,
            printed_per_second: printed.exp2() as u64,
        };
        let mut simulation = Simulation::start(setting);
        // Until its rate is known.
        let one = pace::time_for(snapshot_bytes + HEADER_BYTES, rate);
        simulation.run(3000 * MS + extra * MS + pace::time_for(8 * pace::FIRST_LIMIT, rate));
        let round_trip = 2 * delay + ack_every;
        let under_way = 75 * MS + round_trip + pace::time_for(2 * pace::MIN_LIMIT, rate) + 2 * one;
        for _ in 0..20 {
            simulation.run(50 * MS);
            let bound = ABOUT_BEHIND + under_way + round_trip + one;
            prop_assert!(simulation.age() <= bound, "{:?} old, bound {bound:?}", simulation.age());
        }
        let bound = simulation.interrupt_bound(under_way + one);
        let took = simulation.interrupt();
        prop_assert!(took <= bound, "{took:?} to the prompt, bound {bound:?}");
        let acked_in_time = pace::bytes_in(100 * MS, rate);
        let most = acked_in_time.max(pace::MIN_BOUND).max(2 * pace::bytes_in(round_trip, rate));
        prop_assert!(simulation.most_unacknowledged <= 2 * most, "{} unacknowledged", simulation.most_unacknowledged);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever happens on the way and in the program: each byte is drawn once and in order or replaced by a snapshot, a
    /// lossless client that moves gets no snapshot, and in the end all see the end.
    #[test]
    fn a_way_that_changes_costs_no_byte(
        script in proptest::collection::vec((0..6_u8, 10.0..22.0_f64, 0..3000_u32), 1..12),
        lossless in any::<bool>(), window in proptest::option::of(12..19_u32), snapshot_bytes in 100..20_000_u64,
    ) {
        let mut setting = Setting { window: window.map(|bits| 1 << bits), snapshot_bytes, ..phone(100_000) };
        setting.delivery = if lossless { Delivery::Lossless } else { Delivery::Realtime };
        setting.way.buffer_bytes = 200_000;
        let mut simulation = Simulation::start(setting);
        let (mut stuck, mut slowest) = (Duration::ZERO, u64::MAX);
        for (what, rate, time) in script {
            let (rate, time) = (rate.exp2() as u64, time * MS);
            simulation.stuck = what == 0;
            stuck += if simulation.stuck { 4 * time } else { Duration::ZERO };
            match what {
                0 => simulation.run(3 * time),
                1 => {
                    simulation.setting.way.bytes_per_second = rate;
                    slowest = slowest.min(rate);
                }
                2 => simulation.setting.printed_per_second = 16 * rate,
                3 => simulation.printing = !simulation.printing,
                4 => simulation.print(rate),
                _ => {}
            }
            simulation.run(time);
            prop_assert!(!lossless || stuck > STALL_LIMIT / 2 || slowest < 30_000 || simulation.snapshots == 0);
        }
        simulation.printing = false;
        simulation.stuck = false;
        simulation.setting.way.bytes_per_second = 1 << 20;
        let took = simulation.until_drawn(simulation.now);
        prop_assert!(took < Duration::from_secs(10), "{took:?}");
        simulation.run(Duration::from_secs(1));
        prop_assert_eq!(simulation.drawn, Offset(simulation.printed));
        prop_assert_eq!(simulation.attachment.hold().is_some(), lossless);
    }
}

impl Simulation {
    /// How long a prompt may take: a client that lags has only snapshots before it, any other half a second of output.
    fn interrupt_bound(&self, under_way: Duration) -> Duration {
        let (printed, drawn) = (self.setting.printed_per_second, self.setting.way.bytes_per_second);
        // As fast as this it is not far behind before the ring has lost what it missed.
        let slower = printed > 4 * drawn && drawn < RING_BYTES;
        let way = self.setting.way.delay;
        2 * way + under_way + if slower { Duration::ZERO } else { ABOUT_BEHIND }
    }
}
