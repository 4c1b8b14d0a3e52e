//! A stream in pieces, with resizes between them, and the places where it is cut. It knows nothing of who judges it.

use std::fmt::Write as _;

use ptyd_screen::parser::Parser;
use ptyd_screen::{Screen, Size, query};

use crate::judge::Question;
use crate::streams::Random;

pub struct Story {
    pub name: String,
    pub rows: usize,
    pub cols: usize,
    pub steps: Vec<Step>,
    /// Steps before each cut, ascending.
    pub cuts: Vec<usize>,
    /// Nothing in it meets a fault of xterm.js, so that it is compared as it is.
    pub without_faults: bool,
}

pub enum Step {
    Feed(Vec<u8>),
    Resize(usize, usize),
}

impl Step {
    pub fn ask(&self, question: &mut Question) {
        match self {
            Self::Feed(bytes) => question.feed(bytes),
            Self::Resize(rows, cols) => question.resize(*rows, *cols),
        }
    }

    pub fn apply(&self, screen: &mut Screen) {
        match self {
            Self::Feed(bytes) => screen.feed(bytes, &mut Vec::new()),
            Self::Resize(rows, cols) => screen.resize(size(*rows, *cols)),
        }
    }
}

impl Story {
    pub fn has_resizes(&self) -> bool {
        self.has_resizes_from(0)
    }

    /// Whether there is a resize in the steps from `step` on.
    pub fn has_resizes_from(&self, step: usize) -> bool {
        self.steps[step..].iter().any(|step| matches!(step, Step::Resize(..)))
    }

    /// Whether the steps from `step` on restore a cursor that was saved before.
    pub fn restores_from(&self, step: usize) -> bool {
        let saves = ["\x1b7", "\x1b[s", "\x1b[?1048h", "\x1b[?1049h"];
        let restores = ["\x1b8", "\x1b[u", "\x1b[?1048l", "\x1b[?1049l"];
        self.steps[step..].iter().any(|step| {
            let Step::Feed(bytes) = step else { return false };
            let text = String::from_utf8_lossy(bytes);
            let first = |of: [&str; 4]| of.into_iter().filter_map(|sequence| text.find(sequence)).min();
            first(restores).is_some_and(|restore| first(saves).is_none_or(|save| restore < save))
        })
    }

    /// Some mark stands where no character of its word is before it.
    pub fn has_marks_alone(&self) -> bool {
        let alone = |text: &str| {
            text.starts_with('\u{301}')
                || text.contains('\u{302}')
                || text
                    .chars()
                    .zip(text.chars().skip(1))
                    .any(|(before, mark)| mark == '\u{301}' && !matches!(before, 'e' | '\u{300}'))
        };
        self.steps
            .iter()
            .any(|step| matches!(step, Step::Feed(bytes) if alone(&String::from_utf8_lossy(bytes))))
    }

    pub fn changes_tabs(&self) -> bool {
        let changing = ["\x1bH", "\u{88}", "\x1b[0g", "\x1b[3g"];
        let changes = |text: &str| changing.iter().any(|sequence| text.contains(sequence));
        self.steps
            .iter()
            .any(|step| matches!(step, Step::Feed(bytes) if changes(&String::from_utf8_lossy(bytes))))
    }

    /// A program's output: cut in pieces where no sequence and no character is torn, of which `cuts` are the places to cut.
    pub fn of_recording(
        name: &str,
        rows: usize,
        cols: usize,
        recording: &[Step],
        cuts: usize,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed);
        let mut steps = Vec::new();
        let mut parser = Parser::new();
        for step in recording {
            match step {
                Step::Resize(rows, cols) => steps.push(Step::Resize(*rows, *cols)),
                Step::Feed(bytes) => {
                    let (mut at, mut begun) = (0, 0);
                    while at < bytes.len() {
                        at += parser.next(&bytes[at..]).0;
                        if parser.is_ground() && random.chance(8) {
                            steps.push(Step::Feed(bytes[begun..at].to_vec()));
                            begun = at;
                        }
                    }
                    if begun < bytes.len() {
                        steps.push(Step::Feed(bytes[begun..].to_vec()));
                    }
                }
            }
        }
        let mut parser = Parser::new();
        let mut places = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            if parser.is_ground() {
                places.push(index);
            }
            if let Step::Feed(bytes) = step {
                let mut at = 0;
                while at < bytes.len() {
                    at += parser.next(&bytes[at..]).0;
                }
            }
        }
        let mut cuts: Vec<usize> = (0..cuts).map(|_| *random.pick(&places)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        Self { name: name.to_owned(), rows, cols, steps, cuts, without_faults: false }
    }

    /// Everything, to be read by a person; `cut`: steps before the place to be marked.
    pub fn tell(&self, cut: usize) -> String {
        let mut text = format!("{}\n{}x{}\n", self.name, self.rows, self.cols);
        for (index, step) in self.steps.iter().enumerate() {
            if index == cut {
                text.push_str("--cut--\n");
            }
            match step {
                Step::Feed(bytes) => {
                    writeln!(text, "{:?}", String::from_utf8_lossy(bytes)).expect("a string takes it")
                }
                Step::Resize(rows, cols) => {
                    writeln!(text, "resize to {rows}x{cols}").expect("a string takes it")
                }
            }
        }
        text
    }

    /// `cut`: steps before the place where the difference is; none: it is at the end.
    pub fn fail(&self, cut: Option<usize>, what: &str, difference: &str) -> ! {
        let cut = cut.unwrap_or(self.steps.len());
        let told = self.tell(cut);
        if told.len() < 8000 {
            panic!("{what}: {difference}\n{told}");
        }
        let path = std::env::temp_dir().join(format!("ptyd-screen {}.txt", self.name));
        std::fs::write(&path, told).expect("the failing story can be kept");
        panic!("{what}: {difference}\n{}, cut before step {cut}, kept in {}", self.name, path.display());
    }
}

pub fn size(rows: usize, cols: usize) -> Size {
    Size::new(u16::try_from(rows).expect("small"), u16::try_from(cols).expect("small"))
}

/// The stream as clients get it: queries are blanked.
pub fn blanked(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let (mut parser, mut at, mut begun, mut asks) = (Parser::new(), 0, 0, false);
    while at < bytes.len() {
        let (used, event) = parser.next(&bytes[at..]);
        // A string ends before the backslash of its terminator.
        asks |= query::is_query(&event);
        at += used;
        if parser.is_ground() {
            if asks {
                out[begun..at].fill(0);
            }
            (begun, asks) = (at, false);
        }
    }
    out
}
