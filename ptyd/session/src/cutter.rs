//! Cuts output where a terminal is between two sequences and two characters, so that every offset anybody is given is a
//! safe place to begin; notes terminal queries and blanks them. Between sequences it only looks for what might begin
//! one: plain text passes at the speed of memory. It knows no screen.

use std::panic::{AssertUnwindSafe, catch_unwind};

use devpocket_shared::ids::Offset;
use memchr::memchr3;
use ptyd_screen::parser::{Event, Parser, StringKind};
use ptyd_screen::query;

use crate::commands::Found;
use crate::marks;
use crate::queries::{MAX_QUERY_BYTES, answer_places};
use crate::region::{Passing, Region};
use crate::ring::as_usize;

mod long;

/// A sequence longer than this is not waited for: its bytes become visible as they are, or are blanked where they
/// may be a query's. Tests reach it with little.
pub const MAX_SEQUENCE_BYTES: u64 = if cfg!(any(fuzzing, test)) { 1 << 10 } else { 64 << 10 };

const ESC: u8 = 0x1B;
const ENQ: u8 = 0x05;
/// First byte of a C1 control in UTF-8.
const C1_LEAD: u8 = 0xC2;
/// Final bytes of control sequences that never ask anything, whatever stands before them; but for `CSI ? m`. Of private modes
/// (`h`, `l`, `r`) some are not passed on.
const SILENT: &[u8] = b"mHABCDEFGJKXPLM@dfrlhb`";
/// How much of a control sequence is looked through for its final byte before the parser has to.
const SHORT_SEQUENCE: usize = 64;

/// How cutting ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// Everything that could be cut was.
    Done,
    /// A query has no place: let the screen answer those before it, and cut again.
    Full,
}

/// What to do with a query for which there is no place, or fewer than its answer may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Overflow {
    /// Stop before it.
    Wait,
    /// Blank it, and never answer it, or as far as the places go.
    Drop,
}

/// Cuts one session's output.
#[derive(Debug, Default)]
pub struct Cutter {
    parser: Parser,
    /// Everything before this offset was looked at.
    scanned: u64,
    /// Where the sequence that is not whole yet began.
    begun: u64,
    /// What it cut short or ended, if anything: without it that would still be open.
    within: Option<Passing>,
    /// That sequence is a string that asks nothing, whatever comes, and whose beginning was shown.
    passing: Option<Passing>,
    /// What is blanked up to its end, which has not come yet. The parser does not see it and is in ground state.
    blanking: Option<Passing>,
    /// A string that asks began here, and ended this or nothing; its terminator has two bytes, and the second is still to come.
    asking: Option<(u64, Option<Passing>)>,
}

/// What stands where the terminal would go on from ground state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ahead {
    /// Something for the parser, after so much that is not.
    Parse(usize),
    /// Nothing but text, so long; what follows it is not whole yet.
    Text(usize),
}

impl Cutter {
    /// Goes on where a worker before this one had come to.
    pub fn recover<M: AsRef<[u8]> + AsMut<[u8]>>(region: &Region<M>) -> Self {
        Self::at(region.visible, region.passing)
    }

    /// One that goes on at `offset`, inside of `within` or between two sequences.
    fn at(offset: u64, within: Option<Passing>) -> Self {
        let (blanking, passing) = match within {
            Some(within) if within.is_blanked() => (Some(within), None),
            shown => (None, shown),
        };
        let mut cutter = Self { scanned: offset, begun: offset, passing, blanking, ..Self::default() };
        let mut introducer = within.map_or(&b""[..], Passing::introducer);
        while !introducer.is_empty() {
            let (used, _) = cutter.parser.next(introducer);
            introducer = &introducer[used..];
        }
        cutter
    }

    /// Makes what was read visible as far as it can be cut.
    ///
    /// A panic in here costs what was read its cut, and nothing else: it is shown as it is. It must not cost the session, least
    /// of all that of the next worker, which reads the same bytes.
    pub fn cut<M: AsRef<[u8]> + AsMut<[u8]>>(&mut self, region: &mut Region<M>, overflow: Overflow) -> Cut {
        self.cut_telling(region, overflow, &mut |_, _| {})
    }

    /// The same; `marks` is told of what a shell said of itself, each before it is visible, and after a kill perhaps again.
    pub fn cut_telling<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        overflow: Overflow,
        marks: &mut dyn FnMut(&Region<M>, Found<'_>),
    ) -> Cut {
        let cut = catch_unwind(AssertUnwindSafe(|| self.cut_what_is_there(region, overflow, marks)));
        cut.unwrap_or_else(|_| {
            let head = region.head().0;
            *self = Self::at(head, None);
            region.store_visible(head, None);
            Cut::Done
        })
    }

