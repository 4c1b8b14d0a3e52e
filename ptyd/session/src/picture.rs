//! A session's screen, fed behind the ring: how far it has come, what it must answer, and the checkpoints that bring it
//! back after a worker kill. A panic in the screen costs the picture, never the bytes. It knows no descriptor and no clock.

mod shown;
mod tombstone;

use std::panic::{AssertUnwindSafe, catch_unwind};

use devpocket_shared::ids::{Offset, TerminalSize};
use ptyd_screen::{Detail, Effect, Screen, Size};

use self::shown::Shown;
use crate::checkpoints::{Checkpoint, Checkpoints};
use crate::region::Region;
use crate::ring::as_usize;
use crate::sizes::Followed;

pub use tombstone::keep_last_screen;

/// Bytes of a session's memory for packed scrollback.
pub const SCROLLBACK_BYTES: usize = 4 << 20;
/// Lines of scrollback kept, memory permitting (PROTOCOL section 6).
pub const SCROLLBACK_LINES: u32 = 10_000;
/// A checkpoint is due after this part of the ring.
const CHECKPOINTS_PER_RING: u64 = 8;

/// How much of a screen a checkpoint holds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kept {
    /// All of it.
    Whole,
    /// Without links, or the characters alone: there was no room for more.
    Reduced,
    /// There is none.
    Nothing,
}

/// A session's screen.
#[derive(Debug)]
pub struct Picture<M> {
    screen: Shown<M>,
    /// The screen is what the output before this byte made it.
    fed: Offset,
    /// Brief sizes followed.
    brief: u64,
    checkpoints: Checkpoints<M>,
    /// The newest checkpoint is of this byte; none could be kept: of where the screen began.
    kept: Offset,
    every: u64,
    /// How much the newest checkpoint holds.
    last_kept: Kept,
    /// All but the last screen was given up, by this worker.
    is_last: bool,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Picture<M> {
    /// The screen of a new session.
    pub fn new<R: AsRef<[u8]> + AsMut<[u8]>>(
        region: &Region<R>,
        scrollback: M,
        checkpoints: Checkpoints<M>,
    ) -> Self {
        let start = region.held().start;
        let screen = Screen::new(screen_size(region.size_at(start)), scrollback, SCROLLBACK_LINES);
        Self::at(screen, start, checkpoints, region)
    }

    /// `screen` is what the output before `fed` made it.
    fn at<R: AsRef<[u8]> + AsMut<[u8]>>(
        screen: Screen<M>,
        fed: Offset,
        checkpoints: Checkpoints<M>,
        region: &Region<R>,
    ) -> Self {
        Self {
            screen: Shown::new(screen),
            fed,
            brief: 0,
            checkpoints,
            kept: fed,
            every: region.ring_bytes() / CHECKPOINTS_PER_RING,
            last_kept: Kept::Whole,
            is_last: false,
        }
    }

    /// The screen of a session that a worker before this one left: its newest checkpoint, to be fed with what came after.
    /// Without one that fits, what the ring holds has to do.
    pub fn recover<R: AsRef<[u8]> + AsMut<[u8]>>(
        region: &Region<R>,
        scrollback: M,
        checkpoints: Checkpoints<M>,
    ) -> Self {
        let held = region.held();
        let usable = checkpoints.newest().filter(|kept| held.start <= kept.offset && kept.offset <= held.end);
        let Some(newest) = usable else { return Self::new(region, scrollback, checkpoints) };
        let (offset, brief) = (newest.offset, newest.brief);
        match Screen::restore(newest.bytes, scrollback, SCROLLBACK_LINES) {
            Ok(screen) => {
                let mut picture = Self::at(screen, offset, checkpoints, region);
                picture.brief = brief;
                if region.is_given_up() {
                    // A tombstone: there may be many, and mostly nobody looks.
                    picture.screen.put_away();
                }
                picture
            }
            Err(unusable) => Self::new(region, unusable.scrollback, checkpoints),
        }
    }

    /// The screen, as it was at [`Picture::fed`].
    pub fn screen(&self) -> &Screen<M> {
        self.screen.get(&self.checkpoints)
    }

    /// Its title, for which no screen that was put away is made again.
    pub fn title(&self) -> String {
        self.screen.title()
    }

    /// Likewise the directory its program said it is in.
    pub fn cwd(&self) -> Option<String> {
        self.screen.cwd()
    }

    /// Bytes of memory that all this takes, about.
    pub fn memory_bytes(&self) -> usize {
        self.screen.memory_bytes() + as_usize(self.screen.scrollback_bytes()) + self.checkpoints.used_bytes()
    }

    /// Puts an ended session's screen away, of which all but the last one was given up: it is made again when somebody looks.
    pub fn put_away(&mut self) {
        if self.is_last {
            self.screen.put_away();
        }
    }

    /// Draws the screen in some way. None: that panicked, and costs only the picture asked for.
    pub fn draw<T>(&self, draw: impl FnOnce(&Screen<M>) -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(|| draw(self.screen()))).ok()
    }

