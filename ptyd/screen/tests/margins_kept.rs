//! What margins do beside the cases of `margins.rs`: to lines above the screen and wrapped ones, to who asks, in floods, and in
//! random streams with snapshots and checkpoints.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

#[path = "common/cases.rs"]
mod cases;
mod common;

use cases::screen;
use common::{Options, Random, assert_same, step_with_margins};
use ptyd_screen::{Screen, Size, State};

#[test]
fn a_resize_takes_the_margins_away_but_not_the_mode() {
    let mut screen = screen("\x1b[?69h\x1b[2;4s\x1b[3;4Hx");
    screen.resize(Size::new(25, 70));
    let state = screen.inspect();
    assert_eq!((state.margins, state.margin_mode, state.cursor), (None, true, (3, 2)));
    screen.feed(b"\x1b[2;4s", &mut Vec::new());
    assert_eq!(screen.inspect().margins, Some((1, 3)));
}

#[test]
fn what_scrolls_between_margins_goes_nowhere_and_wraps_nothing_anew() {
    let mut screen = screen("\x1b[?69h\x1b[1;40s");
    for line in 0..200 {
        screen.feed(format!("line {line} {}\r\n", "and on ".repeat(8)).as_bytes(), &mut Vec::new());
    }
    let state = screen.inspect();
    assert!(state.scrollback.is_empty() && state.rows.iter().all(|row| !row.wrapped));
    // Nor does what was wrapped before go on with what has moved.
    let mut screen = self::screen(&format!("{}\x1b[?69h\x1b[1;40s\x1b[S", "x".repeat(81)));
    assert!(screen.inspect().rows.iter().all(|row| !row.wrapped));
    // From edge to edge it does.
    screen.feed(b"\x1b[3;80Hab", &mut Vec::new());
    assert!(screen.inspect().rows[3].wrapped);
}

