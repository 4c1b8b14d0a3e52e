//! The screen beside xterm.js, an emulator nobody here wrote and the one that clients draw with: fed the same stream, both
//! show the same; and a fresh xterm.js fed a snapshot and the rest shows what one shows that was fed everything.
//!
//! What is left out of the streams, since xterm.js does it otherwise than the terminals it follows, or than it itself does
//! when the stream comes in other pieces:
//! - origin mode (relative moves count the region's top twice there);
//! - DECRC after the screen has scrolled since DECSC (it is kept relative to the scrollback there);
//! - ED 1 with the cursor on the very last place (xterm.js 6.0.0 throws an error there);
//! - DECIC and DECDC (done at column 0 there while the cursor waits to wrap, and halves of wide characters stay behind);
//! - text with autowrap off (a wide character that does not fit cuts the one before it in half there);
//! - protected cells, links, colours of the palette, kitty's and xterm's keyboard modes: its API does not show them.
//!
//! And in comparing:
//! - a right half whose wide character was cut in two by inserted cells counts as nothing (it stays behind there);
//! - a wide character of which a narrower screen cut the right half off counts as nothing (its left half stays there);
//! - the alternate screen after a resize: what a narrower one cut off comes back there when it is widened;
//! - underline styles are told apart only as there or not.

#![allow(clippy::expect_used, clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use common::{Options, Random, stream};
use ptyd_screen::parser::Parser;
use ptyd_screen::{Color, RowState, Screen, Size, State, flag, query};
use serde::Deserialize;
use serde_json::{Value, json};

