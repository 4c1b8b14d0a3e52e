//! Strangers on the link between api and ptyd: refused, and nobody notices.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::{LinkKind, Options, Place, Stack, users};
use devpocket_tests::{Random, Witness, wait_until};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::time::timeout;

/// The application protocol of the link.
const LINK_PROTOCOL: &[u8] = b"devpocket-link/1";
/// The name in ptyd's certificate.
const PTYD_NAME: &str = "ptyd.devpocket.internal";
const REFUSED_LIMIT: Duration = Duration::from_secs(20);

/// A certificate and its key.
struct Keys {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Keys {
    fn read(directory: &Path, name: &str) -> Self {
        let certificate =
            CertificateDer::from_pem_file(directory.join(format!("{name}.pem"))).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).expect("a key");
        Self { chain: vec![certificate], key }
    }

    /// A certificate for the api's name that no known authority signed.
    fn self_signed() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["api.devpocket.internal".to_owned()])
            .expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        Self { chain: vec![made.cert.der().clone()], key }
    }
}

fn authorities(directory: &Path) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(directory.join("ca.pem")).expect("the authority"))
        .expect("a good authority");
    roots
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// How a peer with these keys dials ptyd.
fn dialling(directory: &Path, keys: Option<Keys>, protocol: &[u8]) -> quinn::ClientConfig {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(authorities(directory));
    let mut tls = match keys {
        Some(keys) => builder.with_client_auth_cert(keys.chain, keys.key).expect("a good key"),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![protocol.to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a QUIC cipher")))
}

/// Dials ptyd and asks for something; true if it answered anything.
async fn is_answered(ptyd: SocketAddr, directory: &Path, keys: Option<Keys>, protocol: &[u8]) -> bool {
    let config = dialling(directory, keys, protocol);
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a UDP socket");
    let exchange = async {
        let connection = endpoint.connect_with(config, ptyd, PTYD_NAME).ok()?.await.ok()?;
        let (mut send, mut receive) = connection.open_bi().await.ok()?;
        send.write_all(&hello_and_info()).await.ok()?;
        receive.read_chunk(1024, true).await.ok()?
    };
    timeout(REFUSED_LIMIT, exchange).await.expect("a stranger is refused, not left waiting").is_some()
}

/// A hello and a request for the node's facts, as an api sends them.
fn hello_and_info() -> Vec<u8> {
    use devpocket_shared::wire::{Hello, Request, frame::put_control, message::LINK_VERSION};
    let mut bytes = bytes::BytesMut::new();
    let request_id = "stranger".to_owned();
    let hello = Hello { version: LINK_VERSION, features: 0, node_id: None, boot_id: None, request_id };
    put_control(&mut bytes, &hello).expect("a frame");
    put_control(&mut bytes, &Request::Info).expect("a frame");
    bytes.to_vec()
}

async fn quic_stack() -> Stack {
    Stack::start_with(Options { link: LinkKind::Quic, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quic_peer_without_the_right_certificate_is_not_answered() {
    let stack = quic_stack().await;
    let mut witness = Witness::start(&stack).await;
    let directory = stack.place.path("ptyd/link");
    let ptyd = stack.link_address;
    // The right one is answered: else the others would prove nothing.
    assert!(
        is_answered(ptyd, &directory, Some(Keys::read(&directory, "api")), LINK_PROTOCOL).await,
        "an api"
    );

    assert!(!is_answered(ptyd, &directory, None, LINK_PROTOCOL).await, "no certificate");
    assert!(
        !is_answered(ptyd, &directory, Some(Keys::self_signed()), LINK_PROTOCOL).await,
        "another authority"
    );
    let wrong_role = Some(Keys::read(&directory, "ptyd"));
    assert!(!is_answered(ptyd, &directory, wrong_role, LINK_PROTOCOL).await, "ptyd's own role");
    let api = Some(Keys::read(&directory, "api"));
    assert!(!is_answered(ptyd, &directory, api, b"h3").await, "another protocol");
    witness.is_undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_does_not_speak_to_a_ptyd_with_the_role_of_an_api() {
    let mut stack = quic_stack().await;
    let directory = stack.place.path("ptyd/link");
    let keys = Keys::read(&directory, "api");
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        authorities(&directory).into(),
        provider(),
    )
    .build()
    .expect("a verifier");
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(keys.chain, keys.key)
        .expect("a good key");
    tls.alpn_protocols = vec![LINK_PROTOCOL.to_vec()];
    let config =
        quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).expect("a QUIC cipher")));
    let impostor = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("a UDP socket");
    let address = impostor.local_addr().expect("an address");

    stack.kill_api(0);
    stack.link_address = address;
    stack.start_api(0);
    stack.api_ready(0).await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let dialled = async {
        let incoming = impostor.accept().await.expect("the api dials");
        incoming.await.is_err()
    };
    let connect = socket.ask_error(json!({"type": "connect", "data": {"session_type": "local"}}));
    let (refused, error) = tokio::join!(timeout(REFUSED_LIMIT, dialled), connect);
    assert!(refused.expect("the api dials"), "the handshake must not complete");
    assert_eq!(error.error(), Some("node_unavailable"), "{}", error.body);
    assert!(error.is_retryable(), "{}", error.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_datagrams_disturb_nobody() {
    let mut random = Random::for_scenario("garbage datagrams");
    let stack = quic_stack().await;
    let mut witness = Witness::start(&stack).await;
    let worker = stack.worker_ready().await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
    for round in 0..20_000_u32 {
        let length = usize::try_from(random.between(1, 1400)).expect("a length");
        let mut datagram: Vec<u8> = (0..length).map(|_| random.number().to_le_bytes()[0]).collect();
        match round % 3 {
            // A long header of version 1 (RFC 9000 section 17.2) with anything behind it.
            0 => datagram.splice(0..datagram.len().min(5), [0xC3, 0, 0, 0, 1]).for_each(drop),
            // A short header.
            1 => datagram[0] = 0x40 | datagram[0] & 0x3F,
            _ => {}
        }
        let _full = socket.send_to(&datagram, stack.link_address);
        if round % 2_000 == 0 {
            witness.is_undisturbed().await;
        }
    }
    witness.is_undisturbed().await;
    assert_eq!(stack.worker_pid(), Some(worker), "the worker is the same");
}

/// Packets that begin a handshake and nothing after them, as anybody can send under any address: a relay passes on what
/// strangers send, and never what they are answered. An api that comes meanwhile is served at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_never_go_on_keep_no_api_away() {
    let mut stack = quic_stack().await;
    let relay = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a UDP socket");
    let onwards = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a UDP socket");
    let (address, ptyd) = (relay.local_addr().expect("an address"), stack.link_address);
    let passed = AtomicUsize::new(0);
    let passing = async {
        let mut packet = [0; 2048];
        loop {
            let (bytes, _) = relay.recv_from(&mut packet).await.expect("a packet");
            let _full = onwards.send_to(&packet[..bytes], ptyd).await;
            passed.fetch_add(1, Ordering::Relaxed);
        }
    };
    stack.kill_api(0);
    let directory = stack.place.path("ptyd/link");
    let mut strangers = Vec::new();
    for _ in 0..200 {
        let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a UDP socket");
        let connecting = endpoint.connect_with(dialling(&directory, None, LINK_PROTOCOL), address, PTYD_NAME);
        strangers.push((connecting.expect("an attempt"), endpoint));
    }
    let coming = async {
        let all = async || passed.load(Ordering::Relaxed) >= strangers.len();
        wait_until("all have begun", REFUSED_LIMIT, all).await;
        stack.start_api(0);
        stack.api_ready(0).await;
        let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
        let connect = json!({"session_type": "local", "command": ["cat"]});
        let began = tokio::time::Instant::now();
        socket.connect(connect).await;
        began.elapsed()
    };
    let took = tokio::select! {
        never = passing => never,
        took = coming => took,
    };
    assert!(took < Duration::from_secs(2), "the api was kept waiting for {took:?}");
    Witness::start(&stack).await.is_undisturbed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_unix_socket_costs_an_error_and_no_memory() {
    let mut random = Random::for_scenario("garbage on the socket");
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let worker = stack.worker_ready().await;
    let before = resident_bytes(worker);
    let mut rows = vec![
        ("a length of 4 GiB", b"\xFF\xFF\xFF\xFF\0".to_vec()),
        ("a length of 1 GiB", b"\x40\0\0\0\0hello".to_vec()),
        ("an unknown kind", b"\0\0\0\x04\x09abcd".to_vec()),
        ("terminal bytes first", b"\0\0\0\x0D\x03\0\0\0\0\0\0\0\0\0\0\0\0x".to_vec()),
        ("a control frame of nothing", b"\0\0\0\0\0".to_vec()),
        // A text of 2^63 bytes, in bincode's variable-length integers.
        ("a hostile length inside", b"\0\0\0\x0D\0\x01\0\0\0\xFD\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F".to_vec()),
        ("an upgrade", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    for _ in 0..30 {
        let length = usize::try_from(random.between(8, 4000)).expect("a length");
        rows.push(("chance", (0..length).map(|_| random.number().to_le_bytes()[0]).collect()));
    }
    for (name, bytes) in rows {
        let said = probe(&stack.place, &bytes);
        assert!(said.starts_with("closed after "), "{name}: {said}");
        witness.is_undisturbed().await;
    }
    assert_eq!(stack.worker_pid(), Some(worker), "the worker is the same");
    let grown = resident_bytes(worker).saturating_sub(before);
    assert!(grown < 16 << 20, "the worker grew by {grown} bytes");
}

/// Sends bytes to the link's Unix socket as the api's user, and says what came of it.
fn probe(place: &Place, bytes: &[u8]) -> String {
    use std::os::unix::process::CommandExt;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = Command::new("perl");
    command.arg(place.work("probe.pl")).arg(place.path("run/ptyd.sock")).arg(digits);
    if let Some(user) = &place.api_user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let output = command.output().expect("perl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_unix_socket_is_closed_to_everybody_but_the_api() {
    if !users::is_root() {
        // One user runs everything: there is nobody else to close it to.
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let stack = runtime.block_on(Stack::start());
    let mut stranger = Place::make();
    stranger.api_user = Some(users::ensure(users::SHELL));
    let link = stack.place.path("run/ptyd.sock");
    std::os::unix::fs::symlink(&link, stranger.path("run/ptyd.sock")).expect("a link");
    let said = probe(&stranger, b"\0\0\0\0\0");
    assert!(said.starts_with("refused: Permission denied"), "{said}");
}

fn resident_bytes(pid: nix::unistd::Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the worker lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") << 10
}
