//! Characters with marks: each different one of a screen is kept once, under a number.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

use crate::cell::CLUSTER;

/// Clusters kept at once. Full means: those on no cell are forgotten.
pub(crate) const MAX_CLUSTERS: usize = 32_768;
/// Longest cluster, in bytes; more marks are dropped.
pub(crate) const MAX_CLUSTER_BYTES: usize = 48;

/// A character with its marks, as UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Cluster {
    /// 0: this place of the list is free.
    len: u8,
    bytes: [u8; MAX_CLUSTER_BYTES],
}

impl Cluster {
    /// None: it is too long.
    fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; MAX_CLUSTER_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { len: u8::try_from(text.len()).ok()?, bytes })
    }

    fn push(&mut self, mark: char) -> bool {
        let len = usize::from(self.len);
        let Some(room) = self.bytes.get_mut(len..len + mark.len_utf8()) else { return false };
        mark.encode_utf8(room);
        self.len += u8::try_from(mark.len_utf8()).unwrap_or(0);
        true
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// Characters with marks, each kept once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clusters {
    list: Vec<Cluster>,
    /// Numbers below the list's length that no cluster has.
    free: Vec<u32>,
    /// By the hash of their bytes, which nobody outside can foresee.
    numbers: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    hasher: RandomState,
    /// The one made last, while it is on one cell only: with one more mark it becomes another, and is itself no more.
    single: Option<u32>,
}

/// The hash of a number that is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
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
        let number = glyph & !CLUSTER;
        let mut cluster = match char::from_u32(glyph) {
            Some('\0') => Cluster::new(""),
            Some(base) => {
                let mut bytes = [0; 4];
                Cluster::new(base.encode_utf8(&mut bytes))
            }
            None => self.list.get(number as usize).copied(),
        }
        .ok_or(NoCluster::TooLong)?;
        let before = cluster;
        if !cluster.push(mark) {
            return Err(NoCluster::TooLong);
        }
        if glyph & CLUSTER != 0 && self.single == Some(number) {
            self.numbers.remove(&self.hash(&before));
            self.list[number as usize].len = 0;
            self.free.push(number);
        }
        let before = self.numbers.len();
        let number = self.intern(cluster).ok_or(NoCluster::TooMany)?;
        self.single = (self.numbers.len() > before).then_some(number);
        Ok(number | CLUSTER)
    }

    /// The glyph of a text; none: it is too long, or there are too many.
    pub(crate) fn number(&mut self, text: &str) -> Option<u32> {
        self.intern(Cluster::new(text)?).map(|number| number | CLUSTER)
    }

    fn intern(&mut self, cluster: Cluster) -> Option<u32> {
        self.single = None;
        let hash = self.hash(&cluster);
        if let Some(number) = self.numbers.get(&hash)
            && self.list.get(*number as usize) == Some(&cluster)
        {
            return Some(*number);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None if self.list.len() < MAX_CLUSTERS => u32::try_from(self.list.len()).ok()?,
            None => return None,
        };
        match self.list.get_mut(number as usize) {
            Some(place) => *place = cluster,
            None => self.list.push(cluster),
        }
        self.numbers.insert(hash, number);
        Some(number)
    }

    /// Forgets all clusters but those whose number is marked.
    pub(crate) fn retain(&mut self, marked: &[bool]) {
        self.single = None;
        self.numbers.retain(|_, number| marked[*number as usize]);
        self.free.clear();
        for (number, cluster) in (0..).zip(&mut self.list) {
            if !marked[number as usize] {
                cluster.len = 0;
                self.free.push(number);
            }
        }
    }

    fn hash(&self, cluster: &Cluster) -> u64 {
        self.hasher.hash_one(cluster.text())
    }

    /// Numbers in use or free.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn clear(&mut self) {
        if !self.list.is_empty() {
            self.list.clear();
            self.free.clear();
            self.numbers.clear();
            self.single = None;
        }
    }

    /// Bytes of its memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.list.capacity() * size_of::<Cluster>() + self.free.capacity() * 4 + self.numbers.capacity() * 17
    }

    /// A glyph without its marks.
    pub(crate) fn base(&self, glyph: u32) -> u32 {
        if glyph & CLUSTER == 0 {
            return glyph;
        }
        let cluster = self.list.get((glyph & !CLUSTER) as usize);
        cluster.and_then(|cluster| cluster.text().chars().next()).map_or(0, u32::from)
    }

    /// Bytes of what a glyph looks like.
    pub(crate) fn text_len(&self, glyph: u32) -> usize {
        if glyph & CLUSTER != 0 {
            self.list.get((glyph & !CLUSTER) as usize).map_or(0, |cluster| usize::from(cluster.len))
        } else {
            char::from_u32(glyph).map_or(char::REPLACEMENT_CHARACTER.len_utf8(), char::len_utf8)
        }
    }

    /// Appends what a glyph looks like; nothing for an empty one.
    pub(crate) fn push_text(&self, glyph: u32, to: &mut String) {
        if glyph & CLUSTER != 0 {
            to.push_str(self.list.get((glyph & !CLUSTER) as usize).map_or("", Cluster::text));
        } else if glyph != 0 {
            to.push(char::from_u32(glyph).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
}
