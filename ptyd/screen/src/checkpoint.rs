//! Everything a screen is beside its scrollback, as bytes, for whoever goes on with it after this process. Compact, since
//! it is written often; read with bounds, since a process that was killed may have left anything.

mod rows;

use self::rows::{Tables, Writer};
use crate::allowance::Allowance;
use crate::charset::{Charset, Charsets};
use crate::grid::Grid;
use crate::links::{self, MAX_LINKS};
use crate::margins::{AT_MARGIN, Margins};
use crate::modes::{Modes, Mouse, MouseEncoding};
use crate::row::Row;
use crate::screen::{MAX_KEYBOARD_STACK, MAX_TITLES, Saved, Screen, Side};
use crate::scrollback::{
    Position, Record, Scrollback, Widths, put_style, put_varint, take_style, take_varint,
};
use crate::size::Size;
use crate::style::Style;
use crate::tabs::Tabs;

const VERSION: u8 = 5;
/// Of releases that had no left and right margins: theirs are read too.
const VERSION_WITHOUT_MARGINS: u8 = 4;
/// Of releases that kept what DECSC saved on the screen, and no widths: theirs are read too.
const VERSION_OF_SAVED_ON_SCREEN: u8 = 3;
/// Of releases that packed each row for itself, as scrollback does: theirs are read too.
const VERSION_OF_PACKED_ROWS: u8 = 2;
/// Titles that earlier releases kept: of more than there are now the newest stay.
const TITLES_THERE_WERE: usize = 16;
/// Titles and directory, colours, modes, widths and all that is smaller, of both screens.
const MOST_BESIDE_ROWS_BYTES: usize = 80 << 10;
/// Modes as bits, in this order; appended to, never changed. The last is not known to [`Modes`], and never set.
const MODES: [u16; 14] = [1, 5, 6, 7, 12, 25, 45, 66, 1004, 1007, 2004, 2026, 2027, 2031];

/// How much of what a screen shows is written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Detail {
    /// All of it.
    Whole,
    /// No links.
    WithoutLinks,
    /// The characters alone: neither looks nor marks.
    Plain,
}

impl Detail {
    /// From the most to the least.
    pub const ALL: [Self; 3] = [Self::Whole, Self::WithoutLinks, Self::Plain];

    fn of(self, style: Style) -> Style {
        if self == Self::Whole { style } else { Style { link: 0, ..style } }
    }
}

/// Most bytes that a checkpoint of a screen with so many rows and columns takes.
pub const fn max_checkpoint_bytes(rows: usize, cols: usize) -> usize {
    let side = rows * (rows::MOST_ROW_BYTES + cols * rows::MOST_CELL_BYTES) + cols / 8;
    2 * side + rows::MOST_TABLES_BYTES + MAX_LINKS * links::MOST_BYTES + MOST_BESIDE_ROWS_BYTES
}

/// A checkpoint cannot be used. The memory comes back.
pub struct RestoreError<M> {
    /// The scrollback's memory.
    pub scrollback: M,
}

impl<M> std::fmt::Debug for RestoreError<M> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("RestoreError")
    }
}

impl<M> std::fmt::Display for RestoreError<M> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("the checkpoint is not one of this release, or damaged")
    }
}

