//! A session's screen written down, for people and programs that are no terminals.

use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::message::MAX_SCREEN_BYTES;
use devpocket_shared::wire::{Answer, ErrorCode, ScreenFormat};
use ptyd_screen::Screen;
use ptyd_session::Still;

use super::Session;
use crate::worker::Context;
use crate::worker::create::failure;
use crate::worker::drawing::SMALL_BYTES;

impl Session {
    /// The screen now; without its colours, where it would be too long for an answer with them. A large one is written down in
    /// its turn, beside the runtime.
    pub(crate) async fn render(&self, context: &Context, format: ScreenFormat) -> Answer {
        if let Some(small) = self.render_small(format) {
            return small;
        }
        let gone = || Answer::Failed(failure(ErrorCode::NodeUnavailable, "the screen could not be drawn"));
        let Some(turn) = context.drawings.page_turn(self.owner).await else { return gone() };
        let (still, at, size) = self.still();
        let drawing = context.tasks.spawn_blocking(move || {
            let answer = draw(still, at, size, format);
            drop(turn);
            answer
        });
        drawing.await.unwrap_or_else(|_| gone())
    }

    fn render_small(&self, format: ScreenFormat) -> Option<Answer> {
        let mut shared = self.lock();
        shared.feed(usize::MAX);
        let small = shared.picture.screen().drawing_bytes(0, SMALL_BYTES) <= SMALL_BYTES;
        let small = small.then(|| {
            let text = shared.picture.draw(|screen| write_down(screen, format));
            answer(text, shared.picture.fed(), shared.region.size())
        });
        shared.put_away();
        small
    }

    /// What the screen is drawn from, none if it is lost; of which byte it is, and its size.
    fn still(&self) -> (Option<Still>, Offset, TerminalSize) {
        let mut shared = self.lock();
        shared.feed(usize::MAX);
        let still = shared.picture.still_without_scrollback();
        let (at, size) = (shared.picture.fed(), shared.region.size());
        shared.put_away();
        (still, at, size)
    }
}

fn draw(still: Option<Still>, at: Offset, size: TerminalSize, format: ScreenFormat) -> Answer {
    answer(still.and_then(|still| still.draw(|screen| write_down(screen, format))), at, size)
}

fn write_down<M: AsRef<[u8]> + AsMut<[u8]>>(screen: &Screen<M>, format: ScreenFormat) -> Option<String> {
    const MOST: usize = MAX_SCREEN_BYTES;
    match format {
        ScreenFormat::Text => screen.render_text(MOST),
        ScreenFormat::Ansi => screen.render_ansi(MOST).or_else(|| screen.render_text(MOST)),
        ScreenFormat::Html => screen.render_html(MOST).or_else(|| screen.render_plain_html(MOST)),
        ScreenFormat::Json => screen.render_json(MOST),
    }
}

/// `text` none: drawing it panicked, and costs its text alone.
fn answer(text: Option<Option<String>>, offset: Offset, size: TerminalSize) -> Answer {
    match text.unwrap_or_else(|| Some(String::new())) {
        Some(text) => Answer::Screen { offset, size, text },
        None => {
            let message = "the screen is larger than 1 MiB in this format";
            Answer::Failed(failure(ErrorCode::ScreenTooLarge, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::session::sample::{print, session};

    #[test]
    fn a_large_screen_is_drawn_from_a_copy_of_itself_alone() {
        let session = session();
        print(&session, "a line that leaves the screen\r\n".repeat(1000).as_bytes());
        print(&session, b"\x1b[44mshown\x1b[m");
        let (still, at, size) = session.still();
        assert_eq!((at, size), (Offset(31 * 1000 + 13), TerminalSize::DEFAULT));
        let (rows, ansi) =
            still.unwrap().draw(|still| (still.scrollback_rows(), still.render_ansi(1 << 20))).unwrap();
        assert_eq!(rows, 0, "none of the lines above it is copied");
        let shared = session.lock();
        assert!(shared.picture.screen().scrollback_rows() > 900);
        assert_eq!(ansi, shared.picture.screen().render_ansi(1 << 20));
    }

    /// The story: it was said to be of the session's first byte.
    #[test]
    fn a_picture_that_is_lost_is_an_empty_one_of_where_it_was_asked_for() {
        let session = session();
        print(&session, b"shown");
        let (still, at, size) = session.still();
        let shown = draw(still, at, size, ScreenFormat::Text);
        assert!(matches!(&shown, Answer::Screen { text, .. } if text.starts_with("shown")), "{shown:?}");
        let lost = draw(None, at, size, ScreenFormat::Text);
        assert_eq!(lost, Answer::Screen { offset: Offset(5), size, text: String::new() });
    }
}
