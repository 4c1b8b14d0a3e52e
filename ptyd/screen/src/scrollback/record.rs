//! A packed row: how it is written and read.

use std::borrow::Cow;

use crate::cell::{Cell, Packed, WIDE, ZERO};
use crate::clusters::Clusters;
use crate::row::RowRef;
use crate::style::{Color, Style};
use crate::styles::Styles;
use crate::width::columns as width;

/// Flag: the row goes on with the row before.
pub(crate) const WRAPPED: u8 = 1;
/// Flag: runs of styles stand before the text.
const RUNS: u8 = 2;
/// The next row goes on with it, so that it is kept to its whole width.
const GOES_ON: u8 = 4;
/// In a text: a mark follows that stands alone.
const ALONE: char = '\u{1}';

/// A row as it was packed.
#[derive(Debug)]
pub(crate) struct Record {
    /// All its bytes in the memory.
    pub(crate) len: u64,
    pub(crate) body: Vec<u8>,
}

/// A cell of a packed row: its base (NUL: nothing was printed), whether it stands for itself, its marks, its style.
pub(crate) struct PackedCell<'a> {
    pub(crate) text: &'a str,
    pub(crate) flags: u16,
    pub(crate) style: Style,
}

/// What there is to be known about a row's cells without looking at them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) cells: usize,
    /// Cells up to the last one on which something was printed.
    pub(crate) printed: usize,
    /// Its first character is a wide one.
    pub(crate) begins_wide: bool,
    /// What lies behind the last cell, if nothing was printed there.
    pub(crate) nothing_last: Option<Style>,
}

impl Record {
    pub(crate) fn wrapped(&self) -> bool {
        self.body.first().is_some_and(|flags| flags & WRAPPED != 0)
    }

    /// Whether the next row went on with it when it was packed.
    pub(crate) fn goes_on(&self) -> bool {
        self.body.first().is_some_and(|flags| flags & GOES_ON != 0)
    }

    /// Whether some cell of it has another style than the default one.
    pub(crate) fn has_styles(&self) -> bool {
        self.body.first().is_some_and(|flags| flags & RUNS != 0)
    }

    /// Its text, if it is printable ASCII in the default style from the first column to the last.
    pub(crate) fn plain(&self) -> Option<&str> {
        let (flags, text) = self.body.split_first()?;
        let plain = flags & RUNS == 0 && text.iter().all(|byte| (0x20..0x7F).contains(byte));
        str::from_utf8(text).ok().filter(|_| plain)
    }

    /// Its runs of styles, and its text: what was overwritten since by a worker that was killed may be anything.
    fn parts(&self) -> (Runs<'_>, Cow<'_, str>) {
        let (flags, mut rest) = self.body.split_first().map_or((0, &[][..]), |(flags, rest)| (*flags, rest));
        let mut left = if flags & RUNS == 0 { 0 } else { take_varint(&mut rest).min(1000) };
        let runs = Runs { left, bytes: rest };
        while left > 0 {
            take_varint(&mut rest);
            take_style(&mut rest);
            left -= 1;
        }
        (runs, String::from_utf8_lossy(rest))
    }

    /// What there is to be known about its cells.
    pub(crate) fn shape(&self) -> Shape {
        let mut shape = Shape { cells: 0, printed: 0, begins_wide: false, nothing_last: None };
        let (runs, text) = self.parts();
        if text.bytes().all(|byte| byte < 0x80 && char::from(byte) != ALONE) {
            shape.cells = text.len();
            shape.printed = text.bytes().rposition(|byte| byte != 0).map_or(0, |last| last + 1);
            if shape.printed < shape.cells {
                let mut cells = 0;
                let last = runs.into_iter().find(|(more, _)| {
                    cells += more;
                    cells >= shape.cells
                });
                shape.nothing_last = Some(last.map_or_else(Style::default, |(_, style)| style.erased()));
            }
            return shape;
        }
        self.each(|cell| {
            shape.begins_wide |= shape.cells == 0 && cell.flags == WIDE;
            shape.cells += 1;
            let nothing = cell.text == "\0" && cell.flags != ZERO;
            shape.nothing_last = nothing.then(|| cell.style.erased());
            if !nothing {
                shape.printed = shape.cells;
            }
        });
        shape
    }