impl<M> std::error::Error for RestoreError<M> {}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// Everything but the scrollback's bytes, and but a sequence or character that is begun: to be called where the screen is
    /// at rest ([`Screen::is_at_rest`]). Of a sequence that is begun nevertheless, the rest will do nothing.
    pub fn checkpoint(&mut self) -> Vec<u8> {
        self.checkpoint_in(Detail::Whole)
    }

    /// The same, with less on it.
    pub fn checkpoint_in(&mut self, detail: Detail) -> Vec<u8> {
        self.become_as_restored();
        let position = self.scrollback.note_position();
        self.write_down(position, detail)
    }

    /// What [`Screen::checkpoint_in`] would be after [`Screen::drop_scrollback`]: that is not done.
    pub fn checkpoint_without_scrollback(&mut self, detail: Detail) -> Vec<u8> {
        self.become_as_restored();
        self.write_down(self.scrollback.position.without_rows(), detail)
    }

    /// Who is restored owes nothing, and has no styles and clusters that nothing shows: so it can pay for as much as this one, and runs
    /// out of numbers when this one does.
    fn become_as_restored(&mut self) {
        self.do_owed_scrolls();
        self.collect();
    }

    fn write_down(&self, position: Position, detail: Detail) -> Vec<u8> {
        let mut to = vec![VERSION];
        for number in [self.size.rows(), self.size.cols()] {
            put_varint(&mut to, u64::from(number));
        }
        put_bytes(&mut to, self.parser.introducer());
        for number in
            [position.start, position.end, u64::from(position.rows), position.lines_dropped, position.lines]
        {
            put_varint(&mut to, number);
        }
        let widths = if position.rows > 0 { self.scrollback.widths.list() } else { &[] };
        put_varint(&mut to, widths.len() as u64);
        for (end, cols) in widths {
            put_varint(&mut to, position.end.saturating_sub(*end));
            put_varint(&mut to, u64::from(*cols));
        }
        put_modes(&mut to, &self.modes);
        put_style(&mut to, &detail.of(self.pen));
        put_charsets(&mut to, self.charsets);
        to.extend([self.cursor_style, u8::try_from(self.joins).unwrap_or(0)]);
        put_bytes(&mut to, self.title.as_bytes());
        put_list(&mut to, self.titles.iter().map(String::as_str));
        put_list(&mut to, self.cwd.iter().map(String::as_str));
        let links = if detail == Detail::Whole { self.links.list() } else { &[] };
        put_list(&mut to, links.iter().flat_map(|(url, id)| [url.as_str(), id.as_str()]));
        put_varint(&mut to, self.palette.len() as u64);
        for (index, (r, g, b)) in &self.palette {
            to.extend([*index, *r, *g, *b]);
        }
        for color in self.dynamic {
            let (r, g, b) = color.unwrap_or_default();
            to.extend([u8::from(color.is_some()), r, g, b]);
        }
        put_varint(&mut to, self.saved_modes.len() as u64);
        for (mode, on) in &self.saved_modes {
            put_varint(&mut to, u64::from(*mode) << 1 | u64::from(*on));
        }
        put_margins(&mut to, self.margins);
        self.allowance.numbers().into_iter().for_each(|number| put_varint(&mut to, number));
        let (mut sides, mut writer) = (Vec::new(), Writer::new(&self.styles, &self.clusters, detail));
        put_side(&mut sides, &self.side, &mut writer);
        sides.push(u8::from(self.other.is_some()));
        if let Some(other) = &self.other {
            put_side(&mut sides, other, &mut writer);
        }
        writer.put_tables(&mut to);
        to.append(&mut sides);
        to
    }

    /// Whether a checkpoint made before is no longer true to the scrollback: rows were taken back from there.
    pub fn checkpoint_due(&self) -> bool {
        self.scrollback.is_rewound()
    }

    /// The screen that [`Screen::checkpoint`] wrote down, to be fed with what came after it.
    pub fn restore(checkpoint: &[u8], scrollback: M, max_lines: u32) -> Result<Self, RestoreError<M>> {
        let mut screen = Self::new(Size::new(1, 2), scrollback, max_lines);
        match screen.take(checkpoint) {
            Some((position, widths)) => {
                let memory = screen.scrollback.into_memory();
                screen.scrollback = Scrollback::restore(memory, max_lines, position, widths);
                Ok(screen)
            }
            None => Err(RestoreError { scrollback: screen.into_scrollback() }),
        }
    }

    /// Reads what was written; none: it cannot have been written by [`Screen::checkpoint`].
    fn take(&mut self, checkpoint: &[u8]) -> Option<(Position, Widths)> {
        let mut from = Reader(checkpoint);
        let version = from.byte()?;
        if !(VERSION_OF_PACKED_ROWS..=VERSION).contains(&version) {
            return None;
        }
        let (rows, cols) = (from.short()?, from.short()?);
        self.size = Size::new(rows, cols);
        if (self.size.rows(), self.size.cols()) != (rows, cols) {
            return None;
        }
        let mut introducer = from.bytes(8)?;
        while !introducer.is_empty() {
            let (used, _) = self.parser.next(introducer);
            introducer = &introducer[used..];
        }
        let position = Position {
            start: from.number()?,
            end: from.number()?,
            rows: u32::try_from(from.number()?).ok()?,
            lines_dropped: from.number()?,
            lines: from.number()?,
        };
        let widths = match version {
            VERSION_OF_PACKED_ROWS | VERSION_OF_SAVED_ON_SCREEN => Widths::default(),
            _ => take_widths(&mut from, position)?,
        };
        self.modes = take_modes(&mut from)?;
        let pen = from.style();
        self.charsets = take_charsets(&mut from)?;
        self.cursor_style = from.byte()?.min(6);
        self.joins = u16::from(from.byte()?.min(3));
        self.title = from.text(4096)?;
        self.titles = from.list(TITLES_THERE_WERE)?;
        self.titles.drain(..self.titles.len().saturating_sub(MAX_TITLES));
        self.cwd = from.list(1)?.pop();
        let links = from.list(2 * MAX_LINKS)?;
        for pair in links.chunks_exact(2) {
            self.links.number(&pair[0], &pair[1]);
        }
        for _ in 0..from.count(256)? {
            self.palette.insert(from.byte()?, (from.byte()?, from.byte()?, from.byte()?));
        }
        for place in 0..3 {
            let set = from.byte()? == 1;
            let color = (from.byte()?, from.byte()?, from.byte()?);
            self.dynamic[place] = set.then_some(color);
        }
        for _ in 0..from.count(64)? {
            let saved = from.number()?;
            self.saved_modes.push((u16::try_from(saved >> 1).ok()?, saved & 1 == 1));
        }
        if version > VERSION_WITHOUT_MARGINS {
            self.margins = take_margins(&mut from, self.cols())?;
        }
        self.allowance = Allowance::from_numbers([from.number()?, from.number()?]);
        let tables = match version {
            VERSION_OF_PACKED_ROWS => None,
            _ => Some(Tables::take(&mut from, &mut self.styles, &mut self.clusters)?),
        };
        self.side = self.take_side(&mut from, version, tables.as_ref())?;
        self.other = match from.byte()? {
            0 => None,
            _ => Some(Box::new(self.take_side(&mut from, version, tables.as_ref())?)),
        };
        if self.modes.alternate_screen != self.other.is_some() {
            return None;
        }
        self.set_pen(pen);
        from.0.is_empty().then_some((position, widths))
    }

    /// `tables`: none where each row is packed for itself.
    fn take_side(&mut self, from: &mut Reader<'_>, version: u8, tables: Option<&Tables>) -> Option<Side> {
        let (rows, cols) = (self.rows(), self.cols());
        let mut side = Side::new(self.size);
        side.x = from.count(cols + AT_MARGIN)?;
        side.y = from.count(rows - 1)?;
        side.top = from.count(rows - 1)?;
        side.bottom = from.count(rows - 1)?;
        if side.top > side.bottom {
            return None;
        }
        side.saved = match version {
            VERSION_OF_PACKED_ROWS | VERSION_OF_SAVED_ON_SCREEN => {
                let saved = take_saved(from, cols, |from| Some(from.count(1000)?.cast_signed()))?;
                // Where nothing was saved, it was written as what is usual, at the first place.
                Some(saved).filter(|saved| *saved != Saved::default())
            }
            _ if from.byte()? == 0 => None,
            _ => Some(take_saved(from, cols, Reader::signed)?),
        };
        side.keyboard = from.bytes(MAX_KEYBOARD_STACK + 1)?.to_vec();
        let bits = from.take(cols.div_ceil(8))?;
        side.tabs = Tabs::from_bytes(bits, cols);
        let count = from.count(rows)?;
        if count != rows || side.keyboard.is_empty() {
            return None;
        }
        let mut grid = Vec::with_capacity(rows);
        for _ in 0..count {
            grid.push(match tables {
                Some(tables) => tables.take_row(from, cols)?,
                None => self.take_packed_row(from, cols)?,
            });
        }
        side.grid = Grid::from_rows(grid, cols);
        Some(side)
    }

    fn take_packed_row(&mut self, from: &mut Reader<'_>, cols: usize) -> Option<Row> {
        let record = Record { len: 0, body: from.bytes(1 << 17)?.to_vec() };
        let mut cells = Vec::with_capacity(cols);
        record.each(|cell| {
            if cells.len() < cols {
                let style = self.style_number(cell.style);
                cells.push(cell.to_cell(style, &mut self.clusters));
            }
        });
        Some(Row::from_cells(&cells, cols, record.wrapped()))
    }
}

