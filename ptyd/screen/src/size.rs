//! How large a screen is.

/// Rows and columns, within bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    rows: u16,
    cols: u16,
}

impl Size {
    /// The nearest size within 1 to 1000 rows and 2 to 1000 columns: a wide character must fit.
    pub fn new(rows: u16, cols: u16) -> Self {
        Self { rows: rows.clamp(1, 1000), cols: cols.clamp(2, 1000) }
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
