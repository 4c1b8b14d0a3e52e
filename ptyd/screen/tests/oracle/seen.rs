//! All that a terminal is, in the words of `oracle/state.mjs`, and how two of them are compared.

use ptyd_screen::parser::{Event, Parser};
use ptyd_screen::{Color, Mouse, MouseEncoding, RowState, SavedState, State, Style, flag};
use serde::Deserialize;

/// What a terminal is. Rows are their text with each change of style in ‹›, `␀` where nothing was printed, `»` for the right
/// half of a wide character.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Seen {
    pub rows: Vec<String>,
    pub wrapped: String,
    pub hidden: Vec<String>,
    pub hidden_wrapped: String,
    pub cursor: String,
    pub pen: String,
    pub modes: String,
    pub region: String,
    pub saved: String,
    pub charsets: String,
    pub tabs: String,
    pub title: String,
    pub shape: String,
    pub colors: String,
    pub scrollback: Vec<String>,
}

/// Our state in the oracle's words; the scrollback as far as SGR says it.
pub fn ours(state: &State) -> Seen {
    let wrapped = |rows: &[RowState]| rows.iter().map(|row| if row.wrapped { '1' } else { '0' }).collect();
    let titles = std::iter::once(&state.title).chain(&state.titles);
    let colors = state.colors.iter().map(|(index, (r, g, b))| (*index, format!("{r:02x}{g:02x}{b:02x}")));
    let mut colors: Vec<_> = colors.collect();
    colors.sort();
    let hidden = |text: Option<String>| text.map_or_else(String::new, |text| format!(" hidden {text}"));
    Seen {
        rows: state.rows.iter().map(row).collect(),
        wrapped: wrapped(&state.rows),
        hidden: state.hidden.iter().map(row).collect(),
        hidden_wrapped: wrapped(&state.hidden),
        cursor: format!("{},{}", state.cursor.0, state.cursor.1),
        pen: style(state.pen, &state.pen_link),
        modes: modes(state),
        region: region(state.region) + &hidden(state.hidden_region.map(region)),
        saved: saved(state.saved.as_ref())
            + &hidden(state.hidden_region.map(|_| saved(state.hidden_saved.as_ref()))),
        charsets: state.charsets.clone(),
        tabs: state.tabs.iter().map(usize::to_string).collect::<Vec<_>>().join(" "),
        title: titles.map(String::as_str).collect::<Vec<_>>().join("\0"),
        shape: state.cursor_style.to_string(),
        colors: colors.iter().map(|(index, color)| format!("{index}:{color}")).collect::<Vec<_>>().join(" "),
        scrollback: state.scrollback.iter().map(|line| in_words(line)).collect(),
    }
}

/// A line of text and SGR sequences in the oracle's words.
fn in_words(line: &str) -> String {
    let (mut parser, mut pen, mut cells) = (Parser::new(), Style::default(), Vec::new());
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        let (used, event) = parser.next(rest);
        rest = &rest[used..];
        if let Event::Csi(csi) = &event {
            pen.apply_sgr(csi.params);
            continue;
        }
        let text = if let Event::Text(text) = event {
            text
        } else if let Event::Ascii(text) = event {
            str::from_utf8(text).expect("ASCII")
        } else {
            panic!("{event:?} in a line")
        };
        cells.extend(text.chars().map(|character| (character, style(pen, ""))));
    }
    of_cells(cells)
}

/// A part of a style, as far as SGR says it: without protection and links.
fn as_sgr(part: &str) -> Option<&str> {
    let part = if part.starts_with(['u', '<']) { part } else { part.trim_end_matches('p') };
    (!part.is_empty() && !part.starts_with('<')).then_some(part)
}

/// A line of the oracle's without what SGR does not say.
pub fn as_sgr_says(line: &str) -> String {
    let as_sgr = |looks: &str| {
        let looks = looks.split(' ').filter_map(as_sgr).collect::<Vec<_>>().join(" ");
        if looks == "/" { String::new() } else { looks }
    };
    of_cells(cells_of(line).into_iter().map(|(character, looks)| (character, as_sgr(&looks))).collect())
}

/// The characters of a line of the oracle's, each with its style.
pub fn cells_of(line: &str) -> Vec<(char, String)> {
    let (mut cells, mut now) = (Vec::new(), "");
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character == '‹' {
            (now, rest) = rest.split_once('›').expect("a style ends");
        } else {
            cells.push((character, now.to_owned()));
        }
    }
    cells
}

/// Characters with their styles as a line, without blanks at its end.
pub fn of_cells(mut cells: Vec<(char, String)>) -> String {
    while cells.last().is_some_and(|(character, looks)| *character == ' ' && looks.is_empty()) {
        cells.pop();
    }
    let (mut text, mut now) = (String::new(), String::new());
    for (character, looks) in cells {
        if looks != now {
            text.push_str(&format!("‹{looks}›"));
            now = looks;
        }
        text.push(character);
    }
    text
}

