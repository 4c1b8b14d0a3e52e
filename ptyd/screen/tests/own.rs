//! What the screen promises of itself, whatever it is fed.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

mod common;

use common::{Options, Random, assert_same, step, stream};
use ptyd_screen::{Screen, Size, State};

const SCROLLBACK_BYTES: usize = 64 << 10;

fn fresh(rows: usize, cols: usize) -> Screen {
    Screen::new(Size::new(rows as u16, cols as u16), vec![0; SCROLLBACK_BYTES], 1000)
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    screen.feed(bytes, &mut Vec::new());
}

fn sizes(random: &mut Random) -> (usize, usize) {
    (random.below(8) + 1, random.below(18) + 2)
}

/// Without what a snapshot cannot say: the scrollback that was not asked for.
fn shown(mut state: State) -> State {
    state.scrollback.clear();
    state
}

#[test]
fn a_snapshot_makes_an_equal_screen_which_stays_equal() {
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let (rows, cols) = sizes(&mut random);
        let options = Options { rows, cols, like_xterm_js: false };
        let mut screen = fresh(rows, cols);
        let before = stream(&mut random, options, 60);
        feed(&mut screen, &before);
        let mut other = fresh(rows, cols);
        let snapshot = screen.snapshot(0);
        assert_eq!(screen.copy().snapshot(0), snapshot, "seed {seed}");
        let alone = screen.copy_without_scrollback();
        assert_eq!(
            (alone.snapshot(0), alone.scrollback_memory().len()),
            (snapshot.clone(), 0),
            "seed {seed}"
        );
        assert_eq!(alone.history(None, 10).total, screen.history(None, 10).total, "seed {seed}");
        feed(&mut other, &snapshot);
        let context = || {
            format!(
                "seed {seed} {rows}x{cols}\nstream {:?}\nsnapshot {:?}",
                String::from_utf8_lossy(&before),
                String::from_utf8_lossy(&snapshot)
            )
        };
        assert_same(&shown(other.inspect()), &shown(screen.inspect()), context);
        let after = stream(&mut random, options, 20);
        feed(&mut screen, &after);
        feed(&mut other, &after);
        assert_same(&shown(other.inspect()), &shown(screen.inspect()), || {
            format!("{} after {:?}", context(), String::from_utf8_lossy(&after))
        });
    }
}

#[test]
fn a_snapshot_with_scrollback_tells_the_same_lines() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let (rows, cols) = (5, 20);
        let mut screen = fresh(rows, cols);
        for line in 0..random.below(60) {
            let text = format!(
                "\x1b[3{}mline {line} {}\x1b[m tail\r\n",
                random.below(8),
                "x日".repeat(random.below(20))
            );
            feed(&mut screen, text.as_bytes());
        }
        let mut other = fresh(rows, cols);
        let lines = random.below(40) as u32;
        feed(&mut other, &screen.snapshot(lines));
        assert_eq!(screen.copy().snapshot(lines), screen.snapshot(lines), "seed {seed}");
        assert_eq!(screen.copy().history(Some(9), lines), screen.history(Some(9), lines), "seed {seed}");
        let (all, told) = (screen.inspect().scrollback, other.inspect().scrollback);
        assert!(
            told.len() <= lines as usize && told.len() >= all.len().min(lines as usize).saturating_sub(1),
            "seed {seed}"
        );
        assert_eq!(all[all.len() - told.len()..], told, "seed {seed}");
        assert_same(&shown(other.inspect()), &shown(screen.inspect()), || format!("seed {seed}"));
    }
}

#[test]
fn a_copy_of_a_screen_whose_scrollback_went_round_its_memory_is_the_same() {
    let mut screen = fresh(5, 20);
    for line in 0..20_000 {
        feed(&mut screen, format!("\x1b[3{}mline {line}\x1b[m tail\r\n", line % 8).as_bytes());
        if line % 1777 == 0 {
            assert_eq!(screen.copy().snapshot(1000), screen.snapshot(1000), "line {line}");
            assert_eq!(screen.copy().history(None, 500), screen.history(None, 500), "line {line}");
        }
    }
}

