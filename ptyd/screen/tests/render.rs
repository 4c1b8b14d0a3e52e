//! The screen as text, ANSI, HTML and JSON says what the screen shows.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

mod common;

use common::{Options, Random, stream};
use ptyd_screen::{RowState, Screen, Size, Style, flag};

const MOST: usize = usize::MAX;

fn fresh(rows: usize, cols: usize) -> Screen {
    Screen::new(Size::new(rows as u16, cols as u16), vec![0; 64 << 10], 1000)
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    screen.feed(bytes, &mut Vec::new());
}

/// What a row shows, without what text with SGR cannot say: links, protection, and whether a blank was printed.
fn shows(row: &RowState) -> Vec<(String, Style)> {
    let mut cells: Vec<(String, Style)> = Vec::new();
    for cell in row.cells.iter().filter(|cell| cell.width > 0) {
        let text = if cell.text.is_empty() { " " } else { &cell.text };
        let flags = cell.style.flags & !flag::PROTECTED;
        cells.push((text.to_owned(), Style { flags, ..cell.style }));
    }
    while cells.last().is_some_and(|(text, style)| text == " " && *style == Style::default()) {
        cells.pop();
    }
    cells
}

/// Marks without a base, and what joins: printed one after the other they are no longer what the program printed apart.
fn joins(row: &RowState) -> bool {
    row.cells.iter().any(|cell| (cell.width == 0 && !cell.text.is_empty()) || cell.text.contains('\u{200d}'))
}

/// The text of an HTML rendering, without its markup.
fn text_of(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<').filter(|part| !part.is_empty()) {
        text.push_str(part.split_once('>').expect("an element's end").1);
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[test]
fn every_rendering_shows_what_the_screen_shows() {
    let mut compared = 0;
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let (rows, cols) = (random.below(8) + 1, random.below(18) + 2);
        let mut screen = fresh(rows, cols);
        let stream = stream(&mut random, Options { rows, cols, like_xterm_js: false }, 60);
        feed(&mut screen, &stream);
        let state = screen.inspect();
        let context = format!("seed {seed} {rows}x{cols}, {:?}", String::from_utf8_lossy(&stream));

        let ansi = screen.render_ansi(MOST).expect("any length");
        let mut drawn = fresh(rows, cols);
        feed(
            &mut drawn,
            ansi.strip_suffix('\n').expect("a line for each row").replace('\n', "\r\n").as_bytes(),
        );
        for (row, (got, expected)) in drawn.inspect().rows.iter().zip(&state.rows).enumerate() {
            if !joins(expected) {
                assert_eq!(shows(got), shows(expected), "row {row} of {ansi:?}, {context}");
                compared += 1;
            }
        }

        let text = screen.render_text(MOST).expect("any length");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), rows, "{context}");
        for (line, row) in lines.iter().zip(&state.rows) {
            let expected: String = row
                .cells
                .iter()
                .filter(|cell| cell.width > 0 || !cell.text.is_empty())
                .map(|cell| if cell.text.is_empty() { " " } else { &cell.text })
                .collect();
            assert_eq!(*line, expected.trim_end_matches(' '), "{context}");
        }

        for html in [screen.render_html(MOST), screen.render_plain_html(MOST)] {
            let shown = text_of(&html.expect("any length"));
            let shown: Vec<&str> = shown.lines().map(|line| line.trim_end_matches(' ')).collect();
            assert_eq!(shown, lines, "{context}");
        }

        let json = screen.render_json(MOST).expect("any length");
        let escaped: Vec<String> = lines
            .iter()
            .map(|line| format!("\"{}\"", line.replace('\\', "\\\\").replace('"', "\\\"")))
            .collect();
        assert!(json.ends_with(&format!("\"lines\":[{}]}}", escaped.join(","))), "{json}, {context}");
        let col = match state.margins {
            Some((_, right)) if state.cursor.0 >= cols + 2 => right,
            _ => state.cursor.0.min(cols - 1),
        };
        let cursor = format!("\"cursor\":{{\"row\":{},\"col\":{col},", state.cursor.1);
        assert!(json.contains(&cursor), "{json}, {context}");
    }
    assert!(compared > 7000, "{compared} rows compared");
}

/// The story: a wide character half overwritten left an underlined blank in ANSI and HTML that no client shows.
#[test]
fn of_a_place_with_nothing_only_the_colour_behind_it_is_rendered() {
    let mut screen = fresh(1, 4);
    feed(&mut screen, "日\x1b[1;2H\x1b[4;42mx".as_bytes());
    assert_eq!(screen.render_ansi(MOST).as_deref(), Some("\x1b[0;42m \x1b[m\x1b[0;4;42mx\x1b[m\n"));
}

#[test]
fn colours_and_lines_are_styles_of_html() {
    let mut screen = fresh(1, 20);
    feed(&mut screen, b"\x1b[1;31;48;2;1;2;3ma<b\x1b[0;7mi\x1b[0;4;9;53mu\x1b[m&");
    let html = screen.render_html(MOST).expect("any length");
    for part in [
        "background:#010203;font-weight:bold;\">a&lt;b</span>",
        "color:#000000;background:#e6e6e6;\">i</span>",
        "text-decoration: underline line-through overline;\">u</span>&amp;",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
}
