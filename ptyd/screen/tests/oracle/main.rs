//! The screen beside xterm.js, an emulator nobody here wrote and the one that clients draw with:
//! - fed the same stream, both are the same (cells, attributes, cursor, pen, modes, margins, tabs, charsets, what is saved,
//!   the hidden screen, titles, colours, scrollback);
//! - a fresh xterm.js fed a snapshot is what one is that was fed everything, and stays so when both are fed the rest;
//! - both hold for xterm.js with all its faults too: for every recording, and for random streams in which they make no difference;
//! - a screen restored from a checkpoint and fed the rest is what the uninterrupted one is.
//!
//! The streams are recordings that the test makes of real programs, and random ones that mean something. Where xterm.js is
//! wrong it is mended, each fault by name with the reason: `oracle/faults.mjs`. What may differ though nothing is wrong is in
//! `allowances.rs`, by name too. Left out of the random streams is only what it does not know (kitty's and xterm's keyboard modes,
//! XTSAVE, OSC 7, some modes): `own.rs` has them.
//!
//! A second judge, libvterm, sees the recorded programs too (`libvterm.rs`), and left and right margins, which xterm.js has none of
//! (`margins.rs`).

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::let_underscore_must_use,
    reason = "a test"
)]

mod allowances;
mod check;
mod judge;
mod libvterm;
mod margins;
mod programs;
mod recording;
mod seen;
mod story;
#[path = "../common/mod.rs"]
mod streams;

use check::{Checker, Held, STEPS_BEFORE_KILL};
use story::{Step, Story, blanked};
use streams::{Options, Random, stream};

/// Cuts of each recording.
const CUTS_OF_RECORDING: usize = 60;

/// Cuts of a program's recordings that libvterm has seen, at least; short ones have few.
const MANY_SHOWN: usize = 12;

/// A screen of a program at work, without scrollback: what a client waits for when it comes back.
const LARGEST_SNAPSHOT: usize = 10_000;

/// How many times as many cases as usual; `make test-long` asks for more than one.
#[expect(clippy::disallowed_methods, reason = "how long a test runs is no configuration of the program")]
fn times() -> usize {
    std::env::var("ORACLE_TIMES").map_or(1, |times| times.parse().expect("ORACLE_TIMES is a number"))
}

fn random_story(seed: u64, resizes: bool) -> Story {
    let mut random = Random::new(seed);
    let (mut rows, mut cols) = (random.below(8) + 2, random.below(20) + 4);
    let (first_rows, first_cols) = (rows, cols);
    let mut steps = Vec::new();
    for _ in 0..random.below(6) + 4 {
        let options = Options { rows, cols, like_xterm_js: true };
        let count = random.below(20) + 1;
        steps.push(Step::Feed(blanked(&stream(&mut random, options, count))));
        if resizes && random.chance(2) {
            (rows, cols) = (random.below(8) + 2, random.below(20) + 4);
            steps.push(Step::Resize(rows, cols));
        }
    }
    let mut cuts: Vec<usize> = (0..3).map(|_| random.below(steps.len())).collect();
    cuts.sort_unstable();
    cuts.dedup();
    Story {
        name: format!("seed {seed}"),
        rows: first_rows,
        cols: first_cols,
        steps,
        cuts,
        without_faults: false,
    }
}

fn check_random(from: u64, cases: usize, resizes: bool) {
    let mut checker = Checker::new();
    let mut seed = from;
    while checker.checked < cases * times() {
        let stories: Vec<Story> = (seed..seed + 100).map(|seed| random_story(seed, resizes)).collect();
        checker.check(&stories);
        seed += 100;
    }
    let Checker { checked, held, saved_lost, unmended, went_on, .. } = checker;
    println!(
        "{checked} cuts, {unmended} compared as it is to the end, {went_on} restored from a checkpoint after {STEPS_BEFORE_KILL} steps; {held:?}; {saved_lost} had what was saved off the screen"
    );
    let rare = [
        (held.nothing_before_screen, 1000),
        (held.nothing_behind_lines, 500),
        (held.nothing_before_wide, 200),
        (held.lines_alike, 2000),
    ];
    for (count, one_in) in rare {
        assert!(count * one_in <= checked, "{held:?} of {checked}: one in {one_in} may be");
    }
    assert!(saved_lost * 20 <= checked, "after {saved_lost} of {checked} what is saved differs");
    // A resize makes a checkpoint due.
    let one_in = if resizes { 2 } else { 100 };
    assert!((checked - went_on) * one_in <= checked, "{went_on} of {checked} went on after their checkpoint");
    let one_in = if resizes { 100 } else { 3 };
    assert!(unmended * one_in >= checked, "{unmended} of {checked} compared as it is to the end");
}

