//! What is compared with what: our screen with the judge, the judge after a snapshot with the judge that was fed everything,
//! and our screen restored from a checkpoint with the one that went on.

use ptyd_screen::{Screen, State};

use crate::judge::{Judge, Question};
use crate::seen::{Seen, blanks_alike, difference, lines_alike, ours, plain, trim};
use crate::story::{Step, Story, size};

const SCROLLBACK_LINES: u32 = 10_000;
const SCROLLBACK_BYTES: usize = 1 << 20;

/// Steps that a worker takes after a checkpoint, before it is killed.
const STEPS_BEFORE_KILL: usize = 3;

pub struct Checker {
    judge: Judge,
    /// Cuts checked.
    pub checked: usize,
    /// Comparisons that only held when rows of scrollback were taken for lines (see [`lines_alike`]).
    pub as_lines: usize,
    /// Bytes of the snapshots, scrollback left out.
    pub snapshots: Vec<usize>,
}

/// What was found out about one cut.
struct Cut {
    /// Our state there.
    ours: Seen,
    snapshot: Vec<u8>,
    waits_at_nothing: bool,
    /// What a restored screen is at the end, where it could be restored.
    restored: Option<Seen>,
}

impl Checker {
    pub fn new() -> Self {
        Self { judge: Judge::start(), checked: 0, as_lines: 0, snapshots: Vec::new() }
    }

    pub fn check(&mut self, stories: &[Story]) {
        let mut questions = Vec::new();
        let mut told = Vec::new();
        for story in stories {
            let (cuts, end) = self.tell(story);
            ask(story, &cuts, &mut questions);
            told.push((cuts, end));
        }
        let mut answers = self.judge.states(&questions).into_iter();
        for (story, (cuts, end)) in stories.iter().zip(&told) {
            let resumed: Vec<_> = answers.by_ref().take(2 * cuts.len()).collect();
            let whole = answers.next().expect("an answer for each question");
            let last = whole.last().expect("a state at the end");
            for (index, cut) in cuts.iter().enumerate() {
                let at = &whole[index];
                self.compare(
                    story,
                    index,
                    "our screen at the cut beside xterm.js",
                    &cut.ours,
                    &text_only(at),
                );
                let alike = |seen: &Seen| {
                    let mut seen = seen.clone();
                    if cut.waits_at_nothing {
                        // It is told by a blank that is printed where there was nothing.
                        seen.rows.iter_mut().chain(&mut seen.hidden).for_each(blanks_alike);
                    }
                    seen
                };
                let (as_it_is, resumed) = (&resumed[2 * index][0], &resumed[2 * index + 1]);
                // What is saved it has elsewhere.
                let as_it_is = Seen { saved: at.saved.clone(), ..as_it_is.clone() };
                self.compare(
                    story,
                    index,
                    "xterm.js as it is, after our snapshot",
                    &alike(&as_it_is),
                    &alike(at),
                );
                self.compare(story, index, "xterm.js after our snapshot", &alike(&resumed[0]), &alike(at));
                self.compare(
                    story,
                    index,
                    "xterm.js after snapshot and rest",
                    &alike(&resumed[1]),
                    &alike(last),
                );
                if let Some(restored) = &cut.restored
                    && let Some(difference) = difference(restored, end)
                {
                    fail(story, index, "our screen restored from a checkpoint, at the end", &difference);
                }
                self.checked += 1;
            }
            self.compare(story, cuts.len(), "our screen at the end beside xterm.js", end, &text_only(last));
        }
    }

    /// Feeds a story to our screen.
    fn tell(&mut self, story: &Story) -> (Vec<Cut>, Seen) {
        let mut screen =
            Screen::new(size(story.rows, story.cols), vec![0; SCROLLBACK_BYTES], SCROLLBACK_LINES);
        let mut cuts = Vec::new();
        for (index, step) in story.steps.iter().enumerate() {
            if story.cuts.contains(&index) {
                let snapshot = screen.snapshot(SCROLLBACK_LINES);
                self.snapshots.push(screen.snapshot(0).len());
                let state = screen.inspect();
                let waits_at_nothing = waits_at_nothing(&state, usize::from(screen.size().cols()));
                let restored = restored(story, &mut screen, index);
                cuts.push(Cut { ours: ours(&state), snapshot, waits_at_nothing, restored });
            }
            step.apply(&mut screen);
        }
        (cuts, ours(&screen.inspect()))
    }