#[test]
fn a_checkpoint_brings_everything_back_and_what_follows_is_the_same() {
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let (rows, cols) = sizes(&mut random);
        let options = Options { rows, cols, like_xterm_js: false };
        let mut screen = fresh(rows, cols);
        let bytes = stream(&mut random, options, 80);
        feed(&mut screen, &bytes);
        let before = screen.inspect();
        let checkpoint = screen.checkpoint();
        let after = stream(&mut random, options, 60);
        feed(&mut screen, &after);
        if screen.checkpoint_due() {
            continue;
        }
        let expected = screen.inspect();
        // The memory is as the killed worker left it: written to after the checkpoint.
        let memory = screen.into_scrollback();
        let mut restored = Screen::restore(&checkpoint, memory, 1000).expect("a checkpoint of ours");
        assert_same(&shown(restored.inspect()), &shown(before), || {
            format!("seed {seed} {rows}x{cols} {:?}", String::from_utf8_lossy(&bytes))
        });
        feed(&mut restored, &after);
        assert_same(&restored.inspect(), &expected, || format!("seed {seed} after"));
    }
}

/// Found by fuzzing: no checkpoint with the cursor behind where it waits to wrap could be restored.
#[test]
fn marks_alone_at_the_end_of_a_row_wrap_as_in_xterm_js() {
    let mut screen = fresh(2, 4);
    for (bytes, cursor) in [("\x1b[1;65536H\u{200B}", (4, 0)), ("\u{200B}", (5, 0)), ("\u{200B}", (1, 1))] {
        feed(&mut screen, bytes.as_bytes());
        assert_eq!(screen.inspect().cursor, cursor);
        let mut other = fresh(2, 4);
        feed(&mut other, &screen.snapshot(0));
        assert_eq!(other.inspect().cursor, cursor, "after a snapshot");
        let checkpoint = screen.checkpoint();
        screen = Screen::restore(&checkpoint, screen.into_scrollback(), 1000).expect("a checkpoint of ours");
        assert_eq!(screen.inspect().cursor, cursor, "after a checkpoint");
    }
    for erases in ["\x1b[J", "\x1b[K", "\x1b[?J", "\x1b[?1K"] {
        let mut screen = fresh(2, 4);
        feed(&mut screen, b"\x1b[1\"qabcd\x1b[0\"q\0");
        feed(&mut screen, "\u{200B}".as_bytes());
        feed(&mut screen, erases.as_bytes());
        assert_eq!(screen.inspect().cursor, (4, 0), "{erases:?}");
    }
}

/// The story: readline writes a mark that comes after a full row's last character to the beginning of the next row. Drawn anew
/// it did not wrap, and fell on the prompt.
#[test]
fn a_wrapped_row_that_begins_with_a_mark_alone_is_drawn_so() {
    for (rows, bytes) in [
        (6, "bash-5.2$ 123456789e \r\u{301}xyz"),
        (6, "bash-5.2$ 1234567890 \r\u{200D}👧x"),
        (5, "aaaaaaaaaaaaaaaaaaa漢zz\x1b[2;1H\x1b[1;41m\u{301}\x1b[m"),
        (5, "12345678901234567890x\x1b[20G\x1b[X\x1b[2;1H\u{301}\x1b[4;1Hx"),
        (3, "bash-5.2$ 123456789e \r\u{301}xyz\r\n1\r\n2\r\n3\r\n4"),
        (2, "12345678901234567890 \r\u{301}2345678901234567890 \r\u{302}x\r\n1"),
        (1, "12345678901234567890 \r\u{301}x"),
    ] {
        let mut screen = fresh(rows, 20);
        feed(&mut screen, bytes.as_bytes());
        let mut other = fresh(rows, 20);
        let snapshot = screen.snapshot(100);
        feed(&mut other, &snapshot);
        assert_same(&other.inspect(), &screen.inspect(), || String::from_utf8_lossy(&snapshot).into_owned());
    }
}

