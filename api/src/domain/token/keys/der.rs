//! Where in DER (X.690) a key says what it is for: PKCS#8 (RFC 5958) and SubjectPublicKeyInfo (RFC 5280 section 4.1). Knows no
//! algorithm.

const INTEGER: u8 = 0x02;
const IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// A key taken apart.
pub(super) struct Key<'a> {
    /// Its algorithm's object identifier.
    pub(super) algorithm: &'a [u8],
    /// What is in the octets of a private key, or the bits of a public one.
    pub(super) key: &'a [u8],
}

/// Takes a key apart. One that is cut short is read as far as it goes.
pub(super) fn key(der: &[u8]) -> Option<Key<'_>> {
    let (mut inside, _) = element(der, SEQUENCE)?;
    // The version, of a private key.
    if let Some((_, rest)) = element(inside, INTEGER) {
        inside = rest;
    }
    let (identifier, rest) = element(inside, SEQUENCE)?;
    let (algorithm, _) = element(identifier, IDENTIFIER)?;
    let key = octets(rest).unwrap_or_default();
    Some(Key { algorithm, key })
}

/// What is in the octet string that begins here.
pub(super) fn octets(der: &[u8]) -> Option<&[u8]> {
    const OCTET_STRING: u8 = 0x04;
    element(der, OCTET_STRING).map(|(content, _)| content)
}

/// What is in the element of this tag that begins here, and what follows.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    /// A length of more than seven bits: so many bytes of it follow.
    const LONG: u8 = 0x80;
    let (&[first, length], mut rest) = der.split_first_chunk::<2>()?;
    if first != tag {
        return None;
    }
    let mut bytes = usize::from(length);
    if length >= LONG {
        let (of_length, after) = rest.split_at_checked(usize::from(length - LONG))?;
        rest = after;
        bytes = of_length
            .iter()
            .fold(0_usize, |sum, byte| sum.saturating_mul(256).saturating_add(usize::from(*byte)));
    }
    Some(rest.split_at(bytes.min(rest.len())))
}
