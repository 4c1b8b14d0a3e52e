//! Random streams beside libvterm, half of them with left and right margins, which it has too: what they leave behind. What it
//! does otherwise than xterm is told to it in words that it does right, each for a reason that is named:
//!
//! - text wraps at the screen's edge, and wrapping, CR and NEL lead to the first column, not to the margin: told as IND where
//!   it is to scroll, and where the cursor goes;
//! - IND and RI scroll with the cursor beside the margins: not told then;
//! - CUF, CUB, CUU and CUD, and tabs, go over margins: where the cursor is is told before each step;
//! - ICH and DCH do nothing above and below the region: told with the whole screen as the region;
//! - SD fills with the pen's background, where xterm.js does not: told without one;
//! - insert mode moves what is behind the margin, and outside margins there is such a mode: told as ICH before a character;
//! - REP it has none: told as text.
//!
//! Wide characters are left out: it moves halves of them. Where our cursor waits to wrap at the screen's edge, erasing leaves
//! the last column alone, as in xterm.js: there the cursor is placed anew. Origin mode is left to `margins.rs` of the tests
//! beside, case by case, and what is above the screen to the recordings: what SU and DL take off the top does not go there in
//! ours, as in xterm.js.

use ptyd_screen::{Screen, State};

use crate::allowances::as_libvterm_has;
use crate::judge::{Judge, Question};
use crate::seen::{Seen, difference, ours};
use crate::story::size;
use crate::streams::Random;
use crate::times;

const STREAMS: u64 = 1200;

/// What libvterm can do of SGR.
const PENS: [&str; 17] = [
    "",
    "",
    "1",
    "3",
    "4",
    "4:3",
    "21",
    "5",
    "7",
    "9",
    "22;24",
    "31",
    "42",
    "95;103",
    "38;5;100",
    "48;2;1;2;3",
    "39;49",
];

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
    /// Left and right margins are set.
    narrow: bool,
    /// What makes the pen that both have.
    pen: String,
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
        match random.below(22) {
            20 | 21 => {
                let sgr = *random.pick(&PENS);
                let pen = format!("\x1b[{sgr}m");
                self.both(&pen);
                self.pen = if sgr.is_empty() { pen } else { std::mem::take(&mut self.pen) + &pen };
            }
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
            13 if random.chance(4) => {
                let sequence = format!("\x1b[{count}T");
                self.ours(&sequence);
                self.script.push_str(&format!("\x1b[49m{sequence}{}", self.pen));
            }
            13 => self.both(&format!("\x1b[{count}{}", random.pick(&["L", "M", "S"]))),
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
        let (top, bottom) = self.region;
        let mut told = format!("\x1b[{};{}r", top + 1, bottom + 1);
        while self.narrow {
            let left = random.below(self.cols - 1);
            self.margins = (left, left + 1 + random.below(self.cols - 1 - left));
            // What scrolls over the whole width goes elsewhere in each of them.
            if self.margins != (0, self.cols - 1) {
                told.push_str(&format!("\x1b[{};{}s", left + 1, self.margins.1 + 1));
                break;
            }
        }
        self.both(&told);
    }
}

/// A screen filled with letters, some steps on it, and what libvterm is told of them.
fn told(seed: u64) -> Told {
    let mut random = Random::new(seed);
    let (rows, cols) = (random.below(8) + 3, random.below(16) + 5);
    let screen = Screen::new(size(rows, cols), vec![0; 64 << 10], 100);
    let mut told = Told {
        screen,
        script: String::new(),
        rows,
        cols,
        region: (0, rows - 1),
        margins: (0, cols - 1),
        inserts: false,
        narrow: seed.is_multiple_of(2),
        pen: String::new(),
    };
    let filled: String = (0..rows)
        .map(|y| format!("\x1b[{}H{}", y + 1, "abcdefghijklmnopqrstuvwxyz".repeat(2)[y..y + cols].to_owned()))
        .collect();
    told.both(&filled);
    told.both(if told.narrow { "\x1b[?69h" } else { "" });
    told.set_margins(&mut random);
    (0..random.below(40) + 5).for_each(|_| told.step(&mut random));
    // Where it is libvterm was told anyway.
    told.both("\x1b[H");
    told
}

#[test]
fn random_streams_are_the_same_in_libvterm() {
    let all: Vec<Told> = (0..STREAMS * times() as u64).map(told).collect();
    let questions: Vec<Question> = all
        .iter()
        .map(|told| {
            let mut question =
                Question { rows: told.rows, cols: told.cols, scrollback: 0, steps: Vec::new() };
            question.feed(told.script.as_bytes());
            question.state(0);
            question
        })
        .collect();
    for (seed, (told, theirs)) in all.iter().zip(Judge::start_libvterm().states(&questions)).enumerate() {
        let ours = as_libvterm_has(&ours(&told.screen.inspect()), told.cols);
        let [ours, theirs] = [&ours, &theirs[0]].map(|seen| Seen { scrollback: Vec::new(), ..seen.clone() });
        if let Some(difference) = difference(&ours, &theirs) {
            panic!("seed {seed} {}x{}: {difference}\n{:?}", told.rows, told.cols, told.script);
        }
    }
}
