//! Takes a terminal's byte stream apart: text, controls, sequences. It knows what a sequence is, not what one means.
//!
//! The states are those of a VT500 (vt100.net/emu/dec_ansi_parser) with UTF-8 in front of them; C1 controls are taken as
//! the characters U+0080 to U+009F, as xterm.js does. Memory is bounded whatever comes.

mod params;
mod scan;
mod usual;

pub use params::Params;
use scan::{before_c1, may_begin_text, printable, printable_ascii};
pub(crate) use usual::Usual;

/// Payload bytes of a string that are kept; the rest is dropped. A clipboard of 100 KiB fits in base64.
pub const MAX_STRING_BYTES: usize = 160 << 10;
/// Intermediate bytes kept; a sequence with more means nothing to anybody.
const MAX_INTERMEDIATES: usize = 2;

/// Longest piece of text, in bytes, that is looked at as a whole where it is not all ASCII.
const MAX_MIXED_TEXT: usize = 256;

const CAN: u8 = 0x18;
const SUB: u8 = 0x1A;
const ESC: u8 = 0x1B;
const BEL: u8 = 0x07;

/// A piece of the stream.
#[derive(Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// Printable text without controls; never empty.
    Text(&'a str),
    /// The same where all of it is ASCII.
    Ascii(&'a [u8]),
    /// Malformed UTF-8, to be shown as one replacement character.
    Invalid,
    /// A C0 control or DEL, or a C1 control (0x80 to 0x9F). May come in the middle of a sequence, which then goes on.
    Control(u8),
    /// An escape sequence.
    Escape {
        /// Its intermediate bytes.
        intermediates: &'a [u8],
        /// Its last byte.
        final_byte: u8,
    },
    /// A control sequence.
    Csi(Sequence<'a>),
    /// A string with its terminator.
    String(StringSequence<'a>),
    /// All bytes were used, in the middle of something.
    Pending,
    /// A malformed or cancelled sequence ended here.
    Ignored,
    /// So did one that a character broke off which has no place in it, or a byte that is no UTF-8; that is gone with it. A terminal
    /// that drops such bytes before it looks at sequences goes on with it.
    Broken,
}

/// A control sequence, or the head of a device control string.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sequence<'a> {
    /// One of `<`, `=`, `>`, `?`.
    pub prefix: Option<u8>,
    /// Its numbers.
    pub params: &'a Params,
    /// Its intermediate bytes.
    pub intermediates: &'a [u8],
    /// Its last byte.
    pub final_byte: u8,
}

/// The kinds of strings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StringKind {
    /// Operating system command.
    Osc,
    /// Device control string.
    Dcs,
    /// Application program command.
    Apc,
    /// Privacy message.
    Pm,
    /// Start of string.
    Sos,
}

/// A string.
#[derive(Debug, Eq, PartialEq)]
pub struct StringSequence<'a> {
    /// What it is.
    pub kind: StringKind,
    /// The head of a device control string.
    pub head: Option<Sequence<'a>>,
    /// Its payload, as far as it was kept.
    pub payload: &'a [u8],
    /// More of it came than is kept.
    pub truncated: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Ground,
    Escape,
    EscapeIntermediate,
    CsiEntry,
    CsiParam,
    CsiIntermediate,
    CsiIgnore,
    DcsEntry,
    DcsParam,
    DcsIntermediate,
    DcsIgnore,
    String(StringKind),
}

/// What a step came to, before it borrows from the parser.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Emit {
    Nothing,
    Control(u8),
    Escape,
    Csi,
    String(StringKind),
    Ignored,
    Broken,
    /// A character of so many bytes.
    Character(usize),
    Invalid,
}

/// Takes a stream apart, in whatever pieces it comes.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    state: State,
    prefix: Option<u8>,
    params: Params,
    intermediates: [u8; MAX_INTERMEDIATES],
    intermediate_count: usize,
    final_byte: u8,
    /// Prefix and intermediates of the device control string that is being read: what ends it begins a sequence of its own.
    head: (Option<u8>, [u8; MAX_INTERMEDIATES], usize, u8),
    payload: Vec<u8>,
    truncated: bool,
    /// The first bytes of a UTF-8 character that is not whole yet.
    character: [u8; 4],
    character_len: usize,
}

