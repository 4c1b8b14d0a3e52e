//! Pastes that a worker kill cuts: what is pasted comes as pasted, and what others type does not.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::stack::Stack;
use devpocket_tests::until::wait_until;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

/// Longer than others wait for the client whose paste was cut.
const LIMIT: Duration = Duration::from_secs(40);
/// Longer than they wait for it while it is attached.
const ATTACHED_LIMIT: Duration = Duration::from_secs(90);
/// More than any terminal takes from a program that reads it no further.
const PASTE_BYTES: usize = 200_000;

/// A program that asked for framed pastes, and has read a part of one when the worker was killed.
struct Cut {
    stack: Stack,
    id: Uuid,
    /// What was pasted is read on from here on.
    go: PathBuf,
    /// The program asks for framed pastes no more, and says so.
    plain: PathBuf,
    /// It asks its terminal for much.
    asks: PathBuf,
    begun: PathBuf,
    rest: PathBuf,
    paste: Value,
}

async fn cut(seq: Option<u64>) -> Cut {
    let stack = Stack::start().await;
    let [go, plain, asks, begun, rest] =
        ["go", "plain", "asks", "begun", "rest"].map(|name| stack.place.work(name));
    let program = format!(
        "printf '\\033[?2004hready'; dd bs=1 count=1000 of={} 2>/dev/null; \
         while [ ! -e {1} ]; do if [ -e {2} ]; then printf '\\033[?2004lplain'; fi; \
         if [ -e {3} ]; then for n in $(seq 20); do printf '\\033[6n'; done; echo behind; fi; sleep 0.02; done; cat > {4}",
        begun.display(),
        go.display(),
        plain.display(),
        asks.display(),
        rest.display()
    );
    let mut data = raw_script(&program);
    data["client_id"] = "phone".into();
    let (mut socket, attached) = session(&stack, Framing::Binary, data).await;
    let id = attached.session;
    socket.read_until(id, "ready").await;
    let mut paste = json!({"type": "paste", "session_id": id, "data": "x".repeat(PASTE_BYTES)});
    if let Some(seq) = seq {
        paste["seq"] = seq.into();
    }
    socket.send(&paste);
    socket.flush().await.expect("it is sent");
    wait_until("the paste is begun", LIMIT, async || fs::read(&begun).is_ok_and(|bytes| bytes.len() == 1000))
        .await;
    assert!(stack.kill_worker());
    socket.wait_status(id, "interrupted").await;
    Cut { stack, id, go, plain, asks, begun, rest, paste }
}

impl Cut {
    async fn attach(&self, client: &str) -> (Socket, devpocket_tests::client::Attached) {
        let data = json!({"client_id": client});
        Socket::attach_patiently(&self.stack.opening(0, Framing::Binary), self.id, &data).await
    }

    /// All that the program read, once it ends so.
    async fn read(&self, end: &str) -> String {
        wait_until("the program has read it all", LIMIT, async || {
            fs::read(&self.rest).is_ok_and(|bytes| bytes.ends_with(end.as_bytes()))
        })
        .await;
        let all = [fs::read(&self.begun).expect("the beginning"), fs::read(&self.rest).expect("the rest")];
        String::from_utf8(all.concat()).expect("what was sent")
    }

    fn go_on(&self) {
        fs::write(&self.go, b"").expect("a file is written");
    }
}

/// The story: the program got the beginning of a paste and never its end, and took all that was typed for pasted.
#[tokio::test]
async fn a_paste_that_nobody_will_send_again_has_an_end() {
    let cut = cut(None).await;
    let (mut socket, _) = cut.attach("phone").await;
    socket.send_input(cut.id, None, b"typed");
    socket.flush().await.expect("it is sent");
    cut.go_on();
    let read = cut.read("typed").await;
    assert!(read.starts_with("\x1b[200~x") && read.ends_with("x\x1b[201~typed"));
}

/// The story: what another client typed meanwhile went into the paste, and what it pasted ended that: the rest came as typed.
#[tokio::test]
async fn a_paste_whose_client_is_back_in_time_goes_on_before_what_others_sent() {
    let cut = cut(Some(1)).await;
    let (mut laptop, _) = cut.attach("laptop").await;
    laptop.send_input(cut.id, Some(1), b"typed");
    laptop.send(&json!({"type": "paste", "session_id": cut.id, "seq": 2, "data": "theirs"}));
    // Answered in its turn: both wait now.
    laptop.history(cut.id, None, 1).await;
    // The rest is framed as the beginning was, whatever the program wants by now.
    fs::write(&cut.plain, b"").expect("a file is written");
    laptop.read_until(cut.id, "plain").await;
    let (mut phone, attached) = cut.attach("phone").await;
    assert_eq!((attached.input_seq, attached.input_uncertain), (Some(0), None));
    phone.send(&cut.paste);
    phone.flush().await.expect("it is sent");
    cut.go_on();
    let read = cut.read("theirs\x1b[201~").await;
    let pasted = "x".repeat(PASTE_BYTES);
    assert!(
        read == format!("\x1b[200~{pasted}\x1b[201~typed\x1b[200~theirs\x1b[201~"),
        "{} bytes",
        read.len()
    );
}

