//! The links of a screen, each kept once under a number: cells and packed rows name them by it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// Links kept; a further one is no link.
pub(crate) const MAX_LINKS: usize = 1024;
/// Longest address of a link, in bytes.
pub(crate) const MAX_ADDRESS_BYTES: usize = 2048;
/// Longest id of one.
pub(crate) const MAX_ID_CHARS: usize = 128;
/// Most bytes that a link takes where each text has its length before it.
pub(crate) const MOST_BYTES: usize = 2 + MAX_ADDRESS_BYTES + 2 + 4 * MAX_ID_CHARS;

/// Links by number, from 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    /// Address and id.
    list: Vec<(String, String)>,
    numbers: HashMap<u64, u16>,
    hasher: RandomState,
}

impl Links {
    /// Address and id of a link; none: there is none of that number.
    pub(crate) fn get(&self, number: u16) -> Option<&(String, String)> {
        usize::from(number).checked_sub(1).and_then(|index| self.list.get(index))
    }

    /// The number of a link, 0 if there are too many.
    pub(crate) fn number(&mut self, address: &str, id: &str) -> u16 {
        let hash = self.hasher.hash_one((address, id));
        if let Some(number) = self.numbers.get(&hash)
            && self.get(*number).is_some_and(|known| (known.0.as_str(), known.1.as_str()) == (address, id))
        {
            return *number;
        }
        if self.list.len() >= MAX_LINKS {
            return 0;
        }
        self.list.push((address.to_owned(), id.to_owned()));
        let number = u16::try_from(self.list.len()).unwrap_or(0);
        self.numbers.insert(hash, number);
        number
    }

    /// All of them, in the order of their numbers.
    pub(crate) fn list(&self) -> &[(String, String)] {
        &self.list
    }

    /// Bytes of its memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let texts: usize = self.list.iter().map(|(address, id)| address.capacity() + id.capacity()).sum();
        texts + self.list.capacity() * size_of::<(String, String)>() + self.numbers.capacity() * 17
    }
}
