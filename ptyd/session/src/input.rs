//! Typed bytes on their way to the terminal: in order, each sequenced message once, bounded. It decides what is written
//! next and what an accepted message means; somebody else writes.

use std::collections::{BTreeMap, VecDeque};

use devpocket_shared::ids::Seq;

use crate::ledger::Slot;
use crate::paste;
use crate::queries::QuerySlot;
use crate::region::Region;
use crate::ring::as_usize;

/// Input that may wait for the terminal, in bytes (PROTOCOL section 3). Full means: refused with `input_full`.
pub const MAX_WAITING_BYTES: usize = 1 << 20;
/// Messages that may wait, however short: each takes its memory too. Full means the same.
pub const MAX_WAITING_MESSAGES: usize = 16 << 10;
/// Most bytes handed to the terminal in one write, so that a kill leaves little uncertain.
pub const MAX_WRITE_BYTES: usize = 4 << 10;
/// Control bytes that may wait ahead of everything else. Full means: refused with `input_full`.
pub const MAX_URGENT_BYTES: usize = 256;

/// Messages whose memory is kept when none waits.
const KEPT_MESSAGES: usize = 64;

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// It waits for the terminal.
    Queued,
    /// It was applied or queued before; the last applied one is to be acknowledged again.
    Repeated,
}

/// Why a message was not taken. Its `seq` is not consumed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// One before it is missing.
    Gap {
        /// The number that is due.
        expected: Seq,
    },
    /// Too much waits already; try again.
    Full,
}

/// Input waiting for one terminal.
#[derive(Debug, Default)]
pub struct InputQueue {
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    urgent: VecDeque<u8>,
    /// Last number queued, where it is beyond the last applied.
    last_queued: BTreeMap<Slot, Seq>,
    /// What the bytes handed out by [`InputQueue::next_write`] are.
    writing: Writing,
    /// How much of the end of a cut paste went out.
    paste_end_written: usize,
}

/// What is being written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Writing {
    /// Control bytes ahead of everything.
    Urgent,
    /// The end of a paste whose rest died with a worker.
    PasteEnd,
    /// The answer to a terminal query.
    Answer(QuerySlot),
    /// The first message that waits.
    #[default]
    Message,
}

#[derive(Debug)]
struct Message {
    from: Option<(Slot, Seq)>,
    bytes: Vec<u8>,
    written: usize,
    /// One framed paste.
    is_paste: bool,
}

impl Message {
    fn new(from: Option<(Slot, Seq)>, bytes: Vec<u8>, written: usize) -> Self {
        let is_paste = paste::is_framed(&bytes);
        Self { from, bytes, written, is_paste }
    }
}

impl InputQueue {
    /// Takes a message without a number.
    pub fn push(&mut self, bytes: Vec<u8>) -> Result<(), Refused> {
        self.check_room(bytes.len())?;
        if !bytes.is_empty() {
            self.queue(Message::new(None, bytes, 0));
        }
        Ok(())
    }

