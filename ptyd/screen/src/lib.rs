//! A terminal emulator for servers: bytes in, state out. It draws nothing, answers only when asked, and is bounded in
//! memory and time whatever it is fed. It knows no descriptor, clock or thread. Where terminals differ it does what
//! xterm.js does, since that is what its pictures are drawn with.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "test data is made by wrapping"))]

mod allowance;
mod answer;
mod cell;
mod charset;
mod checkpoint;
mod clusters;
mod collect;
mod csi;
mod edit;
mod effect;
mod escape;
mod flood;
mod grid;
mod history;
mod inspect;
mod links;
mod margins;
mod modes;
mod osc;
mod owed;
pub mod parser;
mod print;
pub mod query;
mod reflow;
mod render;
mod row;
mod screen;
mod scrollback;
mod size;
mod snapshot;
mod style;
mod styles;
mod tabs;
mod width;

pub use checkpoint::{Detail, RestoreError, max_checkpoint_bytes};
pub use effect::Effect;
pub use history::History;
pub use inspect::{CellState, RowState, SavedState, State};
pub use modes::{Modes, Mouse, MouseEncoding};
pub use screen::Screen;
pub use size::Size;
pub use snapshot::MAX_SNAPSHOT_BYTES;
pub use style::{Color, Style, flag};
pub use width::columns;

/// Offsets within a screen's memory fit: its length is a `usize`.
#[expect(clippy::cast_possible_truncation, reason = "bounded by the length of a slice")]
pub(crate) const fn as_usize(value: u64) -> usize {
    value as usize
}
