//! Floods of lines between margins, whose scrolls are owed until something looks: all is as if each had been done at once.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

mod common;

use std::fmt::Write as _;

use common::{Random, assert_same};
use ptyd_screen::{Color, Screen, Size};

/// Sets nothing, but nothing is owed after it, and its bytes pay for a move of the screens here.
fn pause(cells: usize) -> Vec<u8> {
    [b"\x1b_", "x".repeat(cells).as_bytes(), b"\x1b\\\x1b[1z"].concat()
}

fn fresh(rows: usize, cols: usize) -> Screen {
    Screen::new(Size::new(rows as u16, cols as u16), vec![0; 64 << 10], 1000)
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    screen.feed(bytes, &mut Vec::new());
}

fn feed_in_pieces(screen: &mut Screen, bytes: &[u8], random: &mut Random) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((random.below(40) + 1).min(rest.len()));
        feed(screen, piece);
        rest = after;
    }
}

/// A screen with something on all of it, margins, a region, and the cursor at its bottom between them.
fn begin(random: &mut Random, rows: usize, cols: usize) -> String {
    let mut text = String::new();
    for row in 1..=rows {
        let _infallible = write!(text, "\x1b[{row}H\x1b[{}m", random.pick(&["", "1", "41", "32", "7"]));
        let letter = char::from(b'a' + (row % 26) as u8);
        match random.below(5) {
            0 => {}
            1 => text.push_str("\x1b[K"),
            2 => text.extend(std::iter::repeat_n(letter, random.below(cols) + 1)),
            // Wide characters that a border may cut in half, and a line that goes on with the next.
            3 => text.extend(std::iter::repeat_n('日', cols / 2)),
            _ => text.extend(std::iter::repeat_n(letter, 2 * cols)),
        }
    }
    let left = random.below(cols - 1) + 1;
    let right = left + 1 + random.below(cols - left);
    let top = random.below(rows) + 1;
    let bottom = (top + 1 + random.below(rows)).min(rows);
    if random.chance(3) {
        text += "\x1b[?1049h\x1b[41mbehind\x1b[m";
    }
    if random.chance(2) {
        let _infallible = write!(text, "\x1b[{top};{bottom}r");
    }
    let _infallible = write!(text, "\x1b[m\x1b[?69h\x1b[{left};{right}s");
    if random.chance(5) {
        text += "\x1b[?6h";
    }
    if random.chance(5) {
        text += "\x1b[4h";
    }
    let _infallible = write!(text, "\x1b[{bottom};{}H", left + random.below(right - left + 1));
    text
}

/// A line of a flood, or what comes between lines.
fn line(random: &mut Random, cols: usize) -> String {
    let words = ["seq", "日本", "é", "a long line that wraps, and wraps", "", "x", "e\u{301}", "0123456789"];
    let ends = ["\r\n", "\r\n", "\r\n", "\n", "\x1bD", "\x1bE", "\u{85}", "\x0b\r"];
    let between = match random.below(40) {
        0..4 => format!("\x1b[{}m", random.pick(&["41", "", "1;32", "7", "48;5;9"])),
        4 => "\x1b[K".to_owned(),
        5 => "\t".to_owned(),
        6 => "\x08\x08y".to_owned(),
        7 => format!("x\x1b[{}b", random.below(2 * cols) + 1),
        8 => format!("\x1b[{}G", random.below(cols) + 1),
        9 => format!("\x1b[{}{}", random.below(4) + 1, random.pick(&["C", "D", "@", "P", "X"])),
        10 => format!("\x1b[{}", random.pick(&["1K", "2K", "J", "?7l", "?7h", "4h", "4l", "?25l", "?45h"])),
        11 => "\x1b]8;;http://a/\x07l\x1b]8;;\x07".to_owned(),
        _ => String::new(),
    };
    format!("{between}{}{}", random.pick(&words), random.pick(&ends))
}

/// What looks at other rows or changes them.
fn interruption(random: &mut Random, rows: usize, cols: usize) -> String {
    match random.below(14) {
        0 => format!("\x1b[{};{}H", random.below(rows) + 1, random.below(cols) + 1),
        1 => format!("\x1b[999;{}H", random.below(cols) + 1),
        2 => {
            format!("\x1b[{}{}", random.below(3) + 1, random.pick(&["A", "B", "L", "M", "S", "T", "d", "E"]))
        }
        3 => "\x1bM".to_owned(),
        4 => "\x1b7\x1b[Hx\x1b8".to_owned(),
        5 => (*random.pick(&["\x1b[2J", "\x1b[1J", "\x1b#8", "\x1b[!p", "\x1b[ @", "\x1b['}"])).to_owned(),
        6 => (*random.pick(&["\x1b[?47h", "\x1b[?47l", "\x1b[?1049h", "\x1b[?1049l"])).to_owned(),
        7 => (*random.pick(&["\x1b[?6h", "\x1b[?6l", "\x1b[r", "\x1b[2;3r", "\x1b[?69l"])).to_owned(),
        8 => format!("\x1b[?69h\x1b[{}s\x1b[999;999H", random.below(cols - 1) + 1),
        9 if random.chance(5) => "\x1bc".to_owned(),
        _ => String::new(),
    }
}

