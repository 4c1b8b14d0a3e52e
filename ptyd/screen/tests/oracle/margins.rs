//! Random streams with left and right margins beside libvterm, which has them too: what characters they leave behind. What it
//! does otherwise than xterm is told to it in words that it does right, each for a reason that is named:
//!
//! - text wraps at the screen's edge, and wrapping, CR and NEL lead to the first column, not to the margin: told as IND where
//!   it is to scroll, and where the cursor goes;
//! - IND and RI scroll with the cursor beside the margins: not told then;
//! - CUF, CUB, CUU and CUD, and tabs, go over margins: where the cursor is is told before each step;
//! - ICH and DCH do nothing above and below the region: told with the whole screen as the region;
//! - insert mode moves what is behind the margin, and outside margins there is such a mode: told as ICH before a character;
//! - REP it has none: told as text.
//!
//! Wide characters are left out: it moves halves of them. Where our cursor waits to wrap at the screen's edge, erasing leaves
//! the last column alone, as in xterm.js: there the cursor is placed anew. Origin mode is left to `margins.rs` of the tests
//! beside, case by case.

use std::path::Path;
use std::process::Command;

use ptyd_screen::{Screen, State};

use crate::story::size;
use crate::streams::Random;
use crate::times;

const STREAMS: u64 = 600;

/// A screen of ours, and what libvterm is told.
struct Told {
    screen: Screen,
    script: String,
    rows: usize,
    cols: usize,
    /// Rows and columns from 0, the last ones included.
    region: (usize, usize),
    margins: (usize, usize),
    inserts: bool,
}

impl Told {
    fn ours(&mut self, text: &str) {
        self.screen.feed(text.as_bytes(), &mut Vec::new());
    }

    fn both(&mut self, text: &str) {
        self.ours(text);
        self.script.push_str(text);
    }

    /// Column and row, and whether it waits to wrap.
    fn cursor(&self) -> (usize, usize, bool) {
        let State { cursor: (x, y), margins, .. } = self.screen.inspect();
        match margins {
            Some((_, right)) if x >= self.cols + 2 => (right, y, true),
            _ => (x.min(self.cols - 1), y, x >= self.cols),
        }
    }

    fn is_between(&self, x: usize) -> bool {
        (self.margins.0..=self.margins.1).contains(&x)
    }

    fn tell_place(&mut self, x: usize, y: usize) {
        self.script.push_str(&format!("\x1b[{};{}H", y + 1, x + 1));
    }

    fn print(&mut self, character: char) {
        let (mut x, mut y, waits) = self.cursor();
        self.tell_place(x, y);
        if waits {
            if y == self.region.1 {
                self.script.push_str(if self.is_between(x) { "\x1bD" } else { "" });
            } else {
                y = (y + 1).min(self.rows - 1);
            }
            x = self.margins.0;
            self.tell_place(x, y);
        }
        if self.inserts && self.is_between(x) {
            self.tell_with_whole_region("\x1b[@", x, y);
        }
        self.both(character.encode_utf8(&mut [0; 4]));
    }

    fn tell_with_whole_region(&mut self, sequence: &str, x: usize, y: usize) {
        let (top, bottom) = self.region;
        self.script.push_str("\x1b[r");
        self.tell_place(x, y);
        self.script.push_str(&format!("{sequence}\x1b[{};{}r", top + 1, bottom + 1));
        self.tell_place(x, y);
    }

