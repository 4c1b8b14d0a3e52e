//! A session's output on its way from the terminal: cut, drawn on the screen, and its sizes noted. Its lock is held.

use devpocket_shared::ids::TerminalSize;
use ptyd_session::commands::Found;
use ptyd_session::{Cut, Kept, Overflow, Region, Switch};
use tracing::{error, warn};

use super::{Shared, sys};
use crate::handover::ExitStatus;
use crate::worker::create::now_ms;

/// So far the screen is brought at once where bytes alone do not tell which one output shows.
const SWITCH_FEED_BYTES: usize = 64 << 10;

impl Shared {
    /// Makes what was read visible, and notes which screen it shows: clients are told before they have it.
    pub(crate) fn cut(&mut self) {
        let from = self.region.held().end;
        self.cut_while_answered();
        match self.region.switch_since(from, self.shows_alternate_screen()) {
            Switch::None => {}
            Switch::ToAlternate(is_alternate) => self.switched = Some(is_alternate),
            Switch::Unsure => {
                self.switched = None;
                self.feed(SWITCH_FEED_BYTES);
            }
        }
    }

    /// Whether the alternate screen is shown at the end of the output.
    pub(crate) fn shows_alternate_screen(&self) -> bool {
        // The screen knows best, once it is there.
        let ahead = self.switched.filter(|_| self.picture.is_behind(&self.region));
        ahead.unwrap_or(self.picture.screen().modes().alternate_screen)
    }

    /// Makes what was read visible. Where more queries wait than have a place, what follows them waits until the answers are
    /// written.
    fn cut_while_answered(&mut self) {
        self.answers_first = false;
        let mut cut_to = None;
        while self.cut_telling(Overflow::Wait) == Cut::Full {
            // The screen goes ahead of itself.
            self.feed(usize::MAX);
            if self.region.next_answer().is_some() && self.exit.is_none() {
                self.answers_first = true;
                return;
            }
            // All that had a place was settled without an answer, and what waits has one now; if not, nothing will give it one.
            let end = self.region.held().end;
            let stands = cut_to.replace(end) == Some(end);
            if stands || self.region.next_query().is_some() || self.exit.is_some() {
                return self.cut_unanswered();
            }
        }
    }

    /// The same, where nobody takes answers: queries beyond those that have a place get none.
    pub(crate) fn cut_unanswered(&mut self) {
        self.answers_first = false;
        self.cut_telling(Overflow::Drop);
    }

    fn cut_telling(&mut self, overflow: Overflow) -> Cut {
        let Self { region, cutter, commands, .. } = self;
        let mut marks = |region: &Region<_>, found: Found<'_>| commands.take(found, region, now_ms());
        cutter.cut_telling(region, overflow, &mut marks)
    }

    /// Notes the terminal's new size, and before that the screen as it is, if it could not be made again without a size that
    /// is forgotten for it.
    pub(crate) fn record_size(&mut self, size: TerminalSize) {
        if self.region.forgets_size(self.picture.hold()) {
            self.feed(usize::MAX);
            self.picture.keep_checkpoint();
            self.tell_kept();
        }
        self.region.record_size(size);
    }

    /// Feeds the screen at most `most` bytes.
    pub(crate) fn feed(&mut self, most: usize) {
        let mut effects = Vec::new();
        self.picture.feed(&mut self.region, most, &mut effects);
        if !self.picture.is_behind(&self.region) {
            self.switched = None;
        }
        for effect in effects {
            self.notices.push(effect);
        }
        self.tell_kept();
    }

    /// Tells, once, that a worker kill would cost some of the screen.
    fn tell_kept(&mut self) {
        let (kept, id) = (self.picture.last_kept(), self.id);
        if kept > self.told_kept {
            self.told_kept = kept;
            match kept {
                Kept::Whole => {}
                Kept::Reduced => {
                    warn!(session.id = %id, "session {id}: its screen is too large to be kept with all its colours");
                }
                Kept::Nothing => error!(session.id = %id, "session {id}: its screen cannot be kept"),
            }
        }
    }

    /// Gives up all but the last screen of an ended session; false: not now.
    pub(crate) fn keep_last_screen(&mut self) -> bool {
        let free = self.ended && !self.is_attached();
        free && ptyd_session::keep_last_screen(&mut self.region, &mut self.picture, sys::give_back)
    }

    /// Puts the screen of such a session away, which somebody had a look at.
    pub(crate) fn put_away(&mut self) {
        if !self.is_attached() {
            self.picture.put_away();
        }
    }

    /// The terminal was read to its end: what is left of it is shown, whole or not.
    pub(crate) fn finish(&mut self) {
        // Queries that waited for others' answers are blanked; nobody is there to be answered.
        self.cut_unanswered();
        self.cutter.finish(&mut self.region);
        let code = self.exit.and_then(|exit| match exit {
            ExitStatus::Code(code) => Some(code),
            ExitStatus::Signal(_) => None,
        });
        self.commands.end(code, self.region.held().end, now_ms());
        self.feed(usize::MAX);
        self.picture.keep_checkpoint();
        self.tell_kept();
    }
}
