//! The rows of a checkpoint. What cells look like, and their clusters, stand in tables before them and are numbers in them:
//! a cell takes [`MOST_CELL_BYTES`] at most, whatever was printed. Knows nothing else of a screen.
//!
//! ```text
//! tables  styles but the default one, which is 0: count, each; clusters: count, then length and text of each
//! row     cells << 1 | wrapped; runs of styles (style << 1 | more than one, then their number less 2); a glyph for each cell
//! glyph   a character, or MOST_CHAR + 1 + number of a cluster; ALONE or WIDE before it, SPACER in place of it
//! ```

use super::{Detail, Reader, put_bytes};
use crate::cell::{CLUSTER, Cell, Packed, WIDE, ZERO};
use crate::clusters::{Clusters, MAX_CLUSTER_BYTES, MAX_CLUSTERS};
use crate::row::{Row, RowRef};
use crate::scrollback::{put_style, put_varint};
use crate::style::Style;
use crate::styles::Styles;

/// Three bytes of style, what comes before a glyph, three of glyph.
pub(super) const MOST_CELL_BYTES: usize = 7;
/// Cells and wrap of a row.
pub(super) const MOST_ROW_BYTES: usize = 2;
/// Flags, kinds, three colours, a link; and clusters with their length.
pub(super) const MOST_TABLES_BYTES: usize =
    6 + MAX_STYLES * (2 + 1 + 9 + 2) + MAX_CLUSTERS * (1 + MAX_CLUSTER_BYTES);

const MAX_STYLES: usize = 1 << 16;
const MOST_CHAR: u32 = char::MAX as u32;
/// A mark without a base follows. These three are no glyphs: controls are not printed.
const ALONE: u32 = 1;
/// A character of two columns follows.
const WIDE_NEXT: u32 = 2;
/// The right half of one.
const SPACER: u32 = 3;

/// Writes rows, and notes what has to stand in the tables before them.
pub(super) struct Writer<'a> {
    styles: &'a Styles,
    clusters: &'a Clusters,
    pub(super) detail: Detail,
    /// By the screen's number: the checkpoint's, counted from 1; 0: it has none yet.
    style_numbers: Vec<u32>,
    cluster_numbers: Vec<u32>,
    /// Their numbers on the screen, in the order of the checkpoint's.
    style_table: Vec<u16>,
    cluster_table: Vec<u32>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(styles: &'a Styles, clusters: &'a Clusters, detail: Detail) -> Self {
        let mut style_numbers = vec![0; styles.len()];
        style_numbers[0] = 1;
        let cluster_numbers = vec![0; clusters.len()];
        Self {
            styles,
            clusters,
            detail,
            style_numbers,
            cluster_numbers,
            style_table: vec![0],
            cluster_table: Vec::new(),
        }
    }

    pub(super) fn put_row(&mut self, row: RowRef<'_>, to: &mut Vec<u8>) {
        let ((cells, rest), len) = (row.parts(), row.used());
        let (cells, behind) = (&cells[..cells.len().min(len)], len.saturating_sub(cells.len()));
        put_varint(to, (len as u64) << 1 | u64::from(row.wrapped));
        let rest = Packed::new(if behind > 0 { rest } else { Cell::default() });
        let all = Packed::any(cells, rest);
        if all.style() == 0 || self.detail == Detail::Plain {
            self.put_run(len, 0, to);
        } else {
            let styles = cells.iter().map(|cell| cell.style());
            self.put_runs(styles.chain(std::iter::repeat_n(rest.style(), behind)), to);
        }
        if all.is_ascii() {
            to.extend(cells.iter().map(|cell| cell.byte()));
        } else {
            cells.iter().for_each(|cell| self.put_glyph(cell.cell(), to));
        }
        for _ in 0..behind {
            self.put_glyph(rest.cell(), to);
        }
    }

    /// The tables that the rows written so far need.
    pub(super) fn put_tables(&self, to: &mut Vec<u8>) {
        put_varint(to, self.style_table.len() as u64 - 1);
        for number in &self.style_table[1..] {
            put_style(to, &self.detail.of(self.styles.get(*number)));
        }
        put_varint(to, self.cluster_table.len() as u64);
        let mut text = String::new();
        for number in &self.cluster_table {
            text.clear();
            self.clusters.push_text(*number, &mut text);
            put_bytes(to, text.as_bytes());
        }
    }

    fn put_runs(&mut self, styles: impl Iterator<Item = u16>, to: &mut Vec<u8>) {
        let (mut style, mut len) = (0, 0);
        for next in styles {
            if next != style {
                self.put_run(len, style, to);
                (style, len) = (next, 0);
            }
            len += 1;
        }
        self.put_run(len, style, to);
    }

    fn put_run(&mut self, len: usize, style: u16, to: &mut Vec<u8>) {
        if len == 0 {
            return;
        }
        let number = &mut self.style_numbers[usize::from(style)];
        if *number == 0 {
            self.style_table.push(style);
            *number = u32::try_from(self.style_table.len()).unwrap_or(1);
        }
        put_varint(to, u64::from(*number - 1) << 1 | u64::from(len > 1));
        if len > 1 {
            put_varint(to, len as u64 - 2);
        }
    }

    fn put_glyph(&mut self, cell: Cell, to: &mut Vec<u8>) {
        match cell.flags {
            _ if cell.is_spacer() => return put_varint(to, SPACER.into()),
            ZERO => put_varint(to, ALONE.into()),
            WIDE => put_varint(to, WIDE_NEXT.into()),
            _ => {}
        }
        let code = if cell.glyph & CLUSTER == 0 {
            cell.glyph
        } else if self.detail == Detail::Plain {
            self.clusters.base(cell.glyph)
        } else {
            MOST_CHAR + self.cluster_number(cell.glyph)
        };
        put_varint(to, code.into());
    }

    /// Counted from 1.
    fn cluster_number(&mut self, glyph: u32) -> u32 {
        let Some(number) = self.cluster_numbers.get_mut((glyph & !CLUSTER) as usize) else { return 1 };
        if *number == 0 {
            self.cluster_table.push(glyph);
            *number = u32::try_from(self.cluster_table.len()).unwrap_or(1);
        }
        *number
    }
}