fn row(row: &RowState) -> String {
    let (mut text, mut now) = (String::new(), String::new());
    let mut after_wide = false;
    for cell in &row.cells {
        let spacer = cell.text.is_empty() && cell.width == 0;
        if spacer {
            text.push_str(if after_wide { "" } else { "⟨⟩" });
        } else {
            let looks = style(cell.style, &cell.link);
            if looks != now {
                text.push_str(&format!("‹{looks}›"));
                now = looks;
            }
            match (cell.text.as_str(), cell.width) {
                ("", _) => text.push('␀'),
                (glyph, 0) => text.push_str(&format!("⟨{glyph}⟩")),
                (glyph, 2) => text.push_str(&format!("{glyph}»")),
                (glyph, _) => text.push_str(glyph),
            }
        }
        after_wide = cell.width == 2;
    }
    text
}

fn color(color: Color) -> String {
    match color {
        Color::Default => String::new(),
        Color::Palette(index) => index.to_string(),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn style(style: Style, link: &str) -> String {
    let names = [
        (flag::BOLD, 'b'),
        (flag::DIM, 'd'),
        (flag::ITALIC, 'i'),
        (flag::BLINK, 'k'),
        (flag::INVERSE, 'v'),
        (flag::HIDDEN, 'h'),
        (flag::STRIKE, 's'),
        (flag::OVERLINE, 'o'),
        (flag::PROTECTED, 'p'),
    ];
    let flags: String =
        names.iter().filter(|(bit, _)| style.flags & bit != 0).map(|(_, name)| *name).collect();
    let line = match style.underline {
        0 => String::new(),
        underline => format!("u{underline}{}", color(style.underline_color)),
    };
    let mut text = format!("{}/{}", color(style.fg), color(style.bg));
    for part in [flags.as_str(), &line, link] {
        if !part.is_empty() {
            text.push(' ');
            text.push_str(part);
        }
    }
    if text == "/" { String::new() } else { text }
}

fn region((top, bottom): (usize, usize)) -> String {
    format!("{top}-{bottom}")
}

fn saved(saved: Option<&SavedState>) -> String {
    let Some(saved) = saved else { return "none".to_owned() };
    let (x, y) = saved.cursor;
    let origin = if saved.origin { " origin" } else { "" };
    let text = format!("{x},{y} ‹{}› {}{origin}", style(saved.pen, &saved.link), saved.charsets);
    if text == "0,0 ‹› BBBB0" { "none".to_owned() } else { text }
}

/// The modes that both know.
fn modes(state: &State) -> String {
    let modes = &state.modes;
    let mouse = match modes.mouse {
        Mouse::Off => "",
        Mouse::X10 => "9",
        Mouse::Vt200 => "1000",
        Mouse::Drag => "1002",
        Mouse::Any => "1003",
    };
    let encoding = match modes.mouse_encoding {
        MouseEncoding::Default | MouseEncoding::Utf8 | MouseEncoding::Urxvt => "",
        MouseEncoding::Sgr => "1006",
        MouseEncoding::SgrPixels => "1016",
    };
    let mut names = vec![mouse, encoding];
    let switches = [
        (modes.application_cursor, "1"),
        (modes.application_keypad, "66"),
        (modes.bracketed_paste, "2004"),
        (modes.origin, "6"),
        (modes.reverse_wrap, "45"),
        (modes.focus_events, "1004"),
        (modes.synchronized_output, "2026"),
        (modes.autowrap, "7"),
        (modes.insert, "i4"),
        (modes.new_line, "i20"),
        (modes.cursor_blink, "12"),
        (modes.cursor_visible, "25"),
        (modes.alternate_screen, "alternate"),
    ];
    names.extend(switches.iter().filter(|(on, _)| *on).map(|(_, name)| *name));
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.join(" ")
}

/// The first difference, in words.
pub fn difference(got: &Seen, expected: &Seen) -> Option<String> {
    let lists = [
        ("row", &got.rows, &expected.rows),
        ("hidden row", &got.hidden, &expected.hidden),
        ("scrollback line", &got.scrollback, &expected.scrollback),
    ];
    for (name, got, expected) in lists {
        if got.len() != expected.len() {
            return Some(format!(
                "{} {name}s, expected {}: {got:?}, expected {expected:?}",
                got.len(),
                expected.len()
            ));
        }
        for (y, (got, expected)) in got.iter().zip(expected).enumerate() {
            if got != expected {
                return Some(format!("{name} {y}\n  got      {got:?}\n  expected {expected:?}"));
            }
        }
    }
    let singles = [
        ("wrapped", &got.wrapped, &expected.wrapped),
        ("hidden wrapped", &got.hidden_wrapped, &expected.hidden_wrapped),
        ("cursor", &got.cursor, &expected.cursor),
        ("pen", &got.pen, &expected.pen),
        ("modes", &got.modes, &expected.modes),
        ("region", &got.region, &expected.region),
        ("saved", &got.saved, &expected.saved),
        ("charsets", &got.charsets, &expected.charsets),
        ("tabs", &got.tabs, &expected.tabs),
        ("title", &got.title, &expected.title),
        ("shape", &got.shape, &expected.shape),
        ("colors", &got.colors, &expected.colors),
    ];
    let found = singles.into_iter().find(|(_, got, expected)| got != expected);
    found.map(|(name, got, expected)| format!("{name}: {got:?}, expected {expected:?}"))
}
