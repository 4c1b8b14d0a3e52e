//! A session's pictures for people who scroll back: pages of history, and snapshots that several of its clients share.

use devpocket_shared::ids::Offset;
use devpocket_shared::wire::SnapshotReason;
use ptyd_screen::History;
use ptyd_session::Still;

use super::{Session, Shared};
use crate::worker::Context;
use crate::worker::drawing::{Parts, SMALL_BYTES, draw_page};
use crate::worker::drive::now;

/// Lines of one page of history (PROTOCOL section 3).
const MAX_HISTORY_LINES: u32 = 5000;

/// A page of history, or what it is drawn from.
enum Page {
    Here(History),
    Large(Option<Box<Still>>),
}

impl Session {
    /// Lines that have left the screen at its top. A large page is drawn in its turn, beside the runtime.
    pub(crate) async fn history(&self, context: &Context, before_line: Option<u64>, lines: u32) -> History {
        let lines = lines.min(MAX_HISTORY_LINES);
        let none = History { first_line: 0, lines: Vec::new(), total: 0 };
        if let Some(page) = self.small_page(before_line, lines) {
            return page;
        }
        let Some(turn) = context.drawings.page_turn(self.owner).await else { return none };
        let still = match self.page(before_line, lines) {
            Page::Here(page) => return page,
            Page::Large(None) => return none,
            Page::Large(Some(still)) => still,
        };
        let drawing = context.tasks.spawn_blocking(move || draw_page(&still, turn, before_line, lines));
        drawing.await.ok().flatten().unwrap_or(none)
    }

    /// The page, if it is a small one.
    pub(crate) fn small_page(&self, before_line: Option<u64>, lines: u32) -> Option<History> {
        let mut shared = self.lock();
        shared.feed(usize::MAX);
        shared.small_page(before_line, lines.min(MAX_HISTORY_LINES))
    }

    fn page(&self, before_line: Option<u64>, lines: u32) -> Page {
        let mut shared = self.lock();
        shared.feed(usize::MAX);
        match shared.small_page(before_line, lines) {
            Some(page) => Page::Here(page),
            None => Page::Large(shared.picture.still().map(Box::new)),
        }
    }
}

impl Shared {
    fn small_page(&self, before_line: Option<u64>, lines: u32) -> Option<History> {
        let screen = self.picture.screen();
        if screen.page_bytes(before_line, lines, SMALL_BYTES) > SMALL_BYTES {
            return None;
        }
        let page = self.picture.draw(|screen| screen.history(before_line, lines));
        Some(page.unwrap_or(History { first_line: 0, lines: Vec::new(), total: 0 }))
    }

    /// A large snapshot that somebody reads already, from its beginning, if it does for an attachment at `cursor` too: all the
    /// output since is held. In place of what was missed only the newest will do, or more would be missed at once.
    pub(crate) fn drawn_before(&self, cursor: Offset, reason: SnapshotReason, lines: u32) -> Option<Parts> {
        let held = self.region.held();
        let newest = reason != SnapshotReason::Lagged;
        let drawn = self.drawn.upgrade().filter(|drawn| {
            let held = held.start <= drawn.at && (newest || drawn.at == held.end);
            let sized = self.region.follow(drawn.at, drawn.size.brief) == drawn.size
                && self.region.sizes_known_from() <= drawn.at
                && self.region.next_size_change(drawn.at).is_none();
            held && sized && drawn.lines == lines && cursor <= drawn.at
        });
        drawn?.read(reason, now())
    }
}
