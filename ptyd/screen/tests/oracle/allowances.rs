//! Where two terminals may differ though neither does wrong, or only xterm.js, where it cannot be mended: each by a name, with the
//! reason. What is xterm.js's fault and can be mended is in `oracle/faults.mjs`. Compares nothing
//! itself.
//!
//! - [`saved_unknown`]: xterm.js as it is keeps what DECSC saved by another row, without modes and charsets (`saved-cursor` in
//!   `oracle/faults.mjs`). What comes of it is compared, where a program has the cursor restored.
//! - [`restores_earlier`], of xterm.js as it is in random streams: what was saved before the cut it restores elsewhere once something
//!   has scrolled, and after a snapshot elsewhere again (`saved-cursor` there).
//! - [`saved_on_screen`], after a snapshot: no sequence says a place above the screen or below, where a resize may have brought what
//!   DECSC saved. A snapshot has it on the nearest row, but for xterm.js as it is, with scrollback, on its own.
//! - [`links_alike`], of xterm.js as it is in random streams: it forgets addresses when rows are erased (`links` in
//!   `oracle/faults.mjs`), others in a terminal that was drawn anew.
//! - [`tabs_come_back`], of xterm.js as it is in random streams: what a resize makes of tab stops that were changed (`tabs` there)
//!   depends on sizes that a terminal drawn anew never had.
//! - [`marks_are_lost`], of xterm.js as it is in random streams: a resize loses marks alone at a line's end, and one that comes
//!   next joins what stands there (`marks-lost`, `marks-after-a-resize` there), which may look the same.
//! - [`scrollback_as_sgr`]: the lines that we tell people have no links and no protection. A snapshot has them, which is
//!   compared.
//! - [`waiting_at_nothing`]: a cursor that waits to wrap behind a place where nothing was printed can be told on the alternate
//!   screen only by a blank there.
//! - [`nothing_before_wide`], where there are resizes: wrapping a line anew, xterm.js takes nothing that comes to lie before a wide
//!   character at a row's end for a place that was too narrow for it. Above the screen ours keeps it, since it does not wrap anew what
//!   is there. Held to one comparison in two hundred cuts.
//! - [`lines_alike`], where there are resizes: after several of them xterm.js may have kept rows of nothing that a line once had.
//!   Held to one comparison in five hundred cuts.
//!
//! Not compared at all: streams with left and right margins (?69), which xterm.js ignores. None of the random ones here has them,
//! nor has a recording, since our answers offer none; `margins.rs` compares them with libvterm.

use ptyd_screen::{SavedState, State};

use crate::seen::{Seen, as_sgr_says, cells_of, of_cells, plain};
use crate::story::Story;

/// Without what is saved.
pub fn saved_unknown(seen: &Seen) -> Seen {
    Seen { saved: String::new(), ..seen.clone() }
}

/// Whether what is saved lies above the screen or below.
pub fn is_saved_off_screen(state: &State) -> bool {
    let rows = state.rows.len();
    let off = |saved: &SavedState| usize::try_from(saved.cursor.1).map_or(true, |y| y >= rows);
    [&state.saved, &state.hidden_saved].into_iter().flatten().any(off)
}

/// Where [`is_saved_off_screen`] holds: what is saved is on the nearest row.
pub fn saved_on_screen(seen: &Seen) -> Seen {
    let on_screen = |saved: &str| {
        let Some((cursor, rest)) = saved.split_once(' ') else { return saved.to_owned() };
        let (x, y) = cursor.split_once(',').expect("column and row");
        let y = y.parse::<isize>().expect("a number").clamp(0, seen.rows.len().cast_signed() - 1);
        let text = format!("{x},{y} {rest}");
        if text == "0,0 ‹› BBBB0" { "none".to_owned() } else { text }
    };
    let saved = seen.saved.split(" hidden ").map(on_screen).collect::<Vec<_>>().join(" hidden ");
    Seen { saved, ..seen.clone() }
}

/// Links without their addresses.
pub fn links_alike(seen: &Seen) -> Seen {
    let all = |texts: &[String]| texts.iter().map(|text| without_addresses(text)).collect();
    Seen {
        rows: all(&seen.rows),
        hidden: all(&seen.hidden),
        scrollback: all(&seen.scrollback),
        pen: address_left_out(&seen.pen),
        ..seen.clone()
    }
}

fn without_addresses(row: &str) -> String {
    let mut parts = row.split('‹');
    let mut text = parts.next().unwrap_or_default().to_owned();
    let mut now = String::new();
    for (looks, rest) in parts.filter_map(|part| part.split_once('›')) {
        let looks = address_left_out(looks);
        if looks != now {
            text.push_str(&format!("‹{looks}›"));
            now = looks;
        }
        text.push_str(rest);
    }
    text
}

