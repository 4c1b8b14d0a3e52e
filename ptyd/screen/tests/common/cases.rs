//! Cases told as a stream and what it leaves behind.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use ptyd_screen::{CellState, Screen, Size};

/// Column and row from 1, as the functions count them.
pub type Point = (usize, usize);
/// esctest's name, the stream, the cursor, and rows from 1 with what they say.
pub type Case = (&'static str, &'static str, Point, &'static [(usize, &'static str)]);

pub fn screen(input: &str) -> Screen<Vec<u8>> {
    let mut screen = Screen::new(Size::new(25, 80), vec![0; 1 << 20], 1000);
    screen.feed(input.as_bytes(), &mut Vec::new());
    screen
}

fn text(cells: &[CellState]) -> String {
    let shown = cells.iter().filter(|cell| cell.width > 0);
    let text: String = shown.map(|cell| if cell.text.is_empty() { " " } else { &cell.text }).collect();
    text.trim_end().to_owned()
}

/// The cursor as a report tells it: where it waits to wrap it is on the last one, or on the margin.
fn point(screen: &Screen<Vec<u8>>) -> Point {
    let state = screen.inspect();
    let (x, y) = state.cursor;
    match state.margins {
        Some((_, right)) if x > 81 => (right + 1, y + 1),
        _ => (x.min(79) + 1, y + 1),
    }
}

#[track_caller]
pub fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (name, input, cursor, rows) in cases {
        let screen = screen(input);
        if point(&screen) != *cursor {
            wrong.push(format!("{name}: the cursor is at {:?}, not {cursor:?}", point(&screen)));
        }
        let state = screen.inspect();
        for (row, expected) in *rows {
            let found = text(&state.rows[row - 1].cells);
            if found != *expected {
                wrong.push(format!("{name}: row {row} says {found:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
