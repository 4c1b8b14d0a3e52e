//! Numbers for styles and clusters, and how numbers that nothing shows any more are won back.

use crate::cell::{CLUSTER, Cell};
use crate::clusters::NoCluster;
use crate::owed::Owed;
use crate::screen::Screen;
use crate::style::{Color, Style};

/// What looking after all styles and clusters costs, in cells looked at.
const NUMBERS_IN_CELLS: usize = 1 << 18;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    pub(crate) fn set_pen(&mut self, pen: Style) {
        self.pen = pen;
        self.pen_number = None;
    }

    /// The number of the pen's style.
    pub(crate) fn pen_style(&mut self) -> u16 {
        if let Some(number) = self.pen_number {
            return number;
        }
        let number = match self.styles.number(&self.pen) {
            Some(number) => number,
            None => self.style_number(self.pen),
        };
        self.pen_number = Some(number);
        number
    }

    /// The number of a style. When there are too many, those on no cell are forgotten; if that is not enough, or happened
    /// too often, it is shown plain.
    pub(crate) fn style_number(&mut self, style: Style) -> u16 {
        if let Some(number) = self.styles.number(&style) {
            return number;
        }
        if self.collect_if_affordable() { self.styles.number(&style).unwrap_or(0) } else { 0 }
    }

    /// What is erased now looks like this.
    pub(crate) fn erased(&mut self) -> Cell {
        if self.pen.bg == Color::Default {
            return Cell::default();
        }
        Cell::blank(self.style_number(self.pen.erased()))
    }

    /// A glyph with one more mark; none: the mark is not shown.
    pub(crate) fn glyph_with_mark(&mut self, glyph: u32, mark: char) -> Option<u32> {
        match self.clusters.add(glyph, mark) {
            Ok(glyph) => Some(glyph),
            Err(NoCluster::TooMany) if self.collect_if_affordable() => self.clusters.add(glyph, mark).ok(),
            Err(NoCluster::TooMany | NoCluster::TooLong) => None,
        }
    }

    /// Makes room for new styles and clusters, unless that was done too often for what has come since.
    fn collect_if_affordable(&mut self) -> bool {
        let sides = 1 + usize::from(self.other.is_some());
        let affordable = self.allowance.spend(sides * self.rows() * self.cols() + NUMBERS_IN_CELLS);
        if affordable {
            self.collect();
        }
        affordable
    }

    /// Forgets the styles and clusters that are on no cell: both are needed only while something shows them. Numbers of
    /// others stay what they are, but the pen's is to be asked for again.
    pub(crate) fn collect(&mut self) {
        let mut styles = vec![false; self.styles.len()];
        let mut clusters = vec![false; self.clusters.len()];
        let mut cells = 0;
        let sides = std::iter::once(&self.side).chain(self.other.as_deref());
        let owed = self.owed.iter().flat_map(Owed::lines);
        for row in sides.flat_map(|side| side.grid.rows()).chain(owed) {
            let (kept, rest) = row.parts();
            cells += kept.len() + 1;
            for cell in kept.iter().map(|packed| packed.cell()).chain([rest]) {
                styles[usize::from(cell.style)] = true;
                if cell.glyph & CLUSTER != 0 {
                    clusters[(cell.glyph & !CLUSTER) as usize] = true;
                }
            }
        }
        self.work += cells as u64;
        self.styles.retain(&styles);
        self.clusters.retain(&clusters);
        self.pen_number = None;
    }
}
