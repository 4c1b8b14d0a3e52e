//! What a stream can cost at most, whatever it is: counted in cells and rows, not in time. `examples/hostile_cost.rs` prints
//! the time.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

#[path = "common/attacks.rs"]
mod attacks;
mod common;

use attacks::attacks;
use common::assert_same;
use ptyd_screen::{Screen, Size};

const PIECE_BYTES: usize = 64 << 10;
const SCROLLBACK_BYTES: usize = 64 << 10;
/// Work for each byte, on the largest screen: what it takes to move a row of 1,000 cells by two bytes. At one nanosecond each,
/// 64 KiB take the five milliseconds that they may.
const MOST_WORK_A_BYTE: u64 = 65;
/// The attacks that do so, or fill as much: nothing else costs half of it.
const MOVE_ROWS: [&str; 11] = [
    "insert mode, returning",
    "insert mode between margins",
    "RIS",
    "IL and SU by turns",
    "ICH",
    "ED 0",
    "DECALN",
    "DCH",
    "EL 1",
    "RIS and a mark",
    "ED 2 and a letter",
];
const MOST_OTHER_WORK_A_BYTE: u64 = 25;
/// What is saved up at the beginning comes on top once.
const MOST_WORK_SAVED: u64 = 3 << 19;
/// The cells of both screens, of one that is kept for the next, and of lines between margins that are owed, eight bytes each, a
/// quarter of them to spare.
const MOST_BYTES_OF_CELLS: usize = 4 * 1000 * 1000 * 8 * 5 / 4;
/// Styles, clusters, links and titles.
const MOST_BYTES_OF_TABLES: usize = 16 << 20;

fn fresh(rows: usize, cols: usize) -> Screen {
    Screen::new(Size::new(rows as u16, cols as u16), vec![0; SCROLLBACK_BYTES], 1000)
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    screen.feed(bytes, &mut Vec::new());
}

#[test]
fn no_piece_of_any_attack_touches_more_than_its_share_of_the_largest_screen() {
    for attack in attacks(1000, 1000, 4 * PIECE_BYTES) {
        let mut screen = fresh(1000, 1000);
        feed(&mut screen, &attack.before);
        let moves_rows = MOVE_ROWS.contains(&attack.name);
        let most_a_byte = if moves_rows { MOST_WORK_A_BYTE } else { MOST_OTHER_WORK_A_BYTE };
        for piece in attack.flood.chunks(PIECE_BYTES) {
            let before = screen.work();
            feed(&mut screen, piece);
            let (work, most) = (screen.work() - before, piece.len() as u64 * most_a_byte);
            assert!(work <= most + MOST_WORK_SAVED, "{}: {work} for {} bytes", attack.name, piece.len());
        }
    }
}

#[test]
fn no_attack_takes_more_memory_than_screens_and_tables_may() {
    for (rows, cols) in [(1000, 1000), (24, 80)] {
        for attack in attacks(rows, cols, 8 * PIECE_BYTES) {
            let mut screen = fresh(rows, cols);
            feed(&mut screen, &attack.before);
            for piece in attack.flood.chunks(PIECE_BYTES) {
                feed(&mut screen, piece);
                let (held, part) = (screen.memory_bytes(), MOST_BYTES_OF_CELLS * rows * cols / 1_000_000);
                assert!(
                    held <= part + MOST_BYTES_OF_TABLES,
                    "{}: {held} bytes at {rows}x{cols}",
                    attack.name
                );
            }
        }
    }
}

#[test]
fn a_flood_in_other_pieces_makes_the_same_screen() {
    for (rows, cols) in [(30, 90), (1, 2)] {
        for attack in attacks(rows, cols, 2 * PIECE_BYTES) {
            let [mut whole, mut pieces] = [fresh(rows, cols), fresh(rows, cols)];
            for screen in [&mut whole, &mut pieces] {
                feed(screen, &attack.before);
            }
            feed(&mut whole, &attack.flood);
            attack.flood.chunks(7).for_each(|piece| feed(&mut pieces, piece));
            assert_same(&pieces.inspect(), &whole.inspect(), || attack.name.to_owned());
        }
    }
}

