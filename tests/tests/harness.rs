//! The tools themselves: a client that does not notice a lie proves nothing, nor does a proxy that does not cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use devpocket_tests::client::{Credential, Durable, DurableOptions, Framing, Opening, frame};
use devpocket_tests::proxy::{Cut, Plan, Proxy};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(5);
const SESSION: Uuid = Uuid::from_u128(7);

/// A message of the lying server.
fn text(kind: &str, data: Value) -> Message {
    let message =
        json!({"type": kind, "session_id": SESSION, "timestamp": "2026-01-01T00:00:00Z", "data": data});
    Message::text(message.to_string())
}

fn connected(channel: u16, kind: &str, offset: u64, input_seq: Value) -> Message {
    let resume = json!({"kind": kind, "offset": offset, "input_seq": input_seq, "window": 1000});
    let size = json!({"rows": 24, "cols": 80});
    text(
        "status",
        json!({"status": "connected", "channel": channel, "resume": resume, "terminal_size": size}),
    )
}

fn output(channel: u16, offset: u64, bytes: &[u8]) -> Message {
    let mut whole = frame::input(channel, offset, bytes).to_vec();
    whole[0] = 0x01;
    Message::Binary(whole.into())
}

fn input_ack(seq: u64) -> Message {
    let mut whole = frame::input(1, seq, b"").to_vec();
    whole[0] = 0x05;
    Message::Binary(whole.into())
}

fn exited(offset: u64) -> Message {
    text("status", json!({"status": "exited", "offset": offset, "exit": {"code": 0}}))
}

#[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
fn echo_subprotocol(_request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let name = frame::SUBPROTOCOL.parse().expect("a header value");
    response.headers_mut().insert("Sec-WebSocket-Protocol", name);
    Ok(response)
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _peer) = listener.accept().await.expect("the client comes");
    let mut socket = accept_hdr_async(stream, echo_subprotocol).await.expect("the client upgrades");
    // The attach, to which the script is the answer.
    socket.next().await.expect("a message").expect("a good one");
    socket
}

/// What an exact client, which types one line, makes of a server that sends these messages, one list a connection.
async fn verdict(connections: Vec<Vec<Message>>) -> Result<Vec<u8>, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let opening = Opening::new(address, Framing::Binary, Credential::None);
    let options = DurableOptions { window: Some(1000), ..DurableOptions::lossless(vec![opening]) };
    let mut client = Durable::attaching(options, SESSION, Vec::new());
    client.input("a line\n");
    let serve = async {
        let last = connections.len() - 1;
        for (index, messages) in connections.into_iter().enumerate() {
            let mut socket = accept(&listener).await;
            for message in messages {
                socket.send(message).await.expect("the client reads");
            }
            if index == last {
                while socket.next().await.is_some() {}
            }
        }
        std::future::pending::<()>().await;
    };
    let drive = client.drive("the session has exited", LIMIT, |client| client.end().is_some());
    let judged = tokio::select! {
        judged = drive => judged,
        () = serve => unreachable!("the server waits for ever"),
    };
    judged.map(|()| client.sink).map_err(|violation| violation.to_string())
}

#[tokio::test]
async fn a_truthful_server_is_believed() {
    let first = vec![connected(1, "replay", 0, Value::Null), output(1, 0, b"abc"), output(1, 3, b"de")];
    let second = vec![connected(1, "replay", 5, json!(1)), output(1, 5, b"f"), input_ack(1), exited(6)];
    assert_eq!(verdict(vec![first, second]).await.unwrap(), b"abcdef");
}

