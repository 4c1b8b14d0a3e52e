//! Random streams that mean something: every operation of a terminal, weighted so that they meet.
#![allow(dead_code, unreachable_pub, clippy::cast_possible_truncation, reason = "each test uses a part")]

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
    /// Only what xterm.js knows.
    pub like_xterm_js: bool,
}

const WORDS: [&str; 17] = [
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
    "   ",
    "👩\u{200d}👩",
    // Without a base, wherever they come first or twice.
    "\u{301}",
    "\r\u{301}",
    "\0\u{200b}\0\u{302}\0\u{303}",
];

/// Sequences that no terminal knows, that are cut short, or that something comes in the middle of.
const ODD: [&str; 16] = [
    "\x1b[5\x18",
    "\x1b[3\x1aB",
    "\x1b[2\x08C",
    "\x1b[1;\r3H",
    "\x1b[?1;2;3;4z",
    "\x1b[1:2H",
    "\x1b[;;3;4H",
    "\x1b[999999999999B",
    "\x1b(x",
    "\x1b[3 \x1b[2C",
    "\x1b]777;x\x1b[A",
    "\x1bPq#1\x1b\\",
    "\x1b_Gx\x1b\\",
    "\x1b^pm\x1b\\",
    "\x1bXsos\x1b\\",
    "\x00\x7f",
];

/// What xterm.js does not know.
const BEYOND_XTERM_JS: [&str; 21] = [
    "\x1b[?69h\x1b[3;7s",
    "\x1b[?69h\x1b[;5s",
    "\x1b[?69h\x1b[2s",
    "\x1b[?69h",
    "\x1b[?69l",
    "\x1b[?69s",
    "\x1b[?69r",
    "\x1b[>1u",
    "\x1b[<u",
    "\x1b[=5;1u",
    "\x1b[>4;2m",
    "\x1b[?2004s",
    "\x1b[?2004r",
    "\x1b[?6;7;47s",
    "\x1b[?6;7r",
    "\x1b[?1049;1047;1047s",
    "\x1b[?1049r\x1b[?47r",
    "\x1b]7;file:///tmp/x\x07",
    "\x1b[?5h",
    "\x1b[?1015h",
    "\x1b[?1007;2031;2048h",
];

const SET_BESIDE_CELLS: [&str; 14] = [
    "\x1b[1\"q",
    "\x1b[0\"q",
    "\x1b[?1K",
    "\x1b[?2J",
    "\x1b[?K",
    "\x1b[?1J",
    "\x1b]8;;http://a/\x07",
    "\x1b]8;id=7;http://b/;c\x1b\\",
    "\x1b]8;;\x07",
    "\x1b]4;1;#123456\x07",
    "\x1b]11;rgb:12/34/56\x07",
    "\x1b]104;1\x07",
    "\x1b]111\x07",
    "\x1b]104\x07",
];