/// Cases of each kind in a usual run; `ORACLE_CASES` asks for more.
fn cases(usual: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test's own knob")]
    let asked = std::env::var("ORACLE_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(usual)
}

struct Oracle {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Seen {
    alternate: bool,
    rows: Vec<SeenRow>,
    hidden: Vec<SeenRow>,
    cursor: (usize, usize),
    modes: Value,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct SeenRow {
    wrapped: bool,
    /// Text, width, foreground, background, attributes, underlined.
    cells: Vec<(String, u16, String, String, u16, u16)>,
}

impl Oracle {
    fn start() -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle");
        assert!(
            std::path::Path::new(folder).join("node_modules/@xterm/headless").exists(),
            "the oracle's packages are missing: run `make test`, or `npm ci` in {folder}"
        );
        let mut child = Command::new("node")
            .arg("oracle.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { input: child.stdin.take(), output, child }
    }

    fn ask(&mut self, cases: &[Value]) -> Vec<Vec<Seen>> {
        let input = self.input.as_mut().expect("its input");
        serde_json::to_writer(&mut *input, cases).expect("it listens");
        input.write_all(b"\n").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|err| panic!("the oracle answers with states: {err}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().expect("it ends with its input");
    }
}

fn feed(bytes: &[u8]) -> Value {
    json!({"feed": base64::engine::general_purpose::STANDARD.encode(bytes)})
}

/// The stream as clients get it: queries are blanked.
fn blanked(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let (mut parser, mut at, mut begun) = (Parser::new(), 0, 0);
    while at < out.len() {
        let piece = out[at..].to_vec();
        let (used, event) = parser.next(&piece);
        let asks = query::is_query(&event);
        at += used;
        if asks {
            out[begun..at].fill(0);
        }
        if parser.is_ground() {
            begun = at;
        }
    }
    out
}

fn color(color: Color) -> String {
    match color {
        Color::Default => "d".to_owned(),
        Color::Palette(index) => format!("p{index}"),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

/// Our state as the oracle would say it.
fn ours(state: &State) -> Seen {
    let row = |row: &RowState| {
        let cells = row.cells.iter().map(|cell| {
            let style = cell.style;
            if cell.text.is_empty() && cell.width != 0 {
                return (String::new(), 1, "d".to_owned(), color(style.bg), 0, 0);
            }
            let flags = style.flags & !flag::PROTECTED;
            (
                cell.text.clone(),
                cell.width,
                color(style.fg),
                color(style.bg),
                flags,
                u16::from(style.underline > 0),
            )
        });
        let mut cells: Vec<_> = cells.collect();
        while cells.last().is_some_and(|cell| cell.0.is_empty() && cell.1 == 1 && cell.3 == "d") {
            cells.pop();
        }
        SeenRow { wrapped: row.wrapped, cells }
    };
    let modes = &state.modes;
    let mouse = match modes.mouse {
        ptyd_screen::Mouse::Off => "none",
        ptyd_screen::Mouse::X10 => "x10",
        ptyd_screen::Mouse::Vt200 => "vt200",
        ptyd_screen::Mouse::Drag => "drag",
        ptyd_screen::Mouse::Any => "any",
    };
    Seen {
        alternate: modes.alternate_screen,
        rows: state.rows.iter().map(row).collect(),
        hidden: state.hidden.iter().map(row).collect(),
        cursor: state.cursor,
        modes: json!({
            "applicationCursorKeysMode": modes.application_cursor,
            "applicationKeypadMode": modes.application_keypad,
            "bracketedPasteMode": modes.bracketed_paste,
            "insertMode": modes.insert,
            "mouseTrackingMode": mouse,
            "originMode": modes.origin,
            "reverseWraparoundMode": modes.reverse_wrap,
            "sendFocusMode": modes.focus_events,
            "wraparoundMode": modes.autowrap,
        }),
    }
}

/// Looks the same: blanks count as nothing where they have no attributes.
fn normal(mut seen: Seen) -> Seen {
    for row in seen.rows.iter_mut().chain(&mut seen.hidden) {
        for x in 0..row.cells.len() {
            let orphan =
                row.cells[x].1 == 0 && row.cells[x].0.is_empty() && (x == 0 || row.cells[x - 1].1 != 2);
            let cut = row.cells[x].1 == 2 && row.cells.get(x + 1).is_none_or(|next| next.1 != 0);
            if orphan || cut {
                row.cells[x] = (String::new(), 1, "d".to_owned(), row.cells[x].3.clone(), 0, 0);
            }
        }
        for cell in &mut row.cells {
            if cell.0 == " " && cell.4 & (flag::INVERSE | flag::STRIKE | flag::OVERLINE) == 0 && cell.5 == 0 {
                *cell = (String::new(), 1, "d".to_owned(), cell.3.clone(), 0, 0);
            }
        }
        while row.cells.last().is_some_and(|cell| cell.0.is_empty() && cell.1 == 1 && cell.3 == "d") {
            row.cells.pop();
        }
    }
    seen
}

fn difference(got: &Seen, expected: &Seen, resized: bool) -> Option<String> {
    let (got, expected) = (normal(got.clone()), normal(expected.clone()));
    // Of the alternate screen after a resize the clients' idea is not compared (see above).
    let shown: &[SeenRow] = if resized && got.alternate { &[] } else { &got.rows };
    let wanted: &[SeenRow] = if resized && got.alternate { &[] } else { &expected.rows };
    for (name, got, expected) in [("row", shown, wanted), ("hidden row", &got.hidden, &expected.hidden)] {
        if got.len() != expected.len() {
            return Some(format!("{} {name}s, expected {}", got.len(), expected.len()));
        }
        for (y, (got, expected)) in got.iter().zip(expected).enumerate() {
            if got.wrapped != expected.wrapped && y > 0 {
                return Some(format!("{name} {y} wrapped {}, expected {}", got.wrapped, expected.wrapped));
            }
            for x in 0..got.cells.len().max(expected.cells.len()) {
                if got.cells.get(x) != expected.cells.get(x) {
                    return Some(format!(
                        "{name} {y} column {x}: {:?}, expected {:?}",
                        got.cells.get(x),
                        expected.cells.get(x)
                    ));
                }
            }
        }
    }
    let rest = |seen: &Seen| {
        let modes = format!("modes {}", seen.modes);
        [format!("alternate {}", seen.alternate), format!("cursor {:?}", seen.cursor), modes]
    };
    let pairs = rest(&got).into_iter().zip(rest(&expected));
    pairs
        .into_iter()
        .find(|(got, expected)| got != expected)
        .map(|(got, expected)| format!("{got}, expected {expected}"))
}

/// One random case: a stream with resizes, cut somewhere.
struct Case {
    name: String,
    rows: usize,
    cols: usize,
    steps: Vec<Step>,
    /// Steps before the cut.
    cut: usize,
}

impl Case {
    fn resized(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Resize(..)))
    }
}

enum Step {
    Feed(Vec<u8>),
    Resize(usize, usize),
}

const SCROLLBACK_LINES: u32 = 1000;

fn to_json(step: &Step) -> Value {
    match step {
        Step::Feed(bytes) => feed(bytes),
        Step::Resize(rows, cols) => json!({"resize": [rows, cols]}),
    }
}

fn apply(screen: &mut Screen, step: &Step) {
    match step {
        Step::Feed(bytes) => screen.feed(bytes, &mut Vec::new()),
        Step::Resize(rows, cols) => screen.resize(Size::new(*rows as u16, *cols as u16)),
    }
}

/// Feeds all three and compares them: xterm.js with everything, ours, and xterm.js with snapshot and rest.
fn check(oracle: &mut Oracle, cases: &[Case]) {
    let mut questions = Vec::new();
    let mut expected = Vec::new();
    for case in cases {
        let (rows, cols) = (case.rows, case.cols);
        let mut screen = Screen::new(Size::new(rows as u16, cols as u16), vec![0; 1 << 20], SCROLLBACK_LINES);
        let mut whole = Vec::new();
        let mut resumed = Vec::new();
        let mut states = Vec::new();
        let mut size = (rows, cols);
        for (index, step) in case.steps.iter().enumerate() {
            if index == case.cut {
                whole.push(json!({"state": true}));
                resumed = vec![feed(&screen.snapshot(SCROLLBACK_LINES)), json!({"state": true})];
                states.push(ours(&screen.inspect()));
                size = (usize::from(screen.size().rows()), usize::from(screen.size().cols()));
            }
            apply(&mut screen, step);
            whole.push(to_json(step));
            resumed.push(to_json(step));
        }
        states.push(ours(&screen.inspect()));
        for steps in [&mut whole, &mut resumed] {
            steps.push(json!({"state": true}));
        }
        if case.resized() {
            // xterm.js is not asked to follow: it may throw an error when it is made smaller and larger again.
            whole.clear();
            resumed.truncate(2);
        }
        questions.push(json!({"rows": rows, "cols": cols, "scrollback": SCROLLBACK_LINES, "steps": whole}));
        questions
            .push(json!({"rows": size.0, "cols": size.1, "scrollback": SCROLLBACK_LINES, "steps": resumed}));
        expected.push(states);
    }
    let answers = oracle.ask(&questions);
    for ((case, ours), answers) in cases.iter().zip(&expected).zip(answers.chunks(2)) {
        let (whole, resumed) = (&answers[0], &answers[1]);
        for (when, at) in [("at the cut", 0), ("at the end", 1)] {
            let describe = || {
                let steps: Vec<String> = case
                    .steps
                    .iter()
                    .enumerate()
                    .map(|(index, step)| {
                        let cut = if index == case.cut { "--cut-- " } else { "" };
                        match step {
                            Step::Feed(bytes) => format!("{cut}{:?}", String::from_utf8_lossy(bytes)),
                            Step::Resize(rows, cols) => format!("{cut}resize {rows}x{cols}"),
                        }
                    })
                    .collect();
                let text = format!("{} {}x{}\n{}", case.name, case.rows, case.cols, steps.join("\n"));
                if text.len() > 6000 { format!("{} ({} bytes)", case.name, text.len()) } else { text }
            };
            if case.resized() {
                // How xterm.js wraps anew depends on what it had above the screen; a snapshot has to show what we have.
                if at == 0
                    && let Some(difference) = difference(&resumed[at], &ours[at], true)
                {
                    panic!("xterm.js after our snapshot beside our screen: {difference}\n{}", describe());
                }
                continue;
            }
            if let Some(difference) = difference(&ours[at], &whole[at], false) {
                panic!("our screen beside xterm.js, {when}: {difference}\n{}", describe());
            }
            let (mut resumed, mut whole) = (resumed[at].clone(), whole[at].clone());
            if [&answers[0][0].rows, &answers[0][0].hidden]
                .iter()
                .any(|rows| rows.first().is_some_and(|row| row.wrapped))
            {
                // Rows may have been inserted above one that goes on with what a snapshot does not tell.
                for row in [&mut resumed, &mut whole]
                    .into_iter()
                    .flat_map(|seen| seen.rows.iter_mut().chain(&mut seen.hidden))
                {
                    row.wrapped = false;
                }
            }
            if let Some(difference) = difference(&resumed, &whole, false) {
                panic!("xterm.js after our snapshot, {when}: {difference}\n{}", describe());
            }
        }
    }
}

fn random_case(seed: u64, resizes: bool) -> Case {
    let mut random = Random::new(seed);
    let (mut rows, mut cols) = (random.below(8) + 2, random.below(20) + 4);
    let (first_rows, first_cols) = (rows, cols);
    let mut steps = Vec::new();
    for _ in 0..random.below(6) + 2 {
        let options = Options { rows, cols, like_xterm_js: true };
        let count = random.below(20) + 1;
        steps.push(Step::Feed(blanked(&stream(&mut random, options, count))));
        if resizes && random.chance(2) {
            (rows, cols) = (random.below(8) + 2, random.below(20) + 4);
            steps.push(Step::Resize(rows, cols));
        }
    }
    let cut = random.below(steps.len());
    Case { name: format!("seed {seed}"), rows: first_rows, cols: first_cols, steps, cut }
}

fn check_random(from: u64, count: u64, resizes: bool) {
    let mut oracle = Oracle::start();
    let seeds: Vec<u64> = (from..from + count).collect();
    for seeds in seeds.chunks(250) {
        let cases: Vec<Case> = seeds.iter().map(|seed| random_case(*seed, resizes)).collect();
        check(&mut oracle, &cases);
    }
}

#[test]
fn random_streams_look_the_same_in_xterm_js_and_after_a_snapshot() {
    check_random(0, cases(14_000), false);
}

#[test]
fn after_resizes_a_snapshot_shows_in_xterm_js_what_our_screen_shows() {
    check_random(1_000_000, cases(7_000), true);
}
