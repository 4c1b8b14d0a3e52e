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
//! - [`nothing_before_screen`]: a row above the screen had ended its line, the rows between were taken out (SU, DL), and the screen's
//!   first row goes on with it by beginning with a wide character. xterm.js cannot tell the nothing at its end from a place that was
//!   too narrow; ours can. Held to one comparison in a thousand cuts.
//! - [`nothing_behind_lines`], where there are resizes: wrapping a line anew, xterm.js uses its rows again, with what stood further
//!   right in them. Of lines above the screen ours keeps their text, and no background behind it that had another width. Held to one
//!   comparison in five hundred cuts, and of recordings in five.
//! - [`nothing_before_wide`], where there are resizes: wrapping a line anew, xterm.js takes nothing that comes to lie before a wide
//!   character at a row's end for a place that was too narrow for it. Above the screen ours keeps it, since it does not wrap anew what
//!   is there. Held to one comparison in two hundred cuts.
//! - [`lines_alike`], where there are resizes: after several of them xterm.js may have kept rows of nothing that a line once had.
//!   Held to one comparison in two thousand cuts.
//! - [`as_libvterm_has`], of libvterm: it is a smaller terminal. What it does wrong is mended in `oracle/libvterm.py`; erasing where
//!   the cursor waits to wrap is left out of what it is fed (`libvterm.rs`).
//!
//! Not compared at all: streams with left and right margins (?69), which xterm.js ignores. None of the random ones here has them,
//! nor has a recording, since our answers offer none; `margins.rs` compares them with libvterm.

use ptyd_screen::{SavedState, State};

use crate::seen::{Seen, as_sgr_says, cells_of, of_cells};
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

/// Where the screen's first row goes on with the row above by a wide character: nothing, and what is blank, at the end of that one
/// counts as nothing at all.
pub fn nothing_before_screen(seen: &Seen) -> Seen {
    let (rows, wrapped) = if seen.hidden.is_empty() {
        (&seen.rows, &seen.wrapped)
    } else {
        (&seen.hidden, &seen.hidden_wrapped)
    };
    let first = cells_of(&rows[0]).first().map_or(0, |(character, _)| ptyd_screen::columns(*character));
    let mut seen = seen.clone();
    if wrapped.starts_with('1')
        && first == 2
        && let Some(last) = seen.scrollback.last_mut()
    {
        *last = without_nothing_behind(last);
    }
    seen
}

/// Above the screen nothing, and what is blank, behind a line's text counts as nothing at all, whatever its background.
pub fn nothing_behind_lines(seen: &Seen) -> Seen {
    let lines = seen.scrollback.iter().map(|line| without_nothing_behind(line));
    Seen { scrollback: lines.collect(), ..seen.clone() }
}

