//! What is compared with what: our screen with the judge, the judge after a snapshot with the judge that was fed everything,
//! and our screen restored from a checkpoint with the one that went on.

use ptyd_screen::{Screen, State};

use crate::allowances::{
    is_saved_off_screen, lines_alike, links_alike, marks_are_lost, nothing_before_screen,
    nothing_before_wide, nothing_behind_lines, restores_earlier, saved_on_screen, saved_unknown,
    scrollback_as_sgr, tabs_come_back, waiting_at_nothing, waits_at_nothing,
};
use crate::judge::{Judge, Question};
use crate::seen::{Seen, difference, ours};
use crate::story::{Step, Story, size};
use crate::streams;

pub const SCROLLBACK_LINES: u32 = 10_000;
pub const SCROLLBACK_BYTES: usize = 1 << 20;

/// Steps that a worker takes after a checkpoint, before it is killed.
pub const STEPS_BEFORE_KILL: usize = 3;

pub struct Checker {
    mended: Judge,
    as_it_is: Judge,
    /// Cuts checked.
    pub checked: usize,
    pub held: Held,
    /// Cuts after which the mended xterm.js was not compared up to the end (see [`saved_on_screen`]).
    pub saved_lost: usize,
    /// Cuts after which xterm.js as it is was compared up to the end.
    pub unmended: usize,
    /// Cuts at which the worker that is killed had gone on for [`STEPS_BEFORE_KILL`], or to the end.
    pub went_on: usize,
    /// Bytes of the snapshots, scrollback left out.
    pub snapshots: Vec<usize>,
}

/// Comparisons that only held with what may differ left out, by the names in `allowances.rs`.
#[derive(Debug, Default, PartialEq)]
pub struct Held {
    pub nothing_before_screen: usize,
    pub nothing_behind_lines: usize,
    pub nothing_before_wide: usize,
    pub lines_alike: usize,
}

/// What was found out about one cut.
struct Cut {
    /// Our state there.
    ours: Seen,
    snapshot: Vec<u8>,
    waits_at_nothing: bool,
    /// What is saved lies off the screen.
    saved_off_screen: bool,
    /// What a restored screen is at the end: all of it, also what xterm.js knows nothing of.
    restored: State,
}

/// What one judge says of a story.
struct Answers {
    /// For each cut: after the snapshot, and after the rest.
    resumed: Vec<Vec<Seen>>,
    /// Of the one that is fed everything: at each cut, and at the end.
    whole: Vec<Seen>,
}

impl Answers {
    fn of(answers: &mut impl Iterator<Item = Vec<Seen>>, cuts: usize) -> Self {
        let resumed = answers.take(cuts).collect();
        Self { resumed, whole: answers.next().expect("an answer for each question") }
    }

    fn end(&self) -> &Seen {
        self.whole.last().expect("a state at the end")
    }
}

impl Checker {
    pub fn new() -> Self {
        let (mended, as_it_is) = (Judge::start(), Judge::start_as_it_is());
        Self {
            mended,
            as_it_is,
            checked: 0,
            held: Held::default(),
            saved_lost: 0,
            unmended: 0,
            went_on: 0,
            snapshots: Vec::new(),
        }
    }

    pub fn check(&mut self, stories: &[Story]) {
        let mut questions = Vec::new();
        let mut told = Vec::new();
        for story in stories {
            let (cuts, end) = self.tell(story);
            ask(story, &cuts, &mut questions);
            told.push((cuts, end));
        }
        let mut mended = self.mended.states(&questions).into_iter();
        let mut as_it_is = self.as_it_is.states(&questions).into_iter();
        for (story, (cuts, end)) in stories.iter().zip(&told) {
            let [mended, as_it_is] =
                [&mut mended, &mut as_it_is].map(|answers| Answers::of(answers, cuts.len()));
            for (index, cut) in cuts.iter().enumerate() {
                self.check_cut(story, index, cut, [&mended, &as_it_is]);
                if cut.restored != *end {
                    let what = "our screen restored from a checkpoint, at the end";
                    let found = difference(&ours(&cut.restored), &ours(end))
                        .or_else(|| streams::difference(&cut.restored, end));
                    story.fail(story.cuts.get(index).copied(), what, &found.unwrap_or_default());
                }
                self.checked += 1;
            }
            let (what, end) = ("our screen at the end beside xterm.js", &ours(end));
            self.compare(story, cuts.len(), what, end, &scrollback_as_sgr(mended.end()));
            if story.without_faults {
                let expected = saved_unknown(&scrollback_as_sgr(as_it_is.end()));
                self.compare(story, cuts.len(), &format!("{what} as it is"), &saved_unknown(end), &expected);
            }
        }
    }