fn put_side(to: &mut Vec<u8>, side: &Side, writer: &mut Writer<'_>) {
    for number in [side.x, side.y, side.top, side.bottom] {
        put_varint(to, number as u64);
    }
    to.push(u8::from(side.saved.is_some()));
    if let Some(saved) = &side.saved {
        put_varint(to, saved.x as u64);
        put_signed(to, saved.y);
        put_style(to, &writer.detail.of(saved.style));
        put_charsets(to, saved.charsets);
        to.push(u8::from(saved.origin));
    }
    put_bytes(to, &side.keyboard);
    to.extend(side.tabs.bytes());
    put_varint(to, side.grid.len() as u64);
    side.grid.rows().for_each(|row| writer.put_row(row, to));
}

/// Widths, whose places are counted from the end of the rows.
fn take_widths(from: &mut Reader<'_>, position: Position) -> Option<Widths> {
    let mut list = Vec::new();
    for _ in 0..from.count(1000)? {
        list.push((position.end.checked_sub(from.number()?)?, from.short()?));
    }
    Widths::from_list(list)
}

/// What was saved; `row` reads its row.
fn take_saved<'a>(
    from: &mut Reader<'a>,
    cols: usize,
    row: impl Fn(&mut Reader<'a>) -> Option<isize>,
) -> Option<Saved> {
    let (x, y) = (from.count(cols)?, row(from)?);
    let style = from.style();
    let charsets = take_charsets(from)?;
    Some(Saved { x, y, style, charsets, origin: from.byte()? == 1 })
}