    /// Hands out the row's cells, left to right; the right half of a wide character comes by itself.
    pub(crate) fn each(&self, mut take: impl FnMut(PackedCell<'_>)) {
        let (mut runs, text) = self.parts();
        let (mut style, mut same) = (Style::default(), 0);
        let mut next_style = || {
            while same == 0 {
                (same, style) = runs.next().unwrap_or((usize::MAX, Style::default()));
            }
            same -= 1;
            style
        };
        if text.bytes().all(|byte| byte < 0x80 && char::from(byte) != ALONE) {
            for at in 0..text.len() {
                take(PackedCell { text: &text[at..=at], flags: 0, style: next_style() });
            }
            return;
        }
        let mut rest: &str = &text;
        while let Some(first) = rest.chars().next() {
            let alone = first == ALONE;
            let start = if alone { first.len_utf8() } else { 0 };
            let base = rest[start..].chars().next().unwrap_or('\0');
            let marks = rest[start..].char_indices().skip(1).find(|(_, mark)| !is_mark(*mark));
            let end = marks.map_or(rest.len(), |(at, _)| start + at);
            let style = next_style();
            let flags = match (alone, width(base)) {
                (true, _) => ZERO,
                (false, 2) => WIDE,
                (false, _) => 0,
            };
            take(PackedCell { text: &rest[start..end], flags, style });
            if flags == WIDE {
                let style = next_style();
                take(PackedCell { text: "\0", flags: ZERO, style });
            }
            rest = &rest[end..];
        }
    }
}

/// The runs of a row: how many cells have which style.
#[derive(Clone, Copy)]
struct Runs<'a> {
    left: u64,
    bytes: &'a [u8],
}

impl Iterator for Runs<'_> {
    type Item = (usize, Style);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let cells = take_varint(&mut self.bytes);
        Some((usize::try_from(cells).unwrap_or(0).min(1000), take_style(&mut self.bytes)))
    }
}

fn is_mark(character: char) -> bool {
    character >= '\u{300}' && width(character) == 0
}

/// Packs a row into `to`, flags first. What was never printed at its end is left out, but not where the next row goes on
/// with it.
pub(crate) fn encode(row: RowRef<'_>, goes_on: bool, styles: &Styles, clusters: &Clusters, to: &mut Vec<u8>) {
    let (cells, rest) = row.parts();
    let len = if goes_on { row.cols() } else { row.used() };
    let (cells, behind) = (&cells[..cells.len().min(len)], len.saturating_sub(cells.len()));
    to.push(u8::from(row.wrapped) * WRAPPED + u8::from(goes_on) * GOES_ON);
    let rest = if behind > 0 { rest } else { Cell::default() };
    let all = Packed::any(cells, Packed::new(rest));
    if all.style() != 0 {
        to[0] |= RUNS;
        encode_runs(cells, (behind, rest), styles, to);
    }
    if all.is_ascii() {
        to.extend(cells.iter().map(|cell| cell.byte()));
    } else {
        encode_text(cells, clusters, to);
    }
    to.resize(to.len() + behind, Packed::new(rest).byte());
}

/// Packs a row of which there is the text, and how many cells have which style.
pub(crate) fn encode_text_with_runs(
    [wrapped, goes_on]: [bool; 2],
    runs: &[(usize, u16)],
    text: &[u8],
    styles: &Styles,
    to: &mut Vec<u8>,
) {
    to.push(u8::from(wrapped) * WRAPPED + u8::from(goes_on) * GOES_ON);
    if runs.iter().any(|(_, style)| *style != 0) {
        to[0] |= RUNS;
        put_varint(to, runs.len() as u64);
        for (cells, style) in runs {
            put_varint(to, *cells as u64);
            put_style(to, styles.get_ref(*style));
        }
    }
    to.extend_from_slice(text);
}