/// The story: a client that attached between a character and its mark showed the mark on a place of its own, and could not
/// repeat the character.
#[test]
fn a_mark_that_comes_after_a_snapshot_joins_the_character_before_it() {
    for before in [
        "e",
        "\x1b[1;31me",
        "日",
        "\x1b[4hab\x1b[1;1He",
        "\x1b[4hab\x1b[1;1H日",
        "\x1b[4h1234567890\x1b[1;10He",
        "\x1b[2;3r\x1b[?6h\x1b[2;1He",
        "\x1b[1;10He",
        "\x1b[1;9H日",
        "\x1b[?7l\x1b[1;10Hef",
        "e\u{300}",
        "\x1b[?1049h\x1b[3;10He",
        "\x1b)0\x0eq",
        "\x1b]8;;http://a/\x07e",
        "e\0",
        "\x1b[?7l\x1b[1;10H日",
        // Nor what was forgotten since.
        "\x1b[1;10He\x1b[m",
        "\x1b[1;9H日\x1b[m",
        "123456789e\x1b[?25h",
        "123456789e\x1b[0K",
        "123456789e\x1b]2;t\x07",
    ] {
        for after in ["\u{301}x", "\x1b[3b", "x"] {
            let mut screen = fresh(3, 10);
            feed(&mut screen, before.as_bytes());
            let mut other = fresh(3, 10);
            let snapshot = screen.snapshot(0);
            feed(&mut other, &snapshot);
            feed(&mut screen, after.as_bytes());
            feed(&mut other, after.as_bytes());
            assert_same(&other.inspect(), &screen.inspect(), || {
                format!("{before:?}, {:?}, {after:?}", String::from_utf8_lossy(&snapshot))
            });
        }
    }
}

#[test]
fn lines_above_the_screen_show_of_nothing_its_background_alone() {
    let mut screen = fresh(2, 10);
    // The left half of a wide character of which the right one is overwritten, underlined.
    feed(&mut screen, "日\x1b[2G\x1b[4;42mx\x1b[m\r\n\r\n".as_bytes());
    assert_eq!(screen.history(None, 10).lines, ["\x1b[0;42m \x1b[0;4;42mx\x1b[m"]);
    // What is no part of the line: the place that was too narrow for the wide character that is on the screen.
    let mut screen = fresh(2, 5);
    feed(&mut screen, "\x1b[42mab日日日\r\n".as_bytes());
    assert_eq!(screen.history(None, 10).lines, ["\x1b[0;42mab日\x1b[m"]);
}

/// The story: a phone's keyboard came and went while less was open, and its end put the prompt on old text.
#[test]
fn the_cursor_comes_back_from_the_alternate_screen_to_where_its_row_has_gone() {
    let sizes: [&[(u16, u16)]; 6] = [
        &[(14, 80), (24, 80)],
        &[(30, 80)],
        &[(14, 80)],
        &[(24, 20), (24, 80)],
        &[(14, 33), (30, 100)],
        &[(5, 10), (24, 80)],
    ];
    for (sizes, before) in sizes.iter().flat_map(|sizes| [40, 3].map(|lines| (sizes, lines))) {
        let mut screen = fresh(24, 80);
        for line in 0..before {
            let text = format!("{line} {}\r\n", "and on ".repeat(if line % 5 == 0 { 14 } else { 1 }));
            feed(&mut screen, text.as_bytes());
        }
        feed(&mut screen, b"$ less\r\n\x1b[?1049h\x1b[Hless");
        for (rows, cols) in *sizes {
            screen.resize(Size::new(*rows, *cols));
        }
        feed(&mut screen, b"\x1b[?1049l$ ");
        let state = screen.inspect();
        let text = |y: usize| state.rows[y].cells.iter().map(|cell| cell.text.as_str()).collect::<String>();
        let y = state.cursor.1;
        assert_eq!((text(y - 1).as_str(), text(y).as_str()), ("$ less", "$ "), "{before} lines, {sizes:?}");
        assert!((y + 1..state.rows.len()).all(|y| text(y).is_empty()), "{before} lines, {sizes:?}");
    }
}