/// One step of a stream.
pub fn step(random: &mut Random, options: Options) -> String {
    let Options { rows, cols, like_xterm_js } = options;
    let n = |random: &mut Random, most: usize| random.below(most + 2);
    match random.below(44) {
        0..12 => (*random.pick(&WORDS)).to_owned(),
        12 => "x".repeat(random.below(cols * 2) + 1),
        13..16 => "\r\n".to_owned(),
        16 => {
            (*random.pick(&["\n", "\r", "\x08", "\t", "\x0b", "\x0c", "\x0e", "\x0f", "\x08\x08"])).to_owned()
        }
        17 => (*random.pick(&[
            "\x1bD", "\x1bM", "\x1bE", "\x1bH", "\x1b7", "\x1b8", "\x1b[s", "\x1b[u", "\x1bn", "\x1bo",
        ]))
        .to_owned(),
        18 | 19 => format!("\x1b[{};{}H", n(random, rows), n(random, cols)),
        20 => {
            let final_byte = *random.pick(&["A", "B", "C", "D", "E", "F", "G", "d", "a", "e", "`", "I", "Z"]);
            format!("\x1b[{}{final_byte}", n(random, rows.max(cols)))
        }
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
        30 => {
            let mode =
                random.pick(&[1, 7, 7, 25, 45, 9, 1000, 1002, 1003, 1006, 1016, 2004, 1004, 66, 12, 2026]);
            format!("\x1b[?{mode}{}", hl(random))
        }
        31 => format!("\x1b[{}{}", random.pick(&["4", "4", "4", "20"]), hl(random)),
        32 => format!("\x1b[?{}{}", random.pick(&[47, 1047, 1048, 1049, 1049]), hl(random)),
        33 => format!("\x1b[?6{}", hl(random)),
        34 => {
            let set = random.pick(&["(", ")", "(", ")", "*", "+"]);
            format!("\x1b{set}{}", random.pick(&["0", "B", "0", "B", "A"]))
        }
        35 if random.chance(8) => "\x1b#8".to_owned(),
        35 => {
            format!(
                "{}\x1b[{}b",
                random.pick(&["x", "日", "ab", "e\u{301}"]),
                if random.chance(6) { random.below(4 * cols) } else { random.below(cols.min(10)) } + 1
            )
        }
        36 => match random.below(4) {
            0 => "\x1b[22;2t".to_owned(),
            1 => "\x1b[23;2t".to_owned(),
            _ => format!("\x1b]{};title {}\x07", random.pick(&[0, 2]), random.below(10)),
        },
        37 if random.chance(4) => "\x1b[!p".to_owned(),
        37 if random.chance(12) => "\x1bc".to_owned(),
        37 => format!("\x1b[{} q", random.below(7)),
        38 => format!("\x1b[{}g", random.pick(&[0, 0, 0, 3])),
        39 if !like_xterm_js => (*random.pick(&BEYOND_XTERM_JS)).to_owned(),
        39 | 40 => (*random.pick(&SET_BESIDE_CELLS)).to_owned(),
        41 => (*random.pick(&["\x1b[ @", "\x1b[2 A", "\x1b['}", "\x1b[2'~"])).to_owned(),
        42 => (*random.pick(&ODD)).to_owned(),
        _ => (*random.pick(&["\u{85}", "\u{84}", "\u{8d}", "\u{88}", "\u{9b}3C"])).to_owned(),
    }
}

/// One step of a stream with left and right margins, often.
pub fn step_with_margins(random: &mut Random, options: Options) -> String {
    let Options { rows, cols, .. } = options;
    match random.below(24) {
        0..3 => {
            let left = random.below(cols) + 1;
            format!("\x1b[?69h\x1b[{left};{}s", left + random.below(cols))
        }
        3 => (*random.pick(&["\x1b[?69l", "\x1b[?69h", "\x1b[s", "\x1b[?69s", "\x1b[?69r"])).to_owned(),
        4 => "x".repeat(random.below(cols * 2) + 1),
        5 => format!("\x1b[{};{}H", random.below(rows) + 1, random.below(cols) + 1),
        6 => (*random.pick(&["\x1b[2;3r", "\x1b[r", "\x1b[?6h", "\x1b[?6l"])).to_owned(),
        7 => "\r\n".repeat(random.below(4) + 1),
        8 => format!("\x1b[{}{}", random.below(3) + 1, random.pick(&["L", "M", "P", "@", "S", "T"])),
        _ => step(random, options),
    }
}

fn hl(random: &mut Random) -> &'static str {
    if random.chance(2) { "h" } else { "l" }
}

fn sgr(random: &mut Random) -> String {
    match random.below(14) {
        0 | 1 => "0".to_owned(),
        2 => random.pick(&["1", "2", "3", "4", "5", "7", "8", "9", "21", "53"]).to_string(),
        3 => random.pick(&["22", "23", "24", "25", "27", "28", "29", "39", "49", "55", "59"]).to_string(),
        4 => format!("4:{}", random.below(6)),
        5 | 6 => format!("{}", 30 + random.below(8)),
        7 => format!("{}", 40 + random.below(8)),
        8 => format!("38;5;{}", random.below(256)),
        9 => format!("48;2;{};{};{}", random.below(256), random.below(256), random.below(256)),
        10 => format!("{}", 90 + random.below(18)),
        11 => format!("58:5:{}", random.below(256)),
        12 => format!("38:2::{}:{}:{}", random.below(256), random.below(256), random.below(256)),
        _ => random.pick(&["58:2::1:2:3", "48:5:9", "", "4"]).to_string(),
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
            format!("region {:?} {:?}", state.region, state.hidden_region),
            format!("margins {:?} {}", state.margins, state.margin_mode),
            format!("pen {:?} {}", state.pen, state.pen_link),
            format!("saved {:?} {:?}", state.saved, state.hidden_saved),
            format!("charsets {}", state.charsets),
            format!("cursor style {}", state.cursor_style),
            format!("titles {:?}", state.titles),
            format!("colors {:?}", state.colors),
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