    fn check_cut(&mut self, story: &Story, index: usize, cut: &Cut, answers: [&Answers; 2]) {
        let [mended, as_it_is] = answers;
        let (at, resumed) = (&mended.whole[index], &mended.resumed[index]);
        let what = "our screen at the cut beside xterm.js";
        self.compare(story, index, what, &cut.ours, &scrollback_as_sgr(at));
        let alike = |seen: &Seen| {
            let seen = if cut.waits_at_nothing { waiting_at_nothing(seen) } else { seen.clone() };
            if cut.saved_off_screen { saved_on_screen(&seen) } else { seen }
        };
        if story.without_faults {
            let [got, expected] = [&cut.ours, &scrollback_as_sgr(&as_it_is.whole[index])].map(saved_unknown);
            self.compare(story, index, &format!("{what} as it is"), &got, &expected);
        }
        let (what, [got, expected]) = ("xterm.js after our snapshot", [&resumed[0], at].map(alike));
        self.compare(story, index, what, &got, &expected);
        let got = saved_unknown(&alike(&as_it_is.resumed[index][0]));
        self.compare(story, index, &format!("{what}, as it is"), &got, &saved_unknown(&expected));
        let what = "xterm.js after snapshot and rest";
        if cut.saved_off_screen && story.has_resizes_from(story.cuts[index]) {
            self.saved_lost += 1;
        } else {
            self.compare(story, index, what, &alike(&resumed[1]), &alike(mended.end()));
        }
        let rest_differs = tabs_come_back(story) || marks_are_lost(story) || restores_earlier(story, index);
        if story.without_faults || (meets_no_fault(mended, as_it_is, index) && !rest_differs) {
            let links = |seen: Seen| if story.without_faults { seen } else { links_alike(&seen) };
            let [got, expected] = [as_it_is.resumed[index].get(1), as_it_is.whole.last()]
                .map(|seen| links(alike(seen.expect("no error is thrown"))));
            self.compare(story, index, &format!("{what}, as it is"), &got, &expected);
            self.unmended += 1;
        }
    }

    /// Feeds a story to our screen.
    fn tell(&mut self, story: &Story) -> (Vec<Cut>, State) {
        let mut screen =
            Screen::new(size(story.rows, story.cols), vec![0; SCROLLBACK_BYTES], SCROLLBACK_LINES);
        let mut cuts = Vec::new();
        for (index, step) in story.steps.iter().enumerate() {
            if story.cuts.contains(&index) {
                let snapshot = screen.snapshot(SCROLLBACK_LINES);
                self.snapshots.push(screen.snapshot(0).len());
                let state = screen.inspect();
                let cols = usize::from(screen.size().cols());
                let waits_at_nothing = waits_at_nothing(&state, cols);
                let (restored, went_on) = restored(story, &mut screen, index);
                self.went_on += usize::from(went_on);
                let saved_off_screen = is_saved_off_screen(&state);
                cuts.push(Cut { ours: ours(&state), snapshot, waits_at_nothing, saved_off_screen, restored });
            }
            step.apply(&mut screen);
        }
        (cuts, screen.inspect())
    }

    fn compare(&mut self, story: &Story, cut: usize, what: &str, got: &Seen, expected: &Seen) {
        let Some(found) = difference(got, expected) else { return };
        let [got, expected] = [got, expected].map(nothing_before_screen);
        if difference(&got, &expected).is_none() {
            self.held.nothing_before_screen += 1;
            return;
        }
        if story.has_resizes() {
            let [got, expected] = [&got, &expected].map(nothing_behind_lines);
            if difference(&got, &expected).is_none() {
                self.held.nothing_behind_lines += 1;
                return;
            }
            let [got, expected] = [&got, &expected].map(nothing_before_wide);
            if difference(&got, &expected).is_none() {
                self.held.nothing_before_wide += 1;
                return;
            }
            if lines_alike(&got, &expected) {
                self.held.lines_alike += 1;
                return;
            }
        }
        story.fail(story.cuts.get(cut).copied(), what, &found);
    }
}

/// Asks for the state at each cut and at the end: of one terminal for each snapshot, and of one that is fed everything.
fn ask(story: &Story, cuts: &[Cut], questions: &mut Vec<Question>) {
    let ask = |rows, cols| Question { rows, cols, scrollback: SCROLLBACK_LINES, steps: Vec::new() };
    let mut whole = ask(story.rows, story.cols);
    let (mut rows, mut cols) = (story.rows, story.cols);
    for (index, step) in story.steps.iter().enumerate() {
        if let Some(cut) = story.cuts.iter().position(|cut| *cut == index) {
            whole.state(SCROLLBACK_LINES);
            let mut resumed = ask(rows, cols);
            resumed.feed(&cuts[cut].snapshot);
            resumed.state(SCROLLBACK_LINES);
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

/// The end as a screen sees it that is restored at a cut, from memory that the killed one went on to write to; and whether that
/// one took all the steps that it was to take: it does not where the next checkpoint would be made before.
fn restored(story: &Story, screen: &mut Screen, cut: usize) -> (State, bool) {
    let checkpoint = screen.checkpoint();
    let memory = screen.scrollback_memory();
    let went_on = |steps: usize| {
        let mut killed = restore(&checkpoint, memory.to_vec());
        for step in story.steps[cut..].iter().take(steps) {
            step.apply(&mut killed);
            if killed.checkpoint_due() {
                return None;
            }
        }
        Some((killed.into_scrollback(), steps == STEPS_BEFORE_KILL))
    };
    let (memory, far) = (0..=STEPS_BEFORE_KILL).rev().find_map(went_on).expect("no step is none too far");
    let mut screen = restore(&checkpoint, memory);
    story.steps[cut..].iter().for_each(|step| step.apply(&mut screen));
    (screen.inspect(), far)
}

fn restore(checkpoint: &[u8], memory: Vec<u8>) -> Screen {
    Screen::restore(checkpoint, memory, SCROLLBACK_LINES).expect("a checkpoint of ours")
}

/// Whether xterm.js as it is was what it is mended, at a cut and at the end: what it does wrong did not matter.
fn meets_no_fault(mended: &Answers, as_it_is: &Answers, cut: usize) -> bool {
    let same = |mended: &Seen, as_it_is: &Seen| saved_unknown(mended) == saved_unknown(as_it_is);
    as_it_is.whole.len() == mended.whole.len()
        && same(&mended.whole[cut], &as_it_is.whole[cut])
        && same(mended.end(), as_it_is.end())
}
