//! What the way of output through cutter, ring and screen costs at most, whatever a program prints: no more for each byte the
//! longer it goes on. Measured as the processor time of this thread, in which other processes show little.

#![allow(clippy::expect_used, reason = "a test")]

#[path = "../../screen/tests/common/attacks.rs"]
mod attacks;

use std::time::Duration;

use attacks::{Attack, attacks};
use devpocket_shared::ids::TerminalSize;
use ptyd_session::checkpoints::CHECKPOINTS_BYTES;
use ptyd_session::picture::SCROLLBACK_BYTES;
use ptyd_session::{Checkpoints, Cutter, Overflow, Picture, Region, region_bytes};

const RING_BYTES: u64 = 4 << 20;
/// What is read from a terminal at once.
const PIECE_BYTES: usize = 4 << 10;
/// A flood, and one of four times its length. Both are longer than what a sequence without an end is waited for, which costs
/// nothing meanwhile.
const SHORT_BYTES: usize = 96 << 10;
const LONG_BYTES: usize = 4 * SHORT_BYTES;
/// Four times the bytes may cost so many times as much, and a moment more. What is quadratic costs sixteen times as much.
const MOST_TIMES: u32 = 7;
const MOST_MORE: Duration = Duration::from_millis(3);
/// Ten times what the dearest takes where nothing is optimized and much else runs.
const MOST_FOR_SHORT: Duration = Duration::from_millis(400);
/// Tries, since what else runs makes some dearer.
const ROUNDS: usize = 5;

struct Session {
    region: Region<Vec<u8>>,
    cutter: Cutter,
    picture: Picture<Vec<u8>>,
}

impl Session {
    fn new() -> Self {
        let len = usize::try_from(region_bytes(RING_BYTES)).expect("it fits");
        let region = Region::create(vec![0; len], 7, TerminalSize::DEFAULT).expect("a ring");
        let checkpoints = Checkpoints::new(vec![0; CHECKPOINTS_BYTES]).expect("room for them");
        let picture = Picture::new(&region, vec![0; SCROLLBACK_BYTES], checkpoints);
        Self { cutter: Cutter::recover(&region), region, picture }
    }

    /// Takes output as the worker does.
    fn print(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE_BYTES) {
            let mut rest = piece;
            while !rest.is_empty() {
                let space = self.region.space(Some(self.picture.hold()));
                let len = space.len().min(rest.len());
                assert!(len > 0, "the ring is full");
                space[..len].copy_from_slice(&rest[..len]);
                self.region.commit(len);
                rest = &rest[len..];
                self.cutter.cut(&mut self.region, Overflow::Drop);
                self.picture.feed(&mut self.region, usize::MAX, &mut Vec::new());
            }
        }
    }
}

/// What asks, or may be going to, beside what only costs a screen much.
fn questions() -> Vec<Attack> {
    let floods: [(&str, &str, &[u8]); 10] = [
        ("DSR", "", b"\x1b[6n"),
        ("ENQ", "", b"\x05"),
        ("colours asked for", "", b"\x1b]4;1;?;2;?;3;?\x07"),
        ("XTGETTCAP", "", b"\x1bP+q544e;524742\x1b\\"),
        ("a question in a string", "\x1b]0;", b"\x1b[6n"),
        ("an OSC 4 without an end", "\x1b]4", b";1;?"),
        ("an XTGETTCAP without an end", "\x1bP+q", b"544e;"),
        ("a CSI without an end", "\x1b[", b"6;"),
        ("escapes alone", "", b"\x1b"),
        ("introducers alone", "", b"\x1b[\x1b]\x1bP\xC2\x9B"),
    ];
    let attack = |(name, before, flood): (&'static str, &str, &[u8])| Attack {
        name,
        before: before.as_bytes().to_vec(),
        flood: flood.repeat(LONG_BYTES / flood.len() + 1),
    };
    floods.map(attack).into()
}

/// Processor time of this thread so far, as Linux counts it: up to where it last asked who is to run.
fn thread_time() -> Duration {
    std::thread::yield_now();
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts it");
    let nanos = counted.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}

/// What the first bytes of a flood cost, and all of it: each in the best of as many rounds as it takes.
fn costs(attack: &Attack) -> (Duration, Duration) {
    let (mut short, mut long) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let mut session = Session::new();
        session.print(&attack.before);
        let start = thread_time();
        session.print(&attack.flood[..SHORT_BYTES]);
        short = short.min(thread_time() - start);
        session.print(&attack.flood[SHORT_BYTES..LONG_BYTES]);
        long = long.min(thread_time() - start);
        if is_bounded(short, long) {
            break;
        }
    }
    (short, long)
}

fn is_bounded(short: Duration, long: Duration) -> bool {
    short <= MOST_FOR_SHORT && long <= MOST_TIMES * short + MOST_MORE
}

#[test]
fn no_output_costs_more_for_each_byte_the_longer_it_is() {
    let size = TerminalSize::DEFAULT;
    let all = attacks(usize::from(size.rows()), usize::from(size.cols()), LONG_BYTES + 8);
    for attack in all.into_iter().chain(questions()) {
        let (short, long) = costs(&attack);
        assert!(
            is_bounded(short, long),
            "{}: {short:?} for {SHORT_BYTES} bytes, {long:?} for {LONG_BYTES}",
            attack.name
        );
    }
}