#[test]
fn random_streams_are_the_same_in_xterm_js_after_a_snapshot_and_after_a_checkpoint() {
    check_random(0, 12_000, false);
}

#[test]
fn random_streams_with_resizes_are_the_same_in_xterm_js_after_a_snapshot_and_after_a_checkpoint() {
    check_random(1_000_000, 8_000, true);
}

/// Longer runs with other seeds found these.
#[test]
fn random_streams_that_were_not_the_same_once_are() {
    let mut checker = Checker::new();
    // Lines that needed fewer rows on a narrower screen, on it and above; lines that ended before the rows below them were taken
    // out, so that others go on with them, at the same width and at another.
    checker.check(&[51_034_709, 61_002_186, 71_012_957, 81_023_372].map(|seed| random_story(seed, true)));
    assert_eq!(checker.held, Held::default());
    // A wide character that begins the screen's first row, of which the row before was scrolled away.
    checker.check(&[random_story(8410, false)]);
    assert_ne!(checker.held.nothing_before_screen, 0);
}

/// What DECSC saved goes off the screen with its row where a new size pushes that off, and comes back with it. Also where the
/// terminal was drawn anew meanwhile, which is compared with xterm.js as it is.
#[test]
fn what_was_saved_comes_back_with_its_row_as_in_xterm_js() {
    let mut stories = Vec::new();
    for (lines, saved, cursor) in [(40, 4, 24), (3, 20, 2), (40, 20, 24), (5, 3, 9), (40, 20, 3)] {
        for sizes in [[(14, 80), (24, 80)], [(5, 80), (30, 80)], [(24, 20), (24, 80)], [(10, 33), (24, 100)]]
        {
            let long = " and on".repeat(if sizes[0].1 < 80 { 7 } else { 1 });
            let text: String = (0..lines).map(|line| format!("{line}{long}\r\n")).collect();
            let text = format!("{text}\x1b[{saved};6H\x1b[1;32m\x1b7\x1b[m\x1b[{cursor}H");
            stories.push(Story {
                name: format!("row {saved} of {lines} lines, cursor {cursor}, {sizes:?}"),
                rows: 24,
                cols: 80,
                steps: vec![
                    Step::Feed(text.into_bytes()),
                    Step::Resize(sizes[0].0, sizes[0].1),
                    Step::Resize(sizes[1].0, sizes[1].1),
                    Step::Feed(b"\x1b8here".to_vec()),
                ],
                cuts: vec![1, 2, 3],
                without_faults: true,
            });
        }
    }
    let mut checker = Checker::new();
    checker.check(&stories);
    assert_ne!(checker.saved_lost, 0);
    assert_eq!(checker.held, Held::default());
}

/// Without autowrap a wide character at the edge has no room, and neither have its marks.
#[test]
fn marks_of_a_character_that_had_no_room_are_the_same_in_xterm_js_after_a_snapshot() {
    let feed = |text: &str| Step::Feed(text.as_bytes().to_vec());
    let story = |after: &str| Story {
        name: format!("{after:?} after a character without room"),
        rows: 3,
        cols: 8,
        steps: vec![feed("\x1b[?7labcdefgh日"), feed(after)],
        cuts: vec![1],
        without_faults: false,
    };
    let mut checker = Checker::new();
    checker.check(&["\u{301}", "\u{301}\u{302}x", "\x1b[2b", "x\u{301}", "日\u{301}"].map(story));
}

