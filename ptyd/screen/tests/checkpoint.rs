//! How large a checkpoint may become, what one with less on it still shows, and that those of earlier releases are read.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

#[path = "common/attacks.rs"]
mod attacks;
mod common;

use std::fmt::Write as _;

use attacks::attacks;
use common::assert_same;
use ptyd_screen::{Detail, Screen, Size, State, max_checkpoint_bytes};

const SCROLLBACK_BYTES: usize = 64 << 10;

fn fresh(rows: usize, cols: usize) -> Screen {
    Screen::new(Size::new(rows as u16, cols as u16), vec![0; SCROLLBACK_BYTES], 1000)
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    screen.feed(bytes, &mut Vec::new());
}

fn restored(checkpoint: &[u8], screen: &Screen) -> Screen {
    Screen::restore(checkpoint, screen.scrollback_memory().to_vec(), 1000).expect("a checkpoint of ours")
}

/// Whatever it costs most to write down: on each cell of both screens other colours, and a mark without a base, or a wide
/// character with marks; as many links as are kept.
fn costly(rows: usize, cols: usize, mark_alone: bool) -> Screen {
    let mut screen = fresh(rows, cols);
    let mut links = String::new();
    for link in 0..1024 {
        let _infallible =
            write!(links, "\x1b]8;id={link}{};http://{link}{}\x07", "i".repeat(120), "/".repeat(2000));
    }
    feed(&mut screen, links.as_bytes());
    for side in 0..2 {
        for row in 0..rows {
            let mut text = String::new();
            for col in 0..cols / if mark_alone { 1 } else { 2 } {
                let (x, cell) = (if mark_alone { col } else { 2 * col }, (side * rows + row) * cols + col);
                let [r, g, b, ..] = cell.to_le_bytes();
                let _infallible = write!(
                    text,
                    "\x1b[{};{}H\x1b[4;38;2;{r};{g};{b};48;2;{b};{r};{g};58;2;{g};{b};{r}m",
                    row + 1,
                    x + 1
                );
                text.push_str(if mark_alone { "\0\u{1e8d0}" } else { "\u{20bb7}\u{1e8d0}\u{1e8d1}" });
            }
            feed(&mut screen, text.as_bytes());
        }
        feed(&mut screen, if side == 0 { b"\x1b[?1049h" } else { b"" });
    }
    screen
}

#[test]
fn no_screen_has_a_checkpoint_larger_than_the_largest() {
    for (rows, cols) in [(300, 300), (24, 80), (1000, 1000)] {
        for mark_alone in [true, false] {
            let mut screen = costly(rows, cols, mark_alone);
            let checkpoint = screen.checkpoint();
            let most = max_checkpoint_bytes(rows, cols);
            assert!(checkpoint.len() <= most, "{} of {most} bytes at {rows}x{cols}", checkpoint.len());
            // Told by its bytes: as words, a million cells take their time.
            assert!(restored(&checkpoint, &screen).checkpoint() == checkpoint, "{rows}x{cols}");
        }
        for attack in attacks(rows, cols, 64 << 10) {
            let mut screen = fresh(rows, cols);
            feed(&mut screen, &attack.before);
            feed(&mut screen, &attack.flood);
            let (len, most) = (screen.checkpoint().len(), max_checkpoint_bytes(rows, cols));
            assert!(len <= most, "{}: {len} of {most} bytes at {rows}x{cols}", attack.name);
        }
    }
}

/// The story: a thousand rows and columns in the eight colours, on both screens, took more than was there for it.
#[test]
fn a_large_coloured_screen_takes_two_bytes_a_cell() {
    let mut screen = fresh(1000, 1000);
    for side in 0..2 {
        let row: String = (0..1000)
            .map(|k| format!("\x1b[3{};4{}m{}", k % 8, (k + side) % 8, char::from(b'A' + (k % 26) as u8)))
            .collect();
        (0..1000).for_each(|y| feed(&mut screen, format!("\x1b[{};1H{row}", y + 1).as_bytes()));
        feed(&mut screen, if side == 0 { b"\x1b[?1049h" } else { b"" });
    }
    let checkpoint = screen.checkpoint();
    assert!(checkpoint.len() < 2 * 2_000_000 + 10_000, "{} bytes", checkpoint.len());
    assert!(restored(&checkpoint, &screen).checkpoint() == checkpoint);
}