    /// The screen as it is, to be drawn while this one goes on. None: that panicked.
    pub fn still(&self) -> Option<Still> {
        self.draw(Screen::copy).map(|screen| Still { screen, at: self.fed })
    }

    /// The same without the lines above it.
    pub fn still_without_scrollback(&self) -> Option<Still> {
        self.draw(Screen::copy_without_scrollback).map(|screen| Still { screen, at: self.fed })
    }

    /// How far the screen has come.
    pub fn fed(&self) -> Offset {
        self.fed
    }

    /// Whether there is output, or a size, that the screen has not seen.
    pub fn is_behind<R: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<R>) -> bool {
        let Followed { size, brief } = region.follow(self.fed, self.brief);
        self.fed < region.held().end || brief != self.brief || screen_size(size) != self.screen.size()
    }

    /// The first byte that must be kept for the screen.
    pub fn hold(&self) -> Offset {
        self.kept
    }

    /// Feeds the screen at most `most` bytes, answers the queries passed, and keeps a checkpoint when one is due. What
    /// programs told beside their output is appended to `effects`.
    pub fn feed<R: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<R>,
        most: usize,
        effects: &mut Vec<Effect>,
    ) {
        if self.screen.is_away() && !self.is_behind(region) {
            return;
        }
        let mut left = most as u64;
        while left > 0 {
            let fed = self.feed_piece(region, left, |screen, bytes| {
                screen.feed(bytes, effects);
                bytes.len()
            });
            if fed == 0 {
                break;
            }
            left -= fed;
        }
        self.follow_size(region);
        self.answer(region);
        if self.fed.since(self.kept) >= self.every || self.screen().checkpoint_due() {
            self.feed_to_rest(region, effects);
            self.keep_checkpoint();
        }
    }

    /// Goes on to where no sequence and no character is begun, since a checkpoint knows of none, or else to the end: that is a
    /// safe place.
    fn feed_to_rest<R: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<R>,
        effects: &mut Vec<Effect>,
    ) {
        while !self.screen().is_at_rest() {
            let fed = self.feed_piece(region, u64::MAX, |screen, bytes| screen.feed_to_rest(bytes, effects));
            if fed == 0 {
                break;
            }
        }
        self.follow_size(region);
        self.answer(region);
    }

    /// Has the screen take output, at most `most` bytes and at most to the next place where its size changes or it has to
    /// answer. `take` says how many of the bytes it is given it took. Returns how many bytes the screen has come on.
    fn feed_piece<R: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<R>,
        most: u64,
        mut take: impl FnMut(&mut Screen<M>, &[u8]) -> usize,
    ) -> u64 {
        self.follow_size(region);
        self.answer(region);
        let end = region.held().end;
        let until = region.next_size_change(self.fed).map_or(end, |at| at.min(end));
        let until = region.next_query().map_or(until, |(_, at)| at.max(self.fed).min(until));
        let len = until.since(self.fed).min(most);
        if len == 0 {
            return 0;
        }
        let (first, second) = region.slices(self.fed, as_usize(len));
        if first.is_empty() {
            // Its bytes are gone: only a screen without a checkpoint can be so far behind.
            self.fed = region.held().start.max(self.fed);
            return 0;
        }
        let taken = guarded(self.screen.get_mut(&self.checkpoints), |screen| {
            let taken = take(screen, first);
            if taken < first.len() { taken } else { taken + take(screen, second) }
        });
        // What made it panic is not looked at again.
        let taken = taken.map_or(len, |taken| taken as u64);
        self.fed = self.fed.plus(taken);
        taken
    }

    /// Keeps a checkpoint of the screen as it is, with as much on it as there is room for. Whatever came of it
    /// ([`Picture::last_kept`]), the screen holds the output back no longer: the program would stand still.
    pub fn keep_checkpoint(&mut self) {
        self.last_kept = self.keep(|screen, detail| screen.checkpoint_in(detail));
        self.kept = self.fed;
    }

    /// How much of the screen the newest checkpoint holds.
    pub fn last_kept(&self) -> Kept {
        self.last_kept
    }

    /// Keeps a checkpoint of the screen without the lines above it, and drops them; false: it could not be kept, and all is as
    /// it was.
    pub(crate) fn drop_scrollback(&mut self) -> bool {
        // One that panics has changed nothing that is drawn.
        let kept = self.keep(|screen, detail| screen.checkpoint_without_scrollback(detail));
        if kept == Kept::Nothing {
            return false;
        }
        (self.kept, self.last_kept) = (self.fed, kept);
        guarded(self.screen.get_mut(&self.checkpoints), |screen| screen.drop_scrollback());
        true
    }

    /// Gives up what only the lines above the screen and an older checkpoint needed.
    pub(crate) fn drop_unused(&mut self, clear: &mut impl FnMut(&mut [u8])) {
        clear(self.screen.get_mut(&self.checkpoints).scrollback_memory_mut());
        self.checkpoints.keep_newest_alone(clear);
    }

    fn keep(&mut self, mut write_down: impl FnMut(&mut Screen<M>, Detail) -> Vec<u8>) -> Kept {
        for detail in Detail::ALL {
            let screen = self.screen.get_mut(&self.checkpoints);
            let checkpoint = catch_unwind(AssertUnwindSafe(|| write_down(screen, detail)));
            let (offset, brief) = (self.fed, self.brief);
            let mut keep =
                |bytes: Vec<u8>| self.checkpoints.keep(Checkpoint { offset, brief, bytes: &bytes });
            if checkpoint.is_ok_and(&mut keep) {
                return if detail == Detail::Whole { Kept::Whole } else { Kept::Reduced };
            }
        }
        Kept::Nothing
    }

    fn follow_size<R: AsRef<[u8]> + AsMut<[u8]>>(&mut self, region: &Region<R>) {
        loop {
            let Followed { size, brief } = region.follow(self.fed, self.brief);
            let size = screen_size(size);
            if size != self.screen.size() {
                guarded(self.screen.get_mut(&self.checkpoints), |screen| screen.resize(size));
            }
            if brief == self.brief {
                break;
            }
            self.brief = brief;
        }
    }

    fn answer<R: AsRef<[u8]> + AsMut<[u8]>>(&mut self, region: &mut Region<R>) {
        while let Some((slot, at)) = region.next_query()
            && at <= self.fed
        {
            let query = region.query(slot).to_vec();
            let answer =
                guarded(self.screen.get_mut(&self.checkpoints), |screen| screen.answer(&query)).flatten();
            match answer {
                Some(answer) => region.answer_query_at_length(slot, &answer),
                None => region.answer_query(slot, None),
            }
        }
    }
}