#[test]
fn a_screen_restored_in_a_flood_goes_on_as_the_other_does() {
    let (rows, cols) = (30, 90);
    for attack in attacks(rows, cols, 2 * PIECE_BYTES) {
        let mut screen = fresh(rows, cols);
        feed(&mut screen, &attack.before);
        let (before, after) = attack.flood.split_at(attack.flood.len() / 2);
        // Between two sequences, or what was begun would be lost.
        let start = after.iter().position(|byte| *byte == 0x1B).unwrap_or(0);
        feed(&mut screen, before);
        feed(&mut screen, &after[..start]);
        let checkpoint = screen.checkpoint();
        let mut restored =
            Screen::restore(&checkpoint, screen.scrollback_memory().to_vec(), 1000).expect("a checkpoint");
        for screen in [&mut screen, &mut restored] {
            feed(screen, &after[start..]);
        }
        assert_same(&restored.inspect(), &screen.inspect(), || attack.name.to_owned());
    }
}

#[test]
fn the_largest_resizes_are_done_without_moving_everything_for_each_row() {
    let mut screen = Screen::new(Size::new(1000, 1000), vec![0; 4 << 20], 10_000);
    (0..3000).for_each(|_| feed(&mut screen, "wide ".repeat(500).as_bytes()));
    for (rows, cols) in [(1000, 2), (1000, 1000), (1, 2), (1000, 999), (2, 1000)] {
        screen.resize(Size::new(rows, cols));
    }
    feed(&mut screen, b"\x1b[Hstill there");
    assert!(screen.render_text(usize::MAX).expect("any length").starts_with("still there"));
}

#[test]
fn a_rendering_is_as_long_as_it_may_be_or_none() {
    let mut screen = fresh(24, 80);
    let colors = (0..24 * 80).map(|cell| format!("\x1b[38;5;{};48;5;{}m&", cell % 256, cell * 7 % 256));
    feed(&mut screen, colors.collect::<String>().as_bytes());
    type Render = fn(&Screen, usize) -> Option<String>;
    let ways: [Render; 4] =
        [Screen::render_text, Screen::render_ansi, Screen::render_html, Screen::render_json];
    for render in ways {
        let whole = render(&screen, usize::MAX).expect("any length");
        assert_eq!(render(&screen, whole.len()).as_ref(), Some(&whole));
        assert_eq!(render(&screen, whole.len() - 1), None);
        assert_eq!(render(&screen, 0), None);
    }
}

#[test]
fn what_programs_do_is_never_cut_short() {
    // Scrolling sideways by a column, which is then drawn, for a long time: as a wide table in a pager might.
    let (rows, cols) = (50, 200);
    let mut screen = fresh(rows, cols);
    for step in 0..5000 {
        feed(&mut screen, b"\x1b[1;200H\x1b[ @");
        for row in 0..rows {
            feed(&mut screen, format!("\x1b[{};200H{}", row + 1, step % 10).as_bytes());
        }
    }
    let expected: String = (0..cols).map(|col| char::from(b'0' + ((5000 - cols + col) % 10) as u8)).collect();
    assert!(screen.render_text(usize::MAX).expect("any length").lines().all(|line| line == expected));
    // A picture: every cell another colour above and below, over and over.
    let mut screen = fresh(rows, cols);
    for frame in 0..20_usize {
        for cell in 0..rows * cols {
            let [r, g, b, ..] = (frame * rows * cols + cell).to_le_bytes();
            let x = if cell % cols == 0 { format!("\x1b[{}H", cell / cols + 1) } else { String::new() };
            feed(&mut screen, format!("{x}\x1b[38;2;{r};{g};{b};48;2;{b};{r};{g}m▀").as_bytes());
        }
        let shown = screen.inspect();
        let looks: std::collections::HashSet<_> =
            shown.rows.iter().flat_map(|row| &row.cells).map(|cell| cell.style).collect();
        assert_eq!(looks.len(), rows * cols, "frame {frame}");
    }
}