#[tokio::test]
async fn every_lie_about_the_output_is_noticed() {
    let start = || vec![connected(1, "replay", 0, Value::Null), output(1, 0, b"abc")];
    let after = |more: Vec<Message>| vec![[start(), more].concat()];
    let resumed = |more: Vec<Message>| vec![start(), more];
    let rows = [
        ("a gap", after(vec![output(1, 4, b"e")]), "with a gap"),
        ("a byte twice", after(vec![output(1, 2, b"cd")]), "twice"),
        ("nothing", after(vec![output(1, 3, b"")]), "with a gap"),
        ("more than the window", after(vec![output(1, 3, &[b'x'; 1001])]), "a window of 1000"),
        ("a channel that is not attached", after(vec![output(2, 3, b"d")]), "not attached"),
        ("an end too early", after(vec![exited(2)]), "exited at 2"),
        ("an end too late", after(vec![exited(4)]), "exited at 4"),
        (
            "output after interrupted",
            after(vec![text("status", json!({"status": "interrupted"})), output(1, 3, b"d")]),
            "not attached",
        ),
        ("a channel used before", after(vec![connected(1, "replay", 3, Value::Null)]), "used before"),
        ("a resume elsewhere", resumed(vec![connected(1, "replay", 2, Value::Null)]), "not the resume"),
        (
            "a snapshot for a resume",
            resumed(vec![connected(1, "snapshot", 9, Value::Null)]),
            "not the resume",
        ),
        (
            "a fresh session under an old id",
            resumed(vec![connected(1, "fresh", 0, Value::Null)]),
            "not the resume",
        ),
        (
            "the session is not found",
            resumed(vec![text("error", json!({"error": "session_not_found", "retryable": false}))]),
            "session_not_found",
        ),
        (
            "the session is lost",
            resumed(vec![text("status", json!({"status": "lost"}))]),
            "unexpected status",
        ),
    ];
    for (name, connections, found) in rows {
        let complaint = verdict(connections).await.expect_err(name);
        assert!(complaint.contains(found), "{name}: {complaint}");
    }
}

#[tokio::test]
async fn every_lie_about_the_input_is_noticed() {
    let start = || vec![connected(1, "replay", 0, Value::Null), output(1, 0, b"abc"), input_ack(1)];
    let rows = [
        ("an ack of what was not sent", vec![[start(), vec![input_ack(2)]].concat()], "only 1 were sent"),
        ("a ledger that went back", vec![start(), vec![connected(1, "replay", 3, json!(0))]], "went back"),
        ("a ledger that forgot", vec![start(), vec![connected(1, "replay", 3, Value::Null)]], "forgot"),
        ("a ledger ahead", vec![start(), vec![connected(1, "replay", 3, json!(2))]], "only 1 were sent"),
    ];
    for (name, connections, found) in rows {
        let complaint = verdict(connections).await.expect_err(name);
        assert!(complaint.contains(found), "{name}: {complaint}");
    }
}

/// Sends `sent` through a proxy with this plan and gives what came out at the far end, and how the near end ended.
async fn through_proxy(plan: Plan, sent: usize) -> (usize, std::io::Result<usize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let target: SocketAddr = listener.local_addr().expect("an address");
    let proxy = Proxy::start(target, move || plan).await;
    let mut near = TcpStream::connect(proxy.address).await.expect("the proxy listens");
    let (mut far, _peer) = listener.accept().await.expect("the proxy dials");
    near.write_all(&vec![b'x'; sent]).await.expect("the proxy reads");
    let mut arrived = 0;
    let mut buffer = [0; 4096];
    while arrived < sent {
        match far.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => arrived += read,
        }
    }
    if arrived == sent {
        far.write_all(b"whole").await.expect("the proxy reads");
        drop(far);
    }
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(LIMIT, near.read_to_end(&mut rest)).await.expect("an end");
    (arrived, ended)
}

#[tokio::test]
async fn a_proxy_cuts_where_its_plan_says_and_nowhere_else() {
    assert_eq!(through_proxy(Plan::UNBROKEN, 100_000).await.1.expect("an orderly end"), 5);
    for cut in [Cut::Reset, Cut::Stall(Duration::from_millis(20)), Cut::HalfClose] {
        for bytes in [0, 1, 5_000, 70_000] {
            let plan = Plan { to_server: bytes, cut, ..Plan::UNBROKEN };
            let (arrived, ended) = through_proxy(plan, 100_000).await;
            // A reset may overtake bytes before it; none may come after the cut.
            assert!(arrived as u64 <= bytes, "{cut:?} after {bytes}: {arrived} arrived");
            assert!(ended.is_err(), "{cut:?} after {bytes}: {ended:?}");
        }
        let plan = Plan { to_client: 3, cut, ..Plan::UNBROKEN };
        let (arrived, ended) = through_proxy(plan, 10).await;
        assert_eq!(arrived, 10, "{cut:?}");
        assert!(ended.is_err() || ended.is_ok_and(|read| read <= 3), "{cut:?}");
    }
}
