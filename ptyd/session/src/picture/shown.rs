//! A screen that may be put away while nobody looks: then the newest checkpoint stands for it, and it is made again from that
//! for whoever does. It knows no output.

use std::cell::{OnceCell, RefCell};

use ptyd_screen::{Screen, Size};

use super::SCROLLBACK_LINES;
use crate::checkpoints::Checkpoints;

/// The screen, or what it is made of again. One of the two is there.
#[derive(Debug)]
pub(super) struct Shown<M> {
    screen: OnceCell<Screen<M>>,
    away: RefCell<Option<Away<M>>>,
}

/// What is left of a screen that was put away.
#[derive(Debug)]
struct Away<M> {
    scrollback: M,
    size: Size,
    title: String,
    cwd: Option<String>,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Shown<M> {
    pub(super) fn new(screen: Screen<M>) -> Self {
        Self { screen: OnceCell::from(screen), away: RefCell::default() }
    }

    pub(super) fn get(&self, checkpoints: &Checkpoints<M>) -> &Screen<M> {
        #[expect(clippy::expect_used, reason = "the screen is not there, so what it is made of is")]
        self.screen.get_or_init(|| self.away.take().expect("one of the two").wake(checkpoints))
    }

    pub(super) fn get_mut(&mut self, checkpoints: &Checkpoints<M>) -> &mut Screen<M> {
        self.get(checkpoints);
        #[expect(clippy::expect_used, reason = "it was just looked at")]
        self.screen.get_mut().expect("the screen")
    }

    /// Puts it away: the newest checkpoint is all of it.
    pub(super) fn put_away(&mut self) {
        if let Some(screen) = self.screen.take() {
            let (size, title) = (screen.size(), screen.title().to_owned());
            let cwd = screen.cwd().map(str::to_owned);
            let away = Away { size, title, cwd, scrollback: screen.into_scrollback() };
            *self.away.borrow_mut() = Some(away);
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.screen.get().is_none()
    }

    /// Bytes of its memory beside the scrollback's, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.screen.get().map_or(0, Screen::memory_bytes)
    }

    /// Bytes of the scrollback's memory that count.
    pub(super) fn scrollback_bytes(&self) -> u64 {
        self.screen.get().map_or(0, Screen::scrollback_bytes)
    }

    pub(super) fn size(&self) -> Size {
        self.of(Screen::size, |away| away.size)
    }

    pub(super) fn title(&self) -> String {
        self.of(|screen| screen.title().to_owned(), |away| away.title.clone())
    }

    pub(super) fn cwd(&self) -> Option<String> {
        self.of(|screen| screen.cwd().map(str::to_owned), |away| away.cwd.clone())
    }

    /// Its memory, for the worker after this one.
    #[cfg(test)]
    pub(super) fn into_scrollback(self) -> M {
        let away = self.away.into_inner().map(|away| away.scrollback);
        away.or(self.screen.into_inner().map(Screen::into_scrollback)).unwrap()
    }

    fn of<T>(&self, screen: impl FnOnce(&Screen<M>) -> T, away: impl FnOnce(&Away<M>) -> T) -> T {
        if let Some(away_now) = &*self.away.borrow() {
            return away(away_now);
        }
        #[expect(clippy::expect_used, reason = "what it is made of is not there, so it is")]
        screen(self.screen.get().expect("one of the two"))
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Away<M> {
    fn wake(self, checkpoints: &Checkpoints<M>) -> Screen<M> {
        let scrollback = match checkpoints.newest() {
            Some(newest) => match Screen::restore(newest.bytes, self.scrollback, SCROLLBACK_LINES) {
                Ok(screen) => return screen,
                Err(unusable) => unusable.scrollback,
            },
            None => self.scrollback,
        };
        Screen::new(self.size, scrollback, SCROLLBACK_LINES)
    }
}
