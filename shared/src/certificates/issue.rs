//! Makes the CA and both leaves in a directory, and renews leaves. Knows files and rcgen, nothing of who uses them.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::UnixTime;
use time::OffsetDateTime;

use super::tls::{check_ca, check_leaf};
use super::{CA_FILE, CertificateError, Role, file};

/// How long a leaf is good. Long, because it is only renewed when a server starts, and one may run for a year.
const LEAF_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
/// A leaf with less than this left is renewed.
pub const RENEW_AHEAD: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long the CA is good; renewing it means new leaves everywhere.
const CA_LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
/// Certificates begin this long before they are made: the other host's clock may be behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

const CA_KEY: &str = "ca.key";

/// Whether a CA may be made where there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum NewCa {
    Make,
    Never,
}

/// One certificate that was made, with its key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Made {
    /// The CA's.
    Ca,
    /// A role's.
    Leaf(Role),
}

impl Made {
    /// File name of the certificate.
    pub const fn certificate_file(self) -> &'static str {
        match self {
            Self::Ca => CA_FILE,
            Self::Leaf(role) => role.certificate_file(),
        }
    }
}

/// Fills `dir` with a CA and a leaf for each role (`ca.pem ca.key api.pem api.key ptyd.pem ptyd.key`), every file
/// mode 0600 and written atomically.
///
/// Gives what was made. What is there and good stays. A leaf that has run out, is about to or does not fit is issued
/// anew as long as `ca.key` is there; without it that is an error. A lost `ca.pem` is signed again by `ca.key`; without
/// it a new CA is made only where there is no leaf of an old one. Two processes may call this at once: one waits for the
/// other.
pub fn make_all(dir: &Path) -> Result<Vec<Made>, CertificateError> {
    let locked = make_and_open(dir)?;
    locked.lock().map_err(|source| CertificateError::File { path: dir.to_owned(), source })?;
    make_all_at(dir, NewCa::Make, OffsetDateTime::now_utc())
}

/// As [`make_all`], for who must not wait: [`CertificateError::Busy`] while another process makes certificates there.
pub fn make_all_at_once(dir: &Path) -> Result<Vec<Made>, CertificateError> {
    at_once(dir, &make_and_open(dir)?, NewCa::Make)
}

/// As [`make_all_at_once`], for who has used what was there before: makes no new CA, which nobody else would know.
pub fn renew_at_once(dir: &Path) -> Result<Vec<Made>, CertificateError> {
    at_once(dir, &open(dir)?, NewCa::Never)
}

fn at_once(dir: &Path, locked: &File, new_ca: NewCa) -> Result<Vec<Made>, CertificateError> {
    match locked.try_lock() {
        Ok(()) => make_all_at(dir, new_ca, OffsetDateTime::now_utc()),
        Err(TryLockError::WouldBlock) => Err(CertificateError::Busy { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(CertificateError::File { path: dir.to_owned(), source }),
    }
}

/// Opens the directory, for its lock; makes it if it is missing.
fn make_and_open(dir: &Path) -> Result<File, CertificateError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| CertificateError::File { path: dir.to_owned(), source })?;
    open(dir)
}

fn open(dir: &Path) -> Result<File, CertificateError> {
    File::open(dir).map_err(|source| CertificateError::File { path: dir.to_owned(), source })
}

