//! `devpocket standalone`, as a person at home uses it: one command to a terminal that survives.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Credential, Durable, DurableOptions, Framing, Opening, Socket};
use devpocket_tests::stack::token::{self, Token};
use devpocket_tests::stack::{Account, Place, Standalone, proc, users};
use devpocket_tests::wait_until;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

async fn opening(standalone: &Standalone, link: &str) -> Opening {
    let account = Account::first_run(standalone.address, Standalone::token_of(link)).await;
    assert_eq!(account.user["is_admin"], true, "{}", account.user);
    Opening::new(standalone.address, Framing::Binary, Credential::Bearer(account.access_token))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_run_link_signs_the_owner_in_once() {
    let (standalone, link) = Standalone::start().await;
    let port = standalone.address.port();
    assert!(link.starts_with(&format!("http://localhost:{port}/#first-run=")), "{link}");
    assert!(standalone.printed().contains(&port.to_string()), "{}", standalone.printed());
    let mut socket = Socket::must_open(&opening(&standalone, &link).await).await;
    let session = socket.connect(json!({"session_type": "local"})).await.session;
    socket.send_input(session, None, b"echo $((6*7)) uid=$(id -u).\n");
    let seen = socket.read_until(session, "42 uid=").await;
    if users::is_root() {
        assert!(!seen.contains("42 uid=0."), "{seen}");
    }
    let body = json!({"token": Standalone::token_of(&link)});
    let again =
        devpocket_tests::stack::account::post(standalone.address, "/api/auth/first-run", None, &body).await;
    assert!(again.status().is_client_error(), "the link works once: {}", again.status());
}

/// The README's first command, by its words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn make_run_leads_to_a_terminal() {
    let (mut standalone, link) = Standalone::make_run().await;
    let page = reqwest::get(format!("http://{}/", standalone.address)).await.expect("a page");
    assert!(page.status().is_success());
    assert!(page.text().await.expect("text").contains("<script"), "the page is in the binary");
    let mut socket = Socket::must_open(&opening(&standalone, &link).await).await;
    let session = socket.connect(json!({"session_type": "local"})).await.session;
    socket.send_input(session, None, b"echo $((6*7)).\n");
    socket.read_until(session, "42.").await;
    let keeper = standalone.keeper_pid().expect("a keeper");
    standalone.end();
    wait_until("ptyd went with it", LIMIT, async || standalone.keeper_pid() != Some(keeper)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_api_leaves_the_session_and_the_next_start_takes_it_back() {
    let (mut standalone, link) = Standalone::start().await;
    let options = DurableOptions::lossless(vec![opening(&standalone, &link).await]);
    let mut client = Durable::connecting(options, raw_script("printf ready; exec cat"), Vec::new());
    let ready = client.drive("the program is ready", LIMIT, |client| client.sink == b"ready").await;
    ready.unwrap_or_else(|violation| panic!("{violation}"));
    let keeper = standalone.keeper_pid().expect("a keeper");

    standalone.kill_api();
    client.input("typed while the api was dead;");
    let link = standalone.start_again().await;
    assert_eq!(standalone.keeper_pid(), Some(keeper), "the keeper is the same");
    let next = opening(&standalone, &link).await;
    client.set_openings(vec![next]);
    let goes_on = client.drive("the session goes on", LIMIT, |client| client.sink.ends_with(b"dead;")).await;
    goes_on.unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(client.sink, b"readytyped while the api was dead;");

    assert!(standalone.end(), "SIGTERM ends it");
    wait_until("the keeper is gone", LIMIT, async || {
        proc::facts(keeper).is_none_or(|left| left.state == 'Z')
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_end_tells_clients_and_leaves_no_process_behind() {
    let (mut standalone, link) = Standalone::start().await;
    let mut socket = Socket::must_open(&opening(&standalone, &link).await).await;
    let session = socket.connect(raw_script("echo \"$$ \"; sleep 1234567")).await.session;
    let seen = socket.read_until(session, " ").await;
    let program = nix::unistd::Pid::from_raw(seen.trim().parse().expect("a pid"));
    let keeper = standalone.keeper_pid().expect("a keeper");
    let (ended, ()) = tokio::join!(
        tokio::task::spawn_blocking(move || {
            let went = standalone.end();
            (went, standalone)
        }),
        async {
            // Of the end of its session, before the socket is closed: it need not come back to look for it.
            let told = socket.wait("exited, or the socket is closed", |event| match event {
                devpocket_tests::client::Event::Message(message) => {
                    (message.status() == Some("exited")).then_some(true)
                }
                devpocket_tests::client::Event::Closed { .. } => Some(false),
                _ => None,
            });
            assert!(told.await, "the client was not told");
        }
    );
    let (went, _standalone) = ended.expect("no panic");
    assert!(went, "SIGTERM ends it in time");
    for (name, pid) in [("program", program), ("keeper", keeper)] {
        let gone = async || proc::facts(pid).is_none_or(|left| left.state == 'Z');
        wait_until(&format!("the {name} is gone"), LIMIT, gone).await;
    }
}

/// Whoever changed a setting for a ptyd that was running was told that it counted, and it did not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ptyd_that_runs_with_other_settings_is_told_of_with_those_it_has() {
    let (mut standalone, link) = Standalone::start().await;
    let shells = if users::is_root() {
        format!("Shells run as the user {}.", users::SHELL)
    } else {
        "Shells run as you".to_owned()
    };
    assert!(standalone.printed().contains(&shells) && !standalone.printed().contains("other settings"));
    let mut socket = Socket::must_open(&opening(&standalone, &link).await).await;
    let session = socket.connect(json!({"session_type": "local"})).await.session;
    socket.read_until(session, "$ ").await;
    standalone.kill_api();

    let mut variables = vec![("PTYD_LOG", "debug")];
    let mut names = "PTYD_LOG".to_owned();
    if users::is_root() {
        variables.push(("PTYD_SHELL_USER", "games"));
        names.push_str(", PTYD_SHELL_USER");
    }
    standalone.start_again_with(&variables).await;
    let printed = standalone.printed();
    assert!(printed.contains(&shells), "{printed}");
    assert!(printed.contains(&format!("ptyd was started with other settings ({names})")), "{printed}");
    standalone.kill_api();
    standalone.start_again().await;
    assert!(!standalone.printed().contains("other settings"), "{}", standalone.printed());
}

/// The story: a key of the api's user was refused, as the docs have it, and one that the api cannot read was not, until after
/// ptyd was started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_standalone_takes_a_key_that_its_api_can_read_and_says_before_it_starts_anything_where_it_cannot()
 {
    if !users::is_root() {
        return;
    }
    let place = Place::make();
    let file = place.path("signing.pem");
    let own = |user: u32, group: u32, mode: u32| {
        chown(&file, Some(user), Some(group)).expect("chown");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("chmod");
    };
    fs::write(&file, token::PRIVATE_PEM).expect("a key file");
    let path = file.display().to_string();
    let variables = [("JWT_ALGORITHM", "EdDSA"), ("JWT_PRIVATE_KEY_FILE", path.as_str())];
    let (api, shell) = (users::ensure(users::API), users::ensure(users::SHELL));
    for (user, mode, about) in
        [(0, 0o600, "as the user devpocket"), (shell.uid.as_raw(), 0o640, "it belongs to user")]
    {
        own(user, 0, mode);
        let said = Standalone::refused_with(&place, &variables).await;
        assert!(said.contains("JWT_PRIVATE_KEY_FILE") && said.contains(about), "{said}");
        assert!(!place.path("data").exists(), "nothing was made");
    }
    own(api.uid.as_raw(), 0, 0o600);
    let (mut standalone, link) = Standalone::start_in(place, &variables).await;
    let token = Account::first_run(standalone.address, Standalone::token_of(&link)).await.access_token;
    assert_eq!(Token::parse(&token).header["alg"], "EdDSA");
    assert!(standalone.end());
    own(0, api.gid.as_raw(), 0o640);
    standalone.start_again_with(&variables).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_kept_is_there_after_the_end_and_taken_back_by_the_next_start() {
    let (mut standalone, link) = Standalone::start_with(&["--keep"]).await;
    let options = DurableOptions::lossless(vec![opening(&standalone, &link).await]);
    let mut client = Durable::connecting(options, raw_script("printf ready; exec cat"), Vec::new());
    let ready = client.drive("the program is ready", LIMIT, |client| client.sink == b"ready").await;
    ready.unwrap_or_else(|violation| panic!("{violation}"));
    let keeper = standalone.keeper_pid().expect("a keeper");
    assert!(standalone.end(), "SIGTERM ends it");
    assert_eq!(standalone.keeper_pid(), Some(keeper), "ptyd stays");

    client.input("typed meanwhile;");
    let link = standalone.start_again().await;
    assert_eq!(standalone.keeper_pid(), Some(keeper));
    let next = opening(&standalone, &link).await;
    client.set_openings(vec![next]);
    let goes_on =
        client.drive("the session goes on", LIMIT, |client| client.sink.ends_with(b"meanwhile;")).await;
    goes_on.unwrap_or_else(|violation| panic!("{violation}"));
    assert!(standalone.end(), "without --keep it ends all");
    let gone = async || proc::facts(keeper).is_none_or(|left| left.state == 'Z');
    wait_until("the keeper is gone", LIMIT, gone).await;
}
