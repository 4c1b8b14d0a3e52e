//! What new widths have done to rows above the screen since they left it. xterm.js wraps and cuts them at each; here they stay
//! as they were, and only the colour behind a line's end is cut, when it is read.

use super::record::Record;

/// New widths, from the oldest to the newest, without those that narrower ones after them make no difference to: for each the end
/// of the rows that were there. Both ascend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Widths(Vec<(u64, u16)>);

impl Widths {
    /// Those of a checkpoint; none: they are in no order.
    pub(crate) fn from_list(list: Vec<(u64, u16)>) -> Option<Self> {
        let ascend = list.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1);
        ascend.then_some(Self(list))
    }

    pub(crate) fn list(&self) -> &[(u64, u16)] {
        &self.0
    }

    /// The rows up to `end` are now `cols` wide.
    pub(super) fn note(&mut self, end: u64, cols: u16) {
        self.keep_to(end);
        while self.0.last().is_some_and(|(_, wider)| *wider >= cols) {
            self.0.pop();
        }
        self.0.push((end, cols));
    }

    /// No row lies behind `end` any more: what comes there has had none of the widths so far.
    pub(super) fn keep_to(&mut self, end: u64) {
        for (position, _) in self.0.iter_mut().rev().take_while(|(position, _)| *position > end) {
            *position = end;
        }
        self.0.dedup_by_key(|(position, _)| *position);
    }

    /// No row lies before `start` any more.
    pub(super) fn forget_before(&mut self, start: u64) {
        let gone = self.0.partition_point(|(position, _)| *position <= start);
        self.0.drain(..gone);
    }

    /// The same where all rows lie `by` bytes further to the front.
    pub(super) fn moved(&self, by: u64) -> Self {
        Self(self.0.iter().map(|(position, cols)| (position.saturating_sub(by), *cols)).collect())
    }

    /// Cuts what lies behind the text of a line's last row, which begins at `start`: up to the narrowest width since it was
    /// there, or all of it where the line has been wrapped anew.
    pub(super) fn cut(&self, row: &mut Record, start: u64) {
        let since = self.0.partition_point(|(position, _)| *position <= start);
        let Some((_, cols)) = self.0.get(since).filter(|_| row.has_styles()) else { return };
        let shape = row.shape();
        let wraps = row.wrapped() || shape.printed > usize::from(*cols);
        let kept = if wraps { shape.printed } else { shape.printed.max(usize::from(*cols)) };
        // In the text each place where nothing was printed is a byte.
        row.body.truncate(row.body.len() - shape.cells.saturating_sub(kept));
    }
}
