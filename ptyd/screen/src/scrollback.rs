//! Rows that have left the screen at its top, packed, in memory of the caller's: a ring of records, each about as long as
//! its text. A record needs nothing else to be read, except links, which are numbers in the screen's table.
//!
//! ```text
//! length u16 | flags u8 (1: goes on with the row before, 2: has runs, 4: the next one goes on with it) | runs | text | length u16     little-endian
//! ```
//! In the text a NUL is a place where nothing was printed, and U+0001 stands before a mark without a base.

mod record;
mod widths;

pub(crate) use record::{
    PackedCell, Record, Shape, encode, encode_text_with_runs, put_style, put_varint, take_style, take_varint,
};
pub(crate) use widths::Widths;

/// What keeps a record whole beside its body: both lengths and the flags.
const FRAME_BYTES: usize = 5;
/// Longest body of a record; what a row has beyond it is lost when it leaves the screen.
pub(crate) const MAX_BODY_BYTES: usize = 60_000;

/// Rows of a line that are laid out to find where it ends. Of a longer one the end alone, as if it began with a row.
const MAX_ROWS_LAID_OUT: usize = 64;

/// The packed rows. Everything but the bytes themselves is in [`Position`].
#[derive(Debug)]
pub(crate) struct Scrollback<M> {
    memory: M,
    max_rows: u32,
    pub(crate) position: Position,
    pub(crate) widths: Widths,
    /// The end when the position was written down last, and the lowest one since.
    noted_end: u64,
    low: u64,
}

/// Where the rows lie in the memory: what has to be known beside it to go on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Position {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) rows: u32,
    /// Lines whose first row was dropped at the old end.
    pub(crate) lines_dropped: u64,
    /// Lines whose first row is here.
    pub(crate) lines: u64,
}

