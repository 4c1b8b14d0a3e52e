//! Many readers of many owners, each at a rate of its own, on a paused clock: nobody waits long for what others hold.

use bytes::BytesMut;
use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::SnapshotReason;
use proptest::prelude::*;
use tokio::time::{Instant, advance};
use uuid::Uuid;

use super::*;

const LARGE: usize = 1 << 20;
const BOUNDS: Bounds = Bounds { turns: 2, bytes: 8 * LARGE, owner_bytes: 2 * LARGE };
const STEP: Duration = Duration::from_millis(100);
/// Until a slow reader is known as one.
const KNOWN: Duration = Duration::from_secs(2);

/// One who wants a snapshot after so many steps, and reads so many bytes in each.
#[derive(Clone, Copy, Debug)]
struct Client {
    owner: UserId,
    comes: u32,
    rate: usize,
}

enum State {
    Away,
    Waits(Waiting, Instant),
    Reads(Parts, usize),
    Done,
}

struct Seen {
    /// Longest that anybody waited for all of its snapshot, or to be told that there is no room.
    longest: Duration,
    no_room: usize,
    /// Snapshots that were cut short.
    cut: usize,
}

fn owner(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

fn draw(turn: Turn) -> Parts {
    let Turn { right, lease } = turn;
    drop(right);
    let alone = Some(b"the screen".to_vec());
    let drawn = Drawn::large(&vec![b'x'; LARGE], alone, lease, Offset(0), TerminalSize::DEFAULT.into(), 100);
    Arc::new(drawn).read(SnapshotReason::Attach, now()).expect("it is whole")
}

/// Reads `bytes` more of it, as its part allows; true: that was all.
fn read(parts: &mut Parts, ahead: &mut usize, bytes: usize) -> bool {
    parts.note_taken(bytes, now());
    *ahead += bytes;
    let mut frame = BytesMut::new();
    while *ahead > 0 {
        let more = parts.put_next(&mut frame).expect("its next part is there");
        *ahead = ahead.saturating_sub(frame.len());
        frame.clear();
        if !more {
            return true;
        }
    }
    false
}

async fn run(drawings: &Drawings, clients: &[Client], steps: u32) -> Seen {
    let mut states: Vec<State> = clients.iter().map(|_| State::Away).collect();
    let mut seen = Seen { longest: Duration::ZERO, no_room: 0, cut: 0 };
    for step in 0..steps {
        for (client, state) in clients.iter().zip(&mut states) {
            if let State::Away = state
                && client.comes == step
            {
                *state = State::Waits(drawings.ask(client.owner, LARGE), Instant::now());
            }
            if let State::Reads(parts, ahead) = state {
                let done = read(parts, ahead, client.rate);
                let kept = parts.make_room(drawings, now());
                seen.cut += usize::from(kept == Kept::CutShort);
                if done || kept == Kept::TooSlow {
                    *state = State::Done;
                }
            }
        }
        for (client, state) in clients.iter().zip(&mut states) {
            let State::Waits(waiting, since) = state else { continue };
            let waited = since.elapsed();
            if let Ok(turn) = waiting.turn.try_recv() {
                seen.longest = seen.longest.max(waited);
                *state = State::Reads(draw(turn), 0);
            } else if drawings.is_hopeless(client.owner, waiting.asked, since.into_std(), now()) {
                seen.longest = seen.longest.max(waited);
                seen.no_room += 1;
                *state = State::Done;
            }
        }
        assert!(drawings.lock().room.held() <= BOUNDS.bytes);
        advance(STEP).await;
    }
    assert!(!states.iter().any(|state| matches!(state, State::Waits(..))), "somebody still waits");
    drop(states);
    assert_eq!(drawings.lock().room.held(), 0);
    seen
}

fn on_a_paused_clock(clients: &[Client], steps: u32) -> Seen {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(run(&Drawings::within(BOUNDS), clients, steps))
}

/// Readers that take from nothing to a little less than what is slow, of many owners.
fn slow_readers() -> impl Strategy<Value = Vec<Client>> {
    let client = (1..20_u128, 0..10_u32, 0..25_000_usize);
    let client = client.prop_map(|(number, comes, rate)| Client { owner: owner(number), comes, rate });
    prop::collection::vec(client, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whoever_reads_and_however_slowly_nobody_waits_beyond_its_patience(
        readers in prop::collection::vec((0..20_u128, 0..60_u32, 0..200_000_usize), 1..80),
    ) {
        let clients: Vec<Client> =
            readers.into_iter().map(|(number, comes, rate)| Client { owner: owner(number), comes, rate }).collect();
        let seen = on_a_paused_clock(&clients, 400);
        prop_assert!(seen.longest <= OWN_PATIENCE + STEP, "{:?}", seen.longest);
        // Those who wait for others alone.
        let clients: Vec<Client> =
            (0..).zip(clients).map(|(number, client)| Client { owner: owner(number), ..client }).collect();
        let seen = on_a_paused_clock(&clients, 100);
        prop_assert!(seen.longest <= PATIENCE + STEP, "{:?}", seen.longest);
    }

    /// The story: ten sessions of one account that attached together over one connection of 10 Mbit/s had half their scrollback.
    #[test]
    fn one_owner_that_reads_well_has_all_of_its_snapshots(count in 1..20_u32, rate in 64_000..400_000_usize) {
        // One connection for all that read at a time.
        let rate = rate / 7;
        let clients: Vec<Client> = (0..count).map(|comes| Client { owner: owner(1), comes, rate }).collect();
        let seen = on_a_paused_clock(&clients, 400);
        prop_assert_eq!((seen.no_room, seen.cut), (0, 0));
    }

    #[test]
    fn who_comes_when_all_the_room_is_held_by_slow_readers_has_all_of_its_snapshot_soon(slow in slow_readers()) {
        let after = u32::try_from(2 * KNOWN.as_millis() / STEP.as_millis()).unwrap_or(0) + 10;
        let alone = on_a_paused_clock(&slow, after + 20);
        let mut clients = slow;
        clients.push(Client { owner: owner(100), comes: after, rate: LARGE });
        let seen = on_a_paused_clock(&clients, after + 20);
        // The same had none as without it.
        prop_assert_eq!(seen.no_room, alone.no_room);
    }
}
