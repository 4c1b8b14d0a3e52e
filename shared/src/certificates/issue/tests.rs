//! Certificates made here, in real handshakes without sockets.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;
use tempfile::TempDir;

use super::*;
use crate::certificates::{ALPN, PTYD_NAME, client_config, end, server_config};

const FILES: [&str; 6] = ["ca.pem", "ca.key", "api.pem", "api.key", "ptyd.pem", "ptyd.key"];

fn made() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    make_all(dir.path()).unwrap();
    dir
}

fn bytes(dir: &TempDir, file: &str) -> Vec<u8> {
    fs::read(dir.path().join(file)).unwrap()
}

fn client(dir: &TempDir, role: Role) -> ClientConfig {
    client_config(&bytes(dir, "ca.pem"), &bytes(dir, role.certificate_file()), &bytes(dir, role.key_file()))
        .unwrap()
}

fn server(dir: &TempDir, role: Role) -> ServerConfig {
    server_config(&bytes(dir, "ca.pem"), &bytes(dir, role.certificate_file()), &bytes(dir, role.key_file()))
        .unwrap()
}

/// Client and server with the CA and leaf of the directories and roles given; the error of whoever refused.
fn handshake(api: (&TempDir, Role), ptyd: (&TempDir, Role)) -> Result<ServerConnection, rustls::Error> {
    shake(&Arc::new(client(api.0, api.1)), &Arc::new(server(ptyd.0, ptyd.1)))
}

fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Result<ServerConnection, rustls::Error> {
    let mut client = ClientConnection::new(client.clone(), ServerName::try_from(PTYD_NAME).unwrap()).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        feed(wire, |from| server.read_tls(from))?;
        server.process_new_packets()?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        feed(wire, |from| client.read_tls(from))?;
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(server)
}

fn feed(
    wire: Vec<u8>,
    mut read_tls: impl FnMut(&mut &[u8]) -> io::Result<usize>,
) -> Result<(), rustls::Error> {
    let mut from = &wire[..];
    while !from.is_empty() {
        read_tls(&mut from).unwrap();
    }
    Ok(())
}