impl Position {
    /// The same without its rows; line numbers go on.
    pub(crate) const fn without_rows(self) -> Self {
        let lines_dropped = self.lines_dropped + self.lines;
        Self { start: self.end, end: self.end, rows: 0, lines_dropped, lines: 0 }
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Scrollback<M> {
    pub(crate) fn new(memory: M, max_rows: u32) -> Self {
        let (position, widths) = (Position::default(), Widths::default());
        Self { memory, max_rows, position, widths, noted_end: 0, low: 0 }
    }

    /// Goes on with what lies in the memory. Rows that were appended since, in place of the oldest, are to be appended again: what
    /// is left is what they leave.
    pub(crate) fn restore(memory: M, max_rows: u32, position: Position, widths: Widths) -> Self {
        let (noted_end, low) = (position.end, position.end);
        let mut scrollback = Self { memory, max_rows, position, widths, noted_end, low };
        let room = scrollback.capacity();
        if position.start > position.end || position.end - position.start > room {
            scrollback.clear();
        }
        scrollback.keep_whole();
        scrollback
    }

    /// The rows as they are, in memory of their own: no more of it than they take.
    pub(crate) fn copy(&self) -> Scrollback<Vec<u8>> {
        let Position { start, end, .. } = self.position;
        let memory = if start < end { self.read(start, crate::as_usize(end - start)) } else { Vec::new() };
        let position = Position { start: 0, end: end - start, ..self.position };
        let (noted_end, low) = (position.end, position.end);
        Scrollback {
            memory,
            max_rows: self.max_rows,
            position,
            widths: self.widths.moved(start),
            noted_end,
            low,
        }
    }

    /// None of the rows; line numbers go on.
    pub(crate) fn copy_without_rows(&self) -> Scrollback<Vec<u8>> {
        let mut copy = Scrollback::new(Vec::new(), self.max_rows);
        copy.position = Position { start: 0, end: 0, ..self.position.without_rows() };
        copy
    }

    pub(crate) fn memory(&self) -> &[u8] {
        self.memory.as_ref()
    }

    pub(crate) fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut()
    }

    pub(crate) fn into_memory(self) -> M {
        self.memory
    }

    /// The position, for somebody to go on from.
    pub(crate) fn note_position(&mut self) -> Position {
        (self.noted_end, self.low) = (self.position.end, self.position.end);
        self.position
    }

    /// Whether bytes before the position noted last may have been overwritten.
    pub(crate) fn is_rewound(&self) -> bool {
        self.low < self.noted_end
    }

    /// Drops all rows; line numbers go on.
    pub(crate) fn clear(&mut self) {
        self.position = self.position.without_rows();
        self.widths = Widths::default();
    }

    /// Appends a row's body, with its flags in front.
    pub(crate) fn push(&mut self, body: &[u8]) {
        let len = body.len() + FRAME_BYTES - 1;
        let Ok(short) = u16::try_from(len) else { return };
        if self.capacity() < len as u64 || self.max_rows == 0 {
            return;
        }
        while self.position.rows >= self.max_rows
            || self.position.end - self.position.start + len as u64 > self.capacity()
        {
            self.drop_oldest();
        }
        let short = short.to_le_bytes();
        let memory = self.memory.as_mut();
        let at = crate::as_usize(self.position.end % memory.len() as u64);
        if let Some(room) = memory.get_mut(at..at + len) {
            room[..2].copy_from_slice(&short);
            room[2..len - 2].copy_from_slice(body);
            room[len - 2..].copy_from_slice(&short);
        } else {
            let end = self.position.end;
            self.write(end, &short);
            self.write(end + 2, body);
            self.write(end + 2 + body.len() as u64, &short);
        }
        self.position.end += len as u64;
        self.position.rows += 1;
        self.position.lines += u64::from(body.first().is_some_and(|flags| flags & record::WRAPPED == 0));
    }

    /// The screen has a new width, and with it the rows that are here. Those that leave it from now on have had none before.
    pub(crate) fn note_width(&mut self, cols: u16) {
        self.widths.forget_before(self.position.start);
        if self.position.rows > 0 {
            self.widths.note(self.position.end, cols);
        }
    }

    /// Rows were taken back.
    pub(crate) fn note_taken_back(&mut self) {
        self.widths.keep_to(self.position.end);
    }

    /// Takes the newest row back, with what is behind its text as it is now; `goes_on`: another row goes on with it. It may have
    /// ended a line until the rows between were taken out.
    pub(crate) fn take_back(&mut self, goes_on: bool) -> Option<Record> {
        let mut record = self.pop()?;
        if !(goes_on && record.goes_on()) {
            self.widths.cut(&mut record, self.position.end);
        }
        Some(record)
    }

    /// Takes the newest row back, which another one of its line goes on with that was taken back before.
    pub(crate) fn pop(&mut self) -> Option<Record> {
        let record = self.newest_before(self.position.end)?;
        self.position.end -= record.len;
        self.low = self.low.min(self.position.end);
        self.position.rows -= 1;
        self.position.lines -= u64::from(!record.wrapped()).min(self.position.lines);
        Some(record)
    }

    /// Makes the newest row end where a row of `cols` columns does, if a row comes that goes on with it and did not do so when
    /// it was packed.
    pub(crate) fn fill_newest(&mut self, cols: usize) {
        let newest = self.newest_before(self.position.end);
        let Some(mut newest) = newest.filter(|record| !record.goes_on()) else { return };
        let (len, start) = (newest.body.len(), self.position.end - newest.len);
        self.widths.cut(&mut newest, start);
        let was_cut = newest.body.len() < len;
        let shape = newest.shape();
        // In the text each of them is a byte.
        let nothing = shape.cells - shape.printed;
        let mut line = Vec::new();
        for record in self.newest_first(false).take(MAX_ROWS_LAID_OUT) {
            let begins = !record.wrapped();
            line.push(record);
            if begins {
                break;
            }
        }
        let x = end_column(&line, nothing, cols);
        if (was_cut || nothing != cols - x) && self.pop().is_some() {
            let mut body = newest.body;
            body.truncate(body.len() - nothing);
            body.resize(body.len() + cols - x, 0);
            self.push(&body);
            self.note_taken_back();
        }
    }

    /// Bytes that the newest `lines` lines take, counted until they are more than `most`.
    pub(crate) fn newest_bytes(&self, lines: u64, most: u64) -> u64 {
        let Position { start, end, .. } = self.position;
        let (mut at, mut begun) = (end, 0);
        while begun < lines && end - at <= most && at >= start + FRAME_BYTES as u64 {
            let len = u64::from(self.short(at - 2));
            if len < FRAME_BYTES as u64 || len > at - start {
                break;
            }
            at -= len;
            begun += u64::from(self.flags(at) & record::WRAPPED == 0);
        }
        end - at
    }

    /// Rows from the newest to the oldest; `goes_on`: the screen's first row goes on with the newest.
    pub(crate) fn newest_first(&self, mut goes_on: bool) -> impl Iterator<Item = Record> + '_ {
        let mut end = self.position.end;
        std::iter::from_fn(move || {
            let mut record = self.newest_before(end)?;
            let is_newest = end == self.position.end;
            end -= record.len;
            // The newest may have ended a line until the rows between were taken out. Others that did were filled.
            let ends = !std::mem::replace(&mut goes_on, record.wrapped());
            if ends || (is_newest && !record.goes_on()) {
                self.widths.cut(&mut record, end);
            }
            Some(record)
        })
    }

    fn newest_before(&self, end: u64) -> Option<Record> {
        if end < self.position.start + FRAME_BYTES as u64 {
            return None;
        }
        let len = u64::from(self.short(end - 2));
        if len < FRAME_BYTES as u64 || len > end - self.position.start {
            return None;
        }
        let start = end - len;
        let body = self.read(start + 2, crate::as_usize(len) - 4);
        (u64::from(self.short(start)) == len).then_some(Record { len, body })
    }

