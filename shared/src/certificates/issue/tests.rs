//! Certificates made here, in real handshakes without sockets.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;
use tempfile::TempDir;

use super::*;
use crate::certificates::{ALPN, PTYD_NAME, client_config, server_config};

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
    assert!(matches!(make_all_at(dir.path(), late), Err(CertificateError::CannotRenew { .. })));
    assert_eq!(bytes(&dir, "ptyd.pem"), leaf);

    fs::rename(dir.path().join("away"), dir.path().join("ca.key")).unwrap();
    make_all_at(dir.path(), late).unwrap();
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
    fs::remove_file(dir.path().join("ca.pem")).unwrap();
    make_all(dir.path()).unwrap();
    handshake((&dir, Role::Api), (&dir, Role::Ptyd)).unwrap();
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
