//! The screen, fed anything: pieces, checkpoints and resizes make no difference, a snapshot has its text and its cursor, and drawing it in
//! any way ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ptyd_screen::parser::Parser;
use ptyd_screen::{Screen, Size};

/// Enough for floods of lines to go there straight.
const SCROLLBACK_BYTES: usize = 64 << 10;
const MAX_RENDERED_BYTES: usize = 4 << 10;
const LINES: u32 = 200;

fn feed(screen: &mut Screen, bytes: &[u8]) {
    screen.feed(bytes, &mut Vec::new());
}

fuzz_target!(|data: &[u8]| {
    let [rows, cols, cut, piece, new_rows, new_cols, bytes @ ..] = data else { return };
    let size = Size::new(u16::from(*rows) % 40, u16::from(*cols) % 100);
    let [mut whole, mut pieces] = [(); 2].map(|()| Screen::new(size, vec![0; SCROLLBACK_BYTES], LINES));
    let (before, after) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    feed(&mut whole, before);
    before.chunks(usize::from(*piece % 16) + 1).for_each(|piece| feed(&mut pieces, piece));
    assert_eq!(whole.inspect(), pieces.inspect());
    if new_rows & 1 == 1 {
        let size = Size::new(u16::from(*new_rows) % 40, u16::from(*new_cols) % 100);
        whole.resize(size);
    }
    let mut parser = Parser::new();
    let mut rest = before;
    while !rest.is_empty() {
        let (used, _) = parser.next(rest);
        rest = &rest[used..];
    }
    let checkpoint = whole.checkpoint();
    let memory = whole.scrollback_memory().to_vec();
    feed(&mut whole, after);
    if parser.is_ground() {
        let Ok(mut restored) = Screen::restore(&checkpoint, memory, LINES) else { panic!("not restored") };
        feed(&mut restored, after);
        assert_eq!(whole.inspect(), restored.inspect());
    }
    let mut shown = Screen::new(whole.size(), vec![0; SCROLLBACK_BYTES], LINES);
    feed(&mut shown, &whole.snapshot(LINES));
    assert_eq!(whole.render_text(usize::MAX), shown.render_text(usize::MAX));
    assert_eq!(whole.inspect().cursor, shown.inspect().cursor);
    assert!(whole.render_ansi(MAX_RENDERED_BYTES).is_none_or(|text| text.len() <= MAX_RENDERED_BYTES));
    assert!(whole.render_html(MAX_RENDERED_BYTES).is_none_or(|text| text.len() <= MAX_RENDERED_BYTES));
    assert!(whole.render_json(MAX_RENDERED_BYTES).is_none_or(|text| text.len() <= MAX_RENDERED_BYTES));
    whole.history(None, LINES);
});
