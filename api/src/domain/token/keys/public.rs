//! Which texts are public keys: as a secret, everybody could sign with one. Knows no file.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::ExposeSecret;

use super::{KeyList, Material};

/// However it ends: what was copied by hand may have lost its padding, and the bits that are nothing.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Whether this is the inside of a PEM file: of a pair's keys one is public, and whoever has it could sign.
pub(super) fn is_key_of_a_pair(text: &str) -> bool {
    /// Object identifiers of Ed25519, RSA and elliptic curves (RFC 8410, 8017, 5480), in DER.
    const ALGORITHMS: [&[u8]; 3] = [
        &[0x06, 0x03, 0x2B, 0x65, 0x70],
        &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01],
        &[0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01],
    ];
    const SEQUENCE: u8 = 0x30;
    decoded(text).is_some_and(|der| {
        let has = |id: &&[u8]| der.windows(id.len()).any(|part| part == *id);
        der.first() == Some(&SEQUENCE) && ALGORITHMS.iter().any(has)
    })
}

/// Whether this is a public key as OpenSSH writes it (RFC 4253 section 6.6), or a JSON Web Key (RFC 7517).
pub(super) fn is_public_key(text: &str) -> bool {
    const KINDS: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"];
    // The bytes begin with the length of the kind's name, and that.
    let names_its_kind = |text: &str| {
        let bytes = decoded(text).unwrap_or_default();
        let Some((length, name)) = bytes.split_first_chunk::<4>() else { return false };
        u32::from_be_bytes(*length) < 64 && KINDS.iter().any(|kind| name.starts_with(kind.as_bytes()))
    };
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let openssh = KINDS.iter().any(|kind| first.starts_with(kind))
        && words.next().is_some_and(|word| word.starts_with("AAAA"));
    // A key for HMAC, and a private one, has these members (RFC 7518 section 6).
    let web_key = first.starts_with('{') && text.contains("\"kty\"");
    let secret_members = ["\"oct\"", "\"d\""];
    openssh
        || names_its_kind(first)
        || (web_key && !secret_members.iter().any(|member| text.contains(member)))
}

/// Which secret of two lists is the public key of a key in the other, from 0.
pub(super) fn secret_of_a_pair(one: &KeyList, other: &KeyList) -> Option<usize> {
    let of_a_pair = |secrets: &KeyList, pairs: &KeyList| {
        secrets.keys.iter().position(|secret| {
            let Material::Secret(secret) = &secret.material else { return false };
            let text = secret.expose_secret();
            let forms = [decoded(text), hexadecimal(text)];
            pairs.keys.iter().any(|pair| match &pair.material {
                Material::Ed(key) => forms.iter().flatten().any(|form| form == key.public()),
                Material::Secret(_) => false,
            })
        })
    };
    of_a_pair(one, other).or_else(|| of_a_pair(other, one))
}

/// The bytes of base64, in either alphabet.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let of = |alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(text).ok();
    of(&STANDARD).or_else(|| of(&URL_SAFE))
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = text.bytes().map(|byte| digit(&byte)).collect::<Option<_>>()?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
