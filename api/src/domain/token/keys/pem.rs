//! Keys of Ed25519 as files hold them: PEM (RFC 7468) around PKCS#8 and SubjectPublicKeyInfo (RFC 8410). Knows no token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use secrecy::SecretString;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::{BadKeys, ListedKey, Material, der};
use crate::domain::secret_token::NoRandomness;

/// How a key in PEM begins.
pub(super) const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";
/// What stands in DER before the 32 bytes of a private key, without the public one, and of a public key. OpenSSL 3.0 does not
/// read a private key that has its public one with it.
const PRIVATE_PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
const PUBLIC_PREFIX: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// Object identifiers of what else keys are for, in DER.
const OTHERS: [(&[u8], &str); 5] = [
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "an RSA key"),
    (b"\x2a\x86\x48\xce\x3d\x02\x01", "a key of an elliptic curve for ECDSA"),
    (b"\x2b\x65\x71", "an Ed448 key"),
    (b"\x2b\x65\x6e", "an X25519 key, which signs nothing"),
    (b"\x2b\x65\x6f", "an X448 key, which signs nothing"),
];

/// A key of Ed25519.
#[derive(Clone)]
pub(in crate::domain::token) struct EdKey {
    /// PKCS#8; none: the public key is all there is.
    private: Option<Zeroizing<Vec<u8>>>,
    public: Vec<u8>,
}

impl EdKey {
    /// A fresh private key.
    pub(super) fn random() -> Result<Self, NoRandomness> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Ok(Self::of_seed(&seed))
    }

    /// The private key of a seed.
    pub(super) fn of_seed(seed: &[u8; 32]) -> Self {
        let mut der = Zeroizing::new(vec![0; PRIVATE_PREFIX.len() + seed.len()]);
        let (prefix, rest) = der.split_at_mut(PRIVATE_PREFIX.len());
        prefix.copy_from_slice(&PRIVATE_PREFIX);
        rest.copy_from_slice(seed);
        #[expect(clippy::expect_used, reason = "32 bytes, whichever they are, are a private key")]
        let public = public_of(&der).expect("a key");
        Self { private: Some(der), public }
    }

    /// The bytes that the private key is made of.
    pub(super) fn seed(&self) -> Option<&[u8]> {
        // An octet string in an octet string (RFC 8410 section 7).
        der::octets(der::key(self.private()?)?.key)
    }

    /// The public key alone.
    #[cfg(test)]
    pub(super) fn without_private(&self) -> Self {
        Self { private: None, public: self.public.clone() }
    }

    /// What signs, in PKCS#8.
    pub(in crate::domain::token) fn private(&self) -> Option<&[u8]> {
        self.private.as_ref().map(|der| der.as_slice())
    }

    /// What checks: 32 bytes.
    pub(in crate::domain::token) fn public(&self) -> &[u8] {
        &self.public
    }

    /// As [`parse`] reads it.
    pub(super) fn to_pem(&self) -> SecretString {
        let wrap = |label: &str, der: &[u8]| {
            // A line has at most 64 digits, 48 bytes.
            let lines: Zeroizing<Vec<String>> =
                Zeroizing::new(der.chunks(48).map(|piece| STANDARD.encode(piece)).collect());
            format!("{BEGIN}{label}{DASHES}\n{}\n{END}{label}{DASHES}\n", lines.join("\n")).into()
        };
        match self.private() {
            Some(der) => wrap(PRIVATE, der),
            None => wrap(PUBLIC, &[&PUBLIC_PREFIX, self.public()].concat()),
        }
    }
}

