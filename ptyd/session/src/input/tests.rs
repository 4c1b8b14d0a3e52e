use devpocket_shared::ids::{ClientId, TerminalSize};
use proptest::prelude::*;

use super::*;
use crate::region::{MIN_RING_BYTES, region_bytes};

mod cut_pastes;

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

/// The story: Ctrl-C went into the middle of `ESC [ 201 ~`, and the program took all that followed for pasted.
#[test]
fn a_control_byte_waits_for_the_few_bytes_of_a_paste_s_frame() {
    let paste = paste::frame("pasted", true);
    for written in 1..paste.len() {
        let (mut queue, mut region, _) = fresh();
        queue.push(paste.clone()).unwrap();
        write_once(&mut queue, &mut region, written);
        queue.push_urgent(3).unwrap();
        let rest = drain(&mut queue, &mut region, 1);
        let place = if written < 6 {
            6
        } else if written <= 12 {
            written
        } else {
            paste.len()
        };
        let expected = [&paste[written..place], &[3], &paste[place..]].concat();
        assert_eq!(rest, expected, "{written}");
    }
    let (mut queue, mut region, _) = fresh();
    queue.push(paste).unwrap();
    write_once(&mut queue, &mut region, 9);
    let (mut queue, mut region) = killed(&region);
    write_once(&mut queue, &mut region, 2);
    queue.push_urgent(3).unwrap();
    assert_eq!(drain(&mut queue, &mut region, 1), b"201~\x03");
}

#[test]
fn the_last_message_taken_is_known_whether_it_waits_or_was_applied() {
    let (mut queue, mut region, slot) = fresh();
    assert_eq!(queue.last_taken(&region, slot), Seq(0));
    for seq in 1..=3 {
        queue.push_sequenced(&mut region, slot, Seq(seq), vec![1]).unwrap();
    }
    write_once(&mut queue, &mut region, 1);
    assert_eq!((region.applied(slot), queue.last_taken(&region, slot)), (Seq(1), Seq(3)));
    drain(&mut queue, &mut region, 1);
    assert_eq!(queue.last_taken(&region, slot), Seq(3));
    let (queue, region) = killed(&region);
    assert_eq!(queue.last_taken(&region, slot), Seq(3));
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
