use devpocket_shared::wire::{Attach, AttachMode, Delivery};
use ptyd_screen::Screen;

use super::*;
use crate::attachment::{Attachment, Outgoing};
use crate::checkpoints::{CHECKPOINTS_BYTES, Checkpoints};
use crate::picture::{Picture, SCROLLBACK_BYTES, screen_size};
use crate::region::{MIN_RING_BYTES, region_bytes};
use crate::ring::as_usize;
use crate::test_clock::t0;

#[test]
fn every_byte_has_the_size_it_was_printed_at() {
    let mut region =
        Region::create(vec![0; as_usize(region_bytes(MIN_RING_BYTES))], 1, TerminalSize::DEFAULT).unwrap();
    let (small, large) = (TerminalSize::new(5, 6).unwrap(), TerminalSize::new(50, 60).unwrap());
    region.commit(10);
    region.show_all();
    region.record_size(large);
    region.record_size(small);
    region.commit(10);
    region.show_all();
    region.record_size(large);
    assert_eq!(region.size_at(Offset(9)), TerminalSize::DEFAULT);
    assert_eq!(region.size_at(Offset(10)), small);
    assert_eq!(region.next_size_change(Offset(0)), Some(Offset(10)));
    assert_eq!(region.next_size_change(Offset(10)), Some(Offset(20)));
    assert_eq!(region.next_size_change(Offset(20)), None);
    assert_eq!(region.size(), large);
}

#[test]
fn a_size_that_a_screen_needs_is_not_forgotten_before_there_is_a_checkpoint() {
    let len = as_usize(region_bytes(MIN_RING_BYTES));
    let mut region = Region::create(vec![0; len], 1, TerminalSize::DEFAULT).unwrap();
    let size = |cols| TerminalSize::new(10, cols).unwrap();
    assert!(!region.forgets_size(Offset(0)));
    region.record_size(size(1));
    assert_eq!(
        (region.forgets_size(Offset(0)), region.sizes_known_from()),
        (false, Offset(0)),
        "nothing is on it"
    );
    for at in 1..MAX_SIZES {
        region.commit(1);
        region.show_all();
        assert!(!region.forgets_size(Offset(0)), "change {at}");
        region.record_size(size(2));
        assert!(!region.forgets_size(Offset(at)), "one more is remembered beside it");
    }
    region.commit(1);
    region.show_all();
    assert_eq!(region.sizes_known_from(), Offset(0));
    assert!(region.forgets_size(Offset(0)) && !region.forgets_size(Offset(1)));
    region.record_size(size(3));
    assert_eq!(region.sizes_known_from(), Offset(1));
}

#[test]
fn the_oldest_changes_are_forgotten_first() {
    let mut region =
        Region::create(vec![0; as_usize(region_bytes(MIN_RING_BYTES))], 1, TerminalSize::DEFAULT).unwrap();
    region.note_active(7);
    for cols in 1..=500 {
        region.commit(1);
        region.show_all();
        region.record_size(TerminalSize::new(10, cols).unwrap());
    }
    assert_eq!(region.size().cols(), 500);
    assert_eq!(region.size_at(Offset(450)).cols(), 450);
    assert_eq!(region.size_at(Offset(0)).cols(), 373);
    assert_eq!(region.active_at_ms(), Some(7), "the log keeps to its place");
}

#[test]
fn a_size_that_another_replaces_is_forgotten_after_there_is_a_checkpoint_where_its_place_is_crowded() {
    let len = as_usize(region_bytes(MIN_RING_BYTES));
    let mut region = Region::create(vec![0; len], 1, TerminalSize::DEFAULT).unwrap();
    let size = |cols| TerminalSize::new(10, cols).unwrap();
    for place in 0..MAX_BRIEF / MAX_BRIEF_OF_PLACE + 2 {
        region.commit(1);
        region.show_all();
        let end = region.held().end;
        for number in 0..=MAX_BRIEF_OF_PLACE {
            let forgets = region.forgets_size(Offset(0));
            assert_eq!(forgets, region.at(AT_BRIEF) >= MAX_BRIEF && number > 0, "change {number} at {end}");
            assert!(!region.forgets_size(end), "change {number} at {end}");
            region.record_size(size(1 + number as u16));
        }
        assert!(region.forgets_size(end) && region.forgets_size(end.plus(1)), "place {place} is crowded");
        region.record_size(size(700));
        assert_eq!(region.size(), size(700));
    }
}

