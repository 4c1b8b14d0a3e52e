//! Terminal bytes as text for JSON clients: never a character split over two messages, invalid bytes as U+FFFD, offsets of
//! the original bytes (PROTOCOL section 5).

use devpocket_shared::ids::Offset;

/// Longest incomplete UTF-8 character, in bytes.
const MAX_INCOMPLETE_BYTES: usize = 3;

/// Output as text, with the range of original bytes it stands for.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Text {
    pub(super) offset: Offset,
    pub(super) end: Offset,
    pub(super) text: String,
}

/// Decodes one session's output for one attachment.
#[derive(Debug, Default)]
pub(super) struct TextDecoder {
    /// The start of a character whose rest has not come yet, and where it began.
    held: Vec<u8>,
    held_at: Offset,
}

impl TextDecoder {
    /// The text that is complete with `bytes`, which begin at `offset`; none while there is none.
    pub(super) fn decode(&mut self, offset: Offset, bytes: &[u8]) -> Option<Text> {
        let start = if self.held.is_empty() { offset } else { self.held_at };
        let end = offset.plus(bytes.len() as u64);
        let joined;
        let all: &[u8] = if self.held.is_empty() {
            bytes
        } else {
            joined = [self.held.as_slice(), bytes].concat();
            &joined
        };
        let complete = all.len() - incomplete_tail(all);
        let (complete, rest) = all.split_at(complete);
        let text = String::from_utf8_lossy(complete).into_owned();
        let end = Offset(end.0 - rest.len() as u64);
        self.held = rest.to_vec();
        self.held_at = end;
        (!complete.is_empty()).then_some(Text { offset: start, end, text })
    }

    /// What is still held back when no more comes: an incomplete character, which is invalid then.
    pub(super) fn finish(&mut self) -> Option<Text> {
        let held = std::mem::take(&mut self.held);
        let end = self.held_at.plus(held.len() as u64);
        let text = String::from_utf8_lossy(&held).into_owned();
        (!held.is_empty()).then_some(Text { offset: self.held_at, end, text })
    }
}

/// How many bytes at the end are the start of a character that more bytes could complete.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let mut tail = 0;
    for (back, byte) in bytes.iter().rev().take(MAX_INCOMPLETE_BYTES).enumerate() {
        if byte & 0b1100_0000 != 0b1000_0000 {
            tail = back + 1;
            break;
        }
    }
    if tail == 0 {
        return 0;
    }
    match std::str::from_utf8(&bytes[bytes.len() - tail..]) {
        // `error_len` is none exactly when the input ended inside a character (std::str::Utf8Error).
        Err(err) if err.error_len().is_none() && err.valid_up_to() == 0 => tail,
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_cut_at_any_place_arrives_whole() {
        let text = "aé漢😀z";
        for cut in 0..=text.len() {
            let mut decoder = TextDecoder::default();
            let (first, second) = text.as_bytes().split_at(cut);
            let mut got = String::new();
            for part in [decoder.decode(Offset(0), first), decoder.decode(Offset(cut as u64), second)]
                .into_iter()
                .flatten()
            {
                got.push_str(&part.text);
            }
            assert_eq!(got, text, "cut at {cut}");
        }
    }

    #[test]
    fn an_incomplete_character_is_told_at_the_end_as_invalid() {
        let mut decoder = TextDecoder::default();
        assert_eq!(decoder.decode(Offset(5), &[0xE6, 0xBC]), None);
        let last = Text { offset: Offset(5), end: Offset(7), text: "\u{FFFD}".to_owned() };
        assert_eq!(decoder.finish(), Some(last));
        assert_eq!(decoder.finish(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_text_of_the_whole(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xE6), Just(0x80), Just(0xF0), Just(b'a')], 0..200),
            cuts in proptest::collection::vec(1..9_usize, 1..200),
        ) {
            let (mut decoder, mut text, mut expected_offset, mut at) = (TextDecoder::default(), String::new(), 0, 0);
            let mut cuts = cuts.into_iter().cycle();
            while at < bytes.len() {
                let next = (at + cuts.next().unwrap()).min(bytes.len());
                if let Some(part) = decoder.decode(Offset(at as u64), &bytes[at..next]) {
                    prop_assert_eq!(part.offset.0, expected_offset);
                    expected_offset = part.end.0;
                    text.push_str(&part.text);
                }
                at = next;
            }
            if let Some(part) = decoder.finish() {
                prop_assert_eq!(part.offset.0, expected_offset);
                expected_offset = part.end.0;
                text.push_str(&part.text);
            }
            prop_assert_eq!(expected_offset, bytes.len() as u64);
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