/// What the numbers in rows stand for, as numbers of the screen that they are read for.
pub(super) struct Tables {
    styles: Vec<u16>,
    clusters: Vec<u32>,
}

impl Tables {
    pub(super) fn take(from: &mut Reader<'_>, styles: &mut Styles, clusters: &mut Clusters) -> Option<Self> {
        let count = from.count(MAX_STYLES - 1)?;
        let mut tables = Self { styles: vec![0], clusters: Vec::new() };
        for _ in 0..count {
            let style: Style = from.style();
            tables.styles.push(styles.number(&style).unwrap_or(0));
        }
        for _ in 0..from.count(MAX_CLUSTERS)? {
            let text = from.text(MAX_CLUSTER_BYTES)?;
            tables.clusters.push(clusters.number(&text)?);
        }
        Some(tables)
    }

    pub(super) fn take_row(&self, from: &mut Reader<'_>, cols: usize) -> Option<Row> {
        let head = from.count(2 * cols + 1)?;
        let len = head >> 1;
        let mut cells = Vec::with_capacity(len);
        while cells.len() < len {
            let run = from.count(2 * MAX_STYLES)?;
            let style = *self.styles.get(run >> 1)?;
            let run = if run & 1 == 0 { 1 } else { from.count(cols)? + 2 };
            if run > len - cells.len() {
                return None;
            }
            cells.resize(cells.len() + run, Cell::blank(style));
        }
        for cell in &mut cells {
            (cell.glyph, cell.flags) = self.take_glyph(from)?;
        }
        Some(Row::from_cells(&cells, cols, head & 1 == 1))
    }

    /// A glyph, and how many columns it takes.
    fn take_glyph(&self, from: &mut Reader<'_>) -> Option<(u32, u16)> {
        let code = u32::try_from(from.number()?).ok()?;
        let (code, flags) = match code {
            SPACER => return Some((0, ZERO)),
            ALONE => (u32::try_from(from.number()?).ok()?, ZERO),
            WIDE_NEXT => (u32::try_from(from.number()?).ok()?, WIDE),
            code => (code, 0),
        };
        let glyph = match code.checked_sub(MOST_CHAR + 1) {
            Some(number) => *self.clusters.get(number as usize)?,
            None => char::from_u32(code).map(u32::from)?,
        };
        Some((glyph, flags))
    }
}