    /// Takes message `seq` of a client, once and in order.
    pub fn push_sequenced<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        slot: Slot,
        seq: Seq,
        bytes: Vec<u8>,
    ) -> Result<Accepted, Refused> {
        let applied = region.applied(slot);
        let last = self.last_queued.get(&slot).copied().unwrap_or(applied).max(applied);
        if seq <= last {
            return Ok(Accepted::Repeated);
        }
        if seq != last.next() {
            return Err(Refused::Gap { expected: last.next() });
        }
        self.check_room(bytes.len())?;
        let written = as_usize(region.written_of(slot, seq)).min(bytes.len());
        self.last_queued.insert(slot, seq);
        self.queue(Message::new(Some((slot, seq)), bytes, written));
        Ok(Accepted::Queued)
    }

    /// Takes a control byte that goes out ahead of everything that waits.
    pub fn push_urgent(&mut self, byte: u8) -> Result<(), Refused> {
        if self.urgent.len() >= MAX_URGENT_BYTES {
            return Err(Refused::Full);
        }
        self.urgent.push_back(byte);
        Ok(())
    }

    /// Whether input of this client waits.
    pub fn waits_for(&self, slot: Slot) -> bool {
        self.last_queued.contains_key(&slot)
    }

    /// Whether nothing waits: no typed byte and no answer to a query.
    pub fn is_empty<M: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<M>) -> bool {
        self.urgent.is_empty()
            && self.waiting.is_empty()
            && region.next_answer().is_none()
            && !region.paste_is_cut()
    }

    /// The bytes to write next, with the intent noted in `region`; empty when nothing waits. To be followed by
    /// [`InputQueue::wrote`], with 0 if nothing could be written. Control bytes go first, then the end of a
    /// paste that was cut, then answers, but not into the middle of a message: that may be a paste.
    pub fn next_write<'a, M: AsRef<[u8]> + AsMut<[u8]>>(&'a mut self, region: &'a mut Region<M>) -> &'a [u8] {
        if !self.urgent.is_empty() {
            self.writing = Writing::Urgent;
            return self.urgent.make_contiguous();
        }
        if region.paste_is_cut() {
            self.writing = Writing::PasteEnd;
            return &paste::END.as_bytes()[self.paste_end_written..];
        }
        let amid_message = self.waiting.front().is_some_and(|message| message.written > 0);
        if !amid_message && let Some((slot, _)) = region.next_answer() {
            self.writing = Writing::Answer(slot);
            region.begin_answer(slot);
            return region.next_answer().map_or(&[], |(_, answer)| answer);
        }
        self.writing = Writing::Message;
        let Some(message) = self.waiting.front() else { return &[] };
        let rest = &message.bytes[message.written..];
        let next = &rest[..rest.len().min(MAX_WRITE_BYTES)];
        if let Some((slot, seq)) = message.from {
            region.begin_write(slot, seq, next.len());
        }
        if message.is_paste && !next.is_empty() {
            region.open_paste(message.from.map(|(slot, _)| slot));
        }
        next
    }

    /// Notes that `written` bytes of what [`InputQueue::next_write`] gave went out. Returns whose message is applied by
    /// that.
    pub fn wrote<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        written: usize,
    ) -> Option<(Slot, Seq)> {
        match self.writing {
            Writing::Urgent => {
                self.urgent.drain(..written.min(self.urgent.len()));
                return None;
            }
            Writing::PasteEnd => {
                self.paste_end_written += written;
                if self.paste_end_written >= paste::END.len() {
                    self.paste_end_written = 0;
                    region.close_paste();
                }
                return None;
            }
            Writing::Answer(slot) => {
                region.end_answer(slot, written);
                return None;
            }
            Writing::Message => {}
        }
        let message = self.waiting.front_mut()?;
        message.written += written;
        let (complete, from) = (message.written >= message.bytes.len(), message.from);
        let nothing_of_it_went = message.written == 0;
        if message.is_paste && (complete || nothing_of_it_went) {
            region.close_paste();
        }
        if let Some((slot, seq)) = from {
            region.end_write(slot, seq, written, complete);
        }
        if !complete {
            return None;
        }
        if let Some(done) = self.waiting.pop_front() {
            self.waiting_bytes -= done.bytes.len();
        }
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT_MESSAGES {
            self.waiting = VecDeque::new();
        }
        if let Some((slot, seq)) = from
            && self.last_queued.get(&slot) == Some(&seq)
        {
            self.last_queued.remove(&slot);
        }
        from
    }

    fn check_room(&self, bytes: usize) -> Result<(), Refused> {
        let fits =
            self.waiting_bytes + bytes <= MAX_WAITING_BYTES && self.waiting.len() < MAX_WAITING_MESSAGES;
        if fits { Ok(()) } else { Err(Refused::Full) }
    }

    fn queue(&mut self, message: Message) {
        self.waiting_bytes += message.bytes.len();
        self.waiting.push_back(message);
    }
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::{ClientId, TerminalSize};
    use proptest::prelude::*;

    use super::*;
    use crate::region::{MIN_RING_BYTES, region_bytes};

    #[test]
    fn a_gap_is_refused_and_a_repeat_ignored() {
        let (mut queue, mut region, slot) = fresh();
        assert_eq!(
            queue.push_sequenced(&mut region, slot, Seq(2), vec![1]),
            Err(Refused::Gap { expected: Seq(1) })
        );
        assert_eq!(queue.push_sequenced(&mut region, slot, Seq(1), vec![1]), Ok(Accepted::Queued));
        assert_eq!(queue.push_sequenced(&mut region, slot, Seq(1), vec![1]), Ok(Accepted::Repeated));
        assert_eq!(drain(&mut queue, &mut region, usize::MAX), [1]);
        assert_eq!(queue.push_sequenced(&mut region, slot, Seq(1), vec![1]), Ok(Accepted::Repeated));
        assert_eq!(region.applied(slot), Seq(1));
    }

    #[test]
    fn messages_that_wait_are_counted_however_short_they_are() {
        let (mut queue, mut region, slot) = fresh();
        for seq in 1..=MAX_WAITING_MESSAGES as u64 {
            assert_eq!(queue.push_sequenced(&mut region, slot, Seq(seq), Vec::new()), Ok(Accepted::Queued));
        }
        let next = Seq(MAX_WAITING_MESSAGES as u64 + 1);
        assert_eq!(queue.push_sequenced(&mut region, slot, next, Vec::new()), Err(Refused::Full));
        assert_eq!(queue.push(vec![1]), Err(Refused::Full));
        drain(&mut queue, &mut region, usize::MAX);
        assert_eq!(region.applied(slot), Seq(MAX_WAITING_MESSAGES as u64));
        assert_eq!(queue.waiting.capacity(), 0, "the memory is given back");
        assert_eq!(queue.push_sequenced(&mut region, slot, next, Vec::new()), Ok(Accepted::Queued));
    }

    #[test]
    fn an_empty_sequenced_message_is_applied_too() {
        let (mut queue, mut region, slot) = fresh();
        assert_eq!(queue.push_sequenced(&mut region, slot, Seq(1), Vec::new()), Ok(Accepted::Queued));
        assert!(queue.next_write(&mut region).is_empty());
        assert_eq!(queue.wrote(&mut region, 0), Some((slot, Seq(1))));
        assert!(queue.is_empty(&region));
    }

    #[test]
    fn a_full_queue_refuses_without_consuming_the_number() {
        let (mut queue, mut region, slot) = fresh();
        queue.push(vec![0; MAX_WAITING_BYTES]).unwrap();
        assert_eq!(queue.push_sequenced(&mut region, slot, Seq(1), vec![1]), Err(Refused::Full));
        drain(&mut queue, &mut region, usize::MAX);
        assert_eq!(queue.push_sequenced(&mut region, slot, Seq(1), vec![1]), Ok(Accepted::Queued));
    }

    #[test]
    fn a_client_whose_input_waits_is_known_to_wait() {
        let (mut queue, mut region, slot) = fresh();
        queue.push_sequenced(&mut region, slot, Seq(1), vec![b'x'; 9000]).unwrap();
        write_once(&mut queue, &mut region, 4096);
        assert!(queue.waits_for(slot));
        drain(&mut queue, &mut region, usize::MAX);
        assert!(!queue.waits_for(slot));
    }

    #[test]
    fn an_answer_goes_ahead_of_what_waits_but_not_into_a_message_half_written() {
        let (mut queue, mut region, slot) = fresh();
        queue.push_sequenced(&mut region, slot, Seq(1), b"paste".to_vec()).unwrap();
        queue.push(b"typed".to_vec()).unwrap();
        assert_eq!(write_once(&mut queue, &mut region, 2), b"pa");
        region.ask(10, b"query", 1);
        let (asked, _) = region.next_query().unwrap();
        region.answer_query(asked, Some(b"ANSWER"));
        assert_eq!(drain(&mut queue, &mut region, 4), b"steANSWERtyped");
        assert!(queue.is_empty(&region));
    }

    #[test]
    fn a_control_byte_overtakes_what_waits() {
        let (mut queue, mut region, _) = fresh();
        queue.push(vec![b'x'; 3]).unwrap();
        queue.push_urgent(3).unwrap();
        assert_eq!(drain(&mut queue, &mut region, 1), [3, b'x', b'x', b'x']);
    }

    /// The story: the program got 31 KB of a paste and never its end, and took all that was typed afterwards for pasted.
    #[test]
    fn a_paste_without_a_number_that_a_kill_cut_is_closed_by_the_next_worker() {
        let (mut queue, mut region, _) = fresh();
        queue.push(paste::frame(&"x".repeat(9000), true)).unwrap();
        queue.push(b"typed".to_vec()).unwrap();
        write_once(&mut queue, &mut region, 4096);
        let (mut queue, mut region) = killed(&region);
        queue.push(b"ls\r".to_vec()).unwrap();
        assert_eq!(write_once(&mut queue, &mut region, 2), b"\x1b[");
        let (mut queue, mut region) = killed(&region);
        queue.push(b"ls\r".to_vec()).unwrap();
        assert_eq!(drain(&mut queue, &mut region, 4), b"\x1b[201~ls\r");
        let (queue, region) = killed(&region);
        assert!(queue.is_empty(&region));
    }

    #[test]
    fn a_paste_written_whole_or_not_at_all_needs_no_end() {
        for written in [usize::MAX, 0] {
            let (mut queue, mut region, _) = fresh();
            queue.push(paste::frame("short", true)).unwrap();
            write_once(&mut queue, &mut region, written);
            let (queue, region) = killed(&region);
            assert!(queue.is_empty(&region), "{written}");
        }
    }

    #[test]
    fn a_paste_whose_client_sends_the_rest_again_is_not_closed_before() {
        let (mut queue, mut region, slot) = fresh();
        let paste = paste::frame(&"x".repeat(9000), true);
        queue.push_sequenced(&mut region, slot, Seq(1), paste.clone()).unwrap();
        let mut out = write_once(&mut queue, &mut region, 4096);
        let (mut queue, mut region) = killed(&region);
        assert!(queue.is_empty(&region));
        queue.push_sequenced(&mut region, slot, Seq(1), paste.clone()).unwrap();
        out.extend(drain(&mut queue, &mut region, usize::MAX));
        assert_eq!(out, paste);
        let (queue, region) = killed(&region);
        assert!(queue.is_empty(&region));
    }

    #[test]
    fn a_paste_cut_in_the_act_of_writing_is_not_sent_again_and_therefore_closed() {
        let (mut queue, mut region, slot) = fresh();
        queue.push_sequenced(&mut region, slot, Seq(1), paste::frame(&"x".repeat(9000), true)).unwrap();
        write_once(&mut queue, &mut region, 4096);
        queue.next_write(&mut region);
        let (mut queue, mut region) = killed(&region);
        assert_eq!(region.uncertain(slot), Some(Seq(1)));
        assert_eq!(drain(&mut queue, &mut region, usize::MAX), b"\x1b[201~");
    }

    proptest! {
        /// Messages are sent again at random, as clients do after a lost connection; the worker is killed between
        /// writes at random. The terminal gets each message once, whole and in order.
        #[test]
        fn each_message_reaches_the_terminal_once(
            sizes in proptest::collection::vec(0..9000_usize, 1..20),
            script in proptest::collection::vec((0..20_usize, 0..6000_usize, any::<bool>()), 1..200),
        ) {
            let (mut queue, mut region, slot) = fresh();
            let messages: Vec<Vec<u8>> =
                sizes.iter().enumerate().map(|(n, len)| (0..*len).map(|i| (n * 7 + i) as u8).collect()).collect();
            let mut out = Vec::new();
            for (pick, write, kill) in script {
                let n = pick % messages.len();
                let _maybe_gap = queue.push_sequenced(&mut region, slot, Seq(n as u64 + 1), messages[n].clone());
                out.extend(write_once(&mut queue, &mut region, write));
                if kill {
                    let bytes = as_usize(region_bytes(region.ring_bytes()));
                    region = Region::recover(region.bytes(0..bytes).to_vec()).unwrap();
                    queue = InputQueue::default();
                }
            }
            for (n, message) in messages.iter().enumerate() {
                queue.push_sequenced(&mut region, slot, Seq(n as u64 + 1), message.clone()).unwrap();
            }
            out.extend(drain(&mut queue, &mut region, usize::MAX));
            prop_assert_eq!(out, messages.concat());
            prop_assert_eq!(region.uncertain(slot), None);
        }
    }

    fn fresh() -> (InputQueue, Region<Vec<u8>>, Slot) {
        let memory = vec![0; as_usize(region_bytes(MIN_RING_BYTES))];
        let mut region = Region::create(memory, 1, TerminalSize::DEFAULT).unwrap();
        let client = ClientId::try_from("phone".to_owned()).unwrap();
        let slot = region.admit_client(&client, |_| false).unwrap();
        (InputQueue::default(), region, slot)
    }

    fn killed(region: &Region<Vec<u8>>) -> (InputQueue, Region<Vec<u8>>) {
        let bytes = as_usize(region_bytes(region.ring_bytes()));
        (InputQueue::default(), Region::recover(region.bytes(0..bytes).to_vec()).unwrap())
    }

    fn write_once(queue: &mut InputQueue, region: &mut Region<Vec<u8>>, most: usize) -> Vec<u8> {
        if queue.is_empty(region) {
            return Vec::new();
        }
        let next = queue.next_write(region);
        let out = next[..next.len().min(most)].to_vec();
        queue.wrote(region, out.len());
        out
    }

    fn drain(queue: &mut InputQueue, region: &mut Region<Vec<u8>>, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !queue.is_empty(region) {
            out.extend(write_once(queue, region, most.max(1)));
        }
        out
    }
}
