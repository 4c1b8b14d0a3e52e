use super::*;
use crate::checkpoints::{CHECKPOINTS_BYTES, EARLIER_CHECKPOINTS_BYTES};
use crate::cutter::{Cut, Cutter, Overflow};
use crate::region::region_bytes;

const RING_BYTES: u64 = 256 << 10;

struct Session {
    region: Region<Vec<u8>>,
    cutter: Cutter,
    picture: Picture<Vec<u8>>,
}

fn start() -> Session {
    start_with(CHECKPOINTS_BYTES)
}

fn start_with(checkpoints_bytes: usize) -> Session {
    let memory = vec![0; as_usize(region_bytes(RING_BYTES))];
    let region = Region::create(memory, 7, TerminalSize::DEFAULT).unwrap();
    let checkpoints = Checkpoints::new(vec![0; checkpoints_bytes]).unwrap();
    let picture = Picture::new(&region, vec![0; SCROLLBACK_BYTES], checkpoints);
    Session { cutter: Cutter::recover(&region), region, picture }
}

impl Session {
    /// Prints, with the screen fed as the worker does.
    fn print(&mut self, bytes: &[u8]) {
        self.print_feeding(bytes, 4096);
    }

    /// Prints, with the screen fed at most `most` bytes at once.
    fn print_feeding(&mut self, mut bytes: &[u8], most: usize) {
        while !bytes.is_empty() {
            let space = self.region.space(Some(self.picture.hold()));
            let len = space.len().min(bytes.len());
            space[..len].copy_from_slice(&bytes[..len]);
            self.region.commit(len);
            bytes = &bytes[len..];
            self.cutter.cut(&mut self.region, Overflow::Drop);
            self.picture.feed(&mut self.region, most, &mut Vec::new());
        }
    }

    fn catch_up(&mut self) {
        while self.picture.is_behind(&self.region) {
            self.picture.feed(&mut self.region, 4096, &mut Vec::new());
        }
    }

    /// The worker dies, and the next one takes over what is in memory.
    fn killed(self) -> Self {
        let len = as_usize(region_bytes(RING_BYTES));
        let region = Region::recover(self.region.bytes(0..len).to_vec()).unwrap();
        let picture = self.picture.killed(&region);
        let mut session = Self { cutter: Cutter::recover(&region), region, picture };
        session.cutter.cut(&mut session.region, Overflow::Drop);
        session
    }
}

#[test]
fn a_worker_kill_at_any_place_leaves_the_exact_screen_with_its_scrollback() {
    let mut text = Vec::new();
    for line in 0..9000 {
        text.extend(format!("\x1b[3{}mline {line} \u{65e5}\u{672c}\x1b[m\r\n", line % 8).into_bytes());
        if line % 1000 == 999 {
            text.extend(b"\x1b[?1049h\x1b[2;3Hin the alternate screen\x1b[?1049l\x1b[?2026h");
        }
    }
    let mut whole = start();
    whole.print(&text);
    whole.catch_up();
    for kills in [1, 7, 40] {
        let mut session = start();
        for part in text.chunks(text.len() / kills + 1) {
            session.print(part);
            session = session.killed();
        }
        session.catch_up();
        assert_eq!(
            session.picture.screen().inspect(),
            whole.picture.screen().inspect(),
            "after {kills} kills"
        );
    }
}

/// The story: a screen fed to the middle of a sequence was kept as it was there, and after a kill the rest of the sequence was
/// text: `[31;46m` stood on the screen.
#[test]
fn a_kill_after_a_checkpoint_that_was_due_in_the_middle_of_a_sequence_leaves_the_exact_screen() {
    let cells = (0_usize..30_000).map(|at| {
        let character = ["x", "\u{e4}", "\u{65e5}", "\u{1f600}"][at % 4];
        let link = if at % 50 == 0 { "\x1b]8;;https://example.org/a/long/way\x1b\\" } else { "" };
        format!("\x1b[3{};4{}m{link}{character}", at % 8, at % 7)
    });
    let text = cells.collect::<String>().into_bytes();
    let mut whole = start();
    whole.print(&text);
    whole.catch_up();
    for most in (1..60).map(|number| number * 127) {
        let mut session = start();
        session.print_feeding(&text, most);
        session = session.killed();
        session.catch_up();
        assert_eq!(
            session.picture.screen().inspect(),
            whole.picture.screen().inspect(),
            "fed {most} bytes at once"
        );
    }
}

#[test]
fn a_query_is_answered_with_the_screen_as_it_was_there_and_once_over_kills() {
    let mut session = start();
    session.print(b"abc\x1b[6ndef\x1b[6n");
    session = session.killed();
    session.catch_up();
    let mut answers = Vec::new();
    for _ in 0..3 {
        if let Some((slot, answer)) = session.region.next_answer() {
            answers.push(answer.to_vec());
            let len = answer.len();
            session.region.begin_answer(slot);
            session.region.end_answer(slot, len);
        }
        session = session.killed();
        session.catch_up();
    }
    // What was blanked moves no cursor.
    assert_eq!(answers, [b"\x1b[1;4R".to_vec(), b"\x1b[1;7R".to_vec()]);
}