/// The sign last, so that small numbers are short.
fn put_signed(to: &mut Vec<u8>, number: isize) {
    put_varint(to, (number.unsigned_abs() as u64) << 1 | u64::from(number < 0));
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn put_list<'a>(to: &mut Vec<u8>, list: impl Iterator<Item = &'a str> + Clone) {
    put_varint(to, list.clone().count() as u64);
    list.for_each(|text| put_bytes(to, text.as_bytes()));
}

fn put_charsets(to: &mut Vec<u8>, charsets: Charsets) {
    to.extend(charsets.sets.map(|set| set as u8));
    to.push(u8::try_from(charsets.active).unwrap_or(0));
}

fn take_charsets(from: &mut Reader<'_>) -> Option<Charsets> {
    let mut sets = [Charset::Ascii; 4];
    for set in &mut sets {
        *set = match from.byte()? {
            0 => Charset::Ascii,
            1 => Charset::Graphics,
            2 => Charset::British,
            _ => return None,
        };
    }
    Some(Charsets { sets, active: from.count(3)? })
}

/// Whether they can be set, and as many numbers as are.
fn put_margins(to: &mut Vec<u8>, margins: Margins) {
    to.extend([u8::from(margins.on), u8::from(margins.set.is_some())]);
    if let Some((left, right)) = margins.set {
        put_varint(to, left as u64);
        put_varint(to, right as u64);
    }
}

