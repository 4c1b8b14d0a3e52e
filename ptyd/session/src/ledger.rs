//! What each client's input has come to: its last applied `seq`, the message being written, and how far it has drawn the
//! output. Kept in the session's memory, intent before each write and completion after it, so that a worker kill
//! leaves at most one message uncertain, and says which.

use devpocket_shared::ids::{ClientId, Offset, Seq};

use crate::region::{AT_LEDGER, Region, fence};

/// Clients a session knows (PROTOCOL section 4); the one that acted longest ago gives way.
pub const MAX_CLIENTS: usize = 64;

// The seven bytes between are not to be used: earlier releases kept there how many sizes the client had been told of.
const _: () = assert!(ID + ClientId::MAX_BYTES + 7 == APPLIED);

const SLOT_BYTES: usize = 128;
const ID_LEN: usize = 0;
const ID: usize = 1;
const APPLIED: usize = 72;
const INTENT: usize = 80;
const WRITTEN: usize = 88;
const WRITING: usize = 96;
const ACKED: usize = 104;
const UNCERTAIN: usize = 112;
/// Bit 0: this client's ack holds the program back. The rest: when it last acted, as a count of actions.
const FLAGS: usize = 120;

/// A client's place in the ledger.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slot(u8);

impl Slot {
    pub(crate) fn number(self) -> u64 {
        self.0.into()
    }

    pub(crate) fn of_number(number: u64) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| usize::from(*number) < MAX_CLIENTS).map(Self)
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// The place of a client the session knows.
    pub fn find_client(&self, client: &ClientId) -> Option<Slot> {
        slots().find(|slot| self.client_bytes(*slot) == Some(client.as_str().as_bytes()))
    }

    /// The place of a client, made if it has none. In a full ledger the client that acted longest ago and is not
    /// `in_use` gives way; none if all are.
    pub fn admit_client(&mut self, client: &ClientId, in_use: impl Fn(Slot) -> bool) -> Option<Slot> {
        if let Some(slot) = self.find_client(client) {
            return Some(slot);
        }
        let free = slots().find(|slot| self.client_bytes(*slot).is_none());
        let slot =
            free.or_else(|| slots().filter(|slot| !in_use(*slot)).min_by_key(|slot| self.last_acted(*slot)))?;
        let start = position(slot, 0);
        self.bytes_mut(start..start + SLOT_BYTES).fill(0);
        let id = client.as_str().as_bytes();
        self.bytes_mut(start + ID..start + ID + id.len()).copy_from_slice(id);
        fence();
        self.bytes_mut(start..start + 1)[0] = u8::try_from(id.len()).unwrap_or(0);
        self.touch(slot);
        Some(slot)
    }

    /// Clients whose acks hold the program back, and how far each has drawn.
    pub fn holding_clients(&self) -> Vec<(Slot, Offset)> {
        slots()
            .filter(|slot| self.client_bytes(*slot).is_some() && self.holds(*slot))
            .map(|slot| (slot, self.acked(slot)))
            .collect()
    }

    /// The last input of this client that was applied; 0 if none was.
    pub fn applied(&self, slot: Slot) -> Seq {
        Seq(self.at(position(slot, APPLIED)))
    }

    /// The message whose write a worker kill interrupted, until its client is known to have been told of it.
    pub fn uncertain(&self, slot: Slot) -> Option<Seq> {
        Some(self.at(position(slot, UNCERTAIN))).filter(|seq| *seq != 0).map(Seq)
    }

    /// Notes that this client was told which message is uncertain, and goes on.
    pub fn forget_uncertain(&mut self, slot: Slot) {
        self.put(position(slot, UNCERTAIN), 0);
    }

    /// How many bytes of message `seq` a worker before this one had written already.
    pub fn written_of(&self, slot: Slot, seq: Seq) -> u64 {
        if self.at(position(slot, INTENT)) == seq.0 { self.at(position(slot, WRITTEN)) } else { 0 }
    }

    /// The message of this client that has been written in part and is due to be sent again.
    pub(crate) fn half_written(&self, slot: Slot) -> Option<Seq> {
        Some(self.at(position(slot, INTENT))).filter(|seq| *seq != 0).map(Seq)
    }

    /// What was written of this client's half-written message belongs to another than it sends under that number.
    pub(crate) fn forget_written(&mut self, slot: Slot) {
        self.put(position(slot, WRITTEN), 0);
        fence();
    }

    /// Gives up the rest of this client's half-written message: it counts as applied, and as uncertain.
    pub(crate) fn give_up_half_written(&mut self, slot: Slot) {
        // As if a kill had hit its write. One that comes from here on has the next worker settle it in the same way.
        self.put(position(slot, WRITING), 1);
        fence();
        self.settle(slot);
        fence();
    }

    /// Up to where this client has drawn the output.
    pub fn acked(&self, slot: Slot) -> Offset {
        Offset(self.at(position(slot, ACKED)))
    }

    /// Whether this client's acks hold the program back.
    pub fn holds(&self, slot: Slot) -> bool {
        self.at(position(slot, FLAGS)) & 1 == 1
    }

    /// Notes how far this client has drawn, and whether that holds the program back.
    pub fn note_acked(&mut self, slot: Slot, offset: Offset, holds: bool) {
        self.put(position(slot, ACKED), offset.0);
        let flags = self.at(position(slot, FLAGS));
        self.put(position(slot, FLAGS), flags & !1 | u64::from(holds));
    }

    /// Notes, before the write, that up to `len` more bytes of message `seq` are about to be written.
    pub fn begin_write(&mut self, slot: Slot, seq: Seq, len: usize) {
        if self.at(position(slot, INTENT)) != seq.0 {
            self.put(position(slot, WRITTEN), 0);
            fence();
            self.put(position(slot, INTENT), seq.0);
            self.touch(slot);
        }
        fence();
        self.put(position(slot, WRITING), len as u64);
        fence();
    }

    /// Notes, after the write, that the bytes `written` went out, and that the message is applied if it is `complete`.
    pub fn end_write(&mut self, slot: Slot, seq: Seq, written: &[u8], complete: bool) {
        fence();
        if complete {
            self.put(position(slot, APPLIED), seq.0);
            fence();
            self.put(position(slot, INTENT), 0);
        } else {
            let so_far = self.at(position(slot, WRITTEN));
            self.extend_prefix(slot, so_far, written);
            self.put(position(slot, WRITTEN), so_far + written.len() as u64);
        }
        fence();
        self.put(position(slot, WRITING), 0);
        fence();
    }

    /// Settles what a killed worker left: a message with a write in flight counts as applied, and as uncertain.
    pub(crate) fn recover_ledger(&mut self) {
        for slot in slots() {
            self.settle(slot);
        }
    }

    fn settle(&mut self, slot: Slot) {
        let intent = self.at(position(slot, INTENT));
        if intent != 0 && intent > self.at(position(slot, APPLIED)) && self.at(position(slot, WRITING)) != 0 {
            self.put(position(slot, UNCERTAIN), intent);
            fence();
            self.put(position(slot, APPLIED), intent);
        }
        if intent != 0 && intent <= self.at(position(slot, APPLIED)) {
            fence();
            self.put(position(slot, INTENT), 0);
        }
        fence();
        self.put(position(slot, WRITING), 0);
    }

    fn client_bytes(&self, slot: Slot) -> Option<&[u8]> {
        let start = position(slot, 0);
        let len = usize::from(self.bytes(start + ID_LEN..start + ID)[0]);
        (1..=ClientId::MAX_BYTES).contains(&len).then(|| self.bytes(start + ID..start + ID + len))
    }

    fn last_acted(&self, slot: Slot) -> u64 {
        self.at(position(slot, FLAGS)) >> 1
    }

    fn touch(&mut self, slot: Slot) {
        let newest = slots().map(|slot| self.last_acted(slot)).max().unwrap_or(0);
        let flags = self.at(position(slot, FLAGS));
        self.put(position(slot, FLAGS), (newest + 1) << 1 | flags & 1);
    }
}

