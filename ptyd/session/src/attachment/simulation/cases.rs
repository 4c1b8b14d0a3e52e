//! What clients see over simulated links: bounds on age and on the way to a prompt, and that no byte is lost.

use devpocket_shared::wire::SnapshotReason;
use proptest::prelude::*;

use super::super::pace;
use super::*;
use crate::attachment::STALL_LIMIT;

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

/// The story: at a round trip of just under 100 ms the bound grew by 4 % each, the client counted as held up by nothing, and fell
/// more than a second behind.
#[test]
fn a_client_whose_bound_grows_slowly_is_brought_up_meanwhile() {
    let mut simulation = Simulation::start(Setting {
        way: Way { bytes_per_second: 3_800_000, delay: 35 * MS, buffer_bytes: u64::MAX },
        ack_every: 25 * MS,
        snapshot_bytes: 100,
        printed_per_second: 460_000,
        ..phone(0)
    });
    for _ in 0..100 {
        simulation.run(50 * MS);
        assert!(simulation.age() < 850 * MS, "{:?}", simulation.age());
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
        draws_for in prop_oneof![Just(0_u32), 1..400_u32],
    ) {
        let mut setting = Setting { window: window.map(|bits| 1 << bits), snapshot_bytes, ..phone(100_000) };
        setting.delivery = if lossless { Delivery::Lossless } else { Delivery::Realtime };
        setting.way.buffer_bytes = 200_000;
        let mut simulation = Simulation::start(setting);
        simulation.draws_for = draws_for * MS;
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
