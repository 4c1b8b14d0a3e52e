//! What a program tells beside its text, and what it is answered.

#![allow(clippy::panic, clippy::cast_possible_truncation, reason = "a test")]

mod common;

use common::assert_same;
use ptyd_screen::{Effect, Screen, Size};

fn fresh(rows: usize, cols: usize) -> Screen {
    Screen::new(Size::new(rows as u16, cols as u16), vec![0; 64 << 10], 1000)
}

fn feed(screen: &mut Screen, bytes: &[u8]) {
    screen.feed(bytes, &mut Vec::new());
}

#[test]
fn titles_bells_and_clipboard_are_told() {
    let mut screen = fresh(5, 10);
    let mut effects = Vec::new();
    screen.feed(
        b"\x1b]0;a\x07\x07\x07\x1b]52;c;aGk=\x07\x1b]52;c;?\x07\x1b]7;file://h/tmp\x07\x1b]9;done\x07\x1b]9;4;1;50\x07\x1b]777;notify;a;b\x07",
        &mut effects,
    );
    let expected = [
        Effect::Title("a".into()),
        Effect::Bell,
        Effect::Clipboard("hi".into()),
        Effect::Cwd("/tmp".into()),
        Effect::Notify("done".into()),
        Effect::Notify("a b".into()),
    ];
    assert_eq!(effects, expected);
}

#[test]
fn notifications_of_kitty_are_told_and_a_clipboard_beyond_its_bound_is_not() {
    let told = |bytes: &str| {
        let mut effects = Vec::new();
        fresh(5, 10).feed(bytes.as_bytes(), &mut effects);
        effects
    };
    assert_eq!(told("\x1b]99;i=1:d=0;done\x1b\\"), [Effect::Notify("done".into())]);
    assert_eq!(told("\x1b]99;;done\x07"), [Effect::Notify("done".into())]);
    // What is no text, and questions.
    for silent in ["\x1b]99;e=1;ZG9uZQ==\x07", "\x1b]99;i=1:p=?;\x07", "\x1b]99;i=1;\x07"] {
        assert_eq!(told(silent), [], "{silent:?}");
    }
    // 100 KiB, and a byte more.
    let most = "YWFh".repeat(34_133);
    assert_eq!(told(&format!("\x1b]52;c;{most}YQ==\x07")), [Effect::Clipboard("a".repeat(100 << 10))]);
    assert_eq!(told(&format!("\x1b]52;c;{most}YWE=\x07")), []);
}

#[test]
fn answers_say_what_the_screen_is_and_repeat_nothing_that_was_sent() {
    let mut screen = fresh(24, 80);
    feed(&mut screen, b"\x1b]0;rm -rf\x07\x1b[5;7Hx\x1b[?2004h\x1b[1;38;5;200m");
    let mut check = |query: &[u8], answer: Option<&[u8]>| {
        assert_eq!(screen.answer(query).as_deref(), answer, "{}", String::from_utf8_lossy(query));
    };
    check(b"\x1b[6n", Some(b"\x1b[5;8R"));
    check(b"\x1b[c", Some(b"\x1b[?62;22c"));
    check(b"\x1b[?2004$p", Some(b"\x1b[?2004;1$y"));
    check(b"\x1b[?9999$p", Some(b"\x1b[?9999;0$y"));
    // What would report by itself is not known here.
    check(b"\x1b[?2048$p", Some(b"\x1b[?2048;0$y"));
    check(b"\x1b[?2031$p", Some(b"\x1b[?2031;0$y"));
    check(b"\x1bP$qm\x1b\\", Some(b"\x1bP1$r0;1;38;5;200m\x1b\\"));
    check(b"\x1bP$qrm -rf\x1b\\", Some(b"\x1bP0$r\x1b\\"));
    check(b"\x1bP+q726d202d7266\x1b\\", Some(b"\x1bP0+r\x1b\\"));
    check(b"\x1bP+q544e;524742\x1b\\", Some(b"\x1bP0+r\x1b\\\x1bP0+r\x1b\\"));
    // The story: three colours were told, however many were asked for.
    let sixteen: Vec<u8> = (0..16).flat_map(|index| format!(";{index};?").into_bytes()).collect();
    let told = screen.answer(&[b"\x1b]4", &sixteen[..], b"\x07"].concat()).unwrap();
    assert_eq!(told.windows(4).filter(|bytes| bytes == b"\x1b]4;").count(), 16);
    let many = b";1;?".repeat(10_000);
    assert!(screen.answer(&[b"\x1b]4", &many[..], b"\x07"].concat()).unwrap().len() < 2048, "bounded");
    let mut check = |query: &[u8], answer: Option<&[u8]>| {
        assert_eq!(screen.answer(query).as_deref(), answer, "{}", String::from_utf8_lossy(query));
    };
    for silent in [
        &b"\x1b[21t"[..],
        b"\x1b[20t",
        b"\x1b]52;c;?\x07",
        b"\x05",
        b"\x1b[1;1;1;1;1;1*y",
        b"\x1b_Gi=1,a=q;AAAA\x1b\\",
    ] {
        check(silent, None);
    }
}

/// The story: what XTSAVE saved of origin mode and of the screen that is shown was not in a snapshot, and who had attached then did
/// not follow XTRESTORE.
#[test]
fn what_xtsave_saved_comes_back_after_a_snapshot_as_without_one() {
    let modes = [1, 5, 6, 7, 9, 12, 25, 45, 47, 66, 69, 1000, 1002, 1003, 1004, 1005, 1006, 1007];
    let modes = modes.into_iter().chain([1015, 1016, 1047, 1049, 2004, 2026, 2027]);
    for mode in modes {
        for (first, then) in [("h", "l"), ("l", "h"), ("h", "h"), ("l", "l")] {
            let mut screen = fresh(6, 10);
            let before = "one\r\ntwo\x1b[41m\x1b[2;4r\x1b[3;5Hthree\x1b7\x1b[5;6H";
            feed(
                &mut screen,
                format!("{before}\x1b[?{mode}{first}\x1b[?{mode}s\x1b[?{mode}{then}four").as_bytes(),
            );
            let mut drawn = fresh(6, 10);
            feed(&mut drawn, &screen.snapshot(0));
            let context = || format!("{mode} {first} {then}");
            assert_same(&drawn.inspect(), &screen.inspect(), context);
            for screen in [&mut screen, &mut drawn] {
                feed(screen, format!("\x1b[?{mode}rfive\x1b[2;2Hsix\x1b[?{mode}sseven").as_bytes());
            }
            assert_same(&drawn.inspect(), &screen.inspect(), context);
        }
    }
}

/// Whatever terminal draws the snapshot: nothing it does for that can be seen.
#[test]
fn saved_modes_are_said_before_all_that_they_would_change() {
    let mut screen = fresh(4, 10);
    feed(&mut screen, b"\x1b[?47h\x1b[?6h\x1b[?6;7;47;1047;1049s\x1b[?6l\x1b[?47ltext");
    let snapshot = String::from_utf8(screen.snapshot(100)).unwrap();
    let saved = "\x1b[?6h\x1b[?6s\x1b[?6l\x1b[?7s\x1b[?47h\x1b[?47s\x1b[?47l\x1b[?47h\x1b[?1047s\x1b[?47l\x1b[?47h\x1b[?1049s\x1b[?47l";
    assert!(snapshot.starts_with(saved), "{snapshot:?}");
    let mut drawn = fresh(4, 10);
    feed(&mut drawn, snapshot.as_bytes());
    assert_eq!((drawn.inspect().saved, drawn.inspect().hidden.len()), (None, 0));
}