#[tokio::test]
async fn a_paste_whose_client_stays_away_is_ended_for_those_who_wait() {
    let cut = cut(Some(1)).await;
    let (mut laptop, _) = cut.attach("laptop").await;
    laptop.send_input(cut.id, Some(1), b"typed");
    laptop.flush().await.expect("it is sent");
    cut.go_on();
    let read = cut.read("typed").await;
    assert!(read.starts_with("\x1b[200~x") && read.ends_with("x\x1b[201~typed"));
    assert!(read.len() < PASTE_BYTES, "its rest was nowhere");
    let (mut phone, attached) = cut.attach("phone").await;
    assert_eq!((attached.input_seq, attached.input_uncertain), (Some(1), Some(1)));
    phone.send(&cut.paste);
    phone.send_input(cut.id, Some(2), b"more");
    phone.flush().await.expect("it is sent");
    assert_eq!(cut.read("more").await, read + "more");
}

/// The story: it was acknowledged at ten seconds, while its client was there, and never told.
#[tokio::test]
async fn a_client_that_is_there_and_sends_nothing_is_told_that_its_paste_was_given_up() {
    let cut = cut(Some(1)).await;
    let (mut laptop, _) = cut.attach("laptop").await;
    laptop.send_input(cut.id, Some(1), b"typed");
    laptop.flush().await.expect("it is sent");
    let (mut phone, attached) = cut.attach("phone").await;
    assert_eq!((attached.input_seq, attached.input_uncertain), (Some(0), None));
    let since = Instant::now();
    let told = phone
        .wait_at_most(ATTACHED_LIMIT, "the paste is given up", |event| match event {
            Event::Message(message) if message.error() == Some("input_uncertain") => {
                Some(message.data()["details"]["seq"].as_u64())
            }
            Event::InputAck { .. } => panic!("it was acknowledged before it was told"),
            _ => None,
        })
        .await;
    assert_eq!(told, Some(1));
    assert!(since.elapsed() > Duration::from_secs(50), "it was there, and may have been sending");
    cut.go_on();
    let read = cut.read("typed").await;
    assert!(read.ends_with("x\x1b[201~typed"));
    // It stays told until the client is known to have heard of it, and goes on.
    for times in 1..3 {
        let (mut again, attached) = cut.attach("phone").await;
        assert_eq!((attached.input_seq, attached.input_uncertain), (Some(1), Some(1)), "{times}");
        again.history(cut.id, None, 1).await;
        phone = again;
    }
    phone.send_input(cut.id, Some(2), b"more");
    phone.flush().await.expect("it is sent");
    assert_eq!(cut.read("more").await, read + "more");
    assert_eq!(cut.attach("phone").await.1.input_uncertain, None);
}

/// The story: the terminal stood still for all clients until the paste was given up.
#[tokio::test]
async fn output_goes_on_while_the_rest_of_a_paste_is_waited_for() {
    let cut = cut(Some(1)).await;
    let (mut laptop, _) = cut.attach("laptop").await;
    let since = Instant::now();
    // More queries than have a place, and then text.
    fs::write(&cut.asks, b"").expect("a file is written");
    laptop.read_until(cut.id, "behind").await;
    let took = since.elapsed();
    assert!(took < Duration::from_secs(8), "it took {took:?}");
}

/// The story: a page that was loaded again numbered what it sent from the last applied input, and that was dropped.
#[tokio::test]
async fn a_client_is_told_which_of_its_input_waits() {
    let cut = cut(Some(1)).await;
    let (mut phone, attached) = cut.attach("phone").await;
    assert_eq!((attached.input_seq, attached.input_queued), (Some(0), Some(0)));
    phone.send(&cut.paste);
    phone.history(cut.id, None, 1).await;
    let (mut again, attached) = cut.attach("phone").await;
    assert_eq!((attached.input_seq, attached.input_queued), (Some(0), Some(1)));
    again.send_input(cut.id, Some(2), b"hello");
    again.flush().await.expect("it is sent");
    cut.go_on();
    assert!(cut.read("hello").await.ends_with("x\x1b[201~hello"));
}

/// The story: the first bytes of what was typed under the number of a paste that was cut went nowhere.
#[tokio::test]
async fn another_message_under_the_number_of_a_cut_paste_is_read_whole() {
    let cut = cut(Some(1)).await;
    let (mut phone, _) = cut.attach("phone").await;
    let other = "y".repeat(PASTE_BYTES / 2);
    phone.send_input(cut.id, Some(1), other.as_bytes());
    phone.send_input(cut.id, Some(2), b"end");
    phone.flush().await.expect("it is sent");
    cut.go_on();
    let read = cut.read("end").await;
    assert!(read.ends_with(&format!("x\x1b[201~{other}end")), "{} bytes", read.len());
}
