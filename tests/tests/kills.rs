//! SIGKILL of api and worker and re-execution of the keeper in the middle of a flood: same proof, same program.

use std::fs;
use std::time::Duration;

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Durable, DurableOptions, EVENT_LIMIT, Event, Framing, Hasher, Socket};
use devpocket_tests::flood::{Flood, Typist};
use devpocket_tests::stack::{LinkKind, Options, START_LIMIT, Stack};
use devpocket_tests::{Random, wait_until};
use serde_json::json;

/// How long the flood may need to go on after a kill: the keeper waits up to 5 s before it restarts a worker again.
const BACK_LIMIT: Duration = Duration::from_secs(45);

#[derive(Clone, Copy, Debug)]
enum Blow {
    Api,
    Worker,
    Both,
    Reexec,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_of_the_api_in_a_flood_lose_and_double_nothing() {
    kill_in_a_flood("kills of the api", LinkKind::Unix, Framing::Binary, &[Blow::Api; 20]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_of_the_worker_in_a_flood_lose_and_double_nothing() {
    kill_in_a_flood("kills of the worker", LinkKind::Unix, Framing::Binary, &[Blow::Worker; 20]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_of_both_at_once_in_a_flood_lose_and_double_nothing() {
    kill_in_a_flood("kills of both", LinkKind::Unix, Framing::Binary, &[Blow::Both; 20]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_in_a_flood_lose_and_double_nothing_over_quic() {
    kill_in_a_flood("kills over quic", LinkKind::Quic, Framing::Binary, &mixed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_in_a_flood_of_json_lose_and_double_nothing_over_quic() {
    kill_in_a_flood("kills of json", LinkKind::Quic, Framing::Json, &mixed()).await;
}

/// Of each kind as many as of the others.
fn mixed() -> Vec<Blow> {
    [Blow::Worker, Blow::Api, Blow::Both].into_iter().cycle().take(20).collect()
}

/// Strikes as told while a shell prints and is typed to, and executes the keeper again after every fifth blow.
async fn kill_in_a_flood(name: &str, link: LinkKind, framing: Framing, kills: &[Blow]) {
    let mut random = Random::for_scenario(name);
    let mut stack = Stack::start_with(Options { link, apis: 2, ..Options::default() }).await;
    let flood = Flood::open(&stack, &stack.opening(0, framing), "flood").await;
    let openings = vec![stack.opening(0, framing), stack.opening(1, framing)];
    let options = DurableOptions { seed: random.number(), ..DurableOptions::lossless(openings) };
    let mut client = Durable::attaching(options, flood.session, Hasher::default());
    let mut typist = Typist::default();
    typist.say(&mut client, "go");

    let blows = kills.chunks(5).flat_map(|five| five.iter().copied().chain([Blow::Reexec]));
    for (index, blow) in blows.enumerate() {
        let until = client.received() + random.between_magnitudes(2_000, 4_000_000);
        let flowed = client.drive("the flood flows", BACK_LIMIT, |client| {
            typist.type_lines(client, &mut random);
            client.is_joined() && client.received() >= until
        });
        flowed.await.unwrap_or_else(|violation| panic!("before blow {index} {blow:?}: {violation}"));
        let before = stack.worker_ready().await;
        let uncertain = client.uncertain.len();
        let strikes_worker = matches!(blow, Blow::Worker | Blow::Both);
        if strikes_worker {
            assert!(stack.kill_worker(), "there was a worker a moment ago");
        }
        if matches!(blow, Blow::Api | Blow::Both) {
            let api = client.opening_in_use();
            stack.kill_api(api);
            stack.start_api(api);
        }
        if matches!(blow, Blow::Reexec) {
            stack.reexec_keeper();
        }
        let at = client.received();
        let goes_on = client.drive("the flood goes on", BACK_LIMIT, |client| {
            typist.type_lines(client, &mut random);
            let replaced =
                matches!(blow, Blow::Api) || stack.worker_pid().is_some_and(|worker| worker != before);
            // More than was on its way: what comes now was sent after the blow.
            replaced && client.is_joined() && client.received() > at + (512 << 10)
        });
        goes_on.await.unwrap_or_else(|violation| panic!("after blow {index} {blow:?}: {violation}"));
        flood.expect_same_program();
        // The one message that a killed worker was just handing over; who ends by itself, or is no worker, leaves none.
        let most = usize::from(strikes_worker);
        let told = &client.uncertain[uncertain..];
        assert!(told.len() <= most, "blow {index} {blow:?} left {told:?} uncertain");
    }
    let uncertain = client.uncertain.clone();
    flood.prove(&mut client, &mut typist).await;
    assert_eq!(client.uncertain, uncertain, "nothing more is uncertain where nothing more was killed");
    eprintln!(
        "{name}: {} bytes, {} lines typed, {} uncertain, {:?}",
        client.received(),
        typist.lines(),
        client.uncertain.len(),
        client.counts
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_types_while_the_worker_dies_hears_of_the_interruption_before_anything_else() {
    for framing in [Framing::Binary, Framing::Json] {
        // A keeper of its own: each restart of a worker that died young comes later than the one before.
        let stack = Stack::start().await;
        let (mut socket, attached) = session(&stack, framing, raw_script("exec cat > /dev/null")).await;
        for round in 0..8 {
            let worker = stack.worker_ready().await;
            assert!(stack.kill_worker());
            // Typed before the client can know, so there is nothing wrong with any of them.
            for _ in 0..100 {
                socket.send_input(attached.session, None, b"x");
            }
            let first = socket.wait("interrupted, or an error", |event| match event {
                Event::Message(message) if message.status() == Some("interrupted") => Some(None),
                Event::Message(message) if message.error().is_some() => Some(Some(message.body.to_string())),
                _ => None,
            });
            assert_eq!(first.await, None, "{framing:?}, round {round}");
            wait_until("another worker runs", START_LIMIT, async || {
                stack.worker_pid().is_some_and(|now| now != worker)
            })
            .await;
            // A socket of its own for each round: what was on its way is complained about, and that has a limit.
            (socket, _) =
                Socket::attach_patiently(&stack.opening(0, framing), attached.session, &json!({})).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_editor_on_the_screen_survives_kills_of_everything_but_the_keeper() {
    let mut stack = Stack::start().await;
    let text: String = (1..=60).map(|line| format!("paragraph number {line} of the novel\n")).collect();
    let novel = stack.place.write_work("novel.txt", text.as_bytes());
    let proof = stack.place.work("keys-work");
    let command = json!(["vim", "-u", "NONE", "-n", "-i", "NONE", "-N", novel]);
    let keys = format!(":call writefile([getline('.')], '{}')\r", proof.display());
    full_screen_program_survives(
        &mut stack,
        &json!(command),
        "paragraph number 1 of",
        &format!("42G{keys}"),
        ":q!\r",
        || fs::read_to_string(&proof).is_ok_and(|line| line == "paragraph number 42 of the novel\n"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pager_on_the_screen_survives_kills_of_everything_but_the_keeper() {
    let mut stack = Stack::start().await;
    let text: String = (1..=600).map(|line| format!("row {line} of the log\n")).collect();
    let log = stack.place.write_work("log.txt", text.as_bytes());
    let proof = stack.place.work("keys-work");
    // `|` pipes from the mark to a command; `^` is the top of the file.
    let keys = format!("|^cat > {}\r", proof.display());
    let command = json!(["less", log]);
    full_screen_program_survives(&mut stack, &command, "row 1 of the log", &keys, "\rq", || {
        fs::read_to_string(&proof).is_ok_and(|copy| copy.starts_with("row 1 of the log\n"))
    })
    .await;
}

/// Starts a program that fills the screen, kills and re-executes everything under it, and uses its keys afterwards.
async fn full_screen_program_survives(
    stack: &mut Stack,
    command: &serde_json::Value,
    on_screen: &str,
    keys: &str,
    quit: &str,
    mut keys_worked: impl FnMut() -> bool,
) {
    let opening = stack.opening(0, Framing::Binary);
    let mut socket = Socket::must_open(&opening).await;
    let connect =
        json!({"session_type": "local", "command": command, "terminal_size": {"rows": 24, "cols": 80}});
    let session = socket.connect(connect).await.session;
    socket.read_until(session, on_screen).await;

    assert!(stack.kill_worker());
    stack.kill_api(0);
    stack.start_api(0);
    stack.api_ready(0).await;
    let (_socket, _attached) = Socket::attach_patiently(&opening, session, &json!({})).await;
    let worker = stack.worker_ready().await;
    stack.reexec_keeper();
    wait_until("the keeper runs another worker", START_LIMIT, async || {
        stack.worker_pid().is_some_and(|now| now != worker)
    })
    .await;

    let (mut socket, attached) = Socket::attach_patiently(&opening, session, &json!({})).await;
    assert_eq!(attached.kind, "snapshot");
    assert_eq!(attached.size, (24, 80));
    socket.read_until(session, on_screen).await;
    socket.send_input(session, None, keys.as_bytes());
    socket.flush().await.expect("the socket stays open");
    wait_until("the program obeys its keys", EVENT_LIMIT, async || keys_worked()).await;
    socket.send_input(session, None, quit.as_bytes());
    let exited = socket.wait_status(session, "exited").await;
    assert_eq!(exited.data()["exit"], json!({"code": 0}), "{}", exited.body);
}
