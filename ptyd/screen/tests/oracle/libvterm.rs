//! A second judge: libvterm, with cells, attributes, colours, cursor, pen, modes, region and scrollback, as far as it has them
//! (see [`as_libvterm_has`]). It sees recordings without resizes, since how it takes a resize is its own, and without what it
//! takes otherwise (see [`for_libvterm`]).

use ptyd_screen::Screen;
use ptyd_screen::parser::{Event, Parser};

use crate::allowances::as_libvterm_has;
use crate::check::{SCROLLBACK_BYTES, SCROLLBACK_LINES};
use crate::judge::{Judge, Question};
use crate::seen::{Seen, difference, ours};
use crate::story::{Story, size};
use crate::times;

/// It tells its state more slowly than xterm.js: so many cuts of a story are shown to it.
const CUTS: usize = 12;

/// Output with NULs for what libvterm takes otherwise than xterm.js and ours: EL, ED and ECH where the cursor waits to wrap. It
/// erases the last place too, as xterm does, and xterm.js does not.
pub fn for_libvterm(bytes: &[u8], (rows, cols): (usize, usize)) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut screen = Screen::new(size(rows, cols), Vec::new(), 0);
    let (mut parser, mut at, mut begun) = (Parser::new(), 0, 0);
    while at < out.len() {
        let (used, event) = parser.next(&out[at..]);
        let erases = matches!(&event, Event::Csi(csi) if matches!(csi.final_byte, b'J' | b'K' | b'X'));
        at += used;
        if parser.is_ground() {
            if erases && screen.inspect().cursor.0 >= cols {
                out[begun..at].fill(0);
            }
            screen.feed(&out[begun..at], &mut Vec::new());
            begun = at;
        }
    }
    out
}

/// What is compared: our screen with it at each cut and at the end, and one that is fed our snapshot at a cut with the one that was
/// fed everything, there and at the end. Returns how many cuts that was.
pub fn check(judge: &mut Judge, story: &Story) -> usize {
    let (rows, cols) = (story.rows, story.cols);
    let every = story.cuts.len().div_ceil(CUTS * times());
    let cuts: Vec<usize> = story.cuts.iter().copied().step_by(every).collect();
    let question = || Question { rows, cols, scrollback: SCROLLBACK_LINES, steps: Vec::new() };
    let (mut whole, mut questions, mut told) = (question(), Vec::new(), Vec::new());
    let mut screen = Screen::new(size(rows, cols), vec![0; SCROLLBACK_BYTES], SCROLLBACK_LINES);
    for (index, step) in story.steps.iter().enumerate() {
        if cuts.contains(&index) {
            told.push(ours(&screen.inspect()));
            whole.state(SCROLLBACK_LINES);
            let mut resumed = question();
            resumed.feed(&screen.snapshot(SCROLLBACK_LINES));
            resumed.state(SCROLLBACK_LINES);
            story.steps[index..].iter().for_each(|step| step.ask(&mut resumed));
            resumed.state(SCROLLBACK_LINES);
            questions.push(resumed);
        }
        step.ask(&mut whole);
        step.apply(&mut screen);
    }
    told.push(ours(&screen.inspect()));
    whole.state(SCROLLBACK_LINES);
    questions.push(whole);
    let mut resumed = judge.states(&questions);
    let whole = resumed.pop().expect("an answer for each question");
    for (index, (ours, theirs)) in told.iter().zip(&whole).enumerate() {
        compare(story, cuts.get(index), "our screen beside libvterm", &as_libvterm_has(ours, cols), theirs);
    }
    for ((cut, resumed), at) in cuts.iter().zip(&resumed).zip(&whole) {
        compare(story, Some(cut), "libvterm after our snapshot", &resumed[0], at);
        let end = whole.last().expect("a state at the end");
        compare(story, Some(cut), "libvterm after snapshot and rest", &resumed[1], end);
    }
    cuts.len()
}

fn compare(story: &Story, cut: Option<&usize>, what: &str, got: &Seen, expected: &Seen) {
    if let Some(difference) = difference(got, expected) {
        story.fail(cut.copied(), what, &difference);
    }
}