impl Parser {
    /// A parser in ground state.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of memory it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.payload.capacity()
    }

    /// Whether it is between two sequences and two characters.
    pub fn is_ground(&self) -> bool {
        self.state == State::Ground && self.character_len == 0
    }

    /// What takes a terminal from ground state to where this parser is, to do nothing when the sequence ends; empty where
    /// there is nothing to be in.
    pub fn introducer(&self) -> &'static [u8] {
        match self.state {
            State::Ground | State::Escape | State::EscapeIntermediate => b"",
            State::CsiEntry | State::CsiParam | State::CsiIntermediate | State::CsiIgnore => b"\x1b[<",
            State::String(StringKind::Osc) => b"\x1b]",
            State::DcsEntry
            | State::DcsParam
            | State::DcsIntermediate
            | State::DcsIgnore
            | State::String(StringKind::Dcs) => b"\x1bPz",
            State::String(StringKind::Apc | StringKind::Pm | StringKind::Sos) => b"\x1b_",
        }
    }

    /// Takes the next piece off the front of `bytes` (not empty): how many bytes it used, and what they were.
    pub fn next<'a>(&'a mut self, bytes: &'a [u8]) -> (usize, Event<'a>) {
        match self.usual(bytes) {
            Usual::Ascii(len) => return (len, Event::Ascii(&bytes[..len])),
            Usual::Control(byte) => return (1, Event::Control(byte)),
            Usual::Csi(len, prefix, last) => return (len, Event::Csi(self.usual_sequence(prefix, last))),
            Usual::Other => {}
        }
        let mut used = 0;
        if self.character_len > 0 {
            let (taken, emit) = self.finish_character(bytes);
            used = taken;
            if emit != Emit::Nothing {
                return (used, self.event(emit));
            }
        }
        while let Some(byte) = bytes.get(used).copied() {
            if self.state == State::Ground && byte >= 0x20 {
                let (more, event) = self.text(&bytes[used..]);
                return (used + more, event);
            }
            if let State::String(kind) = self.state {
                let taken = self.take_payload(kind, &bytes[used..]);
                used += taken;
                if taken > 0 {
                    continue;
                }
            }
            if byte >= 0x80 {
                let (more, emit) = self.finish_character(&bytes[used..]);
                used += more;
                if emit != Emit::Nothing {
                    return (used, self.event(emit));
                }
                continue;
            }
            used += 1;
            let emit = self.step(byte);
            if emit != Emit::Nothing {
                return (used, self.event(emit));
            }
        }
        (used, Event::Pending)
    }

    /// Text from ground state: as much as is printable and whole, but not so much that what is thrown away is looked at over
    /// and over.
    fn text<'a>(&'a mut self, bytes: &'a [u8]) -> (usize, Event<'a>) {
        let ascii = printable_ascii(bytes);
        if ascii == 0 && bytes[0] < 0x80 {
            // DEL
            return (1, Event::Control(bytes[0]));
        }
        if ascii > MAX_MIXED_TEXT || bytes.get(ascii).is_none_or(|next| *next < 0x80) {
            return (ascii, Event::Ascii(&bytes[..ascii]));
        }
        let window = &bytes[..bytes.len().min(ascii + MAX_MIXED_TEXT)];
        let window = if may_begin_text(&bytes[ascii..]) { window } else { &bytes[..ascii] };
        let printable = printable(window);
        let valid = match str::from_utf8(&window[..printable]) {
            Ok(text) => text,
            Err(err) => str::from_utf8(&window[..err.valid_up_to()]).unwrap_or_default(),
        };
        let text = before_c1(valid);
        if !text.is_empty() {
            return (text.len(), Event::Text(text));
        }
        let (used, emit) = self.finish_character(bytes);
        (used, self.event(emit))
    }

    /// Goes on with a character that is not ASCII.
    fn finish_character(&mut self, bytes: &[u8]) -> (usize, Emit) {
        let mut used = 0;
        while let Some(byte) = bytes.get(used).copied() {
            self.character[self.character_len.min(3)] = byte;
            let len = self.character_len + 1;
            match str::from_utf8(&self.character[..len.min(4)]).map_err(|err| err.error_len()) {
                Ok(_) => {
                    self.character_len = 0;
                    return (used + 1, self.character(len));
                }
                Err(None) => self.character_len = len,
                Err(Some(_)) => {
                    // The byte that does not fit begins something else, unless it is all there is.
                    let alone = self.character_len == 0;
                    self.character_len = 0;
                    return (used + usize::from(alone), self.invalid());
                }
            }
            used += 1;
        }
        (used, Emit::Nothing)
    }

    fn character(&mut self, len: usize) -> Emit {
        if let [0xC2, control @ 0x80..=0x9F] = self.character[..len] {
            return self.step(control);
        }
        match self.state {
            State::Ground => Emit::Character(len),
            State::String(_) => {
                let character = self.character;
                self.keep(&character[..len]);
                Emit::Nothing
            }
            State::CsiIgnore | State::DcsIgnore => Emit::Nothing,
            State::Escape
            | State::EscapeIntermediate
            | State::CsiEntry
            | State::CsiParam
            | State::CsiIntermediate
            | State::DcsEntry
            | State::DcsParam
            | State::DcsIntermediate => {
                self.state = State::Ground;
                Emit::Broken
            }
        }
    }

    fn invalid(&mut self) -> Emit {
        match self.state {
            State::Ground => Emit::Invalid,
            // Strings keep what they were sent, as far as it is text.
            State::String(_) | State::CsiIgnore | State::DcsIgnore => Emit::Nothing,
            State::Escape
            | State::EscapeIntermediate
            | State::CsiEntry
            | State::CsiParam
            | State::CsiIntermediate
            | State::DcsEntry
            | State::DcsParam
            | State::DcsIntermediate => {
                self.state = State::Ground;
                Emit::Broken
            }
        }
    }

    /// Keeps ASCII payload up to what may end the string or is not ASCII.
    fn take_payload(&mut self, kind: StringKind, bytes: &[u8]) -> usize {
        let stops =
            |byte: u8| matches!(byte, CAN | SUB | ESC | 0x80..) || (kind == StringKind::Osc && byte < 0x20);
        let len = bytes.iter().position(|byte| stops(*byte)).unwrap_or(bytes.len());
        self.keep(&bytes[..len]);
        len
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_STRING_BYTES - self.payload.len().min(MAX_STRING_BYTES);
        self.truncated |= bytes.len() > room;
        self.payload.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// One control or ASCII byte, or a C1 control, in whatever state.
    fn step(&mut self, byte: u8) -> Emit {
        let emit = match (byte, self.state) {
            (ESC, State::String(kind)) => Emit::String(kind),
            (0x9C, State::String(kind)) | (BEL, State::String(kind @ StringKind::Osc)) => {
                self.state = State::Ground;
                return Emit::String(kind);
            }
            (CAN | SUB, State::Ground) => return Emit::Control(byte),
            (CAN | SUB, _) => {
                self.state = State::Ground;
                return Emit::Ignored;
            }
            (0x80..=0x9F, State::String(_)) => Emit::Ignored,
            _ => Emit::Nothing,
        };
        match byte {
            ESC => self.begin(State::Escape),
            0x90 => self.begin(State::DcsEntry),
            0x98 => self.begin(State::String(StringKind::Sos)),
            0x9B => self.begin(State::CsiEntry),
            // Told in any case: what follows it begins anew.
            0x9C => {
                let within = std::mem::replace(&mut self.state, State::Ground) != State::Ground;
                return if within { Emit::Ignored } else { Emit::Control(byte) };
            }
            0x9D => self.begin(State::String(StringKind::Osc)),
            0x9E => self.begin(State::String(StringKind::Pm)),
            0x9F => self.begin(State::String(StringKind::Apc)),
            0x80.. => {
                self.state = State::Ground;
                return Emit::Control(byte);
            }
            _ => return self.step_within(byte),
        }
        emit
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.prefix = None;
        self.intermediate_count = 0;
        // A string that just ended is still to be read.
        if state != State::Escape {
            self.params.clear();
            self.payload.clear();
            if self.payload.capacity() > 4096 {
                self.payload = Vec::new();
            }
            self.truncated = false;
        }
    }

    fn step_within(&mut self, byte: u8) -> Emit {
        match self.state {
            State::Ground => Emit::Control(byte),
            State::String(_) | State::DcsIgnore => Emit::Nothing,
            State::Escape => self.step_escape(byte),
            State::EscapeIntermediate => match byte {
                0x00..=0x1F => Emit::Control(byte),
                0x20..=0x2F => self.collect(byte, State::EscapeIntermediate, State::EscapeIntermediate),
                0x30..=0x7E => self.finish(byte, Emit::Escape),
                _ => Emit::Nothing,
            },
            State::CsiEntry | State::CsiParam | State::CsiIntermediate | State::CsiIgnore => {
                self.step_csi(byte)
            }
            State::DcsEntry | State::DcsParam | State::DcsIntermediate => self.step_dcs(byte),
        }
    }

    fn step_escape(&mut self, byte: u8) -> Emit {
        match byte {
            0x00..=0x1F => return Emit::Control(byte),
            0x20..=0x2F => return self.collect(byte, State::EscapeIntermediate, State::EscapeIntermediate),
            b'P' => self.begin(State::DcsEntry),
            b'X' => self.begin(State::String(StringKind::Sos)),
            b'[' => self.begin(State::CsiEntry),
            b']' => self.begin(State::String(StringKind::Osc)),
            b'^' => self.begin(State::String(StringKind::Pm)),
            b'_' => self.begin(State::String(StringKind::Apc)),
            0x30..=0x7E => return self.finish(byte, Emit::Escape),
            _ => {}
        }
        Emit::Nothing
    }

    fn step_csi(&mut self, byte: u8) -> Emit {
        match (byte, self.state) {
            (0x00..=0x1F, _) => return Emit::Control(byte),
            (0x7F, _) => {}
            (0x40..=0x7E, State::CsiIgnore) => return self.finish(byte, Emit::Ignored),
            (_, State::CsiIgnore) => {}
            (0x40..=0x7E, _) => return self.finish(byte, Emit::Csi),
            (0x20..=0x2F, _) => return self.collect(byte, State::CsiIntermediate, State::CsiIgnore),
            (b'0'..=b';', State::CsiEntry | State::CsiParam) => {
                self.params.push(byte);
                self.state = State::CsiParam;
            }
            (b'<'..=b'?', State::CsiEntry) => {
                self.prefix = Some(byte);
                self.state = State::CsiParam;
            }
            _ => self.state = State::CsiIgnore,
        }
        Emit::Nothing
    }

    fn step_dcs(&mut self, byte: u8) -> Emit {
        match (byte, self.state) {
            (0x00..=0x1F | 0x7F, _) => {}
            (0x40..=0x7E, _) => {
                self.head =
                    (self.prefix, self.intermediates, self.intermediate_count.min(MAX_INTERMEDIATES), byte);
                self.state = State::String(StringKind::Dcs);
            }
            (0x20..=0x2F, _) => return self.collect(byte, State::DcsIntermediate, State::DcsIgnore),
            (b'0'..=b';', State::DcsEntry | State::DcsParam) => {
                self.params.push(byte);
                self.state = State::DcsParam;
            }
            (b'<'..=b'?', State::DcsEntry) => {
                self.prefix = Some(byte);
                self.state = State::DcsParam;
            }
            _ => self.state = State::DcsIgnore,
        }
        Emit::Nothing
    }

    fn collect(&mut self, byte: u8, next: State, too_many: State) -> Emit {
        if self.intermediate_count < MAX_INTERMEDIATES {
            self.intermediates[self.intermediate_count] = byte;
            self.state = next;
        } else {
            self.state = too_many;
        }
        // One too many makes the sequence mean nothing, but it still ends where it would.
        self.intermediate_count = (self.intermediate_count + 1).min(MAX_INTERMEDIATES + 1);
        Emit::Nothing
    }

    fn finish(&mut self, byte: u8, emit: Emit) -> Emit {
        self.final_byte = byte;
        self.state = State::Ground;
        if self.intermediate_count > MAX_INTERMEDIATES { Emit::Ignored } else { emit }
    }

    fn event(&self, emit: Emit) -> Event<'_> {
        let intermediates = &self.intermediates[..self.intermediate_count.min(MAX_INTERMEDIATES)];
        let sequence = Sequence {
            prefix: self.prefix,
            params: &self.params,
            intermediates,
            final_byte: self.final_byte,
        };
        match emit {
            Emit::Nothing => Event::Pending,
            Emit::Control(byte) => Event::Control(byte),
            Emit::Escape => Event::Escape { intermediates, final_byte: self.final_byte },
            Emit::Csi => Event::Csi(sequence),
            Emit::String(kind) => {
                let (prefix, intermediates, count, final_byte) = &self.head;
                let head = Sequence {
                    prefix: *prefix,
                    params: &self.params,
                    intermediates: &intermediates[..*count],
                    final_byte: *final_byte,
                };
                let head = (kind == StringKind::Dcs).then_some(head);
                Event::String(StringSequence {
                    kind,
                    head,
                    payload: &self.payload,
                    truncated: self.truncated,
                })
            }
            Emit::Ignored => Event::Ignored,
            Emit::Broken => Event::Broken,
            Emit::Character(len) => Event::Text(str::from_utf8(&self.character[..len]).unwrap_or_default()),
            Emit::Invalid => Event::Invalid,
        }
    }
}

#[cfg(test)]
mod tests;