/// Reads keys, each with a line before it that says from when it signs, or none.
pub(super) fn parse(text: &str) -> Result<Vec<ListedKey>, BadKeys> {
    let (mut keys, mut time) = (Vec::new(), None);
    let mut lines = text.lines().map(str::trim_end).zip(1..).filter(|(line, _)| !line.is_empty());
    while let Some((line, number)) = lines.next() {
        let Some(label) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) else {
            let at = OffsetDateTime::parse(line, &Rfc3339).ok();
            // Of two times one belongs to nothing.
            let Some(at) = at.filter(|_| time.is_none()) else { return Err(BadKeys::NoPem { line: number }) };
            time = Some((at, number));
            continue;
        };
        let end = format!("{END}{label}{DASHES}");
        let mut digits = Zeroizing::new(String::new());
        loop {
            match lines.next() {
                None => return Err(BadKeys::Damaged { line: number }),
                Some((line, _)) if line == end => break,
                Some((line, _)) => digits.push_str(line),
            }
        }
        let key = key(label, &digits, number)?;
        keys.push(ListedKey { signs_from: time.take().map(|(at, _)| at), material: Material::Ed(key) });
    }
    match time {
        Some((_, line)) => Err(BadKeys::NoPem { line }),
        None => Ok(keys),
    }
}

fn key(label: &str, digits: &str, line: usize) -> Result<EdKey, BadKeys> {
    let other = |kind| Err(BadKeys::OtherKind { line, kind });
    match label {
        PRIVATE | PUBLIC => {}
        "RSA PRIVATE KEY" | "RSA PUBLIC KEY" => return other("an RSA key"),
        "EC PRIVATE KEY" => return other("a key of an elliptic curve for ECDSA"),
        "ENCRYPTED PRIVATE KEY" => {
            return other("a private key behind a passphrase, which nobody would type");
        }
        "OPENSSH PRIVATE KEY" => return other("a key for SSH"),
        "CERTIFICATE" => return other("a certificate"),
        _ => return other("no private and no public key"),
    }
    let der = Zeroizing::new(STANDARD.decode(digits).map_err(|_| BadKeys::Damaged { line })?);
    let algorithm = der::key(&der).map(|key| key.algorithm);
    if let Some((_, kind)) = OTHERS.iter().find(|(id, _)| algorithm == Some(*id)) {
        return other(kind);
    }
    let damaged = || BadKeys::Damaged { line };
    if label == PUBLIC {
        let public = der.strip_prefix(&PUBLIC_PREFIX).filter(|key| key.len() == 32).ok_or_else(damaged)?;
        return Ok(EdKey { private: None, public: public.to_vec() });
    }
    let public = public_of(&der).ok_or_else(damaged)?;
    Ok(EdKey { private: Some(der), public })
}

