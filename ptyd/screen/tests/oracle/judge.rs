//! A process that is asked what it makes of a stream: `oracle/oracle.mjs`, which wraps xterm.js, or `oracle/libvterm.py`. Knows
//! their language, not what is asked.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::seen::Seen;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle");

pub struct Judge {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// A terminal to be made, what it is to be fed, and when it is to say its state.
pub struct Question {
    pub rows: usize,
    pub cols: usize,
    pub scrollback: u32,
    pub steps: Vec<Value>,
}

impl Question {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.steps.push(Value::String(base64::engine::general_purpose::STANDARD.encode(bytes)));
    }

    pub fn resize(&mut self, rows: usize, cols: usize) {
        self.steps.push(json!([rows, cols]));
    }

    /// Asks for the state now, with so many rows of scrollback.
    pub fn state(&mut self, scrollback: u32) {
        self.steps.push(json!(scrollback));
    }
}

impl Judge {
    /// One whose known faults are mended.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One with all its faults, as clients have it.
    pub fn start_as_it_is() -> Self {
        Self::start_with(&["as-it-is"])
    }

    fn start_with(words: &[&str]) -> Self {
        assert!(
            std::path::Path::new(FOLDER).join("node_modules/.package-lock.json").exists(),
            "the oracle's packages are missing: run `make test`, or `npm ci` in {FOLDER}"
        );
        Self::run("node", &[&["oracle.mjs"], words].concat())
    }

    /// Another one, libvterm, which is asked the same way and answers as far as it can.
    pub fn start_libvterm() -> Self {
        Self::run("python3", &["libvterm.py"])
    }

    fn run(command: &str, words: &[&str]) -> Self {
        let mut child = Command::new(command)
            .args(words)
            .current_dir(FOLDER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("{command}: {err}"));
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { input: child.stdin.take(), output, child }
    }

    /// The states asked for, for each question: up to where it threw an error, which only one with its faults may.
    pub fn states(&mut self, questions: &[Question]) -> Vec<Vec<Seen>> {
        let questions = questions.iter().map(|question| {
            let Question { rows, cols, scrollback, steps } = question;
            json!({"rows": rows, "cols": cols, "scrollback": scrollback, "steps": steps})
        });
        self.ask(&Value::Array(questions.collect()))
    }

    /// First and last character of a run, and how many columns each takes.
    pub fn widths(&mut self) -> Vec<(u32, u32, u16)> {
        self.ask(&json!({"widths": true}))
    }

    fn ask<T: DeserializeOwned>(&mut self, question: &Value) -> T {
        let input = self.input.as_mut().expect("its input");
        serde_json::to_writer(&mut *input, question).expect("it listens");
        input.write_all(b"\n").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|err| panic!("the oracle's answer: {err} in {line:.200}"))
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().expect("it ends with its input");
    }
}
