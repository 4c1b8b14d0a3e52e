//! The largest screens there may be, coloured on both sides: a worker kill leaves them, they are read over HTTP, and ended
//! sessions with them do not fill the node's memory.

use std::fmt::Write as _;
use std::time::Duration;

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{Stack, proc};
use devpocket_tests::wait_until;
use serde_json::{Value, json};
use uuid::Uuid;

/// What drawing such screens may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
const SIDE: usize = 1000;
/// Ended sessions that each had a screen drawn of 16 MB, and 2 MB of last screen.
const ENDED: usize = 50;
/// What the worker may grow by for them: 192 MiB of those that keep all they have, 64 MiB of last screens, and what is being
/// done. All of them drawn are 1000 MB.
const MOST_BYTES: u64 = 400 << 20;

/// A session of the largest size that shows a file.
fn shows(file: &str, then: &str) -> Value {
    let mut data = raw_script(&format!("cat {file}; {then}"));
    data["terminal_size"] = json!({"rows": SIDE, "cols": SIDE});
    data
}

/// Fills both sides, with a style for each run of `run` cells; `cell` gives it, and the character.
fn both_sides(run: usize, cell: impl Fn(usize, usize) -> (String, char)) -> String {
    let mut out = String::new();
    for side in 0..2 {
        for row in 0..SIDE {
            let _infallible = write!(out, "\x1b[{}H", row + 1);
            for col in 0..SIDE {
                let (style, character) = cell(row, col + side);
                if col % run == 0 {
                    out.push_str(&style);
                }
                out.push(character);
            }
        }
        out.push_str(if side == 0 { "\x1b[m\x1b[?1049h" } else { "\x1b[m" });
    }
    out
}

fn letter(number: usize) -> char {
    char::from(b'A' + u8::try_from(number % 26).expect("a letter"))
}

async fn snapshot(stack: &Stack, id: Uuid) -> (u64, Vec<u8>) {
    snapshot_with(stack, Framing::Binary, id, json!({"mode": "view"})).await
}

async fn snapshot_with(stack: &Stack, framing: Framing, id: Uuid, attach: Value) -> (u64, Vec<u8>) {
    let (mut socket, _) = Socket::attach_patiently(&stack.opening(0, framing), id, &attach).await;
    let mut whole = Vec::new();
    loop {
        if let Event::Snapshot { bytes, offset, more, .. } = socket.event("the snapshot").await {
            whole.extend_from_slice(&bytes);
            if !more {
                return (offset, whole);
            }
        }
    }
}

/// The story: the screen was too large for a checkpoint, which nobody was told of, and the output it could have been made of
/// was given up: after a worker kill 1.3 of 3.1 MB of the snapshot were left.
#[tokio::test]
async fn a_worker_kill_leaves_a_screen_of_a_thousand_rows_and_columns_with_its_colours() {
    let stack = Stack::start().await;
    let bytes =
        both_sides(1, |row, col| (format!("\x1b[3{};4{}m", col % 8, (row + col) % 8), letter(row + col)));
    let file = stack.place.write_work("picture", bytes.as_bytes());
    let script = shows(&file.display().to_string(), r"printf '\033[Hdone'; exec sleep 600");
    let (socket, attached) = session(&stack, Framing::Binary, script).await;
    drop(socket);
    wait_until("all of it is on the screen", LIMIT, async || {
        snapshot(&stack, attached.session).await.1.windows(4).any(|part| part == b"done")
    })
    .await;
    let before = snapshot(&stack, attached.session).await;
    assert!(before.1.len() > 2 * SIDE * SIDE, "{} bytes", before.1.len());
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    let path = format!("/api/sessions/{}/screen?format=text", attached.session);
    let text_before = rest.get(&path).await.expect(200)["content"].clone();
    assert!(stack.kill_worker());
    stack.worker_ready().await;
    let after = snapshot(&stack, attached.session).await;
    assert_eq!(rest.get(&path).await.expect(200)["content"], text_before);
    assert!(before == after, "{} and {} bytes", before.1.len(), after.1.len());
}