/// The story: a phone's keyboard came and went, and what a program had saved at the screen's top came back where it never was.
#[test]
fn what_was_saved_comes_back_with_its_row_from_above_the_screen_and_from_below() {
    // Rows of output, the row saved, where the cursor was left, and the row restored on the small screen and on the large one.
    for (lines, saved, cursor, small, large) in [(40, 4, 24, 0, 3), (3, 20, 2, 13, 19), (40, 20, 24, 9, 19)] {
        let mut screen = fresh(24, 80);
        (0..lines).for_each(|line| feed(&mut screen, format!("{line}\r\n").as_bytes()));
        feed(&mut screen, format!("\x1b[{saved};6H\x1b7\x1b[{cursor}H").as_bytes());
        screen.resize(Size::new(14, 80));
        let mut restored = screen.copy();
        feed(&mut restored, b"\x1b8");
        assert_eq!(restored.inspect().cursor, (5, small), "row {saved} on the small screen");
        let checkpoint = screen.checkpoint();
        let killed = Screen::restore(&checkpoint, screen.scrollback_memory().to_vec(), 1000);
        for mut screen in [screen, killed.expect("a checkpoint of ours")] {
            screen.resize(Size::new(24, 80));
            feed(&mut screen, b"\x1b8");
            assert_eq!(screen.inspect().cursor, (5, large), "row {saved} on the large screen");
        }
    }
}

/// Who lags keeps the lines above the screen that it has.
#[test]
fn what_was_saved_off_the_screen_clears_nothing_above_a_terminal_that_is_sent_no_lines() {
    for (lines, saved, cursor) in [(40, 4, 24), (3, 20, 2)] {
        let mut screen = fresh(24, 80);
        (0..lines).for_each(|line| feed(&mut screen, format!("{line}\r\n").as_bytes()));
        feed(&mut screen, format!("\x1b[{saved};6H\x1b7\x1b[{cursor}H").as_bytes());
        screen.resize(Size::new(14, 80));
        let mut client = fresh(14, 80);
        (0..20).for_each(|line| feed(&mut client, format!("its own {line}\r\n").as_bytes()));
        let before = client.history(None, 100);
        feed(&mut client, &[b"\x1b[H\x1b[J", screen.snapshot(0).as_slice()].concat());
        assert_eq!(client.history(None, 100), before, "row {saved}");
    }
}

#[test]
fn what_was_saved_above_the_screen_is_on_its_first_row_once_nothing_is_above() {
    let mut screen = fresh(24, 80);
    (0..40).for_each(|line| feed(&mut screen, format!("{line}\r\n").as_bytes()));
    feed(&mut screen, b"\x1b[4;6H\x1b7\x1b[24H");
    screen.resize(Size::new(14, 80));
    feed(&mut screen, b"\x1b[3J");
    screen.resize(Size::new(24, 80));
    assert_eq!(screen.inspect().saved.expect("it was saved").cursor, (5, 0));
}

/// The story: colour behind the text came back above the screen when it was made narrow and wide again, which clients had cut.
#[test]
fn colour_behind_a_line_is_cut_with_it_above_the_screen_too() {
    let mut screen = fresh(2, 20);
    feed(
        &mut screen,
        b"\x1b[44mshort\x1b[K\r\nlonger than 10\x1b[K\r\n\x1b[m\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n",
    );
    let blue = |text: &str, len: usize| format!("\x1b[0;44m{text:<len$}\x1b[m");
    assert_eq!(screen.history(None, 100).lines[..2], [blue("short", 20), blue("longer than 10", 20)]);
    screen.resize(Size::new(2, 10));
    screen.resize(Size::new(2, 30));
    feed(&mut screen, b"\x1b[44mnew\x1b[K\x1b[m\r\n\r\n\r\n");
    let expected = [blue("short", 10), blue("longer than 10", 14)];
    let restored = Screen::restore(&screen.checkpoint(), screen.scrollback_memory().to_vec(), 1000);
    let mut drawn = fresh(2, 30);
    feed(&mut drawn, &screen.snapshot(1000));
    for screen in [&screen, &restored.expect("a checkpoint of ours"), &drawn] {
        let lines = screen.history(None, 100).lines;
        assert_eq!(lines[..2], expected);
        assert!(lines.contains(&blue("new", 30)), "{lines:?}");
        assert_eq!(screen.copy().history(None, 100).lines, lines);
    }
    // They come back so, too.
    screen.resize(Size::new(30, 30));
    let cells = |y: usize| screen.inspect().rows[y].cells.len();
    assert_eq!((cells(0), cells(1)), (10, 14));
}

