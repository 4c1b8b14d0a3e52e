//! A session whose program floods and executes typed lines, and the proof that nothing was lost or doubled on either
//! way. Must not know what is broken in between.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::client::sink::hexadecimal;
use crate::client::{Durable, EVENT_LIMIT, Hasher, Opening, Socket};
use crate::stack::{Stack, proc};
use crate::{Random, wait_for, wait_until};

/// How long the rest of a flood may take once nothing breaks it any more.
const REST_LIMIT: Duration = Duration::from_secs(60);
/// Inputs on their way at once: enough that a cut hits some, few enough that the flood goes on.
const MOST_WAITING: usize = 32;

/// A session that runs `programs/flood.pl`.
pub struct Flood {
    /// The session.
    pub session: Uuid,
    directory: PathBuf,
    leader: proc::ProcessFacts,
}

/// Types numbered lines at a flood, and knows which.
#[derive(Default)]
pub struct Typist {
    /// Each input with its number, in order.
    inputs: Vec<(u64, String)>,
    lines: u64,
    rest: Option<String>,
}

impl Flood {
    /// Opens the session over a socket of its own; the flood begins when `go` is typed.
    pub async fn open(stack: &Stack, opening: &Opening, name: &str) -> Self {
        let directory =
            stack.place.directory(&format!("work/{name}"), 0o755, stack.place.shell_user.as_ref());
        let mut socket = Socket::must_open(opening).await;
        let program = stack.place.work("flood.pl");
        let command = json!(["perl", program, directory]);
        let attached = socket.connect(json!({"session_type": "local", "command": command})).await;
        socket.read_until(attached.session, "ready\r\n").await;
        let pid_file = directory.join("pid");
        let pid = wait_for("the program writes its pid", EVENT_LIMIT, async || {
            fs::read_to_string(&pid_file).ok()?.strip_suffix('\n')?.parse().ok()
        });
        let leader = proc::facts(Pid::from_raw(pid.await)).expect("the program lives");
        Self { session: attached.session, directory, leader }
    }

    /// How much the program has printed, in bytes.
    pub fn printed(&self) -> u64 {
        fs::metadata(self.directory.join("transcript")).map_or(0, |file| file.len())
    }

    /// Panics unless the very process that was started is still the one in the session.
    pub fn expect_same_program(&self) {
        let now = proc::facts(self.leader.pid).map(|process| process.began);
        assert_eq!(now, Some(self.leader.began), "the program of the session is another one, or gone");
    }

    /// Ends the flood and proves that the client has every byte once, and the program every line.
    ///
    /// A line in an input that was reported uncertain may be missing; nothing else may.
    pub async fn prove(&self, client: &mut Durable<Hasher>, typist: &mut Typist) {
        typist.finish_line(client);
        typist.say(client, "stop");
        let stopped = client.drive("the flood has ended", REST_LIMIT, |client| {
            client.sink.tail().ends_with(b"end\r\n") && client.unacknowledged() == 0
        });
        stopped.await.unwrap_or_else(|violation| panic!("{violation}"));
        self.expect_same_program();

        let transcript = fs::read(self.directory.join("transcript")).expect("the transcript");
        assert_eq!(client.received(), transcript.len() as u64, "bytes received, bytes printed");
        let printed = Sha256::digest(&transcript);
        assert_eq!(hexadecimal(&client.sink.digest()), hexadecimal(&printed), "SHA-256 received, printed");
        expect_numbered(&transcript);

        let typed = fs::read_to_string(self.directory.join("typed")).expect("the typed lines");
        typist.expect_executed(&typed, &client.uncertain);

        typist.say(client, "bye");
        let left = client.drive("the program has exited", REST_LIMIT, |client| client.end().is_some()).await;
        left.unwrap_or_else(|violation| panic!("{violation}"));
        let end = client.end().expect("just seen");
        assert_eq!(end.exit, json!({"code": 0}), "{end:?}");
        wait_until("the program is gone", EVENT_LIMIT, async || proc::facts(self.leader.pid).is_none()).await;
    }
}

impl Typist {
    /// Types a whole line now.
    pub fn say(&mut self, client: &mut Durable<Hasher>, line: &str) {
        self.input(client, format!("{line}\n"));
    }

    /// Now and then types a numbered line in one input.
    pub fn type_lines(&mut self, client: &mut Durable<Hasher>, random: &mut Random) {
        if random.one_in(2) && client.unacknowledged() < MOST_WAITING {
            let line = self.line(random);
            self.input(client, line);
        }
    }

    /// Now and then types a numbered line, at times in two inputs.
    pub fn type_pieces(&mut self, client: &mut Durable<Hasher>, random: &mut Random) {
        if !random.one_in(2) || client.unacknowledged() >= MOST_WAITING {
            return;
        }
        if let Some(rest) = self.rest.take() {
            return self.input(client, rest);
        }
        let mut line = self.line(random);
        if random.one_in(3) {
            let middle = usize::try_from(random.between(1, line.len() as u64 - 1)).expect("an index");
            self.rest = Some(line.split_off(middle));
        }
        self.input(client, line);
    }

    fn line(&mut self, random: &mut Random) -> String {
        self.lines += 1;
        let length = usize::try_from(random.between_magnitudes(1, 500)).expect("a length");
        format!("typed {} {}\n", self.lines, "x".repeat(length))
    }

    fn finish_line(&mut self, client: &mut Durable<Hasher>) {
        if let Some(rest) = self.rest.take() {
            self.input(client, rest);
        }
    }

    fn input(&mut self, client: &mut Durable<Hasher>, text: String) {
        let seq = client.input(text.clone());
        self.inputs.push((seq, text));
    }

    /// How many lines were typed.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    fn expect_executed(&self, executed: &str, uncertain: &[u64]) {
        assert!(self.lines > 0, "nothing was typed");
        let mut left = executed;
        for (seq, text) in &self.inputs {
            match left.strip_prefix(text.as_str()) {
                Some(rest) => left = rest,
                None if uncertain.contains(seq) => {}
                None => {
                    let found: String = left.chars().take(80).collect();
                    panic!(
                        "input {seq} {text:?} was not executed in its place (uncertain: {uncertain:?}); found {found:?}"
                    );
                }
            }
        }
        assert!(left.is_empty(), "executed more than was typed: {left:?}");
    }
}

/// Panics unless the transcript holds the numbered lines from 0 on without a gap: else it would prove nothing.
fn expect_numbered(transcript: &[u8]) {
    let mut next = 0_u64;
    for line in transcript.split(|byte| *byte == b'\n') {
        if line.first().is_some_and(u8::is_ascii_digit) {
            let number = str::from_utf8(&line[..9]).ok().and_then(|digits| digits.parse().ok());
            assert_eq!(number, Some(next), "the program's own lines are in order");
            next += 1;
        }
    }
    assert!(next > 0, "the program printed no numbered line");
}