#[test]
fn lines_between_margins_come_to_the_same_as_if_each_had_moved_all_at_once() {
    for seed in 0..3000 {
        let random = &mut Random::new(seed);
        let (rows, cols) = (random.below(7) + 1, random.below(16) + 3);
        let begin = begin(random, rows, cols);
        let [mut screen, mut expected] = [fresh(rows, cols), fresh(rows, cols)];
        for screen in [&mut screen, &mut expected] {
            feed(screen, begin.as_bytes());
        }
        let mut stream = String::new();
        for _ in 0..random.below(60) {
            let lines = random.below(2 * rows + 2);
            let mut steps: Vec<String> = (0..lines).map(|_| line(random, cols)).collect();
            steps.push(interruption(random, rows, cols));
            for step in steps {
                feed_in_pieces(&mut screen, step.as_bytes(), random);
                feed(&mut expected, &[step.as_bytes(), &pause(1)].concat());
                stream += &step;
                if random.chance(20) {
                    let context = || format!("seed {seed} {rows}x{cols} {begin:?} {stream:?}");
                    assert_same(&screen.inspect(), &expected.inspect(), context);
                }
            }
        }
        let context = || format!("seed {seed} {rows}x{cols} {begin:?} {stream:?}");
        assert_same(&screen.inspect(), &expected.inspect(), context);
    }
}

/// All ways there are to read a screen find the same, and none changes what comes later.
#[test]
fn who_reads_the_screen_in_a_flood_sees_all_of_it() {
    for seed in 0..600 {
        let random = &mut Random::new(seed);
        let (rows, cols) = (random.below(7) + 1, random.below(16) + 3);
        let begin = begin(random, rows, cols);
        let before: String = (0..random.below(3 * rows)).map(|_| line(random, cols)).collect();
        let after: String = (0..random.below(3 * rows)).map(|_| line(random, cols)).collect();
        let context = || format!("seed {seed} {rows}x{cols} {begin:?} {before:?} {after:?}");
        let [mut screen, mut expected] = [fresh(rows, cols), fresh(rows, cols)];
        for screen in [&mut screen, &mut expected] {
            feed(screen, begin.as_bytes());
            feed(screen, before.as_bytes());
        }
        feed(&mut expected, &pause(1));
        let shown = expected.inspect();
        assert_same(&screen.inspect(), &shown, context);
        assert_same(&screen.copy().inspect(), &shown, context);
        for render in [Screen::render_text, Screen::render_ansi, Screen::render_html, Screen::render_json] {
            assert_eq!(render(&screen, usize::MAX), render(&expected, usize::MAX), "{}", context());
        }
        assert_eq!(screen.history(None, 100), expected.history(None, 100), "{}", context());
        assert_eq!(screen.snapshot(100), expected.snapshot(100), "{}", context());
        let mut resized = screen.copy();
        let size = Size::new(random.below(9) as u16 + 1, random.below(20) as u16 + 2);
        resized.resize(size);
        let mut expected_then = expected.copy();
        expected_then.resize(size);
        assert_same(&resized.inspect(), &expected_then.inspect(), context);
        // Nor does a checkpoint, of which a restored screen goes on in the same way.
        let restored = random.chance(2).then(|| {
            let checkpoint = screen.checkpoint();
            Screen::restore(&checkpoint, screen.scrollback_memory().to_vec(), 1000).expect("one of ours")
        });
        for screen in restored.into_iter().chain([screen]) {
            let mut screen = screen;
            assert_same(&screen.inspect(), &shown, context);
            feed_in_pieces(&mut screen, after.as_bytes(), random);
            let mut expected = fresh(rows, cols);
            feed(&mut expected, [&begin, &before, &after].map(String::as_bytes).concat().as_slice());
            feed(&mut expected, &pause(1));
            assert_same(&screen.inspect(), &expected.inspect(), context);
        }
    }
}

