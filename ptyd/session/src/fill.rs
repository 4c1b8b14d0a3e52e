//! The fill ahead of a ring's head: a pseudo-random sequence, keyed per session, of bytes that UTF-8 never uses. It shows
//! how far a worker had read when it was killed: a plain fill of one byte would be mistaken for data that ends in it.

/// Writes the fill for the output offsets from `offset` on over `to`.
pub fn write(key: u64, offset: u64, to: &mut [u8]) {
    let lead = usize::try_from(offset.wrapping_neg() % 8).unwrap_or(0).min(to.len());
    let (first, rest) = to.split_at_mut(lead);
    let mut at = offset;
    for byte in first {
        *byte = byte_at(key, at);
        at += 1;
    }
    let mut words = rest.chunks_exact_mut(8);
    for word in &mut words {
        word.copy_from_slice(&word_at(key, at / 8).to_le_bytes());
        at += 8;
    }
    for byte in words.into_remainder() {
        *byte = byte_at(key, at);
        at += 1;
    }
}

/// How many bytes of `bytes`, which lie at output offset `offset`, stand before the unbroken fill at their end.
pub fn data_before(key: u64, offset: u64, bytes: &[u8]) -> usize {
    let untouched = bytes
        .iter()
        .enumerate()
        .rev()
        .take_while(|(i, byte)| **byte == byte_at(key, offset + *i as u64))
        .count();
    bytes.len() - untouched
}

fn byte_at(key: u64, offset: u64) -> u8 {
    word_at(key, offset / 8).to_le_bytes()[usize::try_from(offset % 8).unwrap_or(0)]
}

/// Eight bytes of F8 to FF: the finalizer of SplitMix64 (Steele, Lea, Flood 2014) over key and position.
fn word_at(key: u64, index: u64) -> u64 {
    let mut z = key.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z | 0xF8F8_F8F8_F8F8_F8F8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fill_depends_on_the_offset_only_and_not_on_where_writing_began() {
        let mut whole = vec![0; 100];
        write(7, 1000, &mut whole);
        for start in 0..20 {
            for len in [0, 1, 7, 8, 9, 40] {
                let mut part = vec![0; len];
                write(7, 1000 + start as u64, &mut part);
                assert_eq!(part, whole[start..start + len]);
            }
        }
        assert!(whole.iter().all(|byte| *byte >= 0xF8));
    }

    #[test]
    fn data_is_found_before_the_fill() {
        let mut bytes = vec![0; 64];
        write(9, 5, &mut bytes);
        assert_eq!(data_before(9, 5, &bytes), 0);
        bytes[..11].copy_from_slice(b"hello world");
        assert_eq!(data_before(9, 5, &bytes), 11);
    }
}