/// Without autowrap a wide character at the edge has no room, and neither have its marks; nor has REP one to repeat.
#[test]
fn a_mark_of_a_character_that_had_no_room_has_none_after_a_snapshot_either() {
    for after in ["\u{301}", "\u{301}\u{302}x", "\x1b[3b", "\x1b[3bx", "x\u{301}", "日"] {
        let mut screen = fresh(2, 6);
        feed(&mut screen, "\x1b[?7l\x1b[4habc\x1b[41mde日".as_bytes());
        let mut other = fresh(2, 6);
        feed(&mut other, &screen.snapshot(0));
        feed(&mut screen, after.as_bytes());
        feed(&mut other, after.as_bytes());
        assert_same(&other.inspect(), &screen.inspect(), || format!("{after:?}"));
    }
}

#[test]
fn as_many_titles_are_kept_as_xterm_js_keeps() {
    let mut screen = fresh(2, 10);
    for number in 0..12 {
        feed(&mut screen, format!("\x1b]2;{number}\x07\x1b[22;0t").as_bytes());
    }
    feed(&mut screen, b"\x1b[23;0t\x1b[23;0t\x1b[23;0t");
    let state = screen.inspect();
    assert_eq!((state.title.as_str(), state.titles.join(" ").as_str()), ("9", "2 3 4 5 6 7 8"));
}

#[test]
fn a_damaged_checkpoint_is_refused_or_harmless() {
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let mut screen = fresh(4, 10);
        feed(&mut screen, &stream(&mut random, Options { rows: 4, cols: 10, like_xterm_js: false }, 50));
        let mut checkpoint = screen.checkpoint();
        for _ in 0..random.below(4) + 1 {
            let at = random.below(checkpoint.len());
            checkpoint[at] = random.next() as u8;
        }
        checkpoint.truncate(checkpoint.len() - random.below(checkpoint.len()).min(random.below(60)));
        let mut memory = vec![0; SCROLLBACK_BYTES];
        memory.fill_with(|| random.next() as u8);
        if let Ok(mut restored) = Screen::restore(&checkpoint, memory, 1000) {
            feed(
                &mut restored,
                &stream(&mut random, Options { rows: 4, cols: 10, like_xterm_js: false }, 50),
            );
            restored.resize(Size::new(7, 25));
            restored.resize(Size::new(2, 5));
            restored.inspect();
            restored.snapshot(1000);
        }
    }
}

#[test]
fn the_same_stream_in_other_pieces_makes_the_same_screen() {
    for seed in 0..1000 {
        let mut random = Random::new(seed);
        let (rows, cols) = sizes(&mut random);
        let mut bytes = stream(&mut random, Options { rows, cols, like_xterm_js: false }, 60);
        for _ in 0..random.below(10) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        let (mut whole, mut pieces) = (fresh(rows, cols), fresh(rows, cols));
        feed(&mut whole, &bytes);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(random.below(7).min(rest.len() - 1) + 1);
            feed(&mut pieces, now);
            rest = later;
        }
        assert_same(&pieces.inspect(), &whole.inspect(), || {
            format!("seed {seed} {:?}", String::from_utf8_lossy(&bytes))
        });
    }
}

/// Lines as programs print them in bulk, with something else in between now and then.
fn flood(random: &mut Random) -> String {
    let texts = [
        "plain",
        "tail ",
        "Größe ",
        "日本",
        "🚀",
        "─",
        "e\u{301}",
        "👩\u{200d}🚀",
        "~",
        "\u{7f}",
        "\u{85}",
        "\u{fffd}",
    ];
    let sequences = [
        "\x1b[m",
        "\x1b[1m",
        "\x1b[32m",
        "\x1b[38;5;208m",
        "\x1b[4:3m",
        "\x1b[7;9m",
        "\x1b[48;2;0;80;0m",
        "\x1b[44m",
        "\x1b[49m",
        "\x1b]8;;http://a.b\x1b\\",
        "\x1b]8;;\x1b\\",
    ];
    let odd = [
        "\t",
        "\x07",
        "\x08",
        "\r",
        "\n",
        "\x1b[A",
        "\x1b[2;3H",
        "\x1b[K",
        "\x1b[2J",
        "\x1b[4h",
        "\x1b[4l",
        "\x1b[20h",
        "\x1b[20l",
        "\x1b[?7l",
        "\x1b[?7h",
        "\x1b[?1049h",
        "\x1b[?1049l",
        "\x1b[2;4r",
        "\x1b[r",
        "\x1b(0",
        "\x1b(B",
        "\x1b[3b",
        "\x1b[6n",
        "\x1bM",
        "\x1b[@",
        "\x1b[3J",
        "\x1bc",
    ];
    let mut all = String::new();
    for _ in 0..random.below(150) + 50 {
        for _ in 0..random.below(6) {
            all.push_str(if random.chance(3) {
                sequences[random.below(sequences.len())]
            } else {
                texts[random.below(texts.len())]
            });
            if random.chance(12) {
                all.push_str(&"x".repeat(random.below(40)));
            }
            if random.chance(150) {
                all.push_str(odd[random.below(odd.len())]);
            }
        }
        all.push_str(if random.chance(40) { "\n" } else { "\r\n" });
    }
    all
}

