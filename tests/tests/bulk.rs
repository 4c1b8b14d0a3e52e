//! Large output through one session: equal to the last byte in binary mode, to the last character in JSON mode.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use devpocket_tests::client::sink::hexadecimal;
use devpocket_tests::client::{Durable, DurableOptions, Framing, Hasher};
use devpocket_tests::stack::{LinkKind, Options, Stack};
use devpocket_tests::{Random, corpus};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// Generous: 200 MB take 4 s at the speed the project aims for, and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_megabytes_arrive_equal_in_binary() {
    lines_arrive_equal("bulk binary", LinkKind::Unix, Framing::Binary, 200_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_arrive_equal_in_binary_over_quic() {
    lines_arrive_equal("bulk binary over quic", LinkKind::Quic, Framing::Binary, 50_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_megabytes_of_text_arrive_equal_in_json() {
    lines_arrive_equal("bulk json", LinkKind::Unix, Framing::Json, 200_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_arrives_equal_in_json_with_utf8_cut_at_every_place() {
    let stack = Stack::start().await;
    let bytes = corpus::mixed();
    let file = stack.place.write_work("mixed", &bytes);
    let command = json!(["perl", stack.place.work("trickle.pl"), file]);
    let options = DurableOptions::lossless(vec![stack.opening(0, Framing::Json)]);
    let mut client =
        Durable::connecting(options, json!({"session_type": "local", "command": command}), Vec::new());
    let mut begun = false;
    let total = (b"ready\r\n".len() + bytes.len()) as u64;
    let arrived = client.drive("all text has arrived", LIMIT, |client| {
        if !begun && client.sink.ends_with(b"ready\r\n") {
            client.input("begin\n");
            begun = true;
        }
        client.received() >= total
    });
    arrived.await.unwrap_or_else(|violation| panic!("{violation}"));
    let expected = format!("ready\r\n{}", String::from_utf8_lossy(&bytes));
    let received = String::from_utf8(client.sink.clone()).expect("JSON text is UTF-8");
    assert_same_text(&received, &expected);
    client.input("end\n");
    let ended = client.drive("the program has exited", LIMIT, |client| client.end().is_some()).await;
    ended.unwrap_or_else(|violation| panic!("{violation}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incomplete_character_at_the_end_of_a_session_becomes_one_replacement() {
    let stack = Stack::start().await;
    let options = DurableOptions::lossless(vec![stack.opening(0, Framing::Json)]);
    // The octal bytes are the first two of the three of the euro sign.
    let command = json!(["sh", "-c", r"stty raw -echo; printf 'half: \342\202'"]);
    let mut client =
        Durable::connecting(options, json!({"session_type": "local", "command": command}), Vec::new());
    let ended = client.drive("the program has exited", LIMIT, |client| client.end().is_some()).await;
    ended.unwrap_or_else(|violation| panic!("{violation}"));
    assert_same_text(&String::from_utf8(client.sink.clone()).expect("UTF-8"), "half: \u{FFFD}");
}

async fn lines_arrive_equal(name: &str, link: LinkKind, framing: Framing, bytes: u64) {
    let mut random = Random::for_scenario(name);
    let stack = Stack::start_with(Options { link, ..Options::default() }).await;
    let file = stack.place.write_work("lines", b"");
    let (total, digest) = write_corpus(&file, bytes, &mut random);

    // `read` keeps the session alive until the client has everything: then nothing but the ring can have carried it.
    let script = format!("stty raw -echo; cat {}; read -r line", file.display());
    let connect: Value = json!({"session_type": "local", "command": ["sh", "-c", script]});
    let options = DurableOptions::lossless(vec![stack.opening(0, framing)]);
    let mut client = Durable::connecting(options, connect, Hasher::default());
    let began = Instant::now();
    let arrived = client.drive("everything has arrived", LIMIT, |client| client.received() >= total).await;
    arrived.unwrap_or_else(|violation| panic!("{violation}"));
    let took = began.elapsed();
    client.input("\n");
    let ended = client.drive("the program has exited", LIMIT, |client| client.end().is_some()).await;
    ended.unwrap_or_else(|violation| panic!("{violation}"));

    assert_eq!(client.received(), total, "bytes received, bytes printed");
    assert_eq!(hexadecimal(&client.sink.digest()), digest, "SHA-256 received, printed");
    assert_eq!(client.counts.sockets, 1, "the connection held: {:?}", client.counts);
    eprintln!("{name}: {total} bytes in {took:?}");
    fs::remove_file(file).expect("the corpus can be removed");
}

/// Writes the corpus to `file`; gives its length and SHA-256.
fn write_corpus(file: &Path, bytes: u64, random: &mut Random) -> (u64, String) {
    struct Hashing(BufWriter<File>, Sha256);
    impl Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let wrote = self.0.write(bytes)?;
            self.1.update(&bytes[..wrote]);
            Ok(wrote)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let inner = BufWriter::with_capacity(1 << 20, File::create(file).expect("the corpus file"));
    let mut hashing = BufWriter::with_capacity(1 << 20, Hashing(inner, Sha256::new()));
    let total = corpus::write_lines(&mut hashing, bytes, random).expect("the corpus can be written");
    hashing.flush().expect("the corpus can be written");
    let hashing = hashing.into_inner().map_err(|_| "flush").expect("just flushed");
    (total, hexadecimal(&hashing.1.finalize()))
}

/// Compares texts; a difference is shown where it is, not as two whole texts.
fn assert_same_text(received: &str, expected: &str) {
    if received == expected {
        return;
    }
    let at = received.chars().zip(expected.chars()).take_while(|(got, wanted)| got == wanted).count();
    let around = |text: &str| -> String { text.chars().skip(at.saturating_sub(20)).take(60).collect() };
    panic!(
        "texts differ at character {at}: received {:?}, expected {:?}",
        around(received),
        around(expected)
    );
}