fn take_margins(from: &mut Reader<'_>, cols: usize) -> Option<Margins> {
    let (on, set) = (from.byte()? == 1, from.byte()? == 1);
    let set = if set { Some((from.count(cols - 1)?, from.count(cols - 1)?)) } else { None };
    let fits = set.is_none_or(|(left, right)| on && left < right);
    fits.then_some(Margins { on, set })
}

fn put_modes(to: &mut Vec<u8>, modes: &Modes) {
    let bits = MODES
        .iter()
        .enumerate()
        .fold(0_u64, |bits, (bit, mode)| bits | u64::from(modes.private(*mode) == Some(true)) << bit);
    put_varint(to, bits);
    let rest = [modes.insert, modes.new_line, modes.alternate_screen];
    to.push(rest.iter().enumerate().fold(0, |byte, (bit, on)| byte | u8::from(*on) << bit));
    to.extend([modes.mouse as u8, modes.mouse_encoding as u8, modes.modify_other_keys]);
}

fn take_modes(from: &mut Reader<'_>) -> Option<Modes> {
    let mut modes = Modes::default();
    let bits = from.number()?;
    for (bit, mode) in MODES.iter().enumerate() {
        let on = bits >> bit & 1 == 1;
        if *mode == 6 {
            modes.origin = on;
        } else {
            modes.set_private(*mode, on);
        }
    }
    let rest = from.byte()?;
    modes.insert = rest & 1 != 0;
    modes.new_line = rest & 2 != 0;
    modes.alternate_screen = rest & 4 != 0;
    modes.mouse = match from.byte()? {
        0 => Mouse::Off,
        1 => Mouse::X10,
        2 => Mouse::Vt200,
        3 => Mouse::Drag,
        4 => Mouse::Any,
        _ => return None,
    };
    modes.mouse_encoding = match from.byte()? {
        0 => MouseEncoding::Default,
        1 => MouseEncoding::Utf8,
        2 => MouseEncoding::Sgr,
        3 => MouseEncoding::Urxvt,
        4 => MouseEncoding::SgrPixels,
        _ => return None,
    };
    modes.modify_other_keys = from.byte()?.min(2);
    Some(modes)
}

/// Reads with bounds.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u64> {
        (!self.0.is_empty()).then(|| take_varint(&mut self.0))
    }

    fn signed(&mut self) -> Option<isize> {
        let number = self.number()?;
        let magnitude = isize::try_from(number >> 1).ok()?;
        Some(if number & 1 == 1 { -magnitude } else { magnitude })
    }

    fn short(&mut self) -> Option<u16> {
        u16::try_from(self.number()?).ok()
    }

    /// A number that is at most `most`.
    fn count(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= most)
    }

    fn bytes(&mut self, most: usize) -> Option<&'a [u8]> {
        let len = self.count(most)?;
        self.take(len)
    }

    fn text(&mut self, most: usize) -> Option<String> {
        String::from_utf8(self.bytes(most)?.to_vec()).ok()
    }

    fn list(&mut self, most: usize) -> Option<Vec<String>> {
        let count = self.count(most)?;
        (0..count).map(|_| self.text(8192)).collect()
    }

    fn style(&mut self) -> Style {
        take_style(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The story: the stack held 16 once, and a worker of today finds what one of then wrote down.
    #[test]
    fn of_more_titles_than_are_kept_the_newest_come_back() {
        let mut screen = Screen::new(Size::new(2, 10), vec![0; 1 << 10], 10);
        screen.titles = (0..TITLES_THERE_WERE).map(|number| format!("title {number}")).collect();
        let restored = Screen::restore(&screen.checkpoint(), screen.into_scrollback(), 10).unwrap();
        assert_eq!(restored.titles.len(), MAX_TITLES);
        assert_eq!(restored.titles[MAX_TITLES - 1], "title 15");
    }
}