fn slots() -> impl DoubleEndedIterator<Item = Slot> {
    (0..MAX_CLIENTS).map(|slot| Slot(u8::try_from(slot).unwrap_or(0)))
}

fn position(slot: Slot, field: usize) -> usize {
    AT_LEDGER + usize::from(slot.0) * SLOT_BYTES + field
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use devpocket_shared::ids::TerminalSize;
    use proptest::prelude::*;

    use super::*;
    use crate::input::InputQueue;
    use crate::region::{MIN_RING_BYTES, region_bytes};
    use crate::ring::as_usize;

    #[test]
    fn a_message_written_in_two_parts_goes_on_after_a_kill_where_it_stopped() {
        let (mut region, slot) = with_client();
        region.begin_write(slot, Seq(1), 4096);
        region.end_write(slot, Seq(1), &[b'x'; 4096], false);
        let region = killed(region);
        assert_eq!((region.applied(slot), region.written_of(slot, Seq(1))), (Seq(0), 4096));
        assert_eq!(region.uncertain(slot), None);
    }

    #[test]
    fn a_write_in_flight_at_a_kill_counts_as_applied_and_is_told_as_uncertain() {
        let (mut region, slot) = with_client();
        region.begin_write(slot, Seq(1), 5);
        region.end_write(slot, Seq(1), &[b'x'; 5], true);
        region.begin_write(slot, Seq(2), 5);
        let mut region = killed(region);
        assert_eq!((region.applied(slot), region.uncertain(slot)), (Seq(2), Some(Seq(2))));
        region.begin_write(slot, Seq(3), 1);
        region.end_write(slot, Seq(3), &[b'x'; 1], true);
        let mut region = killed(region);
        assert_eq!(region.uncertain(slot), Some(Seq(2)), "nobody was told yet");
        region.forget_uncertain(slot);
        assert_eq!(killed(region).uncertain(slot), None);
    }

    #[test]
    fn the_client_that_acted_longest_ago_gives_way_unless_it_is_attached() {
        let (mut region, first) = with_client();
        for n in 1..MAX_CLIENTS {
            assert!(region.admit_client(&client(n), |_| false).is_some());
        }
        assert_eq!(region.admit_client(&client(1000), |slot| slot == first).map(|s| s.0), Some(1));
        assert_eq!(region.find_client(&client(1)), None);
        assert_eq!(region.admit_client(&client(2000), |_| true), None);
    }

    #[test]
    fn acks_and_their_hold_survive() {
        let (mut region, slot) = with_client();
        region.note_acked(slot, Offset(77), true);
        let mut region = killed(region);
        assert_eq!(region.holding_clients(), [(slot, Offset(77))]);
        region.note_acked(slot, Offset(78), false);
        assert_eq!(region.holding_clients(), []);
    }

    #[test]
    fn what_an_earlier_release_kept_beside_the_longest_id_is_left_alone() {
        let (mut region, _) = with_client();
        let longest = ClientId::try_from("x".repeat(ClientId::MAX_BYTES)).unwrap();
        let slot = region.admit_client(&longest, |_| false).unwrap();
        let beside = position(slot, APPLIED) - 7..position(slot, APPLIED);
        region.bytes_mut(beside.clone()).fill(0xEE);
        let mut region = killed(region);
        assert_eq!((region.find_client(&longest), region.applied(slot)), (Some(slot), Seq(0)));
        region.begin_write(slot, Seq(1), 1);
        region.end_write(slot, Seq(1), b"x", true);
        region.note_acked(slot, Offset(7), true);
        assert_eq!(
            (region.admit_client(&longest, |_| false), region.bytes(beside)),
            (Some(slot), &[0xEE; 7][..])
        );
    }

    fn client(n: usize) -> ClientId {
        ClientId::try_from(format!("client-{n}")).unwrap()
    }

    fn with_client() -> (Region<Vec<u8>>, Slot) {
        let memory = vec![0; as_usize(region_bytes(MIN_RING_BYTES))];
        let mut region = Region::create(memory, 1, TerminalSize::DEFAULT).unwrap();
        let slot = region.admit_client(&client(0), |_| false).unwrap();
        (region, slot)
    }

    fn killed(region: Region<Vec<u8>>) -> Region<Vec<u8>> {
        let bytes = as_usize(region_bytes(region.ring_bytes()));
        Region::recover(region.bytes(0..bytes).to_vec()).unwrap()
    }

    /// Where a kill hits a write.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    enum Kill {
        Never,
        BeforeWrite,
        /// The bytes went out, and nobody noted it.
        AfterWrite,
    }

    proptest! {
        /// A worker is killed anywhere in a write, and the client sends everything again. Whatever the terminal got of a message
        /// is its beginning, once and in order; a message of which it may have got less than all is named as uncertain.
        #[test]
        fn a_kill_within_a_write_doubles_nothing_and_names_what_it_left_unknown(
            sizes in proptest::collection::vec(1..9000_usize, 1..12),
            script in proptest::collection::vec(
                (0..6000_usize, prop_oneof![6 => Just(Kill::Never), 1 => Just(Kill::BeforeWrite), 1 => Just(Kill::AfterWrite)]),
                1..120,
            ),
        ) {
            let memory = vec![0; as_usize(region_bytes(MIN_RING_BYTES))];
            let mut region = Region::create(memory, 1, TerminalSize::DEFAULT).unwrap();
            let slot = region.admit_client(&ClientId::try_from("phone".to_owned()).unwrap(), |_| false).unwrap();
            let messages: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect();
            let mut queue = InputQueue::default();
            let (mut out, mut uncertain) = (Vec::new(), BTreeSet::new());
            // At the end nothing is killed any more, so that everything arrives.
            let calm = std::iter::repeat_n((5000, Kill::Never), 60);
            for (most, kill) in script.into_iter().chain(calm) {
                for (n, message) in messages.iter().enumerate() {
                    let _repeated = queue.push_sequenced(&mut region, slot, Seq(n as u64 + 1), message.clone());
                }
                if queue.is_empty(&region) {
                    break;
                }
                let next = queue.next_write(&mut region);
                let written = next[..next.len().min(most)].to_vec();
                if kill != Kill::BeforeWrite {
                    out.extend_from_slice(&written);
                }
                if kill == Kill::Never {
                    queue.wrote(&mut region, written.len());
                } else {
                    let bytes = as_usize(region_bytes(region.ring_bytes()));
                    region = Region::recover(region.bytes(0..bytes).to_vec()).unwrap();
                    queue = InputQueue::default();
                    uncertain.extend(region.uncertain(slot));
                }
            }
            prop_assert_eq!(region.applied(slot), Seq(messages.len() as u64));
            let mut rest = out.as_slice();
            for (n, message) in messages.iter().enumerate() {
                let got = rest.iter().take_while(|byte| usize::from(**byte) == n).count();
                let named = uncertain.contains(&Seq(n as u64 + 1));
                prop_assert!(got == message.len() || (named && got < message.len()), "message {}: {} of {}", n, got, message.len());
                rest = &rest[got..];
            }
            prop_assert!(rest.is_empty(), "something came twice, or out of order");
        }
    }
}
