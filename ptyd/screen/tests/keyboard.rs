//! Modes that xterm.js has nothing of, each as kitty's keyboard protocol and xterm's control sequences tell it: what is printed,
//! what is asked, and what the answer is.

#![allow(clippy::expect_used, reason = "a test")]

use ptyd_screen::{Screen, Size};

/// Asks for the flags in use (kitty), for modifyOtherKeys (XTQMODKEYS), and for a private mode (DECRQM).
const FLAGS: &str = "\x1b[?u";
const OTHER_KEYS: &str = "\x1b[?4m";

fn answer(printed: &str, query: &str) -> String {
    let mut screen = Screen::new(Size::new(24, 80), vec![0; 1 << 16], 100);
    screen.feed(printed.as_bytes(), &mut Vec::new());
    String::from_utf8(screen.answer(query.as_bytes()).expect("an answer")).expect("UTF-8")
}

fn check(cases: &[(&str, &str)], query: &str, told: impl Fn(&str) -> String) {
    for (printed, value) in cases {
        assert_eq!(answer(printed, query), told(value), "{printed:?}, then {query:?}");
    }
}

#[test]
fn kitty_keyboard_flags_are_pushed_popped_set_and_kept_for_each_screen() {
    let cases = [
        ("", "0"),
        ("\x1b[>1u", "1"),
        ("\x1b[>u", "0"),
        // Five flags are known.
        ("\x1b[>63u", "31"),
        ("\x1b[>1u\x1b[>5u", "5"),
        ("\x1b[>1u\x1b[>5u\x1b[<u", "1"),
        ("\x1b[>1u\x1b[>5u\x1b[>7u\x1b[<2u", "1"),
        ("\x1b[>1u\x1b[>5u\x1b[<99u", "0"),
        ("\x1b[<u", "0"),
        // Mode 1, also where none is given: exactly these; 2: these too; 3: not these.
        ("\x1b[=5u", "5"),
        ("\x1b[=5u\x1b[=2u", "2"),
        ("\x1b[=5u\x1b[=2;1u", "2"),
        ("\x1b[=5u\x1b[=2;2u", "7"),
        ("\x1b[=7u\x1b[=2;3u", "5"),
        ("\x1b[=5u\x1b[=2;4u", "5"),
        ("\x1b[>1u\x1b[=8;2u\x1b[<u", "0"),
        // The screens have stacks of their own.
        ("\x1b[>1u\x1b[?1049h", "0"),
        ("\x1b[>1u\x1b[?1049h\x1b[>8u", "8"),
        ("\x1b[>1u\x1b[?1049h\x1b[>8u\x1b[?1049l", "1"),
        ("\x1b[?1049h\x1b[>8u\x1b[?1049l", "0"),
        ("\x1b[>1u\x1bc", "0"),
    ];
    check(&cases, FLAGS, |flags| format!("\x1b[?{flags}u"));
}

#[test]
fn a_long_stack_of_flags_keeps_the_newest() {
    let pushed: String = (0..1000).map(|n| format!("\x1b[>{}u", n % 31)).collect();
    assert_eq!(answer(&pushed, FLAGS), format!("\x1b[?{}u", 999 % 31));
    assert_eq!(answer(&format!("{pushed}\x1b[<u"), FLAGS), format!("\x1b[?{}u", 998 % 31));
    assert_eq!(answer(&format!("{pushed}\x1b[<1000u"), FLAGS), "\x1b[?0u");
}

#[test]
fn modify_other_keys_is_set_and_reset() {
    let cases = [
        ("", "0"),
        ("\x1b[>4;1m", "1"),
        ("\x1b[>4;2m", "2"),
        ("\x1b[>4;2m\x1b[>4m", "0"),
        ("\x1b[>4;2m\x1b[>4;0m", "0"),
        ("\x1b[>4;2m\x1b[>4n", "0"),
        ("\x1b[>4;2m\x1bc", "0"),
        // Other resources than that of the keyboard's other keys.
        ("\x1b[>1;2m", "0"),
    ];
    check(&cases, OTHER_KEYS, |value| format!("\x1b[>4;{value}m"));
}

#[test]
fn private_modes_are_told_apart() {
    for mode in [1, 5, 6, 7, 12, 25, 45, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 2004, 2026, 2027]
    {
        let asked = format!("\x1b[?{mode}$p");
        for (printed, state) in [(format!("\x1b[?{mode}h"), 1), (format!("\x1b[?{mode}h\x1b[?{mode}l"), 2)] {
            assert_eq!(answer(&printed, &asked), format!("\x1b[?{mode};{state}$y"), "{printed:?}");
        }
        let others = "\x1b[?2004h\x1b[?1006h\x1b[?1003h".replace(&format!("\x1b[?{mode}h"), "");
        let other = answer(&others, &asked);
        assert!(other == answer("", &asked), "{mode} is as it was: {other:?}");
    }
    // An encoding of the mouse takes the place of another.
    for (last, before) in [(1005, 1006), (1006, 1015), (1015, 1005)] {
        let printed = format!("\x1b[?{before}h\x1b[?{last}h");
        assert_eq!(
            answer(&printed, &format!("\x1b[?{before}$p")),
            format!("\x1b[?{before};2$y"),
            "{printed:?}"
        );
        assert_eq!(answer(&printed, &format!("\x1b[?{last}$p")), format!("\x1b[?{last};1$y"), "{printed:?}");
    }
    for unknown in [2, 3, 2031, 2048, 9999] {
        let asked = format!("\x1b[?{unknown}$p");
        assert_eq!(answer(&format!("\x1b[?{unknown}h"), &asked), format!("\x1b[?{unknown};0$y"));
    }
}