fn encode_runs(cells: &[Packed], (behind, rest): (usize, Cell), styles: &Styles, to: &mut Vec<u8>) {
    // Their count comes first: there are mostly few enough for a byte.
    let counted = to.len();
    to.push(0);
    let mut runs = 0_u64;
    let mut put = |to: &mut Vec<u8>, len: usize, style: u16| {
        runs += 1;
        put_varint(to, len as u64);
        put_style(to, styles.get_ref(style));
    };
    let (mut start, mut style) = (0, cells.first().map_or(rest.style, |first| first.style()));
    for (at, cell) in cells.iter().enumerate() {
        if cell.style() != style {
            put(to, at - start, style);
            (start, style) = (at, cell.style());
        }
    }
    if behind > 0 && style != rest.style {
        put(to, cells.len() - start, style);
        (start, style) = (cells.len(), rest.style);
    }
    put(to, cells.len() + behind - start, style);
    match u8::try_from(runs) {
        Ok(few @ ..0x80) => to[counted] = few,
        _ => {
            let mut count = Vec::new();
            put_varint(&mut count, runs);
            to.splice(counted..=counted, count);
        }
    }
}

fn encode_text(cells: &[Packed], clusters: &Clusters, to: &mut Vec<u8>) {
    let mut text = String::new();
    // As far as characters go that are no clusters.
    to.reserve(4 * cells.len());
    for packed in cells {
        if packed.is_ascii() {
            to.push(packed.byte());
            continue;
        }
        let cell = packed.cell();
        if cell.is_spacer() {
            continue;
        }
        if to.len() > super::MAX_BODY_BYTES {
            break;
        }
        if cell.flags == ZERO {
            to.push(ALONE as u8);
        }
        match char::from_u32(cell.glyph) {
            Some(character) => to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {
                text.clear();
                clusters.push_text(cell.glyph, &mut text);
                to.extend_from_slice(text.as_bytes());
            }
        }
    }
}

pub(crate) fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    to.push((value & 0x7F) as u8);
}

pub(crate) fn take_varint(from: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let Some((byte, rest)) = from.split_first() else { return value };
        *from = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

pub(crate) fn put_style(to: &mut Vec<u8>, style: &Style) {
    let kind = |color: Color| match color {
        Color::Default => 0,
        Color::Palette(_) => 1,
        Color::Rgb(..) => 2_u8,
    };
    let colors = [style.fg, style.bg, style.underline_color];
    let kinds =
        kind(colors[0]) | kind(colors[1]) << 2 | kind(colors[2]) << 4 | u8::from(style.link != 0) << 6;
    put_varint(to, u64::from(style.flags) << 3 | u64::from(style.underline));
    if kinds & 0b0111_1110 == 0 {
        // What there is most of: at most a palette colour, of the text.
        return match style.fg {
            Color::Palette(index) => to.extend_from_slice(&[kinds, index]),
            Color::Default | Color::Rgb(..) => to.push(kinds),
        };
    }
    to.push(kinds);
    for color in colors {
        match color {
            Color::Default => {}
            Color::Palette(index) => to.push(index),
            Color::Rgb(r, g, b) => to.extend_from_slice(&[r, g, b]),
        }
    }
    if style.link != 0 {
        put_varint(to, u64::from(style.link));
    }
}

pub(crate) fn take_style(from: &mut &[u8]) -> Style {
    let flags = take_varint(from);
    let mut byte = || {
        let (first, rest) = from.split_first().map_or((0, *from), |(first, rest)| (*first, rest));
        *from = rest;
        first
    };
    let kinds = byte();
    let mut color = |shift: u8| match kinds >> shift & 3 {
        1 => Color::Palette(byte()),
        2 => Color::Rgb(byte(), byte(), byte()),
        _ => Color::Default,
    };
    let (fg, bg, underline_color) = (color(0), color(2), color(4));
    let link = if kinds & 0x40 != 0 { u16::try_from(take_varint(from)).unwrap_or(0) } else { 0 };
    let underline = u8::try_from(flags & 7).unwrap_or(0).min(5);
    Style { fg, bg, underline_color, flags: u16::try_from(flags >> 3).unwrap_or(0) & 0x1FF, underline, link }
}

impl PackedCell<'_> {
    /// The cell for a screen with these tables.
    pub(crate) fn to_cell(&self, style: u16, clusters: &mut Clusters) -> Cell {
        let mut characters = self.text.chars();
        let base = characters.next().unwrap_or('\0');
        let glyph = if characters.next().is_none() {
            u32::from(base)
        } else {
            clusters.number(self.text).unwrap_or(u32::from(base))
        };
        Cell { glyph, style, flags: self.flags }
    }
}