/// A session's screen as it was at some byte, in memory of its own.
#[derive(Debug)]
pub struct Still {
    screen: Screen<Vec<u8>>,
    at: Offset,
}

impl Still {
    /// It is what the output before this byte made it.
    pub fn at(&self) -> Offset {
        self.at
    }

    /// Draws it in some way. None: that panicked.
    pub fn draw<T>(&self, draw: impl FnOnce(&Screen<Vec<u8>>) -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(|| draw(&self.screen))).ok()
    }
}

/// The screen's size for a terminal's: a screen has two columns at least.
pub fn screen_size(size: TerminalSize) -> Size {
    Size::new(size.rows(), size.cols())
}

/// Does something with the screen. If that panics, the screen begins anew: its text is lost, the session is not.
fn guarded<M: AsRef<[u8]> + AsMut<[u8]>, T>(
    screen: &mut Screen<M>,
    act: impl FnOnce(&mut Screen<M>) -> T,
) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(|| act(screen))).ok();
    if done.is_none() {
        screen.clear_all();
    }
    done
}

#[cfg(test)]
impl Picture<Vec<u8>> {
    /// The picture that the next worker makes after a kill.
    pub(crate) fn killed<R: AsRef<[u8]> + AsMut<[u8]>>(self, region: &Region<R>) -> Self {
        let Self { screen, checkpoints, .. } = self;
        Self::recover(region, screen.into_scrollback(), checkpoints)
    }
}

#[cfg(test)]
mod tests;
