//! A second judge, for text alone: libvterm's `unterm` prints what a stream leaves behind, scrollback and screen.

use std::path::Path;
use std::process::Command;

use ptyd_screen::Screen;

use crate::seen::plain;
use crate::story::{Step, size};

/// Compares what a recording without resizes leaves behind: its characters, blanks left out, in whatever rows they lie.
pub fn check(title: &str, (rows, cols): (usize, usize), recording: &[Step], home: &Path) {
    let [Step::Feed(bytes)] = recording else { return };
    let file = home.join("recording");
    std::fs::write(&file, bytes).expect("a file in a folder of ours");
    let (lines, columns) = (rows.to_string(), cols.to_string());
    let unterm = Command::new("unterm").args(["-l", &lines, "-c", &columns]).arg(&file).output();
    let printed = unterm.expect("unterm runs: it is of Debian's package libvterm-bin");
    // It prints right halves of wide characters as a character that there is not.
    let theirs =
        without_blanks(&String::from_utf8_lossy(&printed.stdout).replace(char::REPLACEMENT_CHARACTER, ""));
    let mut screen = Screen::new(size(rows, cols), vec![0; 1 << 20], 10_000);
    screen.feed(bytes, &mut Vec::new());
    let history: Vec<String> =
        screen.inspect().scrollback.iter().map(|line| plain(line, '\x1b', 'm')).collect();
    let ours = without_blanks(&(history.concat() + &screen.render_text(usize::MAX).expect("any length")));
    let differs = ours.chars().zip(theirs.chars()).position(|(ours, theirs)| ours != theirs);
    let around = |text: &str| -> String {
        text.chars().skip(differs.unwrap_or(text.len()).saturating_sub(30)).take(60).collect()
    };
    assert!(ours == theirs, "{title}: {:?} beside libvterm's {:?}", around(&ours), around(&theirs));
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}