/// The story: sixteen colours asked for at once, right behind other questions, had four answers.
#[test]
fn all_that_is_asked_for_in_one_sequence_is_told_however_many_answers_wait() {
    let colors: String = (0..16).map(|index| format!(";{index};?")).collect();
    for before in 0..=crate::queries::MAX_QUERIES {
        let mut session = start();
        let bytes = [b"\x1b[5n".repeat(before), format!("\x1b]4{colors}\x07\x1b[6n").into_bytes()].concat();
        session.region.space(None)[..bytes.len()].copy_from_slice(&bytes);
        session.region.commit(bytes.len());
        let mut told = Vec::new();
        loop {
            let cut = session.cutter.cut(&mut session.region, Overflow::Wait);
            session.catch_up();
            match session.region.next_answer() {
                Some((slot, answer)) => {
                    told.extend_from_slice(answer);
                    let len = answer.len();
                    session.region.begin_answer(slot);
                    session.region.end_answer(slot, len);
                }
                None if cut == Cut::Done => break,
                None => {}
            }
        }
        let told = String::from_utf8(told).unwrap();
        assert_eq!(told.matches("\x1b[0n").count(), before);
        let answers: Vec<&str> = told.split_inclusive("\x1b\\").collect();
        assert_eq!(answers.len(), 17, "{told:?}");
        for (index, answer) in answers[1..16].iter().enumerate() {
            assert!(answer.starts_with(&format!("\x1b]4;{};rgb:", index + 1)), "{answer:?}");
        }
        assert!(answers[16].ends_with("R"));
    }
}

#[test]
fn a_size_takes_effect_at_its_place_in_the_output() {
    let mut session = start();
    session.print(b"0123456789");
    session.region.record_size(TerminalSize::new(24, 20).unwrap());
    session.catch_up();
    assert_eq!(session.picture.screen().size(), Size::new(24, 20));
    session.print(&[b'x'; 15]);
    session.catch_up();
    assert_eq!(session.picture.screen().inspect().cursor, (5, 1));
}

#[test]
fn an_endless_sequence_does_not_stop_the_session() {
    let mut session = start();
    session.print(b"\x1b]0;");
    session.print(&vec![b'x'; 3 << 20]);
    session.print(b"\x07done");
    session.catch_up();
    assert!(session.picture.screen().render_text(usize::MAX).expect("any length").starts_with("done"));
}

fn ended_build() -> Session {
    let mut session = start();
    let text: String = (0..9000).map(|line| format!("\x1b[3{}mline {line}\x1b[m\r\n", line % 8)).collect();
    session.print(text.as_bytes());
    session.print(b"\x1b]0;a title\x07the last line");
    session.cutter.finish(&mut session.region);
    session.catch_up();
    session.picture.keep_checkpoint();
    session
}

/// The last screen and the title; no line above it, no output before its end.
fn is_a_tombstone(session: &Session, screen: &str, end: Offset) {
    let drawn = session.picture.screen();
    assert_eq!((drawn.render_text(1 << 20).as_deref(), drawn.title()), (Some(screen), "a title"));
    assert_eq!(session.region.held(), end..end);
    let history = drawn.history(None, 100);
    assert_eq!((history.lines.len(), history.first_line, history.total > 8000), (0, history.total, true));
}

#[test]
fn an_ended_session_gives_up_all_but_its_last_screen_and_a_kill_at_any_place_leaves_that() {
    let screen = ended_build().picture.screen().render_text(1 << 20).unwrap();
    for killed_at in 0..=4 {
        let mut session = ended_build();
        let end = session.region.held().end;
        let mut cleared = 0;
        let (region, picture) = (&mut session.region, &mut session.picture);
        let mut clear = |bytes: &mut [u8]| {
            if cleared == killed_at {
                let half = bytes.len() / 2;
                bytes[..half].fill(0);
                std::panic::resume_unwind(Box::new("a kill"));
            }
            bytes.fill(0);
            cleared += 1;
        };
        let done = catch_unwind(AssertUnwindSafe(|| keep_last_screen(region, picture, &mut clear)));
        assert_eq!(done.ok(), (killed_at == 4).then_some(true));
        assert_eq!(cleared, killed_at);

        let mut session = session.killed();
        is_a_tombstone(&session, &screen, end);
        // The next worker does it again, and what is cleared is not written again for it.
        let zero = |bytes: &mut [u8]| bytes.fill(0);
        assert!(keep_last_screen(&mut session.region, &mut session.picture, zero));
        let mut session = session.killed();
        is_a_tombstone(&session, &screen, end);
        assert!(session.region.given_up_bytes().iter().all(|byte| *byte == 0));
        assert!(session.picture.screen().scrollback_memory().iter().all(|byte| *byte == 0));
    }
}