    /// Keeps the rows that are whole behind the last one that is not. Some may be new ones that lie where old ones did, right behind
    /// each other: they go first, and of lines there are as many as before, dropped or not.
    fn keep_whole(&mut self) {
        let Position { start, end, rows, lines, lines_dropped } = self.position;
        let all = lines_dropped + lines;
        let (mut whole, mut begin, mut at) = (0, 0, end);
        while whole < rows && at >= start + FRAME_BYTES as u64 {
            let len = u64::from(self.short(at - 2));
            if len < FRAME_BYTES as u64 || len > at - start || u64::from(self.short(at - len)) != len {
                break;
            }
            let begins = begin + u64::from(self.flags(at - len) & record::WRAPPED == 0);
            if begins > all {
                break;
            }
            (at, whole, begin) = (at - len, whole + 1, begins);
        }
        let lines_dropped = all - begin;
        self.position = Position { start: at, end, rows: whole, lines_dropped, lines: begin };
    }

    fn drop_oldest(&mut self) {
        let held = self.position.end - self.position.start;
        let len = u64::from(self.short(self.position.start));
        if held == 0 || len < FRAME_BYTES as u64 || len > held || self.position.rows == 0 {
            return self.clear();
        }
        let flags = self.flags(self.position.start);
        let begins = u64::from(flags & record::WRAPPED == 0).min(self.position.lines);
        self.position.start += len;
        self.position.rows -= 1;
        self.position.lines -= begins;
        self.position.lines_dropped += begins;
    }

    /// The flags of the record that begins at `at`.
    fn flags(&self, at: u64) -> u8 {
        self.short(at + 2).to_le_bytes()[0]
    }

    fn capacity(&self) -> u64 {
        self.memory.as_ref().len() as u64
    }

    fn short(&self, at: u64) -> u16 {
        let memory = self.memory.as_ref();
        let first = crate::as_usize(at % memory.len() as u64);
        let second = if first + 1 == memory.len() { 0 } else { first + 1 };
        u16::from_le_bytes([memory[first], memory[second]])
    }

    fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let memory = self.memory.as_ref();
        let index = crate::as_usize(at % memory.len() as u64);
        let first = len.min(memory.len() - index);
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&memory[index..index + first]);
        bytes.extend_from_slice(&memory[..len - first]);
        bytes
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        let memory = self.memory.as_mut();
        let index = crate::as_usize(at % memory.len() as u64);
        let first = bytes.len().min(memory.len() - index);
        memory[index..index + first].copy_from_slice(&bytes[..first]);
        memory[..bytes.len() - first].copy_from_slice(&bytes[first..]);
    }
}

/// The column behind a line, given newest row first and without its last `nothing` places, on a screen of `cols` columns.
fn end_column(line: &[Record], nothing: usize, cols: usize) -> usize {
    let mut x = 0;
    for (index, record) in line.iter().enumerate().rev() {
        let shape = record.shape();
        let narrow = shape.nothing_last.is_some() && index > 0 && line[index - 1].shape().begins_wide;
        let told = shape.cells - if index == 0 { nothing } else { usize::from(narrow) };
        let mut at = 0;
        record.each(|cell| {
            at += 1;
            if at > told || (cell.text == "\0" && cell.flags == crate::cell::ZERO) {
                return;
            }
            let columns = if cell.flags == crate::cell::WIDE { 2 } else { 1 };
            x = if x + columns > cols { columns } else { x + columns };
        });
    }
    x
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 600;

    fn body(text: &[u8], wrapped: bool) -> Vec<u8> {
        let flags = if wrapped { record::WRAPPED } else { 0 };
        [&[flags][..], text].concat()
    }

    fn rows() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let text = proptest::collection::vec(b'a'..=b'z', 0..40);
        proptest::collection::vec(
            (text, any::<bool>()).prop_map(|(text, wrapped)| body(&text, wrapped)),
            0..60,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// The story: once the memory was full, what a worker had appended since its last checkpoint lay over the oldest rows, and
        /// the next worker lost nearly all of them.
        #[test]
        fn who_goes_on_from_an_earlier_position_comes_to_the_same(before in rows(), after in rows(), max_rows in 1..30_u32) {
            let mut live = Scrollback::new(vec![0; ROOM], max_rows);
            before.iter().for_each(|row| live.push(row));
            let noted = live.note_position();
            after.iter().for_each(|row| live.push(row));
            let mut next = Scrollback::restore(live.memory().to_vec(), max_rows, noted, Widths::default());
            after.iter().for_each(|row| next.push(row));
            prop_assert_eq!(next.position, live.position);
            let bodies = |scrollback: &Scrollback<Vec<u8>>| -> Vec<Vec<u8>> {
                scrollback.newest_first(false).map(|record| record.body).collect()
            };
            prop_assert_eq!(bodies(&next), bodies(&live));
            prop_assert_eq!(bodies(&next).len(), live.position.rows as usize);
        }
    }
}
