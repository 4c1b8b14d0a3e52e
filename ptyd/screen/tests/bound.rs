//! How long a snapshot can be at most, whatever is on the screen and above it, and what it shows even then.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

use ptyd_screen::{MAX_SNAPSHOT_BYTES, Screen, Size, State, Style};

const LINES: u32 = 10_000;
const SCROLLBACK_BYTES: usize = 4 << 20;
/// What a page of history may take in a message.
const MOST_BYTES_OF_A_PAGE: usize = 1 << 20;

fn fresh(rows: usize, cols: usize) -> Screen {
    Screen::new(Size::new(rows as u16, cols as u16), vec![0; SCROLLBACK_BYTES], LINES)
}

fn feed(screen: &mut Screen, bytes: &str) {
    screen.feed(bytes.as_bytes(), &mut Vec::new());
}

/// A true colour that no near cell has, on another one.
fn color(number: usize) -> String {
    let [a, b, c, ..] = (number * 2_654_435_761).to_le_bytes();
    format!("\x1b[38;2;{a};{b};{c};48;2;{c};{a};{b}m")
}

fn link(number: usize) -> String {
    format!("\x1b]8;;https://example.org/{number}/{}\x1b\\", "x".repeat(2000))
}

/// Cursor and modes that are not the usual ones, and a title.
const STATE: &str = "\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[4h\x1b]2;title\x07\x1b[2;9r\x1b[5;7H";

fn without_styles(state: &State) -> State {
    let mut state = state.clone();
    for row in state.rows.iter_mut().chain(&mut state.hidden) {
        for cell in &mut row.cells {
            (cell.style, cell.link) = (Style::default(), String::new());
        }
        while row.cells.last().is_some_and(|cell| cell.text.is_empty() && cell.width == 1) {
            row.cells.pop();
        }
    }
    state.scrollback.clear();
    state
}

fn plain_lines(screen: &Screen) -> Vec<String> {
    let (mut lines, mut before) = (Vec::new(), None);
    loop {
        let page = screen.history(before, 5000);
        if page.lines.is_empty() {
            return lines;
        }
        let text = page.lines.iter().map(|line| without_sequences(line));
        lines.splice(0..0, text);
        before = Some(page.first_line);
    }
}

