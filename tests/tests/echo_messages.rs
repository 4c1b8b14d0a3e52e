//! `echo` messages (PROTOCOL section 4): what becomes of typed text is told before the output that was read with it.

use devpocket_tests::client::start::{command, session};
use devpocket_tests::client::{Event, Framing};
use devpocket_tests::stack::Stack;
use serde_json::json;

/// What the terminal does with typed text: `echo`, `canonical`, `alternate_screen`.
type Told = (bool, bool, bool);

/// A key for each step, and what is printed with which state. The script below prints the letters.
const STEPS: [(&str, &str, Told); 8] = [
    ("", "A", (true, true, false)),
    ("\n", "B", (false, true, false)),
    ("\n", "C", (false, false, false)),
    ("x", "D", (false, false, true)),
    ("x", "E", (false, false, false)),
    ("x", "F", (false, false, true)),
    // A full reset.
    ("x", "G", (false, false, false)),
    ("x", "H", (true, true, false)),
];

/// The stories: that the alternate screen is shown was told only after what was printed on it; and no test saw more than the
/// first message.
#[tokio::test]
async fn what_becomes_of_typed_text_is_told_before_the_output_that_was_read_with_it() {
    let stack = Stack::start().await;
    let key = "dd bs=1 count=1 >/dev/null 2>&1";
    let script = [
        "printf A",
        "stty -echo; printf B",
        "stty raw; printf C",
        "printf '\\033[?1049hD'",
        "printf '\\033[?1049lE'",
        "printf '\\033[?25l\\033[?25;1047hF'",
        "printf '\\033cG'",
        "stty sane; printf H",
    ]
    .join(&format!("; {key}; "));
    for framing in [Framing::Binary, Framing::Json, Framing::Deflate] {
        let mut data = command(&["sh", "-c", &format!("{script}; exec cat")]);
        data["client_id"] = json!(format!("{framing:?}"));
        let (mut socket, attached) = session(&stack, framing, data).await;
        let (mut told, mut pressed) = (None, 0);
        for (key, letter, expected) in STEPS {
            if !key.is_empty() {
                pressed += 1;
                socket.send_input(attached.session, Some(pressed), key.as_bytes());
            }
            loop {
                match socket.event(&format!("{framing:?}: {letter}")).await {
                    Event::Echo { offset, echo, canonical, alternate_screen, input_seq, .. } => {
                        told = Some(((echo, canonical, alternate_screen), input_seq, offset));
                    }
                    Event::Output { offset, bytes, .. } if bytes.ends_with(letter.as_bytes()) => {
                        let (state, input_seq, told_at) = told.expect("told before the first output");
                        assert_eq!(state, expected, "{framing:?}: before {letter}");
                        assert_eq!(
                            input_seq,
                            (pressed > 0).then_some(pressed),
                            "{framing:?}: before {letter}"
                        );
                        assert!(told_at <= offset, "{framing:?}: {told_at} and {letter} from {offset}");
                        break;
                    }
                    Event::Closed { code, reason } => panic!("the connection ended: {code:?} {reason}"),
                    _ => {}
                }
            }
        }
    }
}

/// The story: behind a burst of output the screen itself comes later, and so did what is told of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_screen_is_shown_is_told_in_time_behind_a_burst_of_output() {
    let stack = Stack::start().await;
    let script = "stty raw -echo; all=$(mktemp); yes \"$(printf '\\033[32m日本語\\033[m é and \\033[5;7H more')\" | head -n 200000 >$all; printf '\\033[?1049hALT' >>$all; printf ready; \
                  dd bs=1 count=1 >/dev/null 2>&1; cat $all; rm $all; exec cat";
    let mut data = command(&["sh", "-c", script]);
    data["delivery"] = json!("lossless");
    let (mut socket, attached) = session(&stack, Framing::Binary, data).await;
    socket.read_until(attached.session, "ready").await;
    socket.send_input(attached.session, None, b"x");
    let mut is_alternate = false;
    loop {
        match socket.event("the alternate screen").await {
            Event::Echo { alternate_screen, .. } => is_alternate = alternate_screen,
            Event::Output { bytes, .. } if bytes.ends_with(b"ALT") => break,
            Event::Closed { code, reason } => panic!("the connection ended: {code:?} {reason}"),
            _ => {}
        }
    }
    assert!(is_alternate, "told before it came");
}
