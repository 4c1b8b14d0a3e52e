//! Numbers for styles and clusters, and how numbers that nothing shows any more are won back.

use crate::cell::{CLUSTER, Cell};
use crate::clusters::{Clusters, NoCluster};
use crate::screen::{Screen, Side};
use crate::style::{Color, Style};
use crate::styles::Styles;

/// What making one style or cluster known anew costs, in cells looked at.
const NUMBER_IN_CELLS: usize = 8;

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
        let number = self.style_number(self.pen);
        self.pen_number = Some(number);
        number
    }

    /// The number of a style. When there are too many, those on no cell are forgotten; if that is not enough, or happened
    /// too often, it is shown plain.
    pub(crate) fn style_number(&mut self, style: Style) -> u16 {
        if let Some(number) = self.styles.number(style) {
            return number;
        }
        if self.collect_if_affordable() { self.styles.number(style).unwrap_or(0) } else { 0 }
    }

    /// What is erased now looks like this.
    pub(crate) fn erased(&mut self) -> Cell {
        if self.pen.bg == Color::Default {
            return Cell::default();
        }
        Cell::blank(self.style_number(self.pen.erased()))
    }

    /// A glyph with one more mark; none: the mark is not shown. `again` reads the glyph anew, whose number may have changed.
    pub(crate) fn glyph_with_mark(
        &mut self,
        glyph: u32,
        mark: char,
        again: impl FnOnce(&Self) -> u32,
    ) -> Option<u32> {
        match self.clusters.add(glyph, mark) {
            Ok(glyph) => Some(glyph),
            Err(NoCluster::TooMany) if self.collect_if_affordable() => {
                let glyph = again(self);
                self.clusters.add(glyph, mark).ok()
            }
            Err(NoCluster::TooMany | NoCluster::TooLong) => None,
        }
    }

    /// Makes room for new styles and clusters, unless that was done too often for what has come since.
    fn collect_if_affordable(&mut self) -> bool {
        let sides = 1 + usize::from(self.other.is_some());
        let numbers = NUMBER_IN_CELLS * (self.styles.len() + self.clusters.len());
        let affordable = self.allowance.spend(sides * self.rows() * self.cols() + numbers);
        if affordable {
            self.collect();
        }
        affordable
    }

    /// Numbers the styles and clusters that are on cells anew: both are needed only while something shows them.
    pub(crate) fn collect(&mut self) {
        let (old_styles, old_clusters) =
            (std::mem::take(&mut self.styles), std::mem::take(&mut self.clusters));
        let mut now = Numbers {
            styles: Styles::default(),
            clusters: Clusters::default(),
            style_of: vec![None; old_styles.len()],
            glyph_of: vec![None; old_clusters.len()],
            text: String::new(),
        };
        for side in self.sides_mut() {
            side.grid.each_cell_mut(|cell| now.renumber(cell, &old_styles, &old_clusters));
        }
        self.work +=
            (self.side.grid.cells() + self.other.as_ref().map_or(0, |side| side.grid.cells())) as u64;
        (self.styles, self.clusters) = (now.styles, now.clusters);
        self.pen_number = None;
    }

    fn sides_mut(&mut self) -> impl Iterator<Item = &mut Side> {
        std::iter::once(&mut self.side).chain(self.other.as_deref_mut())
    }
}

/// Tables being filled, and what numbers of the old ones became in them.
struct Numbers {
    styles: Styles,
    clusters: Clusters,
    style_of: Vec<Option<u16>>,
    glyph_of: Vec<Option<u32>>,
    text: String,
}

impl Numbers {
    fn renumber(&mut self, cell: &mut Cell, old_styles: &Styles, old_clusters: &Clusters) {
        if cell.style != 0
            && let Some(style) = self.style_of.get_mut(usize::from(cell.style))
        {
            cell.style =
                *style.get_or_insert_with(|| self.styles.number(old_styles.get(cell.style)).unwrap_or(0));
        }
        if cell.glyph & CLUSTER != 0
            && let Some(glyph) = self.glyph_of.get_mut((cell.glyph & !CLUSTER) as usize)
        {
            cell.glyph = *glyph.get_or_insert_with(|| {
                self.text.clear();
                old_clusters.push_text(cell.glyph, &mut self.text);
                let base = self.text.chars().next().map_or(0, u32::from);
                self.clusters.number(&self.text).unwrap_or(base)
            });
        }
    }
}
