//! Random streams that mean something: every operation of a terminal, weighted so that they meet.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use ptyd_screen::{CellState, State, Style};

/// A small generator of our own, so that a seed gives the same stream for ever.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What is generated.
#[derive(Clone, Copy)]
pub struct Options {
    pub rows: usize,
    pub cols: usize,
    /// Leaves out what xterm.js does otherwise; the oracle's test says what and why.
    pub like_xterm_js: bool,
}

const WORDS: [&str; 12] = [
    "hello",
    "x",
    "the quick brown fox",
    "日本語",
    "é",
    "e\u{301}",
    "😀",
    "─│┌",
    "한글",
    "a\u{300}\u{301}",
    "0123456789",
    " ",
];

/// One step of a stream.
pub fn step(random: &mut Random, options: Options) -> String {
    let Options { rows, cols, like_xterm_js } = options;
    let n = |random: &mut Random, most: usize| random.below(most + 2);
    match random.below(40) {
        0..12 => (*random.pick(&WORDS)).to_owned(),
        12 => "x".repeat(random.below(cols * 2) + 1),
        13..16 => "\r\n".to_owned(),
        16 => (*random.pick(&["\n", "\r", "\x08", "\t", "\x0b", "\x0e", "\x0f"])).to_owned(),
        17 if like_xterm_js => (*random.pick(&[
            "\x1bD",
            "\x1bM",
            "\x1bE",
            "\x1bH",
            "\x1b7\x1b[2;2H\x1b[31mc\x1b8",
            "\x1b[?1047l\x1b[?1049h\x1b[31mtext\r\n\x1b[?1049l",
        ]))
        .to_owned(),
        17 => (*random.pick(&["\x1bD", "\x1bM", "\x1bE", "\x1bH", "\x1b7", "\x1b8"])).to_owned(),
        18 | 19 => format!("\x1b[{};{}H", n(random, rows), n(random, cols)),
        20 => {
            let final_byte = *random.pick(&["A", "B", "C", "D", "E", "F", "G", "d", "a", "e", "`", "I", "Z"]);
            format!("\x1b[{}{final_byte}", n(random, rows.max(cols)))
        }
        21 if like_xterm_js => (*random.pick(&["\x1b[J", "\x08\x1b[1J", "\x1b[2J", "\x1b[3J"])).to_owned(),
        21 => format!("\x1b[{}J", random.pick(&[0, 1, 2, 0, 1, 2, 3])),
        22 | 23 => format!("\x1b[{}K", random.below(3)),
        24 => format!("\x1b[{}{}", n(random, 5), random.pick(&["L", "M", "P", "@", "X", "S", "T"])),
        25 => {
            let (top, bottom) = (n(random, rows), n(random, rows));
            format!("\x1b[{top};{bottom}r")
        }
        26..30 => {
            let parts: Vec<String> = (0..random.below(3) + 1).map(|_| sgr(random)).collect();
            format!("\x1b[{}m", parts.join(";"))
        }
        30 => format!(
            "\x1b[?{}{}",
            random.pick(&[1, if like_xterm_js { 1 } else { 7 }, 25, 45, 1000, 1002, 1006, 2004, 1004, 66]),
            hl(random)
        ),
        31 if random.chance(3) => format!("\x1b[4{}", hl(random)),
        31 => {
            let last = if like_xterm_js { 47 } else { 1049 };
            format!("\x1b[?{}{}", random.pick(&[47, 1047, last]), hl(random))
        }
        32 if !like_xterm_js => format!("\x1b[?6{}", hl(random)),
        33 => format!("\x1b{}{}", random.pick(&["(", ")"]), random.pick(&["0", "B", "0", "B", "A"])),
        34 if random.chance(8) => "\x1b#8".to_owned(),
        34 => format!("{}\x1b[{}b", random.pick(&["x", "日", "ab"]), random.below(cols.min(10)) + 1),
        35 => format!("\x1b]2;title {}\x07", random.below(10)),
        36 if random.chance(4) => "\x1b[!p".to_owned(),
        36 if random.chance(16) => "\x1bc".to_owned(),
        36 => format!("\x1b[{} q", random.below(7)),
        37 => format!("\x1b[{}g", random.pick(&[0, 0, 0, 3])),
        38 if !like_xterm_js => (*random.pick(&[
            "\x1b[1\"q",
            "\x1b[0\"q",
            "\x1b[?1K",
            "\x1b[?2J",
            "\x1b[>1u",
            "\x1b[<u",
            "\x1b[>4;2m",
            "\x1b]8;;http://a/\x07",
            "\x1b]8;;\x07",
            "\x1b]4;1;#123456\x07",
            "\x1b]11;rgb:12/34/56\x07",
            "\x1b[22;2t",
            "\x1b[23;2t",
            "\x1b[?2004s",
            "\x1b]7;file:///tmp/x\x07",
            "\x1b[?2004r",
        ]))
        .to_owned(),
        38 if like_xterm_js => (*random.pick(&["\x1b[ @", "\x1b[2 A"])).to_owned(),
        38 => (*random.pick(&["\x1b[ @", "\x1b[2 A", "\x08\x1b['}", "\x08\x1b[2'~"])).to_owned(),
        _ => "\u{85}".to_owned(),
    }
}