#[test]
fn nobody_is_told_of_margins_but_who_has_set_them() {
    for (before, query, answer) in [
        ("", "\x1b[?69$p", "\x1b[?69;0$y"),
        ("\x1b[?69h", "\x1b[?69$p", "\x1b[?69;0$y"),
        ("", "\x1b[c", "\x1b[?62;22c"),
        // The story: this said VT420 (41), and tmux scrolled its panes between margins that the page did not have.
        ("", "\x1b[>c", "\x1b[>0;354;0c"),
        ("", "\x1bP$qs\x1b\\", "\x1bP0$r\x1b\\"),
        ("\x1b[?69h\x1b[3;4s", "\x1bP$qs\x1b\\", "\x1bP1$r3;4s\x1b\\"),
        ("\x1b[?69h", "\x1bP$qs\x1b\\", "\x1bP1$r1;80s\x1b\\"),
        ("\x1b[?69h\x1b[3;9s\x1b[?6h\x1b[2;3H", "\x1b[6n", "\x1b[2;3R"),
        ("\x1b[?69h\x1b[3;9s\x1b[2;9Hx", "\x1b[6n", "\x1b[2;9R"),
    ] {
        let mut screen = screen(before);
        let said = screen.answer(query.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(said.as_deref(), Some(answer), "{before:?}");
    }
}

/// Programs that fill a part of the screen with lines are not cut short, as `hostile.rs` has it for all that moves cells.
#[test]
fn a_flood_of_lines_between_margins_is_shown_whole() {
    let (rows, cols) = (50, 200);
    let mut screen = fresh(rows, cols);
    feed(&mut screen, "\x1b[?69h\x1b[101;200s\x1b[1;101H".as_bytes());
    for line in 0..20_000 {
        feed(&mut screen, format!("{line} {}\r\n", "and so on, ".repeat(line % 9)).as_bytes());
    }
    let text = screen.render_text(usize::MAX).expect("any length");
    for (y, line) in text.lines().take(rows - 1).enumerate() {
        let expected = 20_000 - (rows - 1) + y;
        assert_eq!(line.trim_start().split(' ').next(), Some(expected.to_string().as_str()), "row {y}");
    }
}

/// Nor is what comes after more line feeds than can be paid for anywhere but on a line of its own.
#[test]
fn after_line_feeds_that_cannot_be_afforded_there_is_a_line_nevertheless() {
    let mut screen = fresh(1000, 1000);
    let filled: String = (1..=1000).map(|row| format!("\x1b[{row}H{}", "x".repeat(1000))).collect();
    feed(&mut screen, filled.as_bytes());
    feed(&mut screen, b"\x1b[?69h\x1b[11;990s\x1b[1000;11H");
    feed(&mut screen, &b"old text\r\n".repeat(2000));
    feed(&mut screen, b"new");
    let text = screen.render_text(usize::MAX).expect("any length");
    let last = text.lines().last().expect("a line");
    assert_eq!(last.replace(' ', ""), format!("{}new{}", "x".repeat(10), "x".repeat(10)));
}

fn fresh(rows: usize, cols: usize) -> Screen {
    Screen::new(Size::new(rows as u16, cols as u16), vec![0; 64 << 10], 1000)
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    screen.feed(bytes, &mut Vec::new());
}

fn stream(random: &mut Random, options: Options, steps: usize) -> Vec<u8> {
    (0..steps).flat_map(|_| step_with_margins(random, options).into_bytes()).collect()
}

fn without_scrollback(mut state: State) -> State {
    state.scrollback.clear();
    state
}

/// What holds of every screen with margins.
fn check_invariants(state: &State, cols: usize, context: impl Fn() -> String) {
    if let Some((left, right)) = state.margins {
        assert!(state.margin_mode && left < right && right < cols, "{:?} {}", state.margins, context());
        assert!(left > 0 || right + 1 < cols, "{}", context());
    }
    assert!(state.cursor.0 <= cols + 2, "{}", context());
    assert!(
        state.cursor.0 < cols + 2 || state.margins.is_some_and(|(_, right)| right + 1 < cols),
        "{}",
        context()
    );
    for row in state.rows.iter().chain(&state.hidden) {
        assert!(row.cells.len() <= cols, "{}", context());
        let halves =
            |at: usize| row.cells.get(at).is_some_and(|cell| cell.width == 0 && cell.text.is_empty());
        for (at, cell) in row.cells.iter().enumerate() {
            assert_eq!(cell.width == 2, halves(at + 1), "column {at} {}", context());
        }
    }
}

#[test]
fn snapshots_and_checkpoints_of_random_streams_with_margins_make_equal_screens_which_stay_equal() {
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let (rows, cols) = (random.below(8) + 1, random.below(18) + 3);
        let options = Options { rows, cols, like_xterm_js: false };
        let mut screen = fresh(rows, cols);
        let before = stream(&mut random, options, 50);
        feed(&mut screen, &before);
        let snapshot = screen.snapshot(0);
        let context = || {
            format!(
                "seed {seed} {rows}x{cols}\nstream {:?}\nsnapshot {:?}",
                String::from_utf8_lossy(&before),
                String::from_utf8_lossy(&snapshot)
            )
        };
        check_invariants(&screen.inspect(), cols, context);
        let mut drawn = fresh(rows, cols);
        feed(&mut drawn, &snapshot);
        assert_same(&without_scrollback(drawn.inspect()), &without_scrollback(screen.inspect()), context);
        let checkpoint = screen.checkpoint();
        let memory = screen.scrollback_memory().to_vec();
        let mut restored = Screen::restore(&checkpoint, memory, 1000).expect("a checkpoint of ours");
        assert_same(&restored.inspect(), &screen.inspect(), context);
        let after = stream(&mut random, options, 20);
        feed(&mut screen, &after);
        feed(&mut drawn, &after);
        after.chunks(random.below(9) + 1).for_each(|piece| feed(&mut restored, piece));
        let context = || format!("{} after {:?}", context(), String::from_utf8_lossy(&after));
        assert_same(&without_scrollback(drawn.inspect()), &without_scrollback(screen.inspect()), context);
        assert_same(&restored.inspect(), &screen.inspect(), context);
    }
}

/// A terminal without margins takes DECSLRM for what saves the cursor: after a snapshot it has saved what it should have.
#[test]
fn a_snapshot_saves_the_cursor_with_the_margins_once_more() {
    for before in [
        "\x1b[?69h\x1b[3;7s",
        "\x1b[5;6H\x1b[1;31m\x1b(0\x1b7\x1b[?69h\x1b[3;7s\x1b[2;2H",
        "\x1b[2;4r\x1b[?6h\x1b[2;3H\x1b7\x1b[?69h\x1b[3;7s\x1b[?1049h\x1b[2;2H",
    ] {
        let screen = screen(before);
        let snapshot = String::from_utf8(screen.snapshot(0)).expect("text");
        let without_mode = snapshot.replace("\x1b[?69h", "");
        assert_ne!(snapshot, without_mode);
        let saved = |state: State| {
            // Nothing saved is what the first place is.
            [state.saved, state.hidden_saved].map(|saved| saved.filter(|saved| saved.cursor != (0, 0)))
        };
        let [with, without] = [snapshot, without_mode].map(|text| saved(self::screen(&text).inspect()));
        assert_eq!((&with, &without), (&saved(screen.inspect()), &with));
    }
}