fn address_left_out(looks: &str) -> String {
    looks.split_once(" <").map_or_else(|| looks.to_owned(), |(looks, _)| looks.to_owned() + " <>")
}

/// Whether what comes after a cut restores what was saved before it.
pub fn restores_earlier(story: &Story, cut: usize) -> bool {
    story.restores_from(story.cuts[cut])
}

/// Whether a resize may bring tab stops back that the program had taken away.
pub fn tabs_come_back(story: &Story) -> bool {
    story.has_resizes() && story.changes_tabs()
}

/// Whether a resize may lose marks without a base.
pub fn marks_are_lost(story: &Story) -> bool {
    story.has_resizes() && story.has_marks_alone()
}

/// The scrollback as far as SGR says it.
pub fn scrollback_as_sgr(seen: &Seen) -> Seen {
    let scrollback = seen.scrollback.iter().map(|line| as_sgr_says(line)).collect();
    Seen { scrollback, ..seen.clone() }
}

/// Whether the cursor waits to wrap at the end of a row on whose last place nothing was printed, but elsewhere, and on the
/// alternate screen.
pub fn waits_at_nothing(state: &State, cols: usize) -> bool {
    let cells = &state.rows[state.cursor.1].cells;
    let nothing_last = cells.get(cols - 1).is_none_or(|cell| cell.text.is_empty() && cell.width == 1);
    let alike = cells.iter().all(|cell| cell.text.is_empty() && cell.style == cells[0].style);
    state.modes.alternate_screen
        && state.cursor.0 >= cols
        && nothing_last
        && !(alike && (cells.is_empty() || cells.len() == cols))
}

/// Where [`waits_at_nothing`] holds: nothing counts as blank.
pub fn waiting_at_nothing(seen: &Seen) -> Seen {
    let mut seen = seen.clone();
    seen.rows.iter_mut().chain(&mut seen.hidden).for_each(blanks_alike);
    seen
}

/// Above the screen nothing, and what is blank, right before a wide character counts as nothing at all.
pub fn nothing_before_wide(seen: &Seen) -> Seen {
    let line = |line: &String| {
        let mut kept: Vec<(char, String)> = Vec::new();
        for cell in cells_of(line) {
            if ptyd_screen::columns(cell.0) == 2 {
                let last = kept.iter().rposition(|(character, _)| *character != ' ');
                kept.truncate(last.map_or(0, |last| last + 1));
            }
            kept.push(cell);
        }
        of_cells(kept)
    };
    Seen { scrollback: seen.scrollback.iter().map(line).collect(), ..seen.clone() }
}

/// Takes blanks and changes of style off the end of a line.
fn trim(line: &mut String) {
    loop {
        let len = line.trim_end_matches(' ').len();
        let cut = if line[..len].ends_with('›') { line[..len].rfind('‹').unwrap_or(len) } else { len };
        if cut == line.len() {
            return;
        }
        line.truncate(cut);
    }
}

/// Counts what is blank as nothing.
fn blanks_alike(row: &mut String) {
    *row = row.replace('␀', " ");
    trim(row);
}

/// Whether two terminals differ only in how lines lie in rows, above and on the primary screen.
pub fn lines_alike(got: &Seen, expected: &Seen) -> bool {
    let lines = |seen: &Seen| {
        let (rows, wrapped) = if seen.hidden.is_empty() {
            (&seen.rows, &seen.wrapped)
        } else {
            (&seen.hidden, &seen.hidden_wrapped)
        };
        let mut lines: Vec<String> = seen.scrollback.iter().map(|line| plain(line, '‹', '›')).collect();
        for (row, wrapped) in rows.iter().zip(wrapped.chars()) {
            let text = plain(row, '‹', '›').replace('»', "");
            match lines.last_mut() {
                Some(line) if wrapped == '1' => line.push_str(&text),
                _ => lines.push(text),
            }
        }
        lines.iter_mut().for_each(|line| line.retain(|character| !matches!(character, ' ' | '␀')));
        lines.retain(|line| !line.is_empty());
        lines
    };
    let rest = |seen: &Seen| {
        let mut seen = seen.clone();
        if seen.hidden.is_empty() {
            (seen.rows, seen.wrapped) = (Vec::new(), String::new());
        }
        (seen.hidden, seen.hidden_wrapped) = (Vec::new(), String::new());
        (seen.scrollback, seen.cursor) = (Vec::new(), String::new());
        seen
    };
    lines(got) == lines(expected) && rest(got) == rest(expected)
}