    fn cut_what_is_there<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        overflow: Overflow,
        marks: &mut dyn FnMut(&Region<M>, Found<'_>),
    ) -> Cut {
        let mut cut = Cut::Done;
        loop {
            let (first, second) = region.uncut(self.scanned);
            if first.is_empty() {
                break;
            }
            if let Some(blanking) = self.blanking {
                if self.blank_on(region, blanking) {
                    continue;
                }
                break;
            }
            if self.parser.is_ground() {
                let ahead = look_ahead(first);
                let (Ahead::Parse(text) | Ahead::Text(text)) = ahead;
                self.scanned += text as u64;
                self.begun = self.scanned;
                if matches!(ahead, Ahead::Text(_)) {
                    if text == first.len() {
                        continue;
                    }
                    if second.is_empty() {
                        break;
                    }
                }
            }
            if self.parse(region, overflow, marks) == Cut::Full {
                cut = Cut::Full;
                break;
            }
        }
        self.show(region);
        cut
    }

    /// Makes everything visible, whole or not: nothing more will be read.
    pub fn finish<M: AsRef<[u8]> + AsMut<[u8]>>(&mut self, region: &mut Region<M>) {
        let head = region.head().0;
        region.store_visible(head, None);
    }

    /// Has the parser take what is there until it is in ground state again.
    fn parse<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        overflow: Overflow,
        marks: &mut dyn FnMut(&Region<M>, Found<'_>),
    ) -> Cut {
        loop {
            if self.room() == 0 {
                if self.decide(region, overflow) == Cut::Full {
                    return Cut::Full;
                }
                if self.parser.is_ground() {
                    return Cut::Done;
                }
                continue;
            }
            let (first, _) = region.uncut(self.scanned);
            if first.is_empty() {
                return Cut::Done;
            }
            let first = &first[..as_usize((first.len() as u64).min(self.room()))];
            let was_ground = self.parser.is_ground();
            #[cfg(test)]
            assert!(!first.starts_with(tests::FAULT), "a fault, to see what it costs");
            let (used, event) = self.parser.next(first);
            if let Event::String(string) = &event
                && string.kind == StringKind::Osc
                && marks::is_mark(string.payload)
                && !string.truncated
            {
                // Of a terminator of two bytes the second is still to come.
                let rest = u64::from(first[used - 1] == ESC);
                let (begins, ends) = (Offset(self.begun), Offset(self.scanned + used as u64 + rest));
                marks(region, Found { payload: string.payload, begins, ends });
            }
            let control = if let Event::Control(byte) = event { Some(byte) } else { None };
            let asks = query::is_query(&event) && (control.is_some() || self.passing.is_none());
            let tells = query::sets_telling_mode(&event);
            let goes_on = matches!(event, Event::Pending);
            let is_broken = matches!(event, Event::Broken);
            let terminator = matches!(event, Event::Escape { intermediates: [], final_byte: b'\\' });
            let ended = ended(&event);
            let introducer = match first[..used].last() {
                Some(&ESC) => 1,
                // The second byte of a C1 control.
                Some(0x80..=0x9F) => 2,
                _ => 0,
            };
            if self.passing == Some(Passing::OscData) {
                region.blank_question_marks(self.scanned, used);
            }
            self.scanned += used as u64;
            let ground = self.parser.is_ground();
            if asks && let Some(byte) = control {
                // A question that is never answered, and stands alone even in the middle of a sequence.
                if byte < 0x80 {
                    region.blank(self.scanned - 1, 1);
                } else {
                    region.blank_query(self.scanned - 2, 2, !was_ground || used > 2);
                }
            }
            if tells {
                region.zero_telling_modes(self.begun, as_usize(self.scanned - self.begun));
            }
            // A C1 control cancels what should have been the terminator; any other leaves it open.
            let over = ground || (control.is_none() && !goes_on);
            let mut asked = Vec::new();
            if over && let Some((begun, within)) = self.asking.take() {
                asked.push((begun, if terminator { self.scanned } else { self.begun }, within));
                // It is blanked as a whole: what ended it stands alone.
                self.within = None;
            }
            // What ended that may ask something itself.
            if asks && control.is_none() {
                if ground {
                    asked.push((self.begun, self.scanned, self.within));
                } else {
                    self.asking = Some((self.begun, self.within));
                }
            }
            for (begun, end, within) in asked {
                if Self::ask(region, begun, end, within.is_some(), overflow) == Cut::Full {
                    // It is looked at again when there is room, by this worker or by the next.
                    *self = Self::at(begun, within);
                    return Cut::Full;
                }
            }
            if is_broken {
                // Nothing to our screen, but a terminal that drops what is no UTF-8 would go on with it: perhaps to a question.
                region.blank_query(self.begun, as_usize(self.scanned - self.begun), self.within.is_some());
            }
            if ground {
                (self.within, self.passing) = (None, None);
                return Cut::Done;
            }
            if control.is_none() && !goes_on {
                // One sequence ended and the next began with the same character.
                self.begun = self.scanned - introducer;
                (self.within, self.passing) = (Some(ended), None);
            }
        }
    }