/// The story: each of these was answered with 500, and a warning that a node failed.
#[tokio::test]
async fn the_largest_screens_are_read_over_http_without_colours_and_larger_ones_are_refused() {
    let stack = Stack::start().await;
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    for (name, character, status) in [("letters", None, 200), ("boxes", Some('\u{2588}'), 422)] {
        let bytes = both_sides(5, |row, col| {
            (format!("\x1b[38;2;{};{};9m", row % 256, col % 256), character.unwrap_or(letter(row + col)))
        });
        let file = stack.place.write_work(name, bytes.as_bytes());
        let script = shows(&file.display().to_string(), "exec sleep 600");
        let (_socket, attached) = session(&stack, Framing::Binary, script).await;
        let path = |format: &str| format!("/api/sessions/{}/screen?format={format}", attached.session);
        let end = bytes.len() as u64;
        wait_until("all of it is on the screen", LIMIT, async || {
            snapshot(&stack, attached.session).await.0 >= end
        })
        .await;
        for format in ["text", "ansi", "html", "json"] {
            let answered = rest.get(&path(format)).await;
            if status == 422 {
                answered.is_problem(422, "screen_too_large");
                continue;
            }
            let content = &answered.expect(200)["content"];
            let text = if format == "json" { content["lines"][999].as_str() } else { content.as_str() };
            let last: String = (0..SIDE).map(|col| letter(999 + col + 1)).collect();
            assert!(text.is_some_and(|text| text.contains(&last)), "{format}");
        }
    }
    let log = stack.api_log(0);
    assert!(!log.contains("a node failed"), "{log}");
}

/// The story: each ended session kept its screen drawn, and what had drawn it: 80 of them took 2.6 GiB.
#[tokio::test]
async fn many_ended_sessions_with_the_largest_screens_take_so_much_memory_and_no_more() {
    let stack = Stack::start().await;
    let bytes = both_sides(SIDE, |row, col| (format!("\x1b[3{}m", row % 8), letter(row + col)));
    let file = stack.place.write_work("picture", bytes.as_bytes());
    let before = proc::resident_bytes(stack.worker_ready().await).expect("the worker");
    let mut last = None;
    for _ in 0..ENDED {
        let (mut socket, attached) =
            session(&stack, Framing::Binary, shows(&file.display().to_string(), "exit 0")).await;
        socket.wait_status(attached.session, "exited").await;
        last = Some(attached.session);
    }
    wait_until("those before the last few gave their memory back", LIMIT, async || {
        let worker = stack.worker_ready().await;
        proc::resident_bytes(worker).is_some_and(|bytes| bytes < before + MOST_BYTES)
    })
    .await;
    let shown = snapshot(&stack, last.expect("a session")).await;
    assert!(shown.1.len() > SIDE * SIDE, "{} bytes", shown.1.len());
}

/// The story: what was thought to be drawn in a moment was sent as one frame, which the api did not take: the session of a
/// picture in true colours, and that of one very long line, could never be attached again.
#[tokio::test]
async fn pictures_in_true_colours_and_very_long_lines_are_attached_like_all_else() {
    let stack = Stack::start().await;
    let mut picture = String::new();
    for row in 0..100 {
        let _infallible = write!(picture, "\x1b[{}H", row + 1);
        for col in 0..400 {
            let _infallible =
                write!(picture, "\x1b[38;2;{row};{};199;48;2;{};{row};188m\u{2580}", col % 256, col % 200);
        }
    }
    // Thought small, and found to be large once it is drawn.
    let marks = (0..200).fold(String::new(), |text, row| {
        text + &format!("\x1b[{}H", row + 1) + &("a".to_owned() + &"\u{301}".repeat(22)).repeat(300)
    });
    let lines = (0..100).map(|line| format!("\r\nline {line}"));
    let long = "0123456789abcdef".repeat(70_000) + &lines.collect::<String>();
    for (name, text, size, scrollback) in [
        ("picture", picture, (100, 400), [0, 10]),
        ("line", long, (50, 200), [52, 100]),
        ("marks", marks, (200, 300), [0, 10]),
    ] {
        let text = text + "\x1b[Hdone";
        let file = stack.place.write_work(name, text.as_bytes());
        let mut script = raw_script(&format!("cat {}; exec sleep 600", file.display()));
        script["terminal_size"] = json!({"rows": size.0, "cols": size.1});
        let (_socket, attached) = session(&stack, Framing::Binary, script).await;
        wait_until("all of it is on the screen", LIMIT, async || {
            snapshot(&stack, attached.session).await.0 >= text.len() as u64
        })
        .await;
        for (framing, scrollback) in [Framing::Binary, Framing::Json]
            .into_iter()
            .flat_map(|framing| scrollback.map(|lines| (framing, lines)))
        {
            let attach = json!({"mode": "view", "scrollback": scrollback});
            let (_, whole) = snapshot_with(&stack, framing, attached.session, attach).await;
            assert!(whole.len() > 1 << 20, "{name} with {scrollback} lines is {} bytes", whole.len());
            assert!(whole.windows(4).any(|part| part == b"done"), "{name} with {scrollback} lines");
        }
    }
}
