//! How large a screen is.

/// Most rows, and most columns.
const MOST: u16 = 1000;
/// Most columns.
pub(crate) const MAX_COLS: usize = MOST as usize;

/// Rows and columns, within bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    rows: u16,
    cols: u16,
}

impl Size {
    /// The nearest size within 1 to 1000 rows and 2 to 1000 columns: a wide character must fit.
    pub fn new(rows: u16, cols: u16) -> Self {
        Self { rows: rows.clamp(1, MOST), cols: cols.clamp(2, MOST) }
    }

    /// Rows.
    pub fn rows(self) -> u16 {
        self.rows
    }

    /// Columns.
    pub fn cols(self) -> u16 {
        self.cols
    }
}
