//! A program run on a terminal of its own, its keys typed when it has become quiet: what it writes, with the resizes in
//! between. Its queries are answered, as the worker does, and blanked in what is recorded.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use ptyd_screen::parser::Parser;
use ptyd_screen::{Screen, query};

use crate::story::{Step, blanked, size};

/// What is done when the program is quiet.
#[derive(Clone, Copy)]
pub enum Act {
    Type(&'static str),
    Resize(usize, usize),
}

/// So long without output: the program waits for a key.
const QUIET_MS: u16 = 80;
/// Reads before somebody who never stops writing counts as quiet.
const READS_AT_MOST: usize = 400;
/// Waits for a program to begin or to end, each as long as [`QUIET_MS`].
const WAITS: usize = 300;
/// After so many of them the key that ends it is typed again: a busy machine's program may throw away what came too early.
const WAITS_FOR_KEY: usize = 30;

struct Recorder {
    terminal: File,
    path: String,
    child: Child,
    steps: Vec<Step>,
    /// For the answers.
    screen: Screen,
    parser: Parser,
    /// The sequence that is not at its end.
    sequence: Vec<u8>,
    ended: bool,
}

/// Runs `command` in `home`.
pub fn record(command: &[&str], home: &Path, (rows, cols): (usize, usize), acts: &[Act]) -> Vec<Step> {
    let narrow = |number: usize| u16::try_from(number).expect("small");
    let window = Winsize { ws_row: narrow(rows), ws_col: narrow(cols), ws_xpixel: 0, ws_ypixel: 0 };
    let pair = openpty(&window, None).expect("a terminal");
    let path = nix::unistd::ttyname(&pair.slave).expect("its name").display().to_string();
    let end = || Stdio::from(pair.slave.try_clone().expect("a descriptor"));
    let child = Command::new("setsid")
        .args(["--ctty", "--wait"])
        .args(command)
        .current_dir(home)
        .env_clear()
        .envs([
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
            ("TERM", "xterm-256color"),
            ("LANG", "C.UTF-8"),
        ])
        .envs([
            ("GIT_AUTHOR_NAME", "A"),
            ("GIT_AUTHOR_EMAIL", "a@b.c"),
            ("GIT_COMMITTER_NAME", "A"),
            ("GIT_COMMITTER_EMAIL", "a@b.c"),
        ])
        .env("HOME", home)
        .env("TMUX_TMPDIR", home)
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap_or_else(|err| panic!("setsid {command:?}: {err}"));
    drop(pair.slave);
    let screen = Screen::new(size(rows, cols), vec![0; 1 << 16], 100);
    let mut recorder = Recorder {
        terminal: File::from(pair.master),
        path,
        child,
        steps: Vec::new(),
        screen,
        parser: Parser::new(),
        sequence: Vec::new(),
        ended: false,
    };
    // What is typed before it has set its terminal up is lost.
    for _ in 0..WAITS {
        if recorder.ended || !recorder.steps.is_empty() {
            break;
        }
        recorder.listen();
    }
    for act in acts {
        recorder.act(*act);
        recorder.listen();
    }
    for wait in 1..WAITS {
        if recorder.ended {
            break;
        }
        if let (0, Some(last)) = (wait % WAITS_FOR_KEY, acts.last()) {
            recorder.act(*last);
        }
        recorder.listen();
    }
    recorder.finish(command)
}

impl Recorder {
    fn act(&mut self, act: Act) {
        match act {
            // It may have ended already.
            Act::Type(keys) => drop(self.terminal.write_all(keys.as_bytes())),
            Act::Resize(rows, cols) => {
                let (to_rows, to_cols) = (rows.to_string(), cols.to_string());
                let stty = Command::new("stty")
                    .args(["-F", &self.path, "rows", &to_rows, "cols", &to_cols])
                    .output();
                assert!(self.ended || stty.expect("stty runs").status.success(), "stty -F {}", self.path);
                self.screen.resize(size(rows, cols));
                self.steps.push(Step::Resize(rows, cols));
            }
        }
    }

    /// Takes what the program writes until it is quiet or ends.
    fn listen(&mut self) {
        let mut bytes = vec![0; 1 << 16];
        for _ in 0..READS_AT_MOST {
            let mut waits = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
            if self.ended || poll(&mut waits, PollTimeout::from(QUIET_MS)).expect("a descriptor of ours") == 0
            {
                return;
            }
            match self.terminal.read(&mut bytes) {
                Ok(len) if len > 0 => self.take(&bytes[..len]),
                // EIO: nobody has the other end open any more.
                Ok(_) | Err(_) => self.ended = true,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut at = 0;
        let mut asks = false;
        while at < bytes.len() {
            let (used, event) = self.parser.next(&bytes[at..]);
            asks |= query::is_query(&event);
            self.sequence.extend_from_slice(&bytes[at..at + used]);
            at += used;
            if self.parser.is_ground() {
                if asks && let Some(answer) = self.screen.answer(&self.sequence) {
                    drop(self.terminal.write_all(&answer));
                }
                let visible = if asks { vec![0; self.sequence.len()] } else { self.sequence.clone() };
                self.screen.feed(&visible, &mut Vec::new());
                self.keep(visible);
                self.sequence.clear();
                asks = false;
            }
        }
    }

    fn keep(&mut self, bytes: Vec<u8>) {
        match self.steps.last_mut() {
            Some(Step::Feed(last)) => last.extend(bytes),
            _ => self.steps.push(Step::Feed(bytes)),
        }
    }

    fn finish(mut self, command: &[&str]) -> Vec<Step> {
        if !self.ended {
            self.child.kill().expect("it can be ended");
        }
        let status = self.child.wait().expect("it ends");
        assert!(
            self.ended,
            "{command:?} did not end: {status}\n{}",
            self.screen.render_text(usize::MAX).expect("any length")
        );
        for step in &mut self.steps {
            if let Step::Feed(bytes) = step {
                *bytes = blanked(bytes);
            }
        }
        let len: usize =
            self.steps.iter().map(|step| if let Step::Feed(bytes) = step { bytes.len() } else { 0 }).sum();
        assert!(len > 200, "{command:?} wrote {len} bytes only");
        self.steps
    }
}