    fn compare(&mut self, story: &Story, cut: usize, what: &str, got: &Seen, expected: &Seen) {
        let [got, expected] = [got, expected].map(|seen| with_blanks_alike(story, seen));
        let Some(difference) = difference(&got, &expected) else { return };
        if story.has_resizes() && lines_alike(&got, &expected) {
            self.as_lines += 1;
            return;
        }
        fail(story, cut, what, &difference);
    }
}

/// Asks for the state at each cut and at the end: of one terminal for each snapshot, and of one that is fed everything.
fn ask(story: &Story, cuts: &[Cut], questions: &mut Vec<Question>) {
    let ask =
        |rows, cols, mended| Question { rows, cols, scrollback: SCROLLBACK_LINES, mended, steps: Vec::new() };
    let mut whole = ask(story.rows, story.cols, true);
    let (mut rows, mut cols) = (story.rows, story.cols);
    for (index, step) in story.steps.iter().enumerate() {
        if let Some(cut) = story.cuts.iter().position(|cut| *cut == index) {
            whole.state(SCROLLBACK_LINES);
            let mut as_it_is = ask(rows, cols, false);
            let mut resumed = ask(rows, cols, true);
            for question in [&mut as_it_is, &mut resumed] {
                question.feed(&cuts[cut].snapshot);
                question.state(SCROLLBACK_LINES);
            }
            questions.push(as_it_is);
            story.steps[index..].iter().for_each(|step| step.ask(&mut resumed));
            resumed.state(SCROLLBACK_LINES);
            questions.push(resumed);
        }
        step.ask(&mut whole);
        if let Step::Resize(new_rows, new_cols) = step {
            (rows, cols) = (*new_rows, *new_cols);
        }
    }
    whole.state(SCROLLBACK_LINES);
    questions.push(whole);
}

/// The end as a screen sees it that is restored at a cut, from memory that the killed one went on to write to.
fn restored(story: &Story, screen: &mut Screen, cut: usize) -> Option<Seen> {
    let checkpoint = screen.checkpoint();
    let memory = screen.scrollback_memory().to_vec();
    let mut killed = Screen::restore(&checkpoint, memory, SCROLLBACK_LINES).expect("a checkpoint of ours");
    for step in story.steps[cut..].iter().take(STEPS_BEFORE_KILL) {
        step.apply(&mut killed);
        if killed.checkpoint_due() {
            return None;
        }
    }
    let memory = killed.into_scrollback();
    let mut screen = Screen::restore(&checkpoint, memory, SCROLLBACK_LINES).expect("a checkpoint of ours");
    story.steps[cut..].iter().for_each(|step| step.apply(&mut screen));
    Some(ours(&screen.inspect()))
}

/// Whether the cursor waits to wrap at the end of a row on whose last place nothing was printed, but elsewhere, and on the
/// alternate screen: there is no way to tell that.
fn waits_at_nothing(state: &State, cols: usize) -> bool {
    let cells = &state.rows[state.cursor.1].cells;
    let nothing_last = cells.get(cols - 1).is_none_or(|cell| cell.text.is_empty() && cell.width == 1);
    let alike = cells.iter().all(|cell| cell.text.is_empty() && cell.style == cells[0].style);
    state.modes.alternate_screen
        && state.cursor.0 >= cols
        && nothing_last
        && !(alike && (cells.is_empty() || cells.len() == cols))
}

/// With blanks made alike, if there are resizes: wrapping a line anew makes xterm.js forget the colour behind nothing at its
/// end, and take nothing before a wide character for a place that was too narrow for it.
fn with_blanks_alike(story: &Story, seen: &Seen) -> Seen {
    let mut seen = seen.clone();
    if story.has_resizes() {
        seen.rows.iter_mut().chain(&mut seen.hidden).for_each(blanks_alike);
        for line in &mut seen.scrollback {
            trim(line);
            while line.contains("  ") {
                *line = line.replace("  ", " ");
            }
        }
    }
    seen
}

/// Of the scrollback only its text.
fn text_only(seen: &Seen) -> Seen {
    let scrollback = seen.scrollback.iter().map(|line| plain(line, '‹', '›')).collect();
    Seen { scrollback, ..seen.clone() }
}

fn fail(story: &Story, cut: usize, what: &str, difference: &str) -> ! {
    let cut = story.cuts.get(cut).copied().unwrap_or(story.steps.len());
    let told = story.tell(cut);
    if told.len() < 8000 {
        panic!("{what}: {difference}\n{told}");
    }
    let path = std::env::temp_dir().join(format!("ptyd-screen {}.txt", story.name));
    std::fs::write(&path, told).expect("the failing story can be kept");
    panic!("{what}: {difference}\n{}, cut before step {cut}, kept in {}", story.name, path.display());
}
