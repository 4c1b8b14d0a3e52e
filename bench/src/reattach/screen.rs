//! What a client's terminal shows. Must not know whose bytes it is fed.

use ptyd_screen::{Screen, Size};

/// A terminal of 24 rows and 80 columns that somebody looks at.
pub struct Watched(Screen<Vec<u8>>);

/// All that is on it, cursor and modes included.
#[derive(Debug, Eq, PartialEq)]
pub struct Picture(String);

impl Default for Watched {
    fn default() -> Self {
        Self(Screen::new(Size::new(24, 80), vec![0; 1 << 20], 0))
    }
}

impl Watched {
    /// Shows bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.0.feed(bytes, &mut Vec::new());
    }

    /// What is to be seen now.
    pub fn picture(&self) -> Picture {
        Picture(self.0.render_json(usize::MAX).unwrap_or_default())
    }
}

impl Picture {
    /// Whether there is anything on it.
    pub fn is_drawn(&self) -> bool {
        *self != Watched::default().picture()
    }
}
