//! Makes the CA and both leaves in a directory, and renews leaves. Knows files and rcgen, nothing of who uses them.

use std::fs::{self, DirBuilder, File, OpenOptions};
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

use super::tls::check_leaf;
use super::{CA_FILE, CertificateError, Role};

/// How long a leaf is good. Long, because it is only renewed when a server starts, and one may run for a year.
const LEAF_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
/// A leaf with less than this left is renewed.
const RENEW_AHEAD: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long the CA is good; renewing it means new leaves everywhere.
const CA_LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
/// Certificates begin this long before they are made: the other host's clock may be behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

const CA_KEY: &str = "ca.key";

/// Fills `dir` with a CA and a leaf for each role (`ca.pem ca.key api.pem api.key ptyd.pem ptyd.key`), every file
/// mode 0600 and written atomically.
///
/// Gives the roles whose leaf was issued. What is there and good stays. A leaf that has run out, is about to or does not fit is issued anew as long as
/// `ca.key` is there; without it that is an error. Two processes may call this at once: one waits for the other.
pub fn make_all(dir: &Path) -> Result<Vec<Role>, CertificateError> {
    make_all_at(dir, OffsetDateTime::now_utc())
}

fn make_all_at(dir: &Path, now: OffsetDateTime) -> Result<Vec<Role>, CertificateError> {
    let at_file = |source| CertificateError::File { path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at_file)?;
    let locked = File::open(dir).map_err(at_file)?;
    locked.lock().map_err(at_file)?;

    if read(dir, CA_FILE)?.is_none() {
        make_ca(dir, now)?;
    }
    let ca_pem = read(dir, CA_FILE)?.unwrap_or_default();
    let good_until = unix_time(now + RENEW_AHEAD);
    let mut issued = Vec::new();
    for role in Role::ALL {
        if leaf_is_good(dir, role, &ca_pem, good_until)? {
            continue;
        }
        let cannot_renew = || CertificateError::CannotRenew { path: dir.join(role.certificate_file()) };
        let ca_key = read(dir, CA_KEY)?.ok_or_else(cannot_renew)?;
        issue_leaf(dir, role, &ca_key, now)?;
        // The CA's key may belong to another CA than its certificate.
        if !leaf_is_good(dir, role, &ca_pem, good_until)? {
            return Err(cannot_renew());
        }
        issued.push(role);
    }
    Ok(issued)
}

fn leaf_is_good(dir: &Path, role: Role, ca_pem: &[u8], at: UnixTime) -> Result<bool, CertificateError> {
    let (Some(certificate), Some(key)) = (read(dir, role.certificate_file())?, read(dir, role.key_file())?)
    else {
        return Ok(false);
    };
    Ok(check_leaf(role, ca_pem, &certificate, &key, at).is_ok())
}

fn make_ca(dir: &Path, now: OffsetDateTime) -> Result<(), CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = ca_params();
    params.not_before = now - BACKDATED;
    params.not_after = now + CA_LIFE;
    let certificate = params.self_signed(&key)?;
    // Key first: a certificate without its key would never be replaced.
    write(dir, CA_KEY, key.serialize_pem().as_bytes())?;
    write(dir, CA_FILE, certificate.pem().as_bytes())
}

/// What is the same in every CA of ours: name and usages; with the key it is all an issuer needs.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("DevPocket link CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn issue_leaf(
    dir: &Path,
    role: Role,
    ca_key_pem: &[u8],
    now: OffsetDateTime,
) -> Result<(), CertificateError> {
    let ca_key = KeyPair::from_pem(&String::from_utf8_lossy(ca_key_pem))?;
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
    write(dir, role.key_file(), key.serialize_pem().as_bytes())?;
    write(dir, role.certificate_file(), certificate.pem().as_bytes())
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn unix_time(at: OffsetDateTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.unix_timestamp()).unwrap_or(0)))
}

fn read(dir: &Path, file: &str) -> Result<Option<Vec<u8>>, CertificateError> {
    let path = dir.join(file);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
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
        fs::rename(&fresh, &path)
    };
    put().map_err(|source| CertificateError::File { path: path.clone(), source })
}

#[cfg(test)]
mod tests;