fn without_sequences(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

/// The snapshot is within its bound and shows the screen's text, its state, and the newest lines; returned is how many, and
/// the screen that was drawn.
fn check(screen: &Screen, lines: u32) -> (usize, Screen) {
    let snapshot = screen.snapshot(lines);
    assert!(snapshot.len() <= MAX_SNAPSHOT_BYTES, "{} bytes", snapshot.len());
    let size = screen.size();
    let mut other = fresh(usize::from(size.rows()), usize::from(size.cols()));
    other.feed(&snapshot, &mut Vec::new());
    assert_eq!(
        other.render_text(usize::MAX).expect("any length"),
        screen.render_text(usize::MAX).expect("any length")
    );
    // Compared by hand: what differs is too long to be printed.
    assert!(without_styles(&other.inspect()) == without_styles(&screen.inspect()), "the screens differ");
    let (all, told) = (plain_lines(screen), plain_lines(&other));
    assert!(told.len() <= lines as usize && all.ends_with(&told), "{} lines of {}", told.len(), all.len());
    (told.len(), other)
}

#[test]
fn a_true_colour_for_each_character_leaves_room_for_the_newest_lines() {
    let mut screen = fresh(24, 80);
    for line in 0..LINES as usize + 24 {
        let text: String = format!("{line:080}")
            .chars()
            .zip(line..)
            .fold(String::new(), |text, (c, at)| text + &color(at * 80) + &c.to_string());
        feed(&mut screen, &(text + "\x1b[m\r\n"));
    }
    feed(&mut screen, STATE);
    let snapshot = screen.snapshot(LINES);
    assert!(snapshot.len() > MAX_SNAPSHOT_BYTES * 9 / 10, "{} bytes: there was room", snapshot.len());
    let (told, other) = check(&screen, LINES);
    assert!(told > 500, "{told} lines");
    assert_eq!(other.inspect().rows, screen.inspect().rows, "the screen itself has all its colours");
    // What was asked for and fits is all there.
    assert_eq!(check(&screen, 100).0, 100);
    assert_eq!(check(&screen, 0).0, 0);
}

#[test]
fn long_links_on_every_other_cell_are_left_out() {
    let (rows, cols) = (50, 200);
    let mut screen = fresh(rows, cols);
    for line in 0..1000 + rows {
        let text = format!("{line:0199}");
        let cells = text.chars().enumerate();
        let linked = cells.fold(String::new(), |text, (at, c)| text + &link(at % 2) + &c.to_string());
        feed(&mut screen, &(linked + "\r\n"));
    }
    feed(&mut screen, STATE);
    let (told, _) = check(&screen, 1000);
    assert_eq!(told, 1000, "without links all of them fit");
    assert_eq!(check(&screen, 0).0, 0);
}

#[test]
fn links_above_a_screen_without_any_leave_room_for_fewer_lines() {
    let (rows, cols) = (50, 200);
    let mut screen = fresh(rows, cols);
    for line in 0..300 {
        let linked = (0..100).fold(format!("{line} "), |text, at| text + &link(at % 2) + "y");
        feed(&mut screen, &(linked + "\x1b]8;;\x1b\\\r\n"));
    }
    (0..rows).for_each(|line| feed(&mut screen, &format!("plain {line}\r\n")));
    let (told, _) = check(&screen, 1000);
    assert!((10..300).contains(&told), "{told} lines");
}

#[test]
fn the_largest_screen_with_a_colour_and_a_link_for_each_cell_keeps_its_text() {
    for (glyphs, alternate) in [("abc", false), ("▀▄█", false), ("𝐀𝐁𝐂", false), ("▀▄█", true)]
    {
        let mut screen = fresh(1000, 1000);
        let glyphs: Vec<char> = glyphs.chars().collect();
        let fill = |screen: &mut Screen| {
            for row in 0..1000 {
                let cells = (0..1000).fold(format!("\x1b[{}H", row + 1), |mut text, at| {
                    // Not more colours than a screen keeps, or it is they that are the work.
                    text += &color((row * 1000 + at) % 50_000);
                    if at % 100 == 0 {
                        text += &link((row + at) % 1000);
                    }
                    text.push(glyphs[(row + at) % glyphs.len()]);
                    text
                });
                feed(screen, &cells);
            }
        };
        fill(&mut screen);
        if !alternate {
            feed(&mut screen, "\x1b[H\x1b[2;9r\x1b[10;10H");
            feed(&mut screen, STATE);
            check(&screen, LINES);
            continue;
        }
        // The screen that is hidden has what is left.
        feed(&mut screen, "\x1b[m\x1b]8;;\x07\x1b[?1049h");
        fill(&mut screen);
        let snapshot = screen.snapshot(LINES);
        assert!(snapshot.len() <= MAX_SNAPSHOT_BYTES, "{} bytes", snapshot.len());
        let mut other = fresh(1000, 1000);
        other.feed(&snapshot, &mut Vec::new());
        assert!(
            other.render_text(usize::MAX).expect("any length")
                == screen.render_text(usize::MAX).expect("any length"),
            "the screen is another"
        );
        feed(&mut screen, "\x1b[?1049l");
        feed(&mut other, "\x1b[?1049l");
        let (hidden, told) = (
            screen.render_text(usize::MAX).expect("any length"),
            other.render_text(usize::MAX).expect("any length"),
        );
        assert!(hidden.starts_with(told.trim_end()) && told.trim_end().len() > 500_000, "{}", told.len());
    }
}

/// Every character with as many marks as are kept is twelve times as long as all that there is room for.
#[test]
fn marks_are_left_out_where_the_text_alone_does_not_fit() {
    let mut screen = fresh(1000, 1000);
    let marks = "\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}";
    for row in 0..1000 {
        feed(&mut screen, &format!("\x1b[{}H{}", row + 1, format!("e{marks}").repeat(1000)));
    }
    let snapshot = screen.snapshot(LINES);
    assert!(snapshot.len() <= MAX_SNAPSHOT_BYTES, "{} bytes", snapshot.len());
    let mut other = fresh(1000, 1000);
    other.feed(&snapshot, &mut Vec::new());
    let characters = |text: String| text.chars().filter(|c| !marks.contains(*c)).collect::<String>();
    let (shown, text) = (
        other.render_text(usize::MAX).expect("any length"),
        screen.render_text(usize::MAX).expect("any length"),
    );
    assert!(shown.len() < text.len() / 20);
    assert!(characters(shown) == characters(text), "the characters are others");
}

#[test]
fn rows_of_marks_alone_that_go_on_with_each_other_are_within_the_bound() {
    for (rows, cols) in [(400, 1000), (1000, 400), (1000, 2), (30, 80)] {
        let mut screen = fresh(rows, cols);
        for row in 0..rows + 20 {
            // One more than a row has places: it wraps only then.
            let marks = (0..cols + 1).map(|at| color((row * cols + at) % 50_000) + "\u{301}");
            feed(&mut screen, &marks.collect::<String>());
        }
        feed(&mut screen, "\x1b[m");
        check(&screen, LINES);
        check(&screen, 0);
    }
}

#[test]
fn one_line_longer_than_the_bound_and_what_goes_on_from_it() {
    for links in [false, true] {
        let mut screen = fresh(24, 80);
        feed(&mut screen, "before\r\n");
        for cell in 0..(24 + 2000) * 80 {
            let link = if links && cell < 150_000 { link(cell % 2) } else { "\x1b]8;;\x07".to_owned() };
            feed(&mut screen, &(link + &color(cell) + "z"));
        }
        let (told, _) = check(&screen, LINES);
        assert_eq!(told, 0, "its beginning does not fit, so none of it is told");
        feed(&mut screen, "\r\nafter\r\n");
        check(&screen, LINES);
    }
}

#[test]
fn a_page_of_history_is_bounded_as_it_is_sent() {
    let mut screen = fresh(24, 200);
    for line in 0..3000 {
        let cells =
            (0..150).fold(String::new(), |text, at| text + &link(at % 2) + &color(line * 150 + at) + "c");
        feed(&mut screen, &(cells + "\x1b[m\r\n"));
    }
    let mut before = None;
    let mut found = 0;
    loop {
        let page = screen.history(before, 5000);
        let bytes: usize = page.lines.iter().map(String::len).sum();
        assert!(bytes <= MOST_BYTES_OF_A_PAGE, "{bytes} bytes");
        assert!(page.lines.iter().all(|line| !line.contains("example.org")));
        if page.lines.is_empty() {
            break;
        }
        found += page.lines.len();
        before = Some(page.first_line);
    }
    assert!(found > 1000, "{found} lines");
}

/// The story: a line of many rows counted as one row, and a cell in true colours as much as one in none: what was to be drawn in
/// a moment came to megabytes.
#[test]
fn what_a_snapshot_takes_is_known_beforehand_about() {
    let picture = |cells: usize, character: &str| -> String {
        (0..cells).map(|number| color(number) + character).collect()
    };
    let lines = (0..200).map(|line| format!("line {line}\r\n")).collect::<String>();
    for (name, rows, cols, text) in [
        ("nothing", 100, 400, String::new()),
        ("letters", 100, 400, "x".repeat(40_000)),
        ("characters of three bytes", 100, 400, "\u{2588}".repeat(40_000)),
        ("a picture", 100, 400, picture(40_000, "\u{2580}")),
        ("a picture on either side", 24, 80, picture(1920, "x") + "\x1b[?1049h" + &picture(1920, "y")),
        ("a long line", 24, 80, "0123456789".repeat(50_000) + "\r\n" + &lines),
        ("a long line in colours", 24, 80, picture(20_000, "x") + "\r\n" + &lines),
    ] {
        let mut screen = fresh(rows, cols);
        feed(&mut screen, &text);
        for scrollback in [0, 1, 177, 178, 10_000] {
            let (about, len) =
                (screen.drawing_bytes(scrollback, u64::MAX), screen.snapshot(scrollback).len());
            assert!(
                len as u64 <= 4 * about + 2048,
                "{name}, {scrollback} lines: {len} and not {about} bytes"
            );
            for most in [1000, 65_536] {
                let is_more = screen.drawing_bytes(scrollback, most) > most;
                assert_eq!(is_more, about > most, "{name}, {scrollback} lines, {most}");
            }
        }
    }
}
