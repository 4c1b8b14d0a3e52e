//! Characters with marks: each different one of a screen is kept once, under a number.

use std::collections::HashMap;

use crate::cell::CLUSTER;

/// Clusters kept at once. Full means: those on no cell are forgotten.
pub(crate) const MAX_CLUSTERS: usize = 32_768;
/// Longest cluster, in bytes; more marks are dropped.
const MAX_CLUSTER_BYTES: usize = 48;

/// Characters with marks, each kept once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clusters {
    list: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    /// The last of the list is on one cell only: with one more mark it becomes another, and is itself no more.
    newest_is_single: bool,
}

/// Why there is no cluster with one more mark.
pub(crate) enum NoCluster {
    /// It would be too long.
    TooLong,
    /// There are too many.
    TooMany,
}

impl Clusters {
    /// The glyph of a cell with `mark` added.
    pub(crate) fn add(&mut self, glyph: u32, mark: char) -> Result<u32, NoCluster> {
        let mut text = String::with_capacity(8);
        self.push_text(glyph, &mut text);
        if text.len() + mark.len_utf8() > MAX_CLUSTER_BYTES {
            return Err(NoCluster::TooLong);
        }
        let newest = self.list.len().wrapping_sub(1);
        if glyph & CLUSTER != 0 && self.newest_is_single && newest == (glyph & !CLUSTER) as usize {
            self.list.pop();
            self.numbers.remove(text.as_str());
        }
        text.push(mark);
        let before = self.list.len();
        let number = self.number(&text).ok_or(NoCluster::TooMany)?;
        self.newest_is_single = self.list.len() > before;
        Ok(number)
    }

    /// The glyph of a text; none: it is too long, or there are too many.
    pub(crate) fn number(&mut self, text: &str) -> Option<u32> {
        self.newest_is_single = false;
        if let Some(number) = self.numbers.get(text) {
            return Some(number | CLUSTER);
        }
        if text.len() > MAX_CLUSTER_BYTES || self.list.len() >= MAX_CLUSTERS {
            return None;
        }
        let number = u32::try_from(self.list.len()).ok()?;
        self.list.push(text.into());
        self.numbers.insert(text.into(), number);
        Some(number | CLUSTER)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn clear(&mut self) {
        if !self.list.is_empty() {
            *self = Self::default();
        }
    }

    /// Bytes of its memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let texts: usize = self.list.iter().map(|text| text.len()).sum();
        2 * texts + self.list.capacity() * size_of::<Box<str>>() + self.numbers.capacity() * 25
    }

    /// Appends what a glyph looks like; nothing for an empty one.
    pub(crate) fn push_text(&self, glyph: u32, to: &mut String) {
        if glyph & CLUSTER != 0 {
            to.push_str(self.list.get((glyph & !CLUSTER) as usize).map_or("", |text| text));
        } else if glyph != 0 {
            to.push(char::from_u32(glyph).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
}