fn hl(random: &mut Random) -> &'static str {
    if random.chance(2) { "h" } else { "l" }
}

fn sgr(random: &mut Random) -> String {
    match random.below(12) {
        0 => "0".to_owned(),
        1 => random.pick(&["1", "2", "3", "4", "7", "8", "9", "53"]).to_string(),
        2 => random.pick(&["22", "23", "24", "27", "28", "29", "39", "49", "55", "59"]).to_string(),
        3 => format!("4:{}", random.below(6)),
        4 | 5 => format!("{}", 30 + random.below(8)),
        6 => format!("{}", 40 + random.below(8)),
        7 => format!("38;5;{}", random.below(256)),
        8 => format!("48;2;{};{};{}", random.below(256), random.below(256), random.below(256)),
        9 => format!("{}", 90 + random.below(8)),
        10 => format!("58:5:{}", random.below(256)),
        _ => "0".to_owned(),
    }
}

/// A stream of so many steps.
pub fn stream(random: &mut Random, options: Options, steps: usize) -> Vec<u8> {
    (0..steps).flat_map(|_| step(random, options).into_bytes()).collect()
}

/// The first difference between two states, in words.
pub fn difference(got: &State, expected: &State) -> Option<String> {
    for (name, got, expected) in
        [("rows", &got.rows, &expected.rows), ("hidden rows", &got.hidden, &expected.hidden)]
    {
        if got.len() != expected.len() {
            return Some(format!("{} {name}, expected {}", got.len(), expected.len()));
        }
        for (y, (got, expected)) in got.iter().zip(expected).enumerate() {
            if got.wrapped != expected.wrapped {
                return Some(format!("{name} {y} wrapped {}, expected {}", got.wrapped, expected.wrapped));
            }
            for x in 0..got.cells.len().max(expected.cells.len()) {
                // A blank that only has a background looks like nothing, and is what a snapshot has to put where a cursor
                // waits to wrap.
                let plain = |cell: Option<&CellState>| {
                    let background = |cell: &CellState| Style { bg: cell.style.bg, ..Style::default() };
                    let blank = |cell: &CellState| {
                        cell.text.trim().is_empty() && cell.width == 1 && cell.style == background(cell)
                    };
                    let cell = cell.cloned().map(|cell| {
                        if blank(&cell) { CellState { text: String::new(), ..cell } } else { cell }
                    });
                    cell.filter(|cell| !(blank(cell) && cell.style == Style::default()))
                };
                if plain(got.cells.get(x)) != plain(expected.cells.get(x)) {
                    return Some(format!(
                        "{name} {y} column {x}: {:?}, expected {:?}",
                        got.cells.get(x),
                        expected.cells.get(x)
                    ));
                }
            }
        }
    }
    let rest = |state: &State| {
        [
            format!("cursor {:?}", state.cursor),
            format!("region {:?}", state.region),
            format!("pen {:?}", state.pen),
            format!("tabs {:?}", state.tabs),
            format!("modes {:?}", state.modes),
            format!("title {:?}", state.title),
            state.rest.clone(),
            format!("scrollback {:?}", state.scrollback),
        ]
    };
    rest(got)
        .into_iter()
        .zip(rest(expected))
        .find(|(got, expected)| got != expected)
        .map(|(got, expected)| format!("{got}, expected {expected}"))
}

/// Asserts that two states are equal, and says only where they are not.
#[track_caller]
pub fn assert_same(got: &State, expected: &State, context: impl FnOnce() -> String) {
    if let Some(difference) = difference(got, expected) {
        panic!("{difference}\n{}", context());
    }
}
