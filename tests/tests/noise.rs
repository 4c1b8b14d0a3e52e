//! Sessions that print what costs the daemon most: nobody else's keys wait for them, and none has more than its turn.

use std::fs;
use std::time::Duration;

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::Stack;
use serde_json::json;
use tokio::time::Instant;

/// Noisy sessions.
const NOISY: usize = 16;
/// What all of them print in a turn of each, after which others have theirs. How long a key takes is measured in that: it is the
/// same on every machine, however fast, whatever else that does and however the daemon was built. Usual are one for the median
/// and two for the worst of twenty.
const ROUND_BYTES: u64 = NOISY as u64 * (64 << 10);
const MEDIAN_BYTES: u64 = 2 * ROUND_BYTES;
const P95_BYTES: u64 = 4 * ROUND_BYTES;
/// What the worst of twenty may take on a busy machine, if what costs most was paid for out of what bytes earn. Usual is a
/// tenth.
const P95: Duration = Duration::from_secs(3);
/// How much the session that prints most may print for each byte of the one in the middle. Usual is up to one and a half. With more
/// than four cores there are not enough sessions for turns: each prints as fast as its program does.
const MOST_OF_MEDIAN: f64 = 2.25;
const KEYS: usize = 60;

/// What noisy sessions print without end, as printf takes it, and what they run before that. On a screen of a million cells.
const NOISE: [(&str, &str); 8] = [
    (":", "plain text"),
    // What a terminal answers, to a program that reads no answer.
    (":", r"\033[6n\033[6n\033[6n\033[6n\033[6n\033[6n\033[6n\033[6n"),
    (":", r"\033[1;31;42mx\033[0;4;7;38;5;99my\033[38;2;1;2;3mz"),
    // Marks, resets, columns moved, and cells looked at that are protected.
    (":", r"a\314\201\314\202\314\203\314\204\314\205\314\206\314\207"),
    (":", r"\033c\033[44m\033[2J"),
    (FILL, r"\033['}\033['~\033['}\033['~\033['}\033['~"),
    (FILL_PROTECTED, r"\033[?J\033[?J\033[?J"),
    // Anything at all, which a program prints faster than the others: it is the first to take more than its turn.
    (":", ""),
];
const FILL: &str = r"head -c 1000000 /dev/zero | tr '\0' x";
const FILL_PROTECTED: &str =
    r#"printf '\033[1"q'; head -c 1000000 /dev/zero | tr '\0' x; printf '\033[0"q\033[H'"#;

/// Sessions that print without end, by their programs, and clients of them that read nothing.
struct Noise {
    pids: Vec<u32>,
    _clients: Vec<Socket>,
}

impl Noise {
    async fn start(stack: &Stack) -> Self {
        let (mut pids, mut clients) = (Vec::new(), Vec::new());
        for (before, noise) in NOISE.iter().cycle().take(NOISY) {
            let program = match *noise {
                "" => "cat /dev/urandom".to_owned(),
                noise => format!("yes \"$(printf \"{noise}\")\""),
            };
            let script = format!("printf '%s|' $$; read -r go; {before}; exec {program}");
            let mut data = raw_script(&script);
            data["terminal_size"] = json!({"rows": 1000, "cols": 1000});
            let (mut client, attached) = session(stack, Framing::Binary, data).await;
            let pid = client.read_until(attached.session, "|").await;
            pids.push(pid.trim_end_matches('|').parse().expect("a pid"));
            client.send_input(attached.session, None, b"\n");
            client.flush().await.expect("the socket stays open");
            clients.push(client);
        }
        Self { pids, _clients: clients }
    }

    /// Bytes that each has printed.
    fn printed(&self) -> Vec<u64> {
        self.pids.iter().map(|pid| written(*pid)).collect()
    }
}

/// Bytes that a process has written (proc(5), `io`).
fn written(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("the process lives");
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    written.and_then(|bytes| bytes.parse().ok()).expect("what it has written")
}

/// Panics once more than `most` of what was measured is beyond a bound.
fn expect_within<T: Copy + PartialOrd + std::fmt::Debug>(what: &str, measured: &[T], bound: T, most: usize) {
    let beyond = measured.iter().filter(|value| **value > bound).count();
    assert!(beyond <= most, "{what}: {beyond} of {KEYS} beyond {bound:?}: {measured:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_waits_for_sessions_that_print_without_end() {
    let stack = Stack::start().await;
    let script = raw_script("printf 'ready;'; exec cat");
    let (mut quiet, attached) = session(&stack, Framing::Binary, script).await;
    quiet.read_until(attached.session, ";").await;
    let noise = Noise::start(&stack).await;
    let (mut bytes, mut times, at_first) = (Vec::new(), Vec::new(), noise.printed());
    for key in 0..KEYS {
        let (began, before) = (Instant::now(), noise.printed().iter().sum::<u64>());
        quiet.send_input(attached.session, None, format!("{key};").as_bytes());
        quiet.read_until(attached.session, &format!("{key};")).await;
        times.push(began.elapsed());
        bytes.push(noise.printed().iter().sum::<u64>() - before);
        expect_within("the median, in bytes that others printed", &bytes, MEDIAN_BYTES, KEYS / 2);
        expect_within("the worst of twenty, in those bytes", &bytes, P95_BYTES, KEYS / 20);
        expect_within("the worst of twenty", &times, P95, KEYS / 20);
    }
    let mut each: Vec<u64> = noise.printed().iter().zip(&at_first).map(|(now, then)| now - then).collect();
    each.sort_unstable();
    let (median, most) = (each[NOISY / 2] as f64, each[NOISY - 1] as f64);
    let many_cores = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 4);
    assert!(many_cores || most <= MOST_OF_MEDIAN * median, "a session has more than its turn: {each:?}");
}