#[test]
fn what_a_checkpoint_leaves_out_is_links_first_and_then_all_but_the_characters() {
    let mut screen = fresh(4, 10);
    feed(
        &mut screen,
        b"\x1b]8;;http://a/\x07\x1b[31mlink\x1b]8;;\x07 e\xcc\x81\xe6\x97\xa5\x1b7\x1b[?1049h\x1b[7mhidden",
    );
    let [whole, linkless, plain] = Detail::ALL.map(|detail| {
        let checkpoint = screen.checkpoint_in(detail);
        (checkpoint.len(), restored(&checkpoint, &screen).inspect())
    });
    assert!(whole.0 > linkless.0 && linkless.0 > plain.0);
    let shown = screen.inspect();
    assert_same(&whole.1, &shown, || "whole".to_owned());
    let without = |links: bool, plain: bool| {
        let mut state = shown.clone();
        for cell in rows_of(&mut state).flat_map(|row| &mut row.cells) {
            if links {
                cell.link.clear();
            }
            if plain {
                cell.style = Default::default();
                cell.text = cell.text.chars().take(1).collect();
            }
        }
        state
    };
    assert_same(&linkless.1, &without(true, false), || "without links".to_owned());
    assert_same(&plain.1, &without(true, true), || "plain".to_owned());
}

fn rows_of(state: &mut State) -> impl Iterator<Item = &mut ptyd_screen::RowState> {
    state.rows.iter_mut().chain(&mut state.hidden)
}

/// Even where there is room for a place of earlier releases alone.
#[test]
fn a_plain_checkpoint_takes_four_bytes_a_cell_at_most() {
    let mut screen = costly(300, 300, true);
    let plain = screen.checkpoint_in(Detail::Plain).len();
    assert!(plain <= 2 * 300 * 300 * 4 + (4 << 10), "{plain} bytes");
}

#[test]
fn a_checkpoint_of_an_earlier_release_is_read() {
    const PACKED_ROWS: &str = "02040a000000000000080400000083011009000000000000000761207469746c6500000209687474703a2f2f612f01690000000000000000000000000000808060000a0300030000000000000000000001000101040100010001001402020800000283011009000000000000000061620102030003020300000000000000000100010104170202040841c8010600080102036c696e6b0000000000001402010a00080102037769646520e697a5e69cac00140301040008010203e3818be382992065cc81cc82050001cc8078";
    const WITHOUT_MARGINS: &str = "04040a00000000000000080400000083011009000000000000000761207469746c6500000209687474703a2f2f612f016900000000000000000000000000008080600003830110090841c80100080102030206e3818be382990565cc81cc820a03000300010001010400000014010603000000000000000000616201020300030102060000000000000000010001010414050207046c696e6b000000000000140708776964652002e5cb010302acce01030009070202808044032081804404010001800678";
    const SAVED_ON_SCREEN: &str = "03040a000000000000080400000083011009000000000000000761207469746c6500000209687474703a2f2f612f016900000000000000000000000000008080600003830110090841c80100080102030206e3818be382990565cc81cc820a030003000000000000000000000100010104000000140106030000000000000000006162010203000302030000000000000000010001010414050207046c696e6b000000000000140708776964652002e5cb010302acce01030009070202808044032081804404010001800678";
    let mut screen = fresh(4, 10);
    feed(&mut screen, "\x1b]0;a title\x07\x1b]8;id=i;http://a/\x07\x1b[1;38;5;200mlink\x1b]8;;\x07\x1b[0;48;2;1;2;3m\x1b[K\r\nwide \u{65e5}\u{672c}\u{304b}\u{3099} e\u{301}\u{302}\r\n\x1b[m\0\u{300}x".as_bytes());
    feed(&mut screen, b"\x1b[?1049h\x1b[4:3;58;5;9m\x1b[2;3Hhidden\x1b[7m\x1b[2J\x1b[4;9Hab\x1b[?25l");
    for earlier in [PACKED_ROWS, SAVED_ON_SCREEN, WITHOUT_MARGINS] {
        let checkpoint: Vec<u8> = (0..earlier.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&earlier[at..at + 2], 16).expect("hexadecimal digits"))
            .collect();
        assert_same(&restored(&checkpoint, &screen).inspect(), &screen.inspect(), || earlier[..2].to_owned());
    }
}
