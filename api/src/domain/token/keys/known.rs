//! Which private keys of Ed25519 are no secrets: those out of standards, and seeds that strangers would try. Knows no file.

use super::pem::EdKey;
use crate::domain::token::guess::can_be_guessed;

/// Private keys that are printed: RFC 8032 sections 7.1 to 7.3 (the first also in RFC 8037), and RFC 8410 section 10.3.
const PRINTED: [[u8; 32]; 8] = [
    *b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60",
    *b"\x4c\xcd\x08\x9b\x28\xff\x96\xda\x9d\xb6\xc3\x46\xec\x11\x4e\x0f\x5b\x8a\x31\x9f\x35\xab\xa6\x24\xda\x8c\xf6\xed\x4f\xb8\xa6\xfb",
    *b"\xc5\xaa\x8d\xf4\x3f\x9f\x83\x7b\xed\xb7\x44\x2f\x31\xdc\xb7\xb1\x66\xd3\x85\x35\x07\x6f\x09\x4b\x85\xce\x3a\x2e\x0b\x44\x58\xf7",
    *b"\xf5\xe5\x76\x7c\xf1\x53\x31\x95\x17\x63\x0f\x22\x68\x76\xb8\x6c\x81\x60\xcc\x58\x3b\xc0\x13\x74\x4c\x6b\xf2\x55\xf5\xcc\x0e\xe5",
    *b"\x83\x3f\xe6\x24\x09\x23\x7b\x9d\x62\xec\x77\x58\x75\x20\x91\x1e\x9a\x75\x9c\xec\x1d\x19\x75\x5b\x7d\xa9\x01\xb9\x6d\xca\x3d\x42",
    *b"\x03\x05\x33\x4e\x38\x1a\xf7\x8f\x14\x1c\xb6\x66\xf6\x19\x9f\x57\xbc\x34\x95\x33\x5a\x25\x6a\x95\xbd\x2a\x55\xbf\x54\x66\x63\xf6",
    *b"\xab\x9c\x28\x53\xce\x29\x7d\xda\xb8\x5c\x99\x3b\x3a\xe1\x4b\xca\xd3\x9b\x2c\x68\x2b\xea\xbc\x27\xd6\xd4\xeb\x20\x71\x1d\x65\x60",
    *b"\xd4\xee\x72\xdb\xf9\x13\x58\x4a\xd5\xb6\xd8\xf1\xf7\x69\xf8\xad\x3a\xfe\x7c\x28\xcb\xf1\xd4\xfb\xe0\x97\xa8\x8f\x44\x75\x58\x42",
];

/// Whether strangers have the private key, or would guess it; of a public key alone, whether it belongs to one that is printed.
pub(super) fn is_known(key: &EdKey) -> bool {
    let printed = || PRINTED.into_iter().chain([[0; 32]]);
    match key.seed() {
        Some(seed) => printed().any(|known| known == seed) || can_be_guessed(seed),
        None => printed().any(|known| EdKey::of_seed(&known).public() == key.public()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_out_of_standards_and_seeds_without_chance_are_known_and_no_random_one_is() {
        let counted: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let words = *b"passwordpasswordpasswordpassword";
        for seed in PRINTED.into_iter().chain([[0; 32], [0xFF; 32], [7; 32], counted, words]) {
            assert!(is_known(&EdKey::of_seed(&seed)), "{seed:02x?}");
        }
        for seed in PRINTED.into_iter().chain([[0; 32]]) {
            assert!(is_known(&EdKey::of_seed(&seed).without_private()), "{seed:02x?}");
        }
        for _ in 0..1000 {
            let key = EdKey::random().unwrap();
            assert!(!is_known(&key), "{:02x?}", key.seed());
        }
        assert!(!is_known(&EdKey::random().unwrap().without_private()));
    }
}
