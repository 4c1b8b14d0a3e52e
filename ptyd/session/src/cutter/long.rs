//! Sequences too long to be waited for: what asks nothing passes as it comes, what may ask is blanked up to its end. Either is
//! decided at one byte, however the output is read, and gone on with from any byte behind it. It knows no screen.

use ptyd_screen::parser::{Event, Parser, StringKind};
use ptyd_screen::query::{Outlook, outlook};

use super::{C1_LEAD, Cut, Cutter, ESC, MAX_SEQUENCE_BYTES, Overflow};
use crate::region::{Passing, Region};

const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1A;

/// What becomes of a sequence at the byte where it is too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// It is shown, and goes on as this.
    Shown(Passing),
    /// Its beginning is blanked, and it goes on as this.
    Blanked(Passing),
    /// Its beginning is blanked, and what follows stands alone.
    CutShort,
}

/// How much belongs to a sequence that is blanked up to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Inside {
    /// Bytes before its end, as far as they are there.
    len: usize,
    /// Bytes of what ends it and is a part of it; none: its end is not there yet.
    end: Option<usize>,
}

impl Cutter {
    /// How many more bytes the parser may take before what it is in the middle of is too long.
    pub(super) fn room(&self) -> u64 {
        if self.passing.is_some() {
            return u64::MAX;
        }
        let begun = self.asking.map_or(self.begun, |(begun, _)| begun);
        (begun + MAX_SEQUENCE_BYTES).saturating_sub(self.scanned)
    }

    /// Decides about what is too long.
    pub(super) fn decide<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        overflow: Overflow,
    ) -> Cut {
        if let Some((begun, within)) = self.asking.take() {
            // What asks is whole but for the second byte of its terminator: it does without.
            if Self::ask(region, begun, self.begun, within.is_some(), overflow) == Cut::Full {
                *self = Self::at(begun, within);
                return Cut::Full;
            }
            self.within = None;
            return Cut::Done;
        }
        let blanked = match fate(&self.parser) {
            Fate::Shown(passing) => {
                self.passing = Some(passing);
                return Cut::Done;
            }
            Fate::Blanked(passing) => Some(passing),
            Fate::CutShort => None,
        };
        // A character that may be a C1 control, and end it, is looked at as a whole.
        let begins_control = region.stretches(self.scanned - 1, 1).0 == [C1_LEAD];
        let end = self.scanned - u64::from(begins_control);
        let len = crate::ring::as_usize(end - self.begun);
        region.blank_query(self.begun, len, self.within.is_some());
        region.store_visible(end, blanked);
        *self = Self::at(end, blanked);
        Cut::Done
    }

    /// Blanks more of a sequence that is blanked up to its end. False: nothing of it is there.
    pub(super) fn blank_on<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        blanking: Passing,
    ) -> bool {
        let (first, second) = region.uncut(self.scanned);
        let Inside { len, end } = inside(blanking, first, second.first().copied());
        region.blank(self.scanned, len);
        self.scanned += len as u64;
        if let Some(end_len) = end {
            let end = self.scanned;
            self.scanned += end_len as u64;
            self.blanking = None;
            // In this order: blanked before it counts, an end would be missed by a worker that takes over in between.
            region.store_visible(self.scanned, None);
            region.blank(end, end_len);
        }
        self.begun = self.scanned;
        len > 0 || end.is_some()
    }
}

/// What becomes of the sequence that `parser` is in the middle of.
fn fate(parser: &Parser) -> Fate {
    let mut ended = parser.clone();
    if let (_, Event::String(string)) = ended.next(&[ESC]) {
        let osc = string.kind == StringKind::Osc;
        return match (outlook(&string), string.kind) {
            (Outlook::MayAsk, _) if osc => Fate::Blanked(Passing::BlankedOsc),
            (Outlook::MayAsk, _) => Fate::Blanked(Passing::BlankedString),
            (Outlook::AsksByQuestionMark, _) => Fate::Shown(Passing::OscData),
            (Outlook::Silent, StringKind::Osc) => Fate::Shown(Passing::Osc),
            (Outlook::Silent, StringKind::Dcs) => Fate::Shown(Passing::Dcs),
            (Outlook::Silent, StringKind::Apc | StringKind::Pm | StringKind::Sos) => {
                Fate::Shown(Passing::Other)
            }
        };
    }
    // None that means something is so long: nothing is lost.
    match parser.introducer() {
        b"" => Fate::CutShort,
        b"\x1b[<" => Fate::Blanked(Passing::BlankedCsi),
        _ => Fate::Blanked(Passing::BlankedString),
    }
}

/// How much of `bytes`, behind which comes `behind`, belongs to a sequence. It remembers nothing, so that it is all the same
/// from where on it is asked.
fn inside(blanking: Passing, bytes: &[u8], behind: Option<u8>) -> Inside {
    for (len, byte) in bytes.iter().copied().enumerate() {
        let next = bytes.get(len + 1).copied().or(behind);
        let end = match (byte, next) {
            (CAN | SUB, _) => Some(1),
            (BEL, _) if blanking == Passing::BlankedOsc => Some(1),
            (0x40..=0x7E, _) if blanking == Passing::BlankedCsi => Some(1),
            (ESC | C1_LEAD, None) => None,
            (ESC, Some(b'\\')) | (C1_LEAD, Some(0x9C)) => Some(2),
            (ESC, _) | (C1_LEAD, Some(0x80..=0x9F)) => Some(0),
            _ => continue,
        };
        return Inside { len, end };
    }
    Inside { len: bytes.len(), end: None }
}
