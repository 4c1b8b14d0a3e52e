//! Streams made to cost as much as possible for their length. Each begins with what sets it up.
#![allow(dead_code, unreachable_pub, reason = "each user needs a part")]

use std::fmt::Write as _;

pub struct Attack {
    pub name: &'static str,
    /// What is fed first; not counted.
    pub before: Vec<u8>,
    /// What is fed then.
    pub flood: Vec<u8>,
}

/// Every place of the screen printed on, each row another character.
fn full(rows: usize, cols: usize) -> String {
    let mut text = "\x1b[H".to_owned();
    for row in 0..rows {
        let letter = char::from(b'a' + u8::try_from(row % 26).unwrap_or(0));
        let _infallible = write!(text, "\x1b[{}H", row + 1);
        text.extend(std::iter::repeat_n(letter, cols));
    }
    text
}

/// Attacks of at least `bytes` bytes each, on a screen of `rows` by `cols`.
pub fn attacks(rows: usize, cols: usize, bytes: usize) -> Vec<Attack> {
    let mut all = Vec::new();
    let mut add = |name: &'static str, before: &str, flood: &dyn Fn(&mut String, usize)| {
        let (mut text, mut number) = (String::with_capacity(bytes + 4096), 0);
        while text.len() < bytes {
            flood(&mut text, number);
            number += 1;
        }
        all.push(Attack { name, before: before.as_bytes().to_vec(), flood: text.into_bytes() });
    };
    let filled = full(rows, cols);
    let home = format!("{filled}\x1b[H");
    let colors = |to: &mut String, number: usize| {
        let [a, b, c, ..] = (number * 2_654_435_761 % (1 << 24)).to_le_bytes();
        let _infallible = write!(to, "\x1b[38;2;{a};{b};{c}m");
    };
    let protected = format!("\x1b[1\"q{filled}\x1b[0\"q\x1b[H");
    let marks: String = "\u{301}".repeat(23);
    let same = |text: &'static str| move |to: &mut String, _: usize| to.push_str(text);

    add("plain text", "", &same("the quick brown fox jumps over the lazy dog\r\n"));
    add("one endless line", "", &same("abcdefghijklmnopqrstuvwxyz"));
    add("DECALN", "", &same("\x1b#8"));
    add("DECALN, scrolled away", "", &|to, number| {
        if number % rows == 0 {
            to.push_str("\x1b#8\x1b[999H");
        }
        to.push('\n');
    });
    add("ED 0", &home, &same("\x1b[J"));
    add("ED 0 and 1 in colours", &home, &same("\x1b[41m\x1b[J\x1b[42m\x1b[1J"));
    add("ED 2 and a letter", &home, &same("\x1b[2Jx"));
    add("DECSED, protected", &protected, &same("\x1b[?J"));
    add("DECSEL, protected", &protected, &same("\x1b[?2K"));
    add("EL 1", &format!("{filled}\x1b[999;999H"), &same("\x1b[1K"));
    add("EL 1 in colours", &format!("{filled}\x1b[999;998H"), &same("\x1b[41m\x1b[1K\x1b[m\x1b[1K"));
    add("ECH", &home, &same("\x1b[999X"));
    add("ICH", &home, &same("\x1b[@"));
    add("ICH and DCH in colours", &home, &same("\x1b[41m\x1b[@\x1b[42m\x1b[P"));
    add("DCH", &home, &same("\x1b[P"));
    add("insert mode, returning", &format!("{home}\x1b[4h"), &same("a\r"));
    add("insert mode, wide", &format!("{home}\x1b[4h"), &same("日"));
    add("IL", &format!("{home}\x1b[2;1H"), &same("\x1b[L"));
    add("IL 500", &format!("{home}\x1b[2;1H"), &same("\x1b[500L"));
    add("DL", &format!("{home}\x1b[2;1H"), &same("\x1b[M"));
    add("IL and SU by turns", &format!("{home}\x1b[3;1H"), &same("\x1b[L\x1b[S"));
    add("SU", &home, &same("\x1b[S"));
    add("SU 500", &home, &same("\x1b[500S"));
    add("SD 500", &home, &same("\x1b[500T"));
    add("SL", &home, &same("\x1b[ @"));
    add("SL and SR", &home, &same("\x1b[ @\x1b[ A"));
    add("DECIC and DECDC", &home, &same("\x1b['}\x1b['~"));
    add("line feeds", &home, &same("\n"));
    add("line feeds below a region", &format!("{filled}\x1b[2;999r\x1b[999H"), &same("\n"));
    add("line feeds, coloured", &format!("{filled}\x1b[41m"), &same("\n"));
    add("reverse index", &home, &same("\x1bM"));
    add("regions, scrolled by turns", &home, &same("\x1b[2r\x1b[S\x1b[r\x1b[S"));
    let margins = format!("{filled}\x1b[?69h\x1b[2;999s");
    add("line feeds between margins", &format!("{margins}\x1b[999;9H"), &same("\n"));
    add("line feeds between margins, coloured", &format!("{margins}\x1b[999;9H\x1b[41m"), &same("\n"));
    add("lines between margins", &format!("{margins}\x1b[999;9H"), &same("text\r\n"));
    add("text between margins", &format!("{margins}\x1b[999;9H"), &same("abcdefghijklmnopqrstuvwxyz"));
    add("a letter at the margin, scrolled", &format!("{margins}\x1b[999;9H"), &same("\x1b[999Cx\n"));
    add("reverse index between margins", &format!("{margins}\x1b[1;9H"), &same("\x1bM"));
    add("IL and DL between margins", &format!("{margins}\x1b[2;9H"), &same("\x1b[L\x1b[M"));
    add("SU and SD between margins", &margins, &same("\x1b[41m\x1b[S\x1b[500T"));
    add("ICH and DCH between margins", &format!("{margins}\x1b[1;2H"), &same("\x1b[@\x1b[P"));
    add("SL and SR between margins", &format!("{margins}\x1b[1;2H"), &same("\x1b[ @\x1b[ A"));
    add("insert mode between margins", &format!("{margins}\x1b[1;2H\x1b[4h"), &same("a\r"));
    // Whatever is owed is wanted at once, and again.
    let bottom = format!("{margins}\x1b[9999;9H\x1b7");
    let blank = "\x1b[?69h\x1b[2;999s\x1b[9999;9H\x1b7";
    let narrow = format!("{filled}\x1b[?69h\x1b[2;3s\x1b[9999;2H\x1b7");
    add("a line feed between margins and DECRC", &bottom, &same("\n\x1b8"));
    add("a line feed between margins and DECRC, blank", blank, &same("\n\x1b8"));
    add("a line feed between margins and DECRC, narrow", &narrow, &same("\n\x1b8"));
    add("a line feed between margins and DECRC, coloured", &bottom, &same("\x1b[41m\n\x1b8"));
    add("lines between margins and CUP", &bottom, &same("text\r\n\x1b[Hx\x1b[9999;9H"));
    add("many lines between margins and CUP", &bottom, &|to, number| {
        to.push_str(if number % 1000 == 0 { "\x1b[Hx\x1b[9999;9H" } else { "x\n" });
    });
    add("lines between margins, blank", blank, &same("x\r\n"));
    add("lines between margins, narrow", &narrow, &same("x\n"));
    add("text between margins, narrow", &narrow, &same("abcdefghijklmnopqrstuvwxyz"));
    add("lines between margins, colours by turns", &bottom, &same("\x1b[41m\n\x1b[m\n"));
    add("lines between margins, erased", &bottom, &same("\x1b[Kx\n"));
    add("lines between margins, inserted", &format!("{bottom}\x1b[4h"), &same("x\n"));
    add("lines between margins set anew", &bottom, &same("\x1b[2;9s\x1b[9999Hx\n\x1b[2s\x1b[9999Hx\n"));
    add("reverse index between margins, blank", "\x1b[?69h\x1b[2;999s\x1b[1;9H", &same("\x1bM"));
    add("reverse index between margins, narrow", &format!("{narrow}\x1b[1;2H"), &same("\x1bM"));
    add("IL and DL between margins, blank", &format!("{blank}\x1b[2;9H"), &same("\x1b[L\x1b[M"));
    add("IL and DL between margins, narrow", &format!("{narrow}\x1b[2;2H"), &same("\x1b[L\x1b[M"));
    add("SU and SD between margins, blank", blank, &same("\x1b[41m\x1b[S\x1b[500T"));
    add("SU and SD between margins, narrow", &narrow, &same("\x1b[S\x1b[T"));
    add("SU and line feeds between margins", &bottom, &same("\n\x1b[S\n\x1b[T"));
    add("margins by turns, scrolled", &home, &same("\x1b[?69h\x1b[2s\x1b[S\x1b[?69l\x1b[S"));
    add("far columns, scrolled", "\x1b[999H", &same("\x1b[999Gx\ry\n"));
    add("a letter everywhere", "", &|to, number| {
        let _infallible = write!(to, "\x1b[{};999Hx", number * 7 % rows + 1);
    });
    add("REP", "\x1b[999H", &same("x\x1b[999b"));
    add("REP of a wide character", "\x1b[999H", &same("日\x1b[999b"));
    add("REP of a cluster", "\x1b[999H", &|to, number| {
        if number % 100 == 0 {
            let _infallible = write!(to, "\x1b[mé{marks}");
        } else {
            to.push_str("e\u{301}\x1b[999b");
        }
    });
    add("tabs everywhere", "", &|to, number| {
        if number < cols {
            to.push_str("\x1b[C\x1bH");
        } else {
            to.push_str("\r\x1b[999I\x1b[999Z");
        }
    });
    add("no tabs", "\x1b[3g", &same("\t\r"));
    add("alternate screen", &home, &same("\x1b[?1049h\x1b[?1049l"));
    add("alternate screen, written to", &home, &same("\x1b[?1049h\x1b#8x\x1b[?1049l"));
    add("RIS", &home, &same("\x1bc"));
    add("RIS and a mark", &home, &same("\x1bce\u{301}"));
    add("every cell another colour", "", &|to, number| {
        colors(to, number);
        to.push('x');
    });
    add("every cell another colour, all screen", &home, &|to, number| {
        colors(to, number);
        to.push('x');
        if number == 0 {
            to.push_str("\x1b[?1049h");
        }
    });
    add("new styles only erased with", "", &|to, number| {
        let _infallible =
            write!(to, "\x1b[48;2;{};{};{}m\x1b[J", number % 256, number / 256 % 256, number / 65536);
    });
    add("new links", "", &|to, number| {
        let _infallible = write!(to, "\x1b]8;;{number:x}\x07x");
    });
    add("links by turns", "", &|to, number| {
        let _infallible = write!(to, "\x1b]8;;{:x}\x07x", number % 1024);
    });
    add("titles pushed", &format!("\x1b]0;{}\x07", "t".repeat(256)), &same("\x1b[22t"));
    add("titles", "", &same("\x1b]0;a\x07"));
    add("palette", "", &|to, number| {
        to.push_str("\x1b]4");
        (0..1000).for_each(|index| to.push_str(&format!(";{};#123", (number + index) % 256)));
        to.push_str("\x07\x1b]104");
        (0..256).for_each(|index| to.push_str(&format!(";{index}")));
        to.push('\x07');
    });
    add("marks on one cell", "e", &same("\u{301}"));
    add("clusters", "", &|to, number| {
        to.push('e');
        for shift in [0, 6, 12] {
            to.push(char::from_u32(0x300 + u32::try_from(number >> shift & 63).unwrap_or(0)).unwrap_or('x'));
        }
    });
    add("clusters, full screen", &home, &|to, number| {
        let mark = |shift: usize| char::from_u32(0x300 + u32::try_from(number >> shift & 63).unwrap_or(0));
        to.push('e');
        to.extend([mark(0), mark(6), mark(12)].into_iter().flatten());
        if number % 500 == 0 {
            to.push_str("\r\n");
        }
    });
    add("a long OSC", "\x1b]52;c;", &same("QUJD"));
    add("a long DCS in UTF-8", "\x1bPq", &same("é"));
    add("a long APC", "\x1b_G", &same("abcdefgh"));
    add("short strings", "", &same("\x1b_\x1b\\"));
    add("numbers", "", &same("\x1b[1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1m"));
    add("unending numbers", "\x1b[", &same("1;"));
    add("C1 controls", "", &same("\u{85}"));
    add("C1 controls in text", "", &same("é\u{88}"));
    add("saved modes", "", &|to, number| {
        let _infallible = write!(to, "\x1b[?{};1;25;7;2004;1004;12;45;66;1000;1002;1006s", 1 + number % 2000);
    });
    add("bells", "", &same("\x07"));
    all.push(Attack { name: "invalid UTF-8", before: Vec::new(), flood: vec![0xFF; bytes] });
    all.push(Attack { name: "UTF-8 cut short", before: Vec::new(), flood: b"\xE2\x82a".repeat(bytes / 3) });
    let mut state = 1_u64;
    let noise = (0..bytes).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    });
    all.push(Attack { name: "noise", before: Vec::new(), flood: noise.collect() });
    all
}
