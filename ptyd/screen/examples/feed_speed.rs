//! How fast the screen takes output, and what a line of scrollback costs, beside `alacritty_terminal` in the same run:
//! `cargo run --release -p ptyd-screen --example feed_speed`. Each text goes to both by turns, to terminals that have seen it
//! once, with their scrollback full; medians count. An argument names a part of the texts.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a measurement, printed"
)]

use std::fmt::Write as _;

use alacritty_terminal::Term;
use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::term::{Config, cell};
use alacritty_terminal::vte::ansi::Processor;
use nix::sys::resource::{UsageWho, getrusage};
use ptyd_screen::{Screen, Size};

const ROUNDS: usize = 21;
const TEXT_BYTES: usize = 8 << 20;
/// What a worker feeds at once.
const PIECE_BYTES: usize = 64 << 10;
const SCROLLBACK_BYTES: usize = 4 << 20;
const SCROLLBACK_LINES: usize = 10_000;
const ROWS: usize = 50;
const COLS: usize = 200;

fn main() {
    let texts = [
        ("plain log lines", plain()),
        ("SGR-heavy", colored()),
        ("UTF-8 text", utf8()),
        ("full-screen redraws", redraws()),
    ];
    println!("{ROWS}x{COLS}, {TEXT_BYTES} bytes of each text in pieces of {PIECE_BYTES}, {ROUNDS} rounds");
    println!("| text | ptyd-screen | alacritty_terminal | ratio |\n|---|---|---|---|");
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (name, text) in texts.iter().filter(|(name, _)| name.contains(&wanted)) {
        let (mut screen, mut term) = (Ours::new(), Theirs::new());
        screen.feed(text);
        term.feed(text);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(seconds(|| screen.feed(text)));
            theirs.push(seconds(|| term.feed(text)));
        }
        let speed = |times: &mut Vec<f64>| text.len() as f64 / 1e6 / median(times);
        let (ours, theirs) = (speed(&mut ours), speed(&mut theirs));
        println!("| {name} | {ours:.0} MB/s | {theirs:.0} MB/s | {:.1} |", ours / theirs);
    }
    // A cell each, and nothing else of what it keeps.
    let cells = COLS * size_of::<cell::Cell>();
    println!("\n| scrollback | bytes a line | alacritty_terminal | part |\n|---|---|---|---|");
    for (name, text) in &texts[..3] {
        let Ours(screen) = fed(text);
        let line = screen.scrollback_bytes() as f64 / f64::from(screen.scrollback_rows());
        println!("| {name} | {line:.0} | {cells} | 1/{:.0} |", cells as f64 / line);
    }
    let full: String = (0..SCROLLBACK_LINES + ROWS).fold(String::new(), |mut text, line| {
        let _infallible = write!(text, "{line:0>COLS$}\r\n");
        text
    });
    let Ours(screen) = fed(full.as_bytes());
    let (rows, bytes) = (screen.scrollback_rows(), screen.scrollback_bytes());
    println!("\n{rows} full lines of {COLS} columns: {:.2} MiB", bytes as f64 / f64::from(1 << 20));
}

fn fed(text: &[u8]) -> Ours {
    let mut ours = Ours::new();
    ours.feed(text);
    ours
}

struct Ours(Screen);

impl Ours {
    fn new() -> Self {
        let size = Size::new(ROWS as u16, COLS as u16);
        Self(Screen::new(size, vec![0; SCROLLBACK_BYTES], SCROLLBACK_LINES as u32))
    }

    fn feed(&mut self, text: &[u8]) {
        let mut effects = Vec::new();
        text.chunks(PIECE_BYTES).for_each(|piece| self.0.feed(piece, &mut effects));
    }
}

struct Dim;

impl Dimensions for Dim {
    fn total_lines(&self) -> usize {
        ROWS
    }

    fn screen_lines(&self) -> usize {
        ROWS
    }

    fn columns(&self) -> usize {
        COLS
    }
}

struct Theirs(Term<VoidListener>, Processor);

impl Theirs {
    fn new() -> Self {
        let config = Config { scrolling_history: SCROLLBACK_LINES, ..Config::default() };
        Self(Term::new(config, &Dim, VoidListener), Processor::new())
    }

    fn feed(&mut self, text: &[u8]) {
        text.chunks(PIECE_BYTES).for_each(|piece| self.1.advance(&mut self.0, piece));
    }
}

fn seconds(act: impl FnOnce()) -> f64 {
    let start = cpu_seconds();
    act();
    cpu_seconds() - start
}

/// Processor time of this process, in seconds: what other processes do counts little.
fn cpu_seconds() -> f64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0.0 };
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum()
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Repeats what `line` writes for each number until the text is long enough.
fn text(line: impl Fn(&mut String, usize)) -> Vec<u8> {
    let mut text = String::with_capacity(TEXT_BYTES + 65536);
    let mut number = 0;
    while text.len() < TEXT_BYTES {
        line(&mut text, number);
        number += 1;
    }
    text.into_bytes()
}

fn plain() -> Vec<u8> {
    text(|to, number| {
        let words =
            "handled request for a client that waited, answered from the cache and closed the connection";
        let _infallible = write!(
            to,
            "2024-05-17T12:{:02}:{:02}.{:03}Z INFO worker[{number}]: {}\r\n",
            number / 60 % 60,
            number % 60,
            number % 1000,
            &words[..20 + number * 7 % 72],
        );
    })
}

fn colored() -> Vec<u8> {
    text(|to, number| {
        for word in ["src", "main.rs", "drwxr-xr-x", "Makefile", "target", "Cargo.toml", "README.md"] {
            let _infallible = write!(
                to,
                "\x1b[0m\x1b[01;{}m{word}\x1b[0m  \x1b[38;5;{}m{number}\x1b[0m ",
                31 + (number + word.len()) % 7,
                number * 31 % 256
            );
        }
        to.push_str("\r\n");
    })
}

fn utf8() -> Vec<u8> {
    text(|to, number| {
        let lines = [
            "Die Größe der Änderungen überrascht: für fünf Schlüssel wären größere Räume nötig gewesen",
            "Съешь же ещё этих мягких французских булок, да выпей чаю; широкая электрификация южных губерний",
            "日本語のテキストは一文字で二桁を占めます。漢字とかな、そして句読点。",
            "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία — déjà vu, naïve façade, “quotes” … ├── └──",
            "한국어 문장도 두 칸씩 차지합니다. ✓ done → next",
        ];
        let _infallible = write!(to, "{}\r\n", lines[number % lines.len()]);
    })
}

fn redraws() -> Vec<u8> {
    text(|to, number| {
        if number == 0 {
            to.push_str("\x1b[?1049h\x1b[?25l");
        }
        to.push_str("\x1b[H");
        for row in 0..ROWS {
            let _infallible = write!(
                to,
                "\x1b[{};1H\x1b[38;5;{}m{row:4} \x1b[m\x1b[1m{number:6}\x1b[m fn frame_{row}(state: &mut State) -> Result<(), Error> {{\x1b[K",
                row + 1,
                (row + number) % 256
            );
            if row % 5 == 0 {
                let _infallible = write!(to, "\x1b[{};120H\x1b[7m{:5.1}%\x1b[27m", row + 1, row as f64 * 1.7);
            }
        }
    })
}