/// The story: after two thousand lines of a few bytes each scrolls could no longer be paid for, and lines were missing until they
/// were drawn again.
#[test]
fn a_flood_of_short_lines_ends_with_what_a_terminal_shows() {
    let mut numbers = String::new();
    (1..=100_000).for_each(|number| {
        let _infallible = write!(numbers, "{number}\r\n");
    });
    for (rows, cols, right) in
        [(50, 200, 100), (50, 100, 99), (24, 80, 40), (200, 400, 399), (1000, 1000, 999)]
    {
        let mut screen = fresh(rows, cols);
        for row in 1..=rows {
            feed(&mut screen, format!("\x1b[{row};{}H|", right + 1).as_bytes());
        }
        feed(&mut screen, format!("\x1b[?69h\x1b[1;{right}s\x1b[{rows};1H").as_bytes());
        feed(&mut screen, numbers.as_bytes());
        let expected = (100_002 - rows..=100_000).map(|number| format!("{number:<right$}|"));
        let expected: Vec<String> = expected.chain([format!("{:right$}|", "")]).collect();
        let shown = |screen: &Screen| -> Vec<String> {
            let text = screen.render_text(usize::MAX).expect("any length");
            text.lines().map(str::to_owned).collect()
        };
        assert_eq!(shown(&screen), expected, "{rows}x{cols}");
        // And is still there once something else came.
        feed(&mut screen, b"\x1b[H");
        assert_eq!(shown(&screen), expected, "{rows}x{cols}");
    }
}

#[test]
fn a_flood_that_can_be_paid_for_once_is_moved_once() {
    let (rows, cols) = (200, 400);
    let random = &mut Random::new(1);
    let mut begin: String =
        (1..=rows).fold(String::new(), |text, row| text + &format!("\x1b[{row}H{}", "o".repeat(cols)));
    begin += "\x1b[?69h\x1b[11;390s\x1b[999;11H";
    let [mut screen, mut expected] = [fresh(rows, cols), fresh(rows, cols)];
    for screen in [&mut screen, &mut expected] {
        feed(screen, begin.as_bytes());
    }
    let before = screen.work();
    for lines in [10, 500, 1, 2000, 150] {
        let flood: Vec<String> = (0..lines).map(|_| line(random, 30)).collect();
        feed(&mut screen, flood.concat().as_bytes());
        feed(&mut screen, b"\x1b[200;11H");
        for line in flood {
            feed(&mut expected, &[line.as_bytes(), &pause(rows * cols / 60)].concat());
        }
        feed(&mut expected, b"\x1b[200;11H");
        assert_same(&screen.inspect(), &expected.inspect(), || format!("{lines} lines"));
    }
    // To move all for each line alone would be 25 million.
    assert!(screen.work() - before < 1_500_000, "{}", screen.work() - before);
}

/// Numbers of styles that nothing shows are given to others: what is owed shows its own.
#[test]
fn a_flood_of_more_colours_than_are_kept_ends_in_the_colours_it_had() {
    let (rows, cols) = (20, 30);
    let mut screen = fresh(rows, cols);
    feed(&mut screen, b"\x1b[?69h\x1b[3;9s\x1b[999;3H");
    // Some lines after the one that has no number left.
    for line in 0..65_545 {
        let [r, g, b, ..] = (line as u32).to_le_bytes();
        feed(&mut screen, format!("\x1b[38;2;{r};{g};{b}m{line}\r\n").as_bytes());
    }
    for _ in 0..2 {
        let rows: Vec<_> = screen.inspect().rows.into_iter().take(rows - 1).collect();
        for (row, line) in rows.iter().zip(65_546_u32 - 20..) {
            let [r, g, b, ..] = line.to_le_bytes();
            let text: String = row.cells[2..].iter().map(|cell| cell.text.as_str()).collect();
            assert_eq!((text, row.cells[2].style.fg), (line.to_string(), Color::Rgb(r, g, b)));
        }
        feed(&mut screen, b"\x1b[H");
    }
}

/// The story: a log beside a counter below it lost lines, in windows as they usually are: each line was paid for more dearly than it costs.
#[test]
fn lines_beside_something_that_changes_below_them_are_all_there() {
    for (rows, cols, right) in [(24, 80, 40), (50, 200, 100), (50, 132, 90), (60, 240, 120)] {
        let mut screen = fresh(rows, cols);
        for row in 1..=rows {
            feed(&mut screen, format!("\x1b[{row};{}H|beside", right + 1).as_bytes());
        }
        feed(&mut screen, format!("\x1b[1;{}r\x1b[?69h\x1b[1;{right}s", rows - 1).as_bytes());
        let text = |step: usize| format!("{step:5} {}", &"words of a log ".repeat(4)[..right.min(70) - 18]);
        for step in 0..6000 {
            let counted = format!("\x1b[{rows};1H\x1b[K{step}\x1b[{};1H\r\n{}", rows - 1, text(step));
            feed(&mut screen, counted.as_bytes());
        }
        let shown = screen.inspect();
        for (row, step) in (0..rows - 1).rev().zip((0..6000).rev()) {
            let line: String = shown.rows[row].cells[..right].iter().map(|cell| cell.text.as_str()).collect();
            assert_eq!(line.trim_end(), text(step).trim_end(), "row {row} of {rows}x{cols}");
        }
    }
}
