//! Which signing keys strangers would try: those out of some documentation, a few characters over and over, runs, and words.
//! A key made at random is never one. Knows no list and no file.

use std::collections::BTreeSet;

/// What keys hold that were copied from some documentation and never changed, in lower case.
const SAMPLES: [&str; 6] =
    ["change-me", "change_me", "changeme", "your-secret", "example", "the-first-key-of-at-least-32-bytes"];
/// What people put together to something long, in lower case; rows of a keyboard too.
const WORDS: [&str; 24] = [
    "password",
    "passwort",
    "passw0rd",
    "secret",
    "qwertyuiop",
    "qwerty",
    "qwertz",
    "asdfghjkl",
    "asdf",
    "zxcvbnm",
    "1qaz2wsx",
    "letmein",
    "welcome",
    "default",
    "develop",
    "production",
    "devpocket",
    "admin",
    "token",
    "jwt",
    "key",
    "test",
    "sample",
    "root",
];
/// Of 32 random hex digits more are different but once in many billions.
const MIN_DIFFERENT_BYTES: usize = 6;
/// Of 32 random hex digits nearly each is a piece of its own.
const MIN_PIECES: usize = 16;
/// Shorter ones are in random keys too.
const MIN_RUN: usize = 4;
const MIN_REPEAT: usize = 6;

/// Whether a key can be guessed.
pub(super) fn can_be_guessed(key: &[u8]) -> bool {
    let key = key.to_ascii_lowercase();
    let different: BTreeSet<u8> = key.iter().copied().collect();
    different.len() < MIN_DIFFERENT_BYTES
        || SAMPLES.iter().any(|sample| key.windows(sample.len()).any(|part| part == sample.as_bytes()))
        || pieces(&key) < MIN_PIECES
}

/// How many things there are to guess: a run, a word and what was there before are one each, however long.
fn pieces(key: &[u8]) -> usize {
    let (mut at, mut pieces) = (0, 0);
    while at < key.len() {
        at += word(&key[at..]).max(run(&key[at..])).max(repeat(key, at)).max(1);
        pieces += 1;
    }
    pieces
}

fn word(rest: &[u8]) -> usize {
    let begins = WORDS.iter().filter(|word| rest.starts_with(word.as_bytes()));
    begins.map(|word| word.len()).max().unwrap_or(0)
}

/// The length of `abcd`, `4321` or `aaaa`; 0 if there is none.
fn run(rest: &[u8]) -> usize {
    let steps = || rest.windows(2).map(|pair| i16::from(pair[1]) - i16::from(pair[0]));
    let Some(first @ -1..=1) = steps().next() else { return 0 };
    let length = 1 + steps().take_while(|step| *step == first).count();
    if length >= MIN_RUN { length } else { 0 }
}

/// The length of what stands at `at` and began once before, which may run into this; 0 if there is none.
fn repeat(key: &[u8], at: usize) -> usize {
    let same = |from: usize| key[from..].iter().zip(&key[at..]).take_while(|(old, new)| old == new).count();
    let length = (0..at).map(same).max().unwrap_or(0);
    if length >= MIN_REPEAT { length } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_repeats_and_words_can_be_guessed() {
        for key in [
            "0123456789abcdef0123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210",
            "passwordpasswordpasswordpasswordqwerty12",
            "k3J9xQ2mk3J9xQ2mk3J9xQ2mk3J9xQ2m",
            "My-Secret-JWT-Token-Key-My-Secret-JWT-Token-Key",
            "qwertyuiopasdfghjklzxcvbnm1234567890",
            "11112222333344445555666677778888",
            "aXbYaXbYaXbYbXaYbXaYbXaYbXaYaXbY",
            "change-me-change-me-0123456789-abcdef",
        ] {
            assert!(can_be_guessed(key.as_bytes()), "{key}");
        }
        for key in ["5f1c0e9ab37d42685f1c0e9ab37d4268", "a-secret-that-must-never-be-printed"] {
            assert!(!can_be_guessed(key.as_bytes()), "{key}");
        }
    }

    proptest! {
        /// 32 bytes in hex and in base64, and 16 in hex, which are the fewest that are taken.
        #[test]
        fn random_keys_cannot(
            hex in "[0-9a-f]{64}",
            short in "[0-9a-f]{32}",
            base64 in "[A-Za-z0-9+/]{43}=",
            url in "[A-Za-z0-9_-]{43}",
        ) {
            for key in [hex, short, base64, url] {
                prop_assert!(!can_be_guessed(key.as_bytes()), "{key}");
            }
        }
    }
}