#[test]
fn the_leaves_of_one_ca_shake_hands_by_tls_1_3() {
    let dir = made();
    let server = handshake((&dir, Role::Api), (&dir, Role::Ptyd)).unwrap();
    assert_eq!(server.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(server.alpn_protocol(), Some(ALPN));
    assert_eq!(server.peer_certificates().map(<[_]>::len), Some(1));
}

#[test]
fn a_client_that_wants_to_resume_shows_its_certificate_again() {
    let dir = made();
    let mut eager = client(&dir, Role::Api);
    eager.resumption = Resumption::in_memory_sessions(8);
    let (eager, server) = (Arc::new(eager), Arc::new(server(&dir, Role::Ptyd)));
    for _ in 0..2 {
        assert_eq!(shake(&eager, &server).unwrap().handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn neither_role_passes_for_the_other_nor_a_foreign_ca_for_ours() {
    let (dir, foreign) = (made(), made());
    let check = |api, ptyd, why: &str| {
        assert!(handshake(api, ptyd).is_err(), "accepted {why}");
    };
    check((&dir, Role::Ptyd), (&dir, Role::Ptyd), "a ptyd that dials as an api");
    check((&dir, Role::Api), (&dir, Role::Api), "an api that poses as a ptyd");
    check((&foreign, Role::Api), (&dir, Role::Ptyd), "an api of another CA");
    check((&dir, Role::Api), (&foreign, Role::Ptyd), "a ptyd of another CA");
}

#[test]
fn the_right_usage_with_the_wrong_name_is_refused() {
    let dir = made();
    let ca_key = KeyPair::from_pem(&String::from_utf8(bytes(&dir, "ca.key")).unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![PTYD_NAME.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &Issuer::new(ca_params(), ca_key)).unwrap();
    fs::write(dir.path().join("api.pem"), certificate.pem()).unwrap();
    fs::write(dir.path().join("api.key"), key.serialize_pem()).unwrap();
    assert!(handshake((&dir, Role::Api), (&dir, Role::Ptyd)).is_err());
}

#[test]
fn every_file_is_for_its_owner_alone_and_good_ones_stay() {
    let dir = made();
    let before = FILES.map(|file| bytes(&dir, file));
    for file in FILES {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    make_all(dir.path()).unwrap();
    assert_eq!(FILES.map(|file| bytes(&dir, file)), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), FILES.len(), "nothing is left over");
}

#[test]
fn a_leaf_near_its_end_is_renewed_with_the_ca_key_and_an_error_without_it() {
    let dir = made();
    let (ca, leaf) = (bytes(&dir, "ca.pem"), bytes(&dir, "ptyd.pem"));
    let late = OffsetDateTime::now_utc() + LEAF_LIFE - RENEW_AHEAD + Duration::from_secs(60);
    fs::rename(dir.path().join("ca.key"), dir.path().join("away")).unwrap();
    assert!(matches!(make_all_at(dir.path(), NewCa::Make, late), Err(CertificateError::CannotRenew { .. })));
    assert_eq!(bytes(&dir, "ptyd.pem"), leaf);

    fs::rename(dir.path().join("away"), dir.path().join("ca.key")).unwrap();
    make_all_at(dir.path(), NewCa::Make, late).unwrap();
    assert_eq!(bytes(&dir, "ca.pem"), ca);
    assert_ne!(bytes(&dir, "ptyd.pem"), leaf);
}

#[test]
fn what_a_crash_left_half_done_is_mended() {
    let dir = made();
    let damage: [(&str, &[u8]); 3] =
        [("api.key", b""), ("ptyd.pem", b"-----BEGIN"), ("api.pem.new", b"left over")];
    for (file, content) in damage {
        fs::write(dir.path().join(file), content).unwrap();
        make_all(dir.path()).unwrap();
        handshake((&dir, Role::Api), (&dir, Role::Ptyd)).unwrap();
    }
}

#[test]
fn what_is_made_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let made = make_all(dir.path()).unwrap();
    assert_eq!(made, [Made::Ca, Made::Leaf(Role::Api), Made::Leaf(Role::Ptyd)]);
    assert_eq!(make_all(dir.path()).unwrap(), []);
    fs::remove_file(dir.path().join("ptyd.key")).unwrap();
    assert_eq!(make_all(dir.path()).unwrap(), [Made::Leaf(Role::Ptyd)]);
}

/// A lost ca.pem once made a new CA, which locked out every api with a certificate of the old one.
#[test]
fn a_lost_ca_certificate_is_signed_again_by_its_key() {
    let (dir, copy) = (made(), tempfile::tempdir().unwrap());
    for file in ["ca.pem", "api.pem", "api.key"] {
        fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let others = ["ca.key", "api.pem", "api.key", "ptyd.pem", "ptyd.key"];
    let before = others.map(|file| bytes(&dir, file));
    fs::remove_file(dir.path().join("ca.pem")).unwrap();
    assert_eq!(make_all(dir.path()).unwrap(), [Made::Ca]);
    assert_eq!(others.map(|file| bytes(&dir, file)), before);
    handshake((&copy, Role::Api), (&dir, Role::Ptyd)).unwrap();
}

#[test]
fn what_cannot_be_made_well_is_said_with_its_cause_and_left_alone() {
    let check = |damage: &dyn Fn(&Path), expected: &str| {
        let dir = made();
        let leaf = bytes(&dir, "ptyd.pem");
        damage(dir.path());
        let error = make_all(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(fs::read(dir.path().join("ptyd.pem")).is_ok_and(|now| now == leaf));
    };
    let remove = |dir: &Path, names: &[&str]| {
        for name in names {
            fs::remove_file(dir.join(name)).unwrap();
        }
    };
    check(&|dir| remove(dir, &["ca.pem", "ca.key"]), "ca.pem is missing, and so is ca.key");
    check(&|dir| fs::write(dir.join("ca.pem"), "").unwrap(), "ca.pem holds no CA certificate");
    check(&|dir| fs::write(dir.join("ca.pem"), "garbage").unwrap(), "ca.pem holds no CA certificate");
    check(&|dir| remove(dir, &["api.pem", "ca.key"]), "api.pem or its key is missing");
    let garbage = |dir: &Path, file: &str| fs::write(dir.join(file), "garbage").unwrap();
    let keyless_garbage = |dir: &Path| {
        garbage(dir, "api.pem");
        remove(dir, &["ca.key"]);
    };
    check(&keyless_garbage, "api.pem has expired, is about to, or does not fit its CA");
    let bad_key = |dir: &Path| {
        garbage(dir, "ca.key");
        remove(dir, &["api.pem"]);
    };
    check(&bad_key, "ca.key holds no usable private key");
    let foreign_key = |dir: &Path| {
        fs::write(dir.join("ca.key"), bytes(&made(), "ca.key")).unwrap();
        remove(dir, &["api.pem"]);
    };
    check(&foreign_key, "ca.key does not belong to ca.pem");
    let dangling = |dir: &Path| {
        remove(dir, &["ca.pem"]);
        std::os::unix::fs::symlink("/no/such/file", dir.join("ca.pem")).unwrap();
    };
    check(&dangling, "ca.pem is a symbolic link to a file that is not there");
}

#[test]
fn the_end_of_a_leaf_is_found_to_the_second() {
    let dir = made();
    let end =
        |dir: &TempDir| end(Role::Api, &bytes(dir, "ca.pem"), &bytes(dir, "api.pem"), &bytes(dir, "api.key"));
    let expected = (OffsetDateTime::now_utc() + LEAF_LIFE).unix_timestamp();
    let found = i64::try_from(end(&dir).unwrap()).unwrap();
    assert!((expected - 60..=expected + 1).contains(&found), "{found}, not {expected}");
    fs::copy(made().path().join("ca.pem"), dir.path().join("ca.pem")).unwrap();
    assert_eq!(end(&dir), None, "of another CA");
}

/// A certificate made while the clock ran ahead was once taken for good, although nobody takes it yet.
#[test]
fn a_leaf_that_is_not_good_yet_is_renewed() {
    let dir = made();
    let ahead = OffsetDateTime::now_utc() + Duration::from_secs(30 * 24 * 3600);
    fs::remove_file(dir.path().join("ptyd.pem")).unwrap();
    make_all_at(dir.path(), NewCa::Make, ahead).unwrap();
    assert_eq!(make_all(dir.path()).unwrap(), [Made::Leaf(Role::Ptyd)]);
    handshake((&dir, Role::Api), (&dir, Role::Ptyd)).unwrap();
}

#[test]
fn one_roles_trouble_does_not_keep_the_other_from_being_renewed() {
    let dir = made();
    fs::remove_file(dir.path().join("api.pem")).unwrap();
    fs::create_dir(dir.path().join("api.pem")).unwrap();
    fs::remove_file(dir.path().join("ptyd.pem")).unwrap();
    assert!(make_all(dir.path()).is_err());
    assert!(dir.path().join("ptyd.pem").exists());
}

#[test]
fn who_must_not_wait_is_told_that_another_is_at_it() {
    let dir = made();
    let other = File::open(dir.path()).unwrap();
    other.lock().unwrap();
    assert!(matches!(make_all_at_once(dir.path()), Err(CertificateError::Busy { .. })));
    drop(other);
    assert_eq!(make_all_at_once(dir.path()).unwrap(), []);
}

/// A reload of ptyd whose directory was gone once made a new CA, and every api was turned away.
#[test]
fn who_renews_makes_no_new_ca() {
    let dir = made();
    assert_eq!(renew_at_once(dir.path()).unwrap(), []);
    fs::remove_file(dir.path().join("ca.pem")).unwrap();
    assert_eq!(renew_at_once(dir.path()).unwrap(), [Made::Ca], "of the same key");
    for file in FILES {
        let _gone = fs::remove_file(dir.path().join(file));
    }
    assert!(matches!(renew_at_once(dir.path()), Err(CertificateError::NoCa { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let gone = dir.path().join("gone");
    assert!(renew_at_once(&gone).is_err() && !gone.exists());
}

/// It once waited for a writer that never came, and every session of ptyd with it.
#[test]
fn a_pipe_in_a_files_place_is_refused_and_not_waited_for() {
    let dir = made();
    fs::remove_file(dir.path().join("ca.key")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("ca.key")).status();
    assert!(made.unwrap().success());
    let error = make_all_at_once(dir.path()).unwrap_err();
    assert!(matches!(error, CertificateError::File { .. }), "{error:?}");
}

#[test]
fn eight_makers_at_once_agree_on_one_ca() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| make_all(dir.path()).unwrap());
        }
    });
    handshake((&dir, Role::Api), (&dir, Role::Ptyd)).unwrap();
}