#[test]
fn a_flood_of_lines_comes_to_the_same_as_each_byte_by_itself() {
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let (rows, cols) = sizes(&mut random);
        let lines = *random.pick(&[0, 7, 1000]);
        let make = || Screen::new(Size::new(rows as u16, cols as u16), vec![0; SCROLLBACK_BYTES], lines);
        let (mut whole, mut pieces) = (make(), make());
        for _ in 0..2 {
            let text = flood(&mut random);
            let mut bytes = text.into_bytes();
            if random.chance(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
            feed(&mut whole, &bytes);
            bytes.iter().for_each(|byte| feed(&mut pieces, std::slice::from_ref(byte)));
            assert_same(&pieces.inspect(), &whole.inspect(), || {
                format!("seed {seed} {rows}x{cols} {:?}", String::from_utf8_lossy(&bytes))
            });
        }
        let equal = pieces.scrollback_memory() == whole.scrollback_memory();
        assert!(
            equal && pieces.checkpoint() == whole.checkpoint(),
            "seed {seed}: the same, packed otherwise"
        );
        let after = stream(&mut random, Options { rows, cols, like_xterm_js: false }, 20);
        feed(&mut whole, &after);
        feed(&mut pieces, &after);
        assert_same(&pieces.inspect(), &whole.inspect(), || format!("seed {seed} afterwards"));
    }
}

#[test]
fn resizes_at_any_time_lose_no_text_that_is_not_cut() {
    for seed in 0..1000 {
        let mut random = Random::new(seed);
        let mut screen = fresh(6, 20);
        let mut lines = Vec::new();
        for number in 0..random.below(30) + 1 {
            let line = format!("{number}:{}", "abcdefghij".repeat(random.below(6)));
            feed(&mut screen, format!("{line}\r\n").as_bytes());
            lines.push(line);
            if random.chance(3) {
                screen.resize(Size::new(random.below(10) as u16 + 2, random.below(40) as u16 + 5));
            }
        }
        let (state, cols) = (screen.inspect(), screen.size().cols());
        let mut found: Vec<String> = state.scrollback.clone();
        for row in &state.rows {
            let text: String =
                row.cells.iter().map(|cell| if cell.text.is_empty() { " " } else { &cell.text }).collect();
            match found.last_mut() {
                Some(last) if row.wrapped => last.push_str(&text),
                _ => found.push(text),
            }
        }
        found.retain(|line| !line.is_empty());
        assert_eq!(found, lines, "seed {seed} at last {cols} columns");
    }
}

#[test]
fn resize_storms_and_hostile_bytes_neither_panic_nor_grow() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut screen = fresh(5, 10);
        for _ in 0..60 {
            if random.chance(3) {
                screen.resize(Size::new(random.below(12) as u16, random.below(30) as u16));
            }
            let size = screen.size();
            let options = Options {
                rows: usize::from(size.rows()),
                cols: usize::from(size.cols()),
                like_xterm_js: false,
            };
            let mut bytes = step(&mut random, options).into_bytes();
            if random.chance(5) {
                bytes.extend((0..random.below(20)).map(|_| random.next() as u8));
            }
            feed(&mut screen, &bytes);
            assert!(screen.snapshot(10).len() < 100_000);
        }
        screen.checkpoint();
    }
}
