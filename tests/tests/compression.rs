//! `devpocket.bin.v1.deflate`: the same bytes as without compression, in fewer, for as many clients as there are
//! compressors and for the others too.

use std::time::Duration;

use devpocket_tests::Random;
use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Durable, DurableOptions, EVENT_LIMIT, Event, Framing, Hasher, Socket};
use devpocket_tests::flood::{Flood, Typist};
use devpocket_tests::stack::Stack;
use devpocket_tests::wait_until;
use serde_json::json;
use uuid::Uuid;

/// Compressors of one api (docs/protocol.md, section 10).
const COMPRESSORS: usize = 256;

/// Generous: the flood between two losses takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

/// All output of a session until it has exited.
async fn bytes_to_end(socket: &mut Socket, session: Uuid) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match socket.event("output or exited").await {
            Event::Output { session: of, bytes, .. } if of == session => all.extend_from_slice(&bytes),
            Event::Message(message)
                if message.session == Some(session) && message.status() == Some("exited") =>
            {
                return all;
            }
            Event::Closed { .. } => panic!("the connection ended"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_compressed_client_gets_the_bytes_that_a_plain_one_gets() {
    let stack = Stack::start().await;
    let script = "printf ready; read -r go; seq 1 3000; od -An -v -tx1 /bin/sh | head -c 50000; \
                  head -c 3000 /dev/zero | tr '\\0' '\\377'; printf end";
    let (mut compressed, attached) = session(&stack, Framing::Deflate, raw_script(script)).await;
    assert_eq!(compressed.framing(), Framing::Deflate);
    compressed.read_until(attached.session, "ready").await;
    let mut plain = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let lossless = json!({"delivery": "lossless"});
    plain.attach(attached.session, lossless.clone()).await;
    let mut second = Socket::must_open(&stack.opening(0, Framing::Deflate)).await;
    second.attach(attached.session, lossless).await;
    compressed.send_input(attached.session, None, b"go\n");
    compressed.flush().await.unwrap_or_else(|violation| panic!("{violation}"));
    let (expected, got) =
        tokio::join!(bytes_to_end(&mut plain, attached.session), bytes_to_end(&mut second, attached.session));
    assert!(expected.ends_with(b"end") && expected.len() > 60_000, "{} bytes", expected.len());
    assert!(got == expected, "{} and {} bytes", got.len(), expected.len());
    let (with, without) = (second.binary_bytes(), plain.binary_bytes());
    assert!(with * 2 < without, "{with} bytes compressed, {without} plain");
}

#[tokio::test]
async fn a_log_takes_less_than_a_quarter_of_its_bytes() {
    let stack = Stack::start().await;
    let script = "for i in $(seq 1 3000); do printf '2031-05-07T12:%02d:%02d.%03dZ \\033[32mINFO\\033[m \
                  request{id=%05d} served /api/items/%d in %d ms\\r\\n' \
                  $((i / 60 % 60)) $((i % 60)) $((i * 37 % 1000)) $((i * 7919 % 100000)) $((i * 31 % 977)) \
                  $((i * 13 % 89)); done";
    let data = json!({"delivery": "lossless"});
    let mut start = raw_script(script);
    start["delivery"] = data["delivery"].clone();
    let (mut socket, attached) = session(&stack, Framing::Deflate, start).await;
    let bytes = bytes_to_end(&mut socket, attached.session).await.len() as u64;
    let carried = socket.binary_bytes();
    eprintln!("a log of {bytes} bytes took {carried}");
    assert!(bytes > 200_000 && carried * 4 < bytes, "{bytes} bytes took {carried}");
}

/// What one session printed says nothing of another's, nor helps anybody to guess it.
#[tokio::test]
async fn nothing_after_an_attach_refers_to_what_was_before_it() {
    let stack = Stack::start().await;
    let script = raw_script("seq 100000 100999; printf end; exec cat");
    let (mut socket, first) = session(&stack, Framing::Deflate, script.clone()).await;
    socket.read_until(first.session, "end").await;
    // The client begins its stream anew with each attach: this is decoded only if nothing refers to the first session's.
    let second = socket.connect(script).await;
    let before = socket.binary_bytes();
    let seen = socket.read_until(second.session, "end").await;
    let carried = socket.binary_bytes() - before;
    assert!(seen.len() > 7000 && carried > 500, "{} bytes took {carried}", seen.len());
    socket.send_input(first.session, None, b"and the first goes on");
    socket.read_until(first.session, "and the first goes on").await;
}

#[tokio::test]
async fn typing_takes_fewer_bytes_than_without_compression() {
    const KEYS: &[u8] = b"the quick brown fox jumps over the lazy dog ";
    let stack = Stack::start().await;
    let mut start = raw_script("printf ready; exec cat");
    let mut took = Vec::new();
    for framing in [Framing::Binary, Framing::Deflate] {
        start["client_id"] = format!("{framing:?}").into();
        let (mut socket, attached) = session(&stack, framing, start.clone()).await;
        socket.read_until(attached.session, "ready").await;
        let (before, sent_before) = (socket.binary_bytes(), socket.sent_bytes());
        for (seq, key) in (1..).zip(KEYS) {
            socket.send_input(attached.session, Some(seq), &[*key]);
            let mut wanted = (true, true);
            while wanted.0 || wanted.1 {
                match socket.event("the echo and the acknowledgement").await {
                    Event::Output { end, .. } => {
                        socket.send_ack(attached.session, end);
                        wanted.0 = false;
                    }
                    Event::InputAck { seq: acked, .. } if acked == seq => wanted.1 = false,
                    _ => {}
                }
            }
        }
        took.push((socket.binary_bytes() - before) / KEYS.len() as u64);
        let up = (socket.sent_bytes() - sent_before) / KEYS.len() as u64;
        assert!(up <= 36, "{up} bytes up per key, its acknowledgement included");
        eprintln!("bytes up per key: {up}");
    }
    eprintln!("bytes down per key: {} plain, {} compressed", took[0], took[1]);
    assert!(took[0] <= 28, "{} bytes per key", took[0]);
    assert!(took[1] < took[0], "{} bytes per key compressed, {} plain", took[1], took[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_client_goes_on_at_the_exact_byte_after_each_lost_connection() {
    let mut random = Random::for_scenario("compressed losses");
    let stack = Stack::start().await;
    let opening = stack.opening(0, Framing::Deflate);
    let flood = Flood::open(&stack, &opening, "flood").await;
    let options = DurableOptions { seed: random.number(), ..DurableOptions::lossless(vec![opening]) };
    let mut client = Durable::attaching(options, flood.session, Hasher::default());
    let mut typist = Typist::default();
    typist.say(&mut client, "go");
    for _ in 0..20 {
        let more = client.received() + random.between(1000, 300_000);
        let flowing = client.drive("more output came", LIMIT, |client| client.received() >= more);
        flowing.await.unwrap_or_else(|violation| panic!("{violation}"));
        typist.type_pieces(&mut client, &mut random);
        client.lose_connection();
    }
    flood.prove(&mut client, &mut typist).await;
    assert_eq!(client.counts.lost, 0, "only this test broke connections: {:?}", client.counts);
    assert!(client.counts.replays >= 20, "{:?}", client.counts);
}

#[tokio::test]
async fn beyond_the_compressors_a_client_gets_the_plain_subprotocol_or_a_stream_without_compression() {
    let stack = Stack::start().await;
    let either = stack.opening(0, Framing::DeflateOrBinary);
    let mut sockets = Vec::new();
    for number in 0..COMPRESSORS {
        let socket = Socket::must_open(&either).await;
        assert_eq!(socket.framing(), Framing::Deflate, "socket {number}");
        sockets.push(socket);
    }
    assert_eq!(Socket::must_open(&either).await.framing(), Framing::Binary);

    let start = raw_script("printf ready; head -c 300000 /dev/zero; printf end");
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Deflate)).await;
    let attached = socket.connect(start).await;
    let bytes = bytes_to_end(&mut socket, attached.session).await;
    assert_eq!(bytes.len(), "ready".len() + 300_000 + "end".len());
    assert!(socket.binary_bytes() > bytes.len() as u64, "it was compressed");

    sockets.truncate(COMPRESSORS - 1);
    wait_until("a compressor is free again", EVENT_LIMIT, async || {
        Socket::must_open(&either).await.framing() == Framing::Deflate
    })
    .await;
}