    fn ask<M: AsRef<[u8]> + AsMut<[u8]>>(
        region: &mut Region<M>,
        begun: u64,
        end: u64,
        ends_another: bool,
        overflow: Overflow,
    ) -> Cut {
        let len = as_usize(end - begun);
        if len <= MAX_QUERY_BYTES {
            let (first, second) = region.stretches(begun, len);
            let query = [first, second].concat();
            let places = match overflow {
                Overflow::Wait => answer_places(&query),
                Overflow::Drop => 1,
            };
            if !region.ask(end, &query, places) && overflow == Overflow::Wait {
                return Cut::Full;
            }
        }
        region.blank_query(begun, len, ends_another);
        Cut::Done
    }

    fn show<M: AsRef<[u8]> + AsMut<[u8]>>(&mut self, region: &mut Region<M>) {
        if let Some(passing) = self.passing {
            // What may become a C1 control that asks is shown as a whole or blanked as a whole.
            let last = self.scanned.saturating_sub(1);
            let begins_control = last >= region.visible && region.stretches(last, 1).0 == [C1_LEAD];
            let shown = if begins_control { last } else { self.scanned };
            region.store_visible(shown, Some(passing));
        } else if self.parser.is_ground() {
            self.asking = None;
            region.store_visible(self.scanned, self.blanking);
        } else {
            let (begun, within) = self.asking.unwrap_or((self.begun, self.within));
            region.store_visible(begun, within);
        }
    }
}

/// What a terminal is inside of that has not seen yet what ended a string in this way.
fn ended(event: &Event<'_>) -> Passing {
    // A C1 control cancels every kind of string in the same way.
    let Event::String(string) = event else { return Passing::Other };
    match string.kind {
        StringKind::Osc => Passing::Osc,
        StringKind::Dcs => Passing::Dcs,
        StringKind::Apc | StringKind::Pm | StringKind::Sos => Passing::Other,
    }
}

/// How much of `bytes` is text that needs no parser.
fn look_ahead(bytes: &[u8]) -> Ahead {
    let mut at = 0;
    while let Some(next) = memchr3(ESC, ENQ, C1_LEAD, &bytes[at..]).map(|found| at + found) {
        match bytes[next] {
            C1_LEAD => match bytes.get(next + 1) {
                Some(0x80..=0x9F) => return Ahead::Parse(next),
                Some(_) => at = next + 1,
                None => return Ahead::Text(next),
            },
            ESC => match silent_sequence(&bytes[next..]) {
                Some(len) => at = next + len,
                None => return Ahead::Parse(next),
            },
            _ => return Ahead::Parse(next),
        }
    }
    Ahead::Text(bytes.len() - incomplete_character(&bytes[at..]))
}

/// Length of a whole control sequence at the front that asks nothing; most are colours and moves.
fn silent_sequence(bytes: &[u8]) -> Option<usize> {
    let body = bytes.strip_prefix(b"\x1b[")?;
    let end = body.iter().take(SHORT_SEQUENCE).position(|byte| !(0x20..=0x3F).contains(byte))?;
    let special = body[0] == b'?'
        && match body[end] {
            // XTQMODKEYS
            b'm' => true,
            b'h' | b'l' | b'r' => !query::telling_digits(&body[1..=end]).is_empty(),
            _ => false,
        };
    (SILENT.contains(&body[end]) && !special).then_some(2 + end + 1)
}

/// Bytes at the end that begin a UTF-8 character and do not complete it.
fn incomplete_character(bytes: &[u8]) -> usize {
    let tail = bytes.iter().rev().take(3).position(|byte| byte & 0xC0 != 0x80);
    let Some(behind) = tail else { return 0 };
    let needed = match bytes[bytes.len() - 1 - behind] {
        0xC2..=0xDF => 1,
        0xE0..=0xEF => 2,
        0xF0..=0xF4 => 3,
        _ => return 0,
    };
    if behind < needed { behind + 1 } else { 0 }
}

#[cfg(test)]
mod tests;