/// The public key of a private one, where that is one.
fn public_of(der: &[u8]) -> Option<Vec<u8>> {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use time::Duration;

    use super::super::{KeyList, TokenKeys};
    use super::*;

    /// RFC 8410 section 10.3, its private keys without and with the public one, and that.
    const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const BOTH_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\noB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n";
    const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    const TIME: &str = "2026-01-31T12:00:00Z\n";

    fn list(text: &str) -> Result<KeyList, BadKeys> {
        KeyList::parse_pem(&text.into())
    }

    #[test]
    fn keys_are_read_as_they_were_written_with_their_times() {
        let text = format!("{PRIVATE_PEM}{TIME}{PRIVATE_PEM}{PUBLIC_PEM}");
        let read = list(&text.replace('\n', " \r\n\n")).unwrap();
        assert_eq!(read.to_text().expose_secret(), text);
        let publics: Vec<&[u8]> = read
            .keys
            .iter()
            .map(|key| match &key.material {
                Material::Ed(key) => key.public(),
                Material::Secret(_) => panic!("a secret"),
            })
            .collect();
        assert!(publics[0].starts_with(b"\x19\xbf\x44\x09") && publics.iter().all(|key| *key == publics[0]));
        assert_eq!(list(&PRIVATE_PEM.repeat(17)).err(), Some(BadKeys::TooMany));
    }

    #[test]
    fn what_is_no_key_of_ed25519_is_told_by_its_line() {
        let as_private = |digits: &str| format!("{BEGIN}{PRIVATE}-----\n{digits}\n{END}{PRIVATE}-----\n");
        let rsa = as_private("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj");
        let ecdsa = as_private("MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg");
        let x25519 = as_private("MC4CAQAwBQYDK2VuBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC");
        for (text, kind) in [
            (rsa.as_str(), "an RSA key"),
            (&ecdsa, "a key of an elliptic curve for ECDSA"),
            (&x25519, "an X25519 key, which signs nothing"),
            (&PRIVATE_PEM.replace("PRIVATE", "RSA PRIVATE"), "an RSA key"),
            (&PRIVATE_PEM.replace("PRIVATE", "OPENSSH PRIVATE"), "a key for SSH"),
            (&PRIVATE_PEM.replace("PRIVATE KEY", "X"), "no private and no public key"),
        ] {
            let said = list(&format!("{TIME}{PRIVATE_PEM}{text}")).err();
            assert_eq!(said, Some(BadKeys::OtherKind { line: 5, kind }), "{text}");
        }
        let cut = PRIVATE_PEM.replace("VhC", "Vh");
        let spoiled = PUBLIC_PEM.replace("MCow", "MCox");
        for damaged in [&PRIVATE_PEM[..60], &cut, &spoiled, &as_private(""), &BOTH_PEM.replace("uE=", "uA=")]
        {
            assert_eq!(list(damaged).err(), Some(BadKeys::Damaged { line: 1 }), "{damaged}");
        }
        for (text, line) in [
            (format!("{PRIVATE_PEM}{TIME}"), 4),
            (format!("{TIME}{TIME}{PRIVATE_PEM}"), 2),
            (format!("tomorrow\n{PRIVATE_PEM}"), 1),
            ("5f1c0e9ab37d42685f1c0e9ab37d4268".to_owned(), 1),
        ] {
            assert_eq!(list(&text).err(), Some(BadKeys::NoPem { line }), "{text}");
        }
        assert_eq!(list("\n").err(), Some(BadKeys::Empty));
        assert_eq!(TokenKeys::new(list(PUBLIC_PEM).unwrap(), None).err(), Some(BadKeys::NoneSigns));
        assert!(list(BOTH_PEM).is_ok());
    }

    /// The story: fresh keys, four in a million, were said to be of another kind, for what their random bytes held.
    #[test]
    fn a_key_whose_random_bytes_look_like_the_name_of_another_kind_is_taken() {
        for (id, _) in OTHERS {
            for at in [0, 5, 32 - id.len()] {
                let mut seed = [0x55; 32];
                seed[at..at + id.len()].copy_from_slice(id);
                let text = EdKey::of_seed(&seed).to_pem();
                assert!(list(text.expose_secret()).is_ok(), "{id:02x?} at {at}");
            }
        }
        let odd = "MC4CAQAwBQYDK2VwBCIEIBv3U+ekK2VxYUaoyZqj14H22Xw2N/9Aa1jG0R4ztiJP";
        assert!(list(&format!("{BEGIN}{PRIVATE}-----\n{odd}\n{END}{PRIVATE}-----\n")).is_ok());
        let x448 = "MEICAQAwBQYDK2VvBDoEOJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
        let said = list(&format!("{BEGIN}{PUBLIC}-----\n{x448}\n{END}{PUBLIC}-----\n")).err();
        assert_eq!(said, Some(BadKeys::OtherKind { line: 1, kind: "an X448 key, which signs nothing" }));
    }

    #[test]
    fn a_fresh_key_is_another_each_time_and_is_read_back() {
        let t0 = OffsetDateTime::UNIX_EPOCH;
        let mut keys = list(PUBLIC_PEM).unwrap();
        keys.add(t0, Duration::HOUR, t0).unwrap();
        keys.add(t0 + Duration::HOUR, Duration::HOUR, t0).unwrap();
        assert_eq!(keys.accepted(), 3, "a public key goes once another has taken over for long enough");
        keys.add(t0 + Duration::HOUR * 2, Duration::HOUR, t0 + Duration::HOUR).unwrap();
        assert_eq!(keys.accepted(), 3);
        let text = keys.to_text();
        assert_eq!(list(text.expose_secret()).unwrap().to_text().expose_secret(), text.expose_secret());
        let blocks: std::collections::BTreeSet<&str> =
            text.expose_secret().lines().filter(|line| line.starts_with("MC4C")).collect();
        assert_eq!(blocks.len(), 3);
    }
}
