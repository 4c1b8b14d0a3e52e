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
        let (still, size) = self.still();
        let Some(still) = still else { return answer(None, Offset(0), size) };
        let drawing = context.tasks.spawn_blocking(move || {
            let text = still.draw(|screen| write_down(screen, format));
            drop(turn);
            answer(text, still.at(), size)
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

    fn still(&self) -> (Option<Still>, TerminalSize) {
        let mut shared = self.lock();
        shared.feed(usize::MAX);
        let (still, size) = (shared.picture.still(), shared.region.size());
        shared.put_away();
        (still, size)
    }
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
