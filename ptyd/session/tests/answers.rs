//! What is shown of any output makes no terminal answer: xterm.js, which nobody here wrote, is fed it as bytes and keeps silent. Our
//! own list of what asks is no judge of itself.

#![allow(clippy::expect_used, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use devpocket_shared::ids::TerminalSize;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use ptyd_session::region::MIN_RING_BYTES;
use ptyd_session::{Cutter, Overflow, Region, region_bytes};

const STREAMS: usize = 6_000;

/// Questions, and what they are made of.
const WORDS: &[&[u8]] = &[
    b"\x1b[c",
    b"\x1b[>c",
    b"\x1b[5n",
    b"\x1b[?6n",
    b"\x1b[6",
    b"n",
    b"\x1b[?25$p",
    b"\x1b[4$p",
    b"\x1b[14t",
    b"\x1b[18t",
    b"\x1b[21t",
    b"\x1b[?996n",
    b"\x1b[?u",
    b"\x1bP$qm\x1b\\",
    b"\x1bP$q",
    b"r\x1b\\",
    b"\x1b]4;1;?\x07",
    b"\x1b]10;?\x1b\\",
    b"\x1b]11;?;?\x07",
    b"\x1b]52;c;?\x07",
    b"\x1b]12;",
    b"?",
    b"\x07",
    b"\x1b[",
    b"\x1b",
    b"[",
    b"c",
    b"0",
    b"6",
    b">",
    b"$",
    b"p",
    b";",
    b"\x1bP",
    b"\x1b]",
    b"\x18",
    b"\x1b\\",
    b"\xc2\x9b",
    b"\xc2\x9d",
    b"\xc2\x9c",
    b"\xc2",
    b"\xe2\x82",
    b"\xf0",
    b"\xff",
    b"\x80",
    b"\xc3\xa9",
    b"text",
    b"\r\n",
    b"\x05",
    b"\x1bZ",
    b"\x7f",
    b"\x00",
];

fn stream() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(WORDS), 1..30).prop_map(|words| words.concat())
}

/// What is shown of output that comes in pieces of so many bytes.
fn shown(stream: &[u8], piece: usize) -> Vec<u8> {
    let memory = vec![0; usize::try_from(region_bytes(MIN_RING_BYTES)).expect("a small region")];
    let mut region = Region::create(memory, 7, TerminalSize::DEFAULT).expect("a region");
    let mut cutter = Cutter::recover(&region);
    for part in stream.chunks(piece) {
        region.space(None)[..part.len()].copy_from_slice(part);
        region.commit(part.len());
        cutter.cut(&mut region, Overflow::Drop);
    }
    let (first, second) = region.slices(region.held().start, usize::MAX);
    [first, second].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a terminal answers to each stream, in hex.
fn answers(streams: &[Vec<u8>]) -> Vec<String> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../screen/oracle"));
    assert!(
        folder.join("node_modules/.package-lock.json").exists(),
        "the oracle's packages are missing: run `make test`, or `npm ci` in {}",
        folder.display()
    );
    let mut child = Command::new("node")
        .arg("answers.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut input = child.stdin.take().expect("its input");
    let lines: String = streams.iter().map(|stream| hex(stream) + "\n").collect();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()).expect("it listens"));
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let answers: Vec<String> = output.lines().map(|line| line.expect("a line")).collect();
    writing.join().expect("all of it was written");
    assert!(child.wait().expect("it ends").success());
    answers
}

#[test]
fn whatever_a_program_prints_a_terminal_that_is_fed_what_is_shown_answers_nothing() {
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let strategy = (stream(), 1..40_usize);
    let mut streams: Vec<(Vec<u8>, usize)> = WORDS.iter().map(|word| (word.to_vec(), 1)).collect();
    // The story: a byte that is no UTF-8, in the middle of a question, is dropped by those who are fed bytes.
    let broken = [&b"\x1b[\xf0c"[..], b"\x1b[6\xc2n", b"\x1b\xf0[c", b"\x1bP\xff$qm\x1b\\"];
    streams.extend(broken.map(|stream| (stream.to_vec(), 3)));
    streams.extend((0..STREAMS).map(|_| strategy.new_tree(&mut runner).expect("a stream").current()));

    let raw: Vec<Vec<u8>> = streams.iter().map(|(stream, _)| stream.clone()).collect();
    let asked = answers(&raw).into_iter().filter(|answer| !answer.is_empty()).count();
    assert!(asked > STREAMS / 2, "only {asked} streams ask something");

    let seen: Vec<Vec<u8>> = streams.iter().map(|(stream, piece)| shown(stream, *piece)).collect();
    for ((stream, seen), answer) in raw.iter().zip(&seen).zip(answers(&seen)) {
        let (stream, seen) = (stream.escape_ascii().to_string(), seen.escape_ascii().to_string());
        assert!(answer.is_empty(), "{stream}, shown as {seen}");
    }
}