fn without_nothing_behind(line: &str) -> String {
    let mut cells = cells_of(line);
    while cells.last().is_some_and(|(character, looks)| *character == ' ' && !looks.contains(' ')) {
        cells.pop();
    }
    of_cells(cells)
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

/// Whether two terminals differ only in how lines lie in rows, above and on the primary screen: the same characters, each with
/// its style as SGR says it, are in the same lines, and as many of them before the cursor.
pub fn lines_alike(got: &Seen, expected: &Seen) -> bool {
    lines(got) == lines(expected) && beside_lines(got) == beside_lines(expected)
}

/// The lines of the primary screen and above that are not blank, without what is blank in them; and, if it is shown, how many
/// characters are before the cursor.
fn lines(seen: &Seen) -> (Vec<Vec<(char, String)>>, Option<usize>) {
    let shown = seen.hidden.is_empty();
    let (rows, wrapped) =
        if shown { (&seen.rows, &seen.wrapped) } else { (&seen.hidden, &seen.hidden_wrapped) };
    let blank = |character: char| matches!(character, ' ' | '␀' | '»');
    let inked = |row: &String| -> Vec<_> {
        cells_of(&as_sgr_says(row)).into_iter().filter(|(character, _)| !blank(*character)).collect()
    };
    let (x, y) = place(&seen.cursor);
    let mut lines: Vec<Vec<(char, String)>> = seen.scrollback.iter().map(inked).collect();
    let mut before = lines.iter().map(Vec::len).sum::<usize>();
    for (index, (row, wrapped)) in rows.iter().zip(wrapped.chars()).enumerate() {
        let cells = inked(row);
        if index < y {
            before += cells.len();
        } else if index == y {
            before += before_column(row, x);
        }
        match lines.last_mut() {
            Some(line) if wrapped == '1' => line.extend(cells),
            _ => lines.push(cells),
        }
    }
    lines.retain(|line| !line.is_empty());
    (lines, shown.then_some(before))
}

/// Characters of a row that are not blank, before column `x`.
fn before_column(row: &str, x: usize) -> usize {
    let (mut column, mut count) = (0, 0);
    for (character, _) in cells_of(row) {
        if column >= x {
            break;
        }
        // `»` is the right half of what is before it.
        column += usize::from(ptyd_screen::columns(character).min(1));
        count += usize::from(!matches!(character, ' ' | '␀' | '»'));
    }
    count
}

/// All but those lines.
fn beside_lines(seen: &Seen) -> Seen {
    let mut seen = seen.clone();
    if seen.hidden.is_empty() {
        (seen.rows, seen.wrapped, seen.cursor) = (Vec::new(), String::new(), String::new());
    }
    (seen.hidden, seen.hidden_wrapped, seen.scrollback) = (Vec::new(), String::new(), Vec::new());
    seen
}

/// Column and row of a cursor in words.
fn place(cursor: &str) -> (usize, usize) {
    let (x, y) = cursor.split_once(',').expect("column and row");
    (x.parse().expect("a number"), y.parse().expect("a number"))
}

/// Modes that libvterm has and tells of. It has others without a sequence that asks for them, and cursors that blink by DECSCUSR
/// and mode 12 alike.
const LIBVTERM_MODES: [&str; 11] =
    ["1", "6", "7", "25", "1000", "1002", "1003", "1004", "1006", "2004", "alternate"];

/// A state as far as libvterm has it. It knows neither dim, hidden, overlined and protected text, nor links and the colour of
/// underlines; dotted and dashed ones are straight to it. A cursor that waits to wrap it tells on the last column. What it
/// tells of the scrollback are rows.
pub fn as_libvterm_has(seen: &Seen, cols: usize) -> Seen {
    let rows = |rows: &[String]| rows.iter().map(|row| of_row(cells_of(row))).collect();
    let (x, y) = place(&seen.cursor);
    let modes = seen.modes.split(' ').filter(|mode| LIBVTERM_MODES.contains(mode));
    let [shown, ..] = *seen.region.split(' ').collect::<Vec<_>>() else { panic!("no region") };
    Seen {
        rows: rows(&seen.rows),
        cursor: format!("{},{y}", x.min(cols - 1)),
        pen: libvterm_style(&seen.pen),
        modes: modes.collect::<Vec<_>>().join(" "),
        region: shown.to_owned(),
        shape: seen.shape.parse::<usize>().expect("a number").div_ceil(2).max(1).to_string(),
        scrollback: seen.scrollback.iter().flat_map(|line| rows_of(line, cols)).collect(),
        ..Seen::default()
    }
}

fn libvterm_style(looks: &str) -> String {
    let mut parts = looks.split(' ');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts.take_while(|part| !part.starts_with('<')) {
        let known = match part.strip_prefix('u') {
            Some(kind) if kind.starts_with(['4', '5']) => "u1".to_owned(),
            Some(kind) => format!("u{}", &kind[..1]),
            None => part.chars().filter(|flag| "bikvs".contains(*flag)).collect(),
        };
        if !known.is_empty() {
            text.push(' ');
            text.push_str(&known);
        }
    }
    if text == "/" { String::new() } else { text }
}

/// A row in the oracle's words, with nothing at its end left out.
fn of_row(cells: Vec<(char, String)>) -> String {
    let mut cells: Vec<_> = cells.into_iter().map(|(glyph, looks)| (glyph, libvterm_style(&looks))).collect();
    while cells.last().is_some_and(|(glyph, looks)| *glyph == '␀' && looks.is_empty()) {
        cells.pop();
    }
    let (mut text, mut now) = (String::new(), String::new());
    for (glyph, looks) in cells {
        if looks != now {
            text.push_str(&format!("‹{looks}›"));
            now = looks;
        }
        text.push(glyph);
    }
    text
}

/// A line as the rows it lies in.
fn rows_of(line: &str, cols: usize) -> Vec<String> {
    let (mut rows, mut row, mut used) = (Vec::new(), Vec::new(), 0);
    for (glyph, looks) in cells_of(line) {
        let width = usize::from(ptyd_screen::columns(glyph));
        if used + width > cols {
            rows.push(of_cells(std::mem::take(&mut row)));
            used = 0;
        }
        used += width;
        row.push((glyph, libvterm_style(&looks)));
    }
    rows.push(of_cells(row));
    rows
}