fn check_recording(name: &str) {
    let home = tempfile::tempdir().expect("a folder");
    programs::furnish(home.path());
    let program = programs::PROGRAMS.iter().find(|program| program.name == name).expect("a program");
    let (mut checker, mut libvterm, mut second) = (Checker::new(), judge::Judge::start_libvterm(), 0);
    for (rows, cols) in [(24, 80), (12, 40)] {
        // With the resizes, and as if nobody had made any.
        for acts in [program.acts.to_vec(), without_resizes(program.acts)] {
            let recording = recording::record(program.command, home.path(), (rows, cols), &acts);
            let title = format!("{name} at {rows}x{cols}");
            let cuts = CUTS_OF_RECORDING * times();
            let mut story = Story::of_recording(&title, rows, cols, &recording, cuts, 1);
            story.without_faults = true;
            if let [Step::Feed(bytes)] = recording.as_slice() {
                let told = [Step::Feed(libvterm::for_libvterm(bytes, (rows, cols)))];
                let story = Story::of_recording(&title, rows, cols, &told, cuts, 1);
                second += libvterm::check(&mut libvterm, &story);
            }
            checker.snapshots.clear();
            checker.check(&[story]);
            checker.snapshots.sort_unstable();
            let (count, most) = (checker.snapshots.len(), checker.snapshots[checker.snapshots.len() - 1]);
            println!(
                "{title}: {count} cuts; snapshots of {} bytes, at most {most}",
                checker.snapshots[count / 2]
            );
            assert!(most < LARGEST_SNAPSHOT, "a snapshot of {title} has {most} bytes");
        }
    }
    let Checker { checked, held, saved_lost, unmended, went_on, .. } = checker;
    println!(
        "{name}: {checked} cuts, {went_on} restored from a checkpoint after {STEPS_BEFORE_KILL} steps, {second} shown to libvterm; {held:?}"
    );
    assert_eq!((unmended, saved_lost), (checked, 0), "cuts compared to the end");
    // Four comparisons are made at a cut. One program's lines have a background up to the edge.
    let behind_lines = held.nothing_behind_lines;
    assert!(
        behind_lines * 5 <= checked,
        "{behind_lines} held without nothing behind lines, in {checked} cuts"
    );
    assert_eq!(held, Held { nothing_behind_lines: behind_lines, ..Held::default() });
    assert!(went_on * 10 >= checked * 8, "{went_on} of {checked} went on after their checkpoint");
    assert!(second >= MANY_SHOWN, "{second} cuts were shown to libvterm");
}

fn without_resizes(acts: &[recording::Act]) -> Vec<recording::Act> {
    acts.iter().filter(|act| !matches!(act, recording::Act::Resize(..))).copied().collect()
}

/// A test for each program, so that they run beside each other.
macro_rules! recordings {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            check_recording($name);
        })*
    };
}

recordings! {
    a_recording_of_bash_is_the_same: "bash",
    a_recording_of_a_shell_and_less_is_the_same: "less from a shell",
    a_recording_of_a_shell_and_vim_is_the_same: "vim from a shell",
    a_recording_of_a_shell_and_htop_is_the_same: "htop from a shell",
    a_recording_of_vim_is_the_same: "vim",
    a_recording_of_less_is_the_same: "less",
    a_recording_of_htop_is_the_same: "htop",
    a_recording_of_top_is_the_same: "top",
    a_recording_of_tmux_is_the_same: "tmux",
    a_recording_of_git_log_in_a_pager_is_the_same: "git log",
    a_recording_of_git_log_is_the_same: "git log without a pager",
    a_recording_of_ls_is_the_same: "ls",
    a_recording_of_a_progress_bar_is_the_same: "progress",
    a_recording_of_apt_is_the_same: "apt",
    a_recording_of_emoji_and_asian_text_is_the_same: "text",
    a_recording_of_python_is_the_same: "python",
}

#[test]
fn every_character_takes_as_many_columns_as_in_xterm_js() {
    let mut wrong = Vec::new();
    for (first, last, columns) in judge::Judge::start().widths() {
        for character in (first..=last).filter_map(char::from_u32) {
            let ours = ptyd_screen::columns(character);
            if ours != columns {
                wrong.push(format!("U+{:04X} {ours} not {columns}", u32::from(character)));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} characters: {:?} ... {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(40)],
        wrong.last()
    );
}