/// As large and as coloured as a screen may be, on both sides: another colour on each cell as far as there are so many.
fn most_coloured(session: &mut Session) {
    session.region.record_size(TerminalSize::new(1000, 1000).unwrap());
    session.catch_up();
    // Not through the ring: a checkpoint of all that, each 32 KiB, takes its time.
    let (screen, mut effects) = (session.picture.screen.get_mut(&session.picture.checkpoints), Vec::new());
    screen.feed("above\r\n".repeat(1000).as_bytes(), &mut effects);
    for side in 0..2_usize {
        for row in 0..1000_usize {
            let [low, high, ..] = (side * 1000 + row).to_le_bytes();
            let cell = |col: usize| {
                let [fine, coarse, ..] = (col % 33 + 1).to_le_bytes();
                format!("\x1b[38;2;{low};{high};{fine};4{}m\u{1d400}", (coarse + fine) % 8)
            };
            let cells: String = (0..1000).map(cell).collect();
            screen.feed(
                format!("\x1b[{};1H\x1b]8;;http://{row}/\x07{cells}\x1b]8;;\x07", row + 1).as_bytes(),
                &mut effects,
            );
        }
        screen.feed(if side == 0 { b"\x1b[?1049h" } else { b"" }, &mut effects);
    }
}

/// Compared by a checkpoint: as words, two million cells take their time.
fn state(session: &mut Session) -> Vec<u8> {
    session.picture.screen.get_mut(&session.picture.checkpoints).checkpoint()
}

/// The story: a screen of a thousand rows and columns, coloured on both sides, was too large for a checkpoint; the output that
/// made it was given up all the same, and a worker kill left half of it.
#[test]
fn a_worker_kill_leaves_the_largest_screen_with_all_its_colours() {
    let mut session = start();
    most_coloured(&mut session);
    let before = state(&mut session);
    assert!(before.len() > EARLIER_CHECKPOINTS_BYTES / 2, "{} bytes", before.len());
    session.picture.keep_checkpoint();
    assert_eq!(session.picture.last_kept(), Kept::Whole);
    let mut session = session.killed();
    assert!(state(&mut session) == before);
}

/// There is less room in the memory of a session that an earlier release began.
#[test]
fn what_there_is_no_room_for_is_kept_without_links_or_colours() {
    let mut session = start_with(EARLIER_CHECKPOINTS_BYTES);
    most_coloured(&mut session);
    session.picture.keep_checkpoint();
    assert_eq!(session.picture.last_kept(), Kept::Reduced);
    let text = session.picture.screen().render_text(usize::MAX);
    let mut session = session.killed();
    assert_eq!(session.picture.screen().render_text(usize::MAX), text);
    session.cutter.finish(&mut session.region);
    session.catch_up();
    assert!(keep_last_screen(&mut session.region, &mut session.picture, |bytes| bytes.fill(0)));
    assert_eq!(session.picture.screen().render_text(usize::MAX), text);
}

/// The story: each screen of an ended session stayed where it was drawn, 24 MiB for the largest.
#[test]
fn the_last_screen_of_an_ended_session_is_put_away_and_made_again_for_who_looks() {
    let mut session = start();
    most_coloured(&mut session);
    session.picture.screen.get_mut(&session.picture.checkpoints).feed(b"\x1b]0;a title\x07", &mut Vec::new());
    session.cutter.finish(&mut session.region);
    session.catch_up();
    session.picture.keep_checkpoint();
    let (text, before) = (session.picture.screen().render_text(usize::MAX), session.picture.memory_bytes());
    for killed in [false, true, true] {
        if killed {
            session = session.killed();
            assert!(session.picture.screen.is_away(), "nobody has looked");
        }
        assert!(keep_last_screen(&mut session.region, &mut session.picture, |bytes| bytes.fill(0)));
        assert!(session.picture.screen.is_away());
        let after = session.picture.memory_bytes();
        assert!(after < before / 2, "{after} of {before} bytes");
        session.picture.feed(&mut session.region, 4096, &mut Vec::new());
        assert_eq!((session.picture.title().as_str(), session.picture.cwd()), ("a title", None));
        assert!(session.picture.screen.is_away(), "asking for its name is not looking");
        assert!(session.picture.screen().render_text(usize::MAX) == text);
        session.picture.put_away();
        assert!(session.picture.screen.is_away());
    }
}

#[test]
fn a_kill_before_the_output_is_given_up_leaves_the_last_screen_too() {
    let mut session = ended_build();
    let (screen, end) = (session.picture.screen().render_text(1 << 20).unwrap(), session.region.held().end);
    assert!(session.picture.drop_scrollback());
    let mut session = session.killed();
    assert_eq!(session.picture.screen().render_text(1 << 20).as_deref(), Some(&*screen));
    assert_eq!(session.region.held().end, end);
    // Between the two stores of giving up.
    let claimed = session.region.head().0 + RING_BYTES;
    session.region.store_claimed(claimed);
    is_a_tombstone(&session.killed(), &screen, end);
}
