//! A link over QUIC between two hosts, set up and renewed as docs/operations.md tells an operator.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use devpocket_shared::certificates::Role;
use devpocket_tests::client::start::{command, session};
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::metrics::value;
use devpocket_tests::stack::{Launch, LinkKind, Options, Place, Process, Stack, place};
use devpocket_tests::{wait_for, wait_until};
use serde_json::json;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_link_over_quic_is_set_up_and_renewed_by_one_command() {
    let metrics = place::free_address();
    let by_operator = Options {
        link: LinkKind::Quic,
        operators_certificates: true,
        keeper_environment: vec![("PTYD_METRICS_LISTEN".to_owned(), metrics.to_string())],
        ..Options::default()
    };
    let mut stack = Stack::start_with(by_operator).await;
    let (mut socket, attached) = session(&stack, Framing::Binary, command(&["cat"])).await;
    socket.send_input(attached.session, None, b"over quic\n");
    socket.read_until(attached.session, "over quic").await;
    for (address, program) in [(metrics, "ptyd"), (stack.address(0), "devpocket")] {
        let name = format!("{program}_link_certificate_expiry_timestamp_seconds");
        let end = wait_for("the end of its certificate is shown", SOON, async || {
            let page = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
            value(&page, &name)
        })
        .await;
        let left = end - SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((700.0..=731.0).contains(&(left / 86_400.0)), "{program}: {left} s left");
    }

    let keys = stack.place.path("keys/link");
    let mode = |name: &str| fs::metadata(keys.join(name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for file in ["ca.pem", "ca.key", "api.pem", "api.key", "ptyd.pem", "ptyd.key"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }

    // Good ones stay; a leaf that is not there stands for one that has run out.
    let before = fs::read(keys.join("ptyd.pem")).expect("a certificate");
    assert!(stack.place.make_link_certificates("keys/link").printed.contains("none was made"));
    assert_eq!(fs::read(keys.join("ptyd.pem")).expect("a certificate"), before);
    for file in ["ptyd.pem", "ptyd.key", "api.pem", "api.key"] {
        fs::remove_file(keys.join(file)).expect("it was there");
    }
    let renewed = stack.place.make_link_certificates("keys/link");
    assert!(renewed.printed.contains("made api.pem, ptyd.pem ("), "{renewed:?}");
    stack.place.install_link_certificates("keys/link", &["ptyd", "api"]);

    // One side after the other, in any order: the sessions go on.
    let worker = stack.worker_ready().await;
    stack.reexec_keeper();
    wait_until("the next worker runs", SOON, async || stack.worker_pid().is_some_and(|pid| pid != worker))
        .await;
    assert!(stack.end_api(0));
    stack.start_api(0);
    stack.api_ready(0).await;
    let opening = stack.opening(0, Framing::Binary);
    let (mut again, _) = Socket::attach_patiently(&opening, attached.session, &json!({})).await;
    again.send_input(attached.session, None, b"renewed\n");
    again.read_until(attached.session, "renewed").await;
}

/// Whoever gives ptyd no certificates need not make any: it does so when it is first started, and renews them when it is
/// started or reloaded. The api needs three of the files.
#[tokio::test]
async fn ptyd_makes_certificates_at_its_first_start_and_renews_them() {
    let mut stack = Stack::start_with(Options { link: LinkKind::Quic, ..Options::default() }).await;
    let (mut socket, attached) = session(&stack, Framing::Binary, command(&["cat"])).await;
    socket.send_input(attached.session, None, b"over quic\n");
    socket.read_until(attached.session, "over quic").await;

    let made = stack.place.path("ptyd/link");
    let mode = |name: &str| fs::metadata(made.join(name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for file in ["ca.pem", "ca.key", "api.pem", "api.key", "ptyd.pem", "ptyd.key"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    let authority = fs::read(made.join("ca.pem")).expect("a certificate");

    // A leaf that is not there stands for one that has run out.
    fs::remove_file(made.join("ptyd.pem")).expect("it was there");
    let worker = stack.worker_ready().await;
    stack.reexec_keeper();
    wait_until("the next worker runs", SOON, async || stack.worker_pid().is_some_and(|pid| pid != worker))
        .await;
    assert!(made.join("ptyd.pem").exists());
    assert_eq!(fs::read(made.join("ca.pem")).expect("a certificate"), authority, "nobody else needs another");
    let opening = stack.opening(0, Framing::Binary);
    let (mut again, _) = Socket::attach_patiently(&opening, attached.session, &json!({})).await;
    again.send_input(attached.session, None, b"renewed\n");
    again.read_until(attached.session, "renewed").await;
}

/// Of certificates that have run out, whoever runs goes on with what it has, whoever starts says which file it is, and
/// one command renews them.
#[tokio::test]
async fn expired_certificates_are_named_at_a_start_cost_nobody_a_session_and_are_renewed() {
    let by_operator = Options { link: LinkKind::Quic, operators_certificates: true, ..Options::default() };
    let mut stack = Stack::start_with(by_operator).await;
    let (_socket, attached) = session(&stack, Framing::Binary, command(&["cat"])).await;
    let keys = stack.place.path("keys/link");
    for role in Role::ALL {
        expire(&keys, role);
    }
    stack.place.install_link_certificates("keys/link", &["ptyd", "api"]);

    // ptyd goes on with the good ones it has in memory, over a replacement too.
    let worker = stack.worker_ready().await;
    stack.reexec_keeper();
    wait_until("the next worker runs", SOON, async || stack.worker_pid().is_some_and(|pid| pid != worker))
        .await;
    let opening = stack.opening(0, Framing::Binary);
    let (mut socket, _) = Socket::attach_patiently(&opening, attached.session, &json!({})).await;
    socket.send_input(attached.session, None, b"with the last good ones\n");
    socket.read_until(attached.session, "with the last good ones").await;
    wait_until("it says so", SOON, async || {
        let log = stack.keeper_log();
        log.contains("the link's certificates are bad") && log.contains("expired")
    })
    .await;
    // An api that starts has none.
    assert!(stack.end_api(0));
    let said = stack.start_refused_api(0).await;
    assert!(said.contains("link-api/api.pem cannot be used") && said.contains("expired"), "{said}");
    assert!(said.contains("devpocket admin make-link-certificates"), "{said}");

    let renewed = stack.place.make_link_certificates("keys/link");
    assert!(renewed.printed.contains("made api.pem, ptyd.pem ("), "{renewed:?}");
    stack.place.install_link_certificates("keys/link", &["api"]);
    stack.start_api(0);
    stack.api_ready(0).await;
    let opening = stack.opening(0, Framing::Binary);
    let (mut again, _) = Socket::attach_patiently(&opening, attached.session, &json!({})).await;
    again.send_input(attached.session, None, b"renewed\n");
    again.read_until(attached.session, "renewed").await;
    // Nor has a ptyd that starts.
    assert!(stack.end_keeper());
    let said = stack.start_refused_keeper().await;
    assert!(said.contains("link-ptyd cannot be used"), "{said}");
    stack.place.install_link_certificates("keys/link", &["ptyd"]);
    stack.start_keeper().await;
}

/// Puts a leaf in a role's place that ended long ago, signed by the CA there.
fn expire(directory: &Path, role: Role) {
    let authority = fs::read_to_string(directory.join("ca.key")).expect("the CA's key");
    let authority = rcgen::KeyPair::from_pem(&authority).expect("a key");
    let mut issuer = rcgen::CertificateParams::default();
    issuer.distinguished_name = rcgen::DistinguishedName::new();
    issuer.distinguished_name.push(rcgen::DnType::CommonName, "DevPocket link CA");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut leaf = rcgen::CertificateParams::new(vec![role.name().to_owned()]).expect("a name");
    leaf.extended_key_usages = vec![match role {
        Role::Api => rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        Role::Ptyd => rcgen::ExtendedKeyUsagePurpose::ServerAuth,
    }];
    leaf.not_before = rcgen::date_time_ymd(2019, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let signed = leaf.signed_by(&key, &rcgen::Issuer::new(issuer, authority)).expect("a certificate");
    fs::write(directory.join(role.certificate_file()), signed.pem()).expect("it is written");
    fs::write(directory.join(role.key_file()), key.serialize_pem()).expect("it is written");
}

#[tokio::test]
async fn an_api_without_certificates_names_the_command_that_makes_them() {
    let place = Place::make();
    let text = |name: &str| place.path(name).to_string_lossy().into_owned();
    place.directory("nothing", 0o755, None);
    fs::write(place.path("keys/jwt.key"), "k".repeat(64)).expect("a key file");
    place.hand_over(&place.path("keys/jwt.key"), &place.path("api/jwt.key"), place.api_user.as_ref());
    let environment = [
        ("LISTEN", place::free_address().to_string()),
        ("DATA_DIR", text("api")),
        ("DATABASE_URL", format!("sqlite://{}", text("api/devpocket.db"))),
        ("JWT_SECRET_KEY_FILE", text("api/jwt.key")),
        ("PTYD_ADDRESS", format!("quic:{}", place::free_address())),
        ("LINK_CERT_DIR", text("nothing")),
        ("REGISTRATION", "closed".to_owned()),
        ("ENVIRONMENT", "development".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let mut api = Process::start(&Launch {
        name: "api",
        program: &place.path("bin/devpocket"),
        arguments: &["serve"],
        environment: &environment,
        user: place.api_user.as_ref(),
        logs: &place.path("log"),
    });
    wait_until("the api ends", SOON, async || api.ended().is_some()).await;
    let said = api.logged();
    assert!(
        said.contains("nothing/ca.pem cannot be read: `devpocket admin make-link-certificates DIR`"),
        "{said}"
    );
}