/// The story: hundreds of sizes of a window that is dragged while nothing is printed.
#[test]
fn a_crowded_place_has_no_other_forgotten() {
    let len = as_usize(region_bytes(MIN_RING_BYTES));
    let mut region = Region::create(vec![0; len], 1, TerminalSize::DEFAULT).unwrap();
    let size = |cols| TerminalSize::new(10, cols).unwrap();
    let followed = |region: &Region<_>, place: u64| {
        let (mut sizes, mut brief) = (Vec::new(), 0);
        loop {
            let next = region.follow(Offset(place), brief);
            sizes.push(next.size.cols());
            if next.brief == brief {
                return sizes;
            }
            brief = next.brief;
        }
    };
    for place in 1..=3 {
        region.commit(1);
        region.show_all();
        let last = if place == 2 { 300 } else { 3 };
        (1..=last).for_each(|cols| region.record_size(size(cols)));
        assert_eq!(followed(&region, place).last(), Some(&last));
    }
    assert_eq!((followed(&region, 1), followed(&region, 3)), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_eq!(followed(&region, 2), (1..=16).chain([300]).collect::<Vec<_>>());
    assert_eq!((region.sizes_known_from(), followed(&region, 0)), (Offset(0), vec![80]));
}

/// A client's terminal, and what it is sent.
struct Client {
    screen: Screen,
    attachment: Attachment,
}

impl Client {
    /// One that comes with all output before `offset`, as `screen` shows it.
    fn attach(region: &Region<Vec<u8>>, mut screen: Screen, offset: Offset) -> Self {
        let attach = Attach {
            client_id: None,
            offset: Some(offset),
            size: None,
            mode: AttachMode::Control,
            delivery: Delivery::Lossless,
            window: None,
            scrollback: 0,
        };
        let attachment = Attachment::new(&attach, region, false).0;
        screen.resize(screen_size(attachment.told_size().size));
        Self { screen, attachment }
    }

    fn take(&mut self, region: &Region<Vec<u8>>) {
        let Self { screen, attachment } = self;
        while let Some(outgoing) =
            attachment.poll_send(&region.view(attachment.cursor(), attachment.told_size()), 1000, t0())
        {
            match outgoing {
                Outgoing::Output { offset, len } => {
                    let (first, second) = region.slices(offset, len);
                    screen.feed(first, &mut Vec::new());
                    screen.feed(second, &mut Vec::new());
                }
                Outgoing::Resized { size, .. } => {
                    assert_ne!(screen.size(), screen_size(size), "it is told twice");
                    screen.resize(screen_size(size));
                }
                Outgoing::Snapshot(_) => panic!("all is held"),
            }
            attachment.handle_written(1, true, t0());
        }
    }
}

/// A session, its screen, and a client that was there all the time.
struct Session {
    region: Region<Vec<u8>>,
    picture: Picture<Vec<u8>>,
    live: Client,
}

impl Session {
    fn start() -> Self {
        let memory = vec![0; as_usize(region_bytes(MIN_RING_BYTES))];
        let region = Region::create(memory, 1, TerminalSize::DEFAULT).unwrap();
        let checkpoints = Checkpoints::new(vec![0; CHECKPOINTS_BYTES]).unwrap();
        let picture = Picture::new(&region, vec![0; SCROLLBACK_BYTES], checkpoints);
        let live = Client::attach(&region, blank(), Offset(0));
        Self { region, picture, live }
    }

    fn print(&mut self, text: &str) {
        let space = self.region.space(None);
        space[..text.len()].copy_from_slice(text.as_bytes());
        self.region.commit(text.len());
        self.region.show_all();
        self.live.take(&self.region);
    }

    fn resize(&mut self, (rows, cols): (u16, u16)) {
        assert!(!self.region.forgets_size(self.picture.hold()));
        self.region.record_size(TerminalSize::new(rows, cols).unwrap());
        self.live.take(&self.region);
    }

    fn feed(&mut self) {
        self.picture.feed(&mut self.region, usize::MAX, &mut Vec::new());
    }

    /// The worker dies, and the next one takes over what is in memory.
    fn killed(self) -> Self {
        let Self { region, picture, live } = self;
        let len = as_usize(region_bytes(MIN_RING_BYTES));
        let region = Region::recover(region.bytes(0..len).to_vec()).unwrap();
        Self { picture: picture.killed(&region), region, live }
    }
}

fn blank() -> Screen {
    Screen::new(screen_size(TerminalSize::DEFAULT), vec![0; SCROLLBACK_BYTES], 10_000)
}

/// The story: a phone was turned there and back while nothing was printed, and a client that was away had other lines than one
/// that looked on, and than the session.
#[test]
fn who_comes_back_after_several_sizes_at_one_place_has_the_lines_of_who_was_there() {
    let cases: [&[(u16, u16)]; 5] = [
        &[(24, 20), (24, 80)],
        &[(14, 80), (24, 80)],
        &[(14, 33), (30, 100), (24, 80)],
        &[(24, 40), (24, 20), (24, 60), (24, 30), (24, 80)],
        &[(24, 20), (24, 50)],
    ];
    for sizes in cases {
        let mut session = Session::start();
        for line in 0..70 {
            session.print(&format!("\x1b[3{}m{line}\x1b[m{}\r\n", line % 8, " and on".repeat(line % 13)));
        }
        session.print("\x1b[5;70H\x1b7\x1b[3;1H");
        session.feed();
        let (away, memory) =
            (session.live.screen.checkpoint(), session.live.screen.scrollback_memory().to_vec());
        let left = session.live.attachment.cursor();
        for (number, size) in sizes.iter().enumerate() {
            session.resize(*size);
            match number {
                // A checkpoint in the middle of them, and a kill behind it.
                0 => session.feed(),
                1 => {
                    session.picture.keep_checkpoint();
                    session = session.killed();
                }
                _ => {}
            }
        }
        for after in ["", "\x1b8more, and a line that is wrapped again\r\n"] {
            session.print(after);
            session.feed();
            let expected = session.live.screen.inspect();
            assert_eq!(session.picture.screen().inspect(), expected, "the session's screen, {sizes:?}");
            let away = Screen::restore(&away, memory.clone(), 10_000).unwrap();
            let mut back = Client::attach(&session.region, away, left);
            back.take(&session.region);
            assert_eq!(back.screen.inspect(), expected, "who comes back, {sizes:?}");
            let mut whole = Client::attach(&session.region, blank(), Offset(0));
            whole.take(&session.region);
            assert_eq!(whole.screen.inspect(), expected, "who begins anew, {sizes:?}");
            session = session.killed();
            session.feed();
            assert_eq!(session.picture.screen().inspect(), expected, "the next worker's screen, {sizes:?}");
        }
    }
}

/// The story: a phone in a tunnel was sent sizes over a link that was dead already, came back at that very place, and was told none
/// of them again. Whether what was sent had arrived nobody knows: who has followed them does so once more, and its screen stays.
#[test]
fn who_comes_back_to_a_place_is_told_all_its_sizes_whether_or_not_they_had_arrived() {
    let mut session = Session::start();
    for line in 0..30 {
        session.print(&format!("{line} {}\r\n", "and so on ".repeat(line % 13)));
    }
    session.print("user@host:~$ vi a_file");
    let place = session.region.held().end;
    let (at_the_place, memory) =
        (session.live.screen.checkpoint(), session.live.screen.scrollback_memory().to_vec());
    for size in [(24, 20), (14, 33), (24, 80)] {
        session.resize(size);
    }
    let expected = session.live.screen.inspect();
    let arrived = (session.live.screen.checkpoint(), session.live.screen.scrollback_memory().to_vec());
    for (case, (screen, memory)) in [("lost", (at_the_place, memory)), ("arrived", arrived)] {
        let screen = Screen::restore(&screen, memory, 10_000).unwrap();
        let mut back = Client::attach(&session.region, screen, place);
        assert_eq!(back.attachment.told_size().size.cols(), 20, "{case}: from the first on");
        back.take(&session.region);
        assert_eq!(back.screen.inspect(), expected, "what was sent has {case}");
    }
    // Whose link lives is told of each once: the client panics otherwise.
    session.resize((24, 40));
    session.resize((24, 80));
    session.print(" and more");
    session.feed();
    assert_eq!(session.picture.screen().inspect(), session.live.screen.inspect());
}

#[test]
fn who_begins_at_a_place_is_told_the_sizes_there_and_none_of_another() {
    let mut session = Session::start();
    let mut places = vec![Offset(0)];
    for _ in 0..2 {
        session.print("text");
        places.push(session.region.held().end);
        [(24, 20), (24, 30), (24, 40)].into_iter().for_each(|size| session.resize(size));
    }
    session.print("text");
    let told = |offset: Offset| {
        let mut client = Client::attach(&session.region, blank(), offset);
        let mut told = vec![client.attachment.told_size().size.cols()];
        let view = |attachment: &Attachment| session.region.view(attachment.cursor(), attachment.told_size());
        while let Some(outgoing) = client.attachment.poll_send(&view(&client.attachment), 1000, t0()) {
            if let Outgoing::Resized { size, .. } = outgoing {
                told.push(size.cols());
            }
        }
        told
    };
    for (place, expected) in
        places.iter().zip([&[80, 20, 30, 40, 20, 30, 40][..], &[20, 30, 40, 20, 30, 40], &[20, 30, 40]])
    {
        assert_eq!(told(*place), expected, "at {place}");
    }
    assert_eq!(told(places[1].plus(1)), [40, 20, 30, 40], "within");
    assert_eq!(told(session.region.held().end), [40], "at the end");
}