    fn step(&mut self, random: &mut Random) {
        let (x, y, waits) = self.cursor();
        self.tell_place(x, y);
        let count = random.below(4) + 1;
        match random.below(20) {
            0..6 => {
                let text =
                    *random.pick(&["lorem ipsum", "0123456789", "x", "a b", "dolor sit amet, consectetur"]);
                text.chars().for_each(|character| self.print(character));
            }
            6..8 => {
                let place = format!("\x1b[{};{}H", random.below(self.rows) + 1, random.below(self.cols) + 1);
                self.both(&place);
            }
            8 => self.ours("\r"),
            9 | 10 => {
                let down = *random.pick(&["\n", "\x1bD", "\x1bE", "\r\n"]);
                self.ours(down);
                // CR comes first, and may lead from beside the margins to between them.
                let x = if down == "\r\n" && x > self.margins.1 { self.margins.0 } else { x };
                if y != self.region.1 || self.is_between(x) {
                    self.script.push_str("\x1bD");
                }
            }
            11 => {
                self.ours("\x1bM");
                if y != self.region.0 || self.is_between(x) {
                    self.script.push_str("\x1bM");
                }
            }
            12 => {
                let motion = random.pick(&["A", "B", "C", "D", "E", "F", "I", "Z", "a", "e"]);
                self.ours(&format!("\x1b[{}{motion}", random.below(12) + 1));
            }
            13 => self.both(&format!("\x1b[{count}{}", random.pick(&["L", "M", "S", "T"]))),
            14 => self.both(&format!("\x1b[{count}{}", random.pick(&["'}", "'~"]))),
            15 => {
                let sequence = format!("\x1b[{count}{}", random.pick(&["@", "P"]));
                self.ours(&sequence);
                self.tell_with_whole_region(&sequence, x, y);
            }
            16 => {
                let sequence =
                    *random.pick(&["\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[3X", "\x1b[J", "\x1b[1J"]);
                if waits {
                    self.ours(&format!("\x1b[{};{}H", y + 1, x + 1));
                }
                self.both(sequence);
            }
            17 => {
                // Ours repeats what was printed last, which it is told as text.
                self.print('r');
                let (mut beside, script) = (self.screen.copy(), std::mem::take(&mut self.script));
                self.ours(&format!("\x1b[{count}b"));
                std::mem::swap(&mut beside, &mut self.screen);
                self.script = script;
                (0..count).for_each(|_| self.print('r'));
                assert_eq!(self.screen.inspect().cursor, beside.inspect().cursor);
                self.screen = beside;
            }
            18 => {
                self.inserts = random.chance(3);
                self.ours(if self.inserts { "\x1b[4h" } else { "\x1b[4l" });
            }
            _ => self.set_margins(random),
        }
    }

    fn set_margins(&mut self, random: &mut Random) {
        let top = random.below(self.rows - 1);
        self.region = (top, top + 1 + random.below(self.rows - 1 - top));
        loop {
            let left = random.below(self.cols - 1);
            self.margins = (left, left + 1 + random.below(self.cols - 1 - left));
            // What scrolls over the whole width goes elsewhere in each of them.
            if self.margins != (0, self.cols - 1) {
                break;
            }
        }
        let ((top, bottom), (left, right)) = (self.region, self.margins);
        self.both(&format!("\x1b[{};{}r\x1b[{};{}s", top + 1, bottom + 1, left + 1, right + 1));
    }
}

/// The rows of a screen on which every other column, beginning with `first`, was written over: unterm prints nothing for
/// what is blank, so that the others cannot be told apart without.
fn stamp(rows: usize, cols: usize, first: usize) -> String {
    let mut text = "\x1b[4l\x1b[?69l\x1b[r".to_owned();
    for y in 0..rows {
        (first..cols).step_by(2).for_each(|x| text.push_str(&format!("\x1b[{};{}H|", y + 1, x + 1)));
    }
    text
}

fn libvterm(script: &str, (rows, cols): (usize, usize), home: &Path) -> String {
    let file = home.join("script");
    std::fs::write(&file, script).expect("a file in a folder of ours");
    let (lines, columns) = (rows.to_string(), cols.to_string());
    let unterm = Command::new("unterm").args(["-l", &lines, "-c", &columns]).arg(&file).output();
    let printed = unterm.expect("unterm runs: it is of Debian's package libvterm-bin");
    String::from_utf8(printed.stdout).expect("text").replace(' ', "")
}

fn ours(screen: &Screen) -> String {
    let rows = screen.inspect().rows;
    let text = rows.iter().map(|row| {
        let text: String = row.cells.iter().map(|cell| cell.text.as_str()).collect();
        text.replace(' ', "") + "\n"
    });
    text.collect()
}

#[test]
fn random_streams_with_margins_leave_the_same_characters_in_libvterm() {
    let home = tempfile::tempdir().expect("a folder");
    for seed in 0..STREAMS * times() as u64 {
        let mut random = Random::new(seed);
        let (rows, cols) = (random.below(8) + 3, random.below(16) + 5);
        let screen = Screen::new(size(rows, cols), vec![0; 64 << 10], 100);
        let whole = ((0, rows - 1), (0, cols - 1));
        let mut told = Told {
            screen,
            script: String::new(),
            rows,
            cols,
            region: whole.0,
            margins: whole.1,
            inserts: false,
        };
        let filled: String = (0..rows)
            .map(|y| {
                format!("\x1b[{}H{}", y + 1, "abcdefghijklmnopqrstuvwxyz".repeat(2)[y..y + cols].to_owned())
            })
            .collect();
        told.both(&filled);
        told.both("\x1b[?69h");
        told.set_margins(&mut random);
        (0..random.below(40) + 5).for_each(|_| told.step(&mut random));
        let stamp = stamp(rows, cols, random.below(2));
        told.both(&stamp);
        let theirs = libvterm(&told.script, (rows, cols), home.path());
        assert_eq!(ours(&told.screen), theirs, "seed {seed} {rows}x{cols}: {:?}", told.script);
    }
}
