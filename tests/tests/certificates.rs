//! A link over QUIC between two hosts, set up and renewed as docs/operations.md tells an operator.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use devpocket_tests::client::start::{command, session};
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::{Launch, LinkKind, Options, Place, Process, Stack, place};
use devpocket_tests::wait_until;
use serde_json::json;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_link_over_quic_is_set_up_and_renewed_by_one_command() {
    let by_operator = Options { link: LinkKind::Quic, operators_certificates: true, ..Options::default() };
    let mut stack = Stack::start_with(by_operator).await;
    let (mut socket, attached) = session(&stack, Framing::Binary, command(&["cat"])).await;
    socket.send_input(attached.session, None, b"over quic\n");
    socket.read_until(attached.session, "over quic").await;

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