/// In a directory that nobody else writes to meanwhile.
fn make_all_at(dir: &Path, new_ca: NewCa, now: OffsetDateTime) -> Result<Vec<Made>, CertificateError> {
    let ca_key = read(dir, CA_KEY)?;
    let (ca_pem, fresh) = match read(dir, CA_FILE)? {
        Some(ca_pem) => (ca_pem, None),
        None if ca_key.is_none() && new_ca == NewCa::Never => {
            return Err(CertificateError::NoCa { path: dir.join(CA_FILE) });
        }
        None => (make_ca(dir, ca_key.as_deref(), now)?, Some(Made::Ca)),
    };
    check_ca(&ca_pem)
        .map_err(|source| CertificateError::Ca { path: dir.join(CA_FILE), source: Box::new(source) })?;
    let ca_key = read(dir, CA_KEY)?;
    let mut made = Vec::from_iter(fresh);
    let mut failed = None;
    for role in Role::ALL {
        // One role's trouble must not keep the other from being renewed.
        match renew_leaf(dir, role, &ca_pem, ca_key.as_deref(), now) {
            Ok(true) => made.push(Made::Leaf(role)),
            Ok(false) => {}
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(made), Err)
}

/// Issues a leaf anew, if there is need; says so.
fn renew_leaf(
    dir: &Path,
    role: Role,
    ca_pem: &[u8],
    ca_key: Option<&[u8]>,
    now: OffsetDateTime,
) -> Result<bool, CertificateError> {
    let path = dir.join(role.certificate_file());
    // Good now, too: a clock may have been wrong when it was made.
    let check = |certificate: &[u8], key: &[u8]| {
        check_leaf(role, ca_pem, certificate, key, unix_time(now))?;
        check_leaf(role, ca_pem, certificate, key, unix_time(now + RENEW_AHEAD))
    };
    let (certificate, key) = (read(dir, role.certificate_file())?, read(dir, role.key_file())?);
    let reason = match certificate.zip(key) {
        Some((certificate, key)) => match check(&certificate, &key) {
            Ok(()) => return Ok(false),
            Err(error) => Some(error),
        },
        None => None,
    };
    let ca_key = ca_key.ok_or_else(|| match reason {
        Some(error) => CertificateError::CannotRenew { path: path.clone(), source: Box::new(error) },
        None => CertificateError::CannotMake { path: path.clone() },
    })?;
    let (certificate, key) = issue_leaf(role, &ca_key_pair(dir, ca_key)?, now)?;
    // The CA's key may belong to another CA than its certificate.
    check(certificate.as_bytes(), key.as_bytes()).map_err(|source| CertificateError::ForeignKey {
        path: dir.join(CA_KEY),
        source: Box::new(source),
    })?;
    write(dir, role.key_file(), key.as_bytes())?;
    write(dir, role.certificate_file(), certificate.as_bytes())?;
    Ok(true)
}

/// Makes the CA's certificate: of the key there is, so that every leaf and every copy stays good, or of a new one.
fn make_ca(dir: &Path, ca_key: Option<&[u8]>, now: OffsetDateTime) -> Result<Vec<u8>, CertificateError> {
    let key = match ca_key {
        Some(pem) => ca_key_pair(dir, pem)?,
        None => {
            for role in Role::ALL {
                if read(dir, role.certificate_file())?.is_some() {
                    return Err(CertificateError::CaLost { path: dir.join(CA_FILE) });
                }
            }
            let key = KeyPair::generate()?;
            // Key first: a certificate without its key would never be replaced.
            write(dir, CA_KEY, key.serialize_pem().as_bytes())?;
            key
        }
    };
    let mut params = ca_params();
    params.not_before = now - BACKDATED;
    params.not_after = now + CA_LIFE;
    let pem = params.self_signed(&key)?.pem().into_bytes();
    write(dir, CA_FILE, &pem)?;
    Ok(pem)
}

fn ca_key_pair(dir: &Path, pem: &[u8]) -> Result<KeyPair, CertificateError> {
    KeyPair::from_pem(&String::from_utf8_lossy(pem))
        .map_err(|source| CertificateError::CaKey { path: dir.join(CA_KEY), source })
}

/// What is the same in every CA of ours: name and usages; with the key it is all an issuer needs.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("DevPocket link CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// The certificate and the key of a new leaf, in PEM.
fn issue_leaf(
    role: Role,
    ca_key: &KeyPair,
    now: OffsetDateTime,
) -> Result<(String, String), CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![role.name().to_owned()])?;
    params.distinguished_name = common_name(role.name());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match role {
        Role::Api => ExtendedKeyUsagePurpose::ClientAuth,
        Role::Ptyd => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - BACKDATED;
    params.not_after = now + LEAF_LIFE;
    let certificate = params.signed_by(&key, &Issuer::new(ca_params(), ca_key))?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

pub(super) fn unix_time(at: OffsetDateTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.unix_timestamp()).unwrap_or(0)))
}

fn read(dir: &Path, file: &str) -> Result<Option<Vec<u8>>, CertificateError> {
    let path = dir.join(file);
    match file::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(&path) {
            // A link to a file that is away for now is not to be replaced.
            Ok(_) => Err(CertificateError::Dangling { path }),
            Err(_) => Ok(None),
        },
        Err(source) => Err(CertificateError::File { path, source }),
    }
}

/// Puts `bytes` in place as a whole: a reader, or a crash, sees the old file or the new one.
fn write(dir: &Path, file: &str, bytes: &[u8]) -> Result<(), CertificateError> {
    let path = dir.join(file);
    let fresh = dir.join(format!("{file}.new"));
    let put = || -> io::Result<()> {
        // One may be left of a crash; only the holder of the directory's lock comes here.
        match fs::remove_file(&fresh) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&fresh, &path)?;
        // The name too must outlast a crash of the host: what is signed by a key that is lost is good for nothing.
        File::open(dir)?.sync_all()
    };
    put().map_err(|source| CertificateError::File { path: path.clone(), source })
}

#[cfg(test)]
mod tests;
