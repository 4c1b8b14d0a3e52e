//! A paste is cut by a worker kill while its client is away, and others go on.

use std::time::Duration;

use super::*;
use crate::test_clock::t0;

const END: &[u8] = b"\x1b[201~";

/// A client's paste of which a killed worker had written the first 4 KiB; the client is away.
fn cut_paste() -> (InputQueue, Region<Vec<u8>>, Slot, Vec<u8>) {
    let (mut queue, mut region, slot) = fresh();
    let paste = paste::frame(&"x".repeat(9000), true);
    queue.push_sequenced(&mut region, slot, Seq(1), paste.clone()).unwrap();
    assert_eq!(write_once(&mut queue, &mut region, 4096), paste[..4096]);
    let (queue, region) = killed(&region);
    (queue, region, slot, paste)
}

fn laptop(region: &mut Region<Vec<u8>>) -> Slot {
    region.admit_client(&ClientId::try_from("laptop".to_owned()).unwrap(), |_| false).unwrap()
}

fn answer(region: &mut Region<Vec<u8>>) {
    assert!(region.ask(10, b"query", 1));
    let (asked, _) = region.next_query().unwrap();
    region.answer_query(asked, Some(b"ANSWER"));
}

/// The story: what another client typed went into the paste, and its own paste ended it: the rest was run as typed.
#[test]
fn what_others_type_waits_behind_a_cut_paste_for_ten_seconds_only() {
    let (mut queue, mut region, phone, paste) = cut_paste();
    let (laptop, t0) = (laptop(&mut region), t0());
    assert_eq!(queue.handle_timeout(&mut region, t0), None);
    assert_eq!(queue.poll_timeout(&region), None, "nobody waits");
    let theirs = paste::frame("theirs", true);
    queue.push(b"typed".to_vec()).unwrap();
    queue.push_sequenced(&mut region, laptop, Seq(1), theirs.clone()).unwrap();
    answer(&mut region);
    assert!(queue.is_empty(&region), "nothing is to be written now");
    assert!(queue.next_write(&mut region).is_empty());
    assert_eq!(queue.wrote(&mut region, 0), None);
    queue.push_urgent(3).unwrap();
    assert_eq!(drain(&mut queue, &mut region, 1), [3], "a control byte does not wait");
    let late = t0 + PASTE_WAIT;
    assert_eq!(queue.poll_timeout(&region), Some(late));
    assert_eq!(queue.handle_timeout(&mut region, late - Duration::from_millis(1)), None);
    assert_eq!(queue.handle_timeout(&mut region, late), Some((phone, Seq(1))));
    assert_eq!((queue.poll_timeout(&region), queue.handle_timeout(&mut region, late)), (None, None));
    // The next worker may be the one that writes the end.
    let (_, mut after) = killed(&region);
    assert_eq!(drain(&mut InputQueue::default(), &mut after, 1), [END, b"ANSWER"].concat());
    assert_eq!(drain(&mut queue, &mut region, 4), [END, b"ANSWER", b"typed", theirs.as_slice()].concat());
    assert_eq!((region.applied(phone), region.uncertain(phone)), (Seq(1), Some(Seq(1))));
    assert_eq!(queue.push_sequenced(&mut region, phone, Seq(1), paste), Ok(Accepted::Repeated));
    assert!(queue.is_empty(&region));
}

/// The story: the client was back after half a second and sent its paste again over a slow line; at ten seconds it was acknowledged.
#[test]
fn a_cut_paste_is_not_given_up_while_its_client_is_there_to_send_it() {
    let (mut queue, mut region, phone, paste) = cut_paste();
    let (laptop, t0) = (laptop(&mut region), t0());
    queue.push(b"typed".to_vec()).unwrap();
    assert_eq!(queue.handle_timeout(&mut region, t0), None);
    let back = t0 + PASTE_WAIT / 2;
    queue.client_attached(&region, laptop, back);
    assert_eq!(queue.poll_timeout(&region), Some(t0 + PASTE_WAIT), "another client is not waited for");
    queue.client_attached(&region, phone, back);
    assert_eq!(queue.handle_timeout(&mut region, t0 + PASTE_WAIT), None);
    // It is cut off, and has its time to come again.
    let lost = back + ATTACHED_PASTE_WAIT / 2;
    queue.client_left(&region, phone, lost);
    assert_eq!(queue.poll_timeout(&region), Some(lost + PASTE_WAIT));
    queue.client_attached(&region, phone, lost + PASTE_WAIT / 2);
    assert_eq!(queue.handle_timeout(&mut region, lost + PASTE_WAIT), None);
    queue.push_sequenced(&mut region, phone, Seq(1), paste.clone()).unwrap();
    // It waits for the program now, however long that takes.
    assert_eq!(queue.handle_timeout(&mut region, t0 + MOST_PASTE_WAIT * 9), None);
    assert_eq!(drain(&mut queue, &mut region, 1000), [&paste[4096..], b"typed"].concat());
    assert_eq!((region.applied(phone), region.uncertain(phone)), (Seq(1), None));
}

#[test]
fn a_client_that_comes_and_goes_and_never_sends_is_waited_for_two_minutes() {
    let (mut queue, mut region, phone, _) = cut_paste();
    let (start, mut now) = (t0(), t0());
    // Nobody waits yet, and so no time passes.
    queue.client_attached(&region, phone, now);
    now += MOST_PASTE_WAIT;
    assert_eq!(queue.handle_timeout(&mut region, now), None);
    queue.push(b"typed".to_vec()).unwrap();
    loop {
        queue.client_attached(&region, phone, now);
        if queue.handle_timeout(&mut region, now).is_some() {
            break;
        }
        now += Duration::from_secs(5);
    }
    assert_eq!(now, start + MOST_PASTE_WAIT * 2);
    assert_eq!(drain(&mut queue, &mut region, 1000), [END, b"typed"].concat());
}

#[test]
fn the_rest_of_a_cut_paste_goes_ahead_of_all_who_waited_for_it() {
    let (mut queue, mut region, phone, paste) = cut_paste();
    let (laptop, t0) = (laptop(&mut region), t0());
    queue.handle_timeout(&mut region, t0);
    let theirs = paste::frame("theirs", true);
    queue.push_sequenced(&mut region, laptop, Seq(1), theirs.clone()).unwrap();
    let typed = vec![b't'; MAX_WAITING_BYTES - theirs.len()];
    queue.push(typed.clone()).unwrap();
    answer(&mut region);
    // However full it is: the others wait for this.
    assert_eq!(queue.push_sequenced(&mut region, phone, Seq(1), paste.clone()), Ok(Accepted::Queued));
    assert_eq!(queue.push_sequenced(&mut region, phone, Seq(2), b"more".to_vec()), Err(Refused::Full));
    assert_eq!(queue.poll_timeout(&region), None);
    assert_eq!(queue.handle_timeout(&mut region, t0 + PASTE_WAIT), None, "it came in time");
    let out = drain(&mut queue, &mut region, 1000);
    assert_eq!(out, [&paste[4096..], b"ANSWER", &theirs, &typed].concat());
    assert_eq!((region.applied(phone), region.uncertain(phone)), (Seq(1), None));
}

#[test]
fn a_cut_paste_for_which_nobody_waits_goes_on_whenever_its_client_is_back() {
    let (mut queue, mut region, phone, paste) = cut_paste();
    let t0 = t0();
    let hour = Duration::from_hours(1);
    assert_eq!(queue.handle_timeout(&mut region, t0), None);
    assert_eq!(queue.handle_timeout(&mut region, t0 + hour), None);
    queue.push_sequenced(&mut region, phone, Seq(1), paste.clone()).unwrap();
    assert_eq!(drain(&mut queue, &mut region, 1000), paste[4096..]);
    // But who comes later has waited already.
    let (mut queue, mut region, phone, _) = cut_paste();
    queue.handle_timeout(&mut region, t0);
    queue.push(b"typed".to_vec()).unwrap();
    assert_eq!(queue.handle_timeout(&mut region, t0 + hour), Some((phone, Seq(1))));
    assert_eq!(drain(&mut queue, &mut region, 1000), [END, b"typed"].concat());
}

/// The story: the program was asked for framed pastes no more when the rest came, and so that began at another place.
#[test]
fn the_rest_of_a_paste_is_framed_as_its_beginning_was() {
    let text = "x".repeat(9000);
    for framed in [true, false] {
        let (mut queue, mut region, slot) = fresh();
        assert_eq!(region.was_framed(slot, Seq(1)), None);
        queue.push_sequenced(&mut region, slot, Seq(1), paste::frame(&text, framed)).unwrap();
        let mut out = write_once(&mut queue, &mut region, 4096);
        let (mut queue, mut region) = killed(&region);
        assert_eq!(region.was_framed(slot, Seq(1)), Some(framed));
        assert_eq!(region.was_framed(slot, Seq(2)), None);
        queue.push_sequenced(&mut region, slot, Seq(1), paste::frame(&text, framed)).unwrap();
        out.extend(drain(&mut queue, &mut region, 1000));
        assert_eq!(out, paste::frame(&text, framed));
        assert_eq!(region.was_framed(slot, Seq(1)), None);
    }
}

#[test]
fn a_client_that_sends_another_message_under_the_number_of_its_cut_paste_ends_it() {
    let (mut queue, mut region, phone, _) = cut_paste();
    queue.push_sequenced(&mut region, phone, Seq(1), b"ls\r".to_vec()).unwrap();
    assert_eq!(drain(&mut queue, &mut region, 2), [END, b"ls\r"].concat());
    assert_eq!(region.applied(phone), Seq(1));
    // However long that is: its first bytes were lost where it went on for the other.
    for other in
        [vec![b'y'; 4100], paste::frame(&"y".repeat(9000), true), paste::frame(&"x".repeat(4084), true)]
    {
        let (mut queue, mut region, phone, _) = cut_paste();
        queue.push_sequenced(&mut region, phone, Seq(1), other.clone()).unwrap();
        let first = write_once(&mut queue, &mut region, 2);
        // Whatever happens on the way.
        let (mut queue, mut region) = killed(&region);
        queue.push_sequenced(&mut region, phone, Seq(1), other.clone()).unwrap();
        let rest = drain(&mut queue, &mut region, 100);
        assert_eq!([first, rest].concat(), [&END[..2], END, &other].concat());
        assert_eq!(region.applied(phone), Seq(1));
    }
}

#[test]
fn what_is_typed_under_the_number_of_another_half_written_message_is_written_whole() {
    let (mut queue, mut region, slot) = fresh();
    queue.push_sequenced(&mut region, slot, Seq(1), vec![b'x'; 9000]).unwrap();
    for _ in 0..2 {
        write_once(&mut queue, &mut region, 3000);
        let (again, recovered) = killed(&region);
        (queue, region) = (again, recovered);
        queue.push_sequenced(&mut region, slot, Seq(1), vec![b'x'; 9000]).unwrap();
    }
    assert_eq!(region.written_of(slot, Seq(1)), 6000);
    let (mut queue, mut region) = killed(&region);
    let other = [vec![b'x'; 5999], vec![b'y'; 100]].concat();
    queue.push_sequenced(&mut region, slot, Seq(1), other.clone()).unwrap();
    assert_eq!(drain(&mut queue, &mut region, 1000), other);
}

#[test]
fn the_paste_of_a_client_that_was_forgotten_is_ended() {
    let (mut queue, mut region, phone, _) = cut_paste();
    for n in 0..crate::ledger::MAX_CLIENTS {
        region.admit_client(&ClientId::try_from(format!("client-{n}")).unwrap(), |_| false).unwrap();
    }
    assert_eq!(region.find_client(&ClientId::try_from("phone".to_owned()).unwrap()), None);
    queue.push_sequenced(&mut region, phone, Seq(1), b"typed".to_vec()).unwrap();
    assert_eq!(drain(&mut queue, &mut region, 100), [END, b"typed"].concat());
}

/// Where a kill hits a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kill {
    Never,
    BeforeWrite,
    /// The bytes went out, and nobody noted it.
    AfterWrite,
    /// ... and that was noted.
    BetweenWrites,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    most: usize,
    kill: Kill,
    /// Which clients are there, and send again what they have.
    present: [bool; 2],
    seconds: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let most = prop_oneof![0..12_usize, 0..6000_usize];
    let kill = prop_oneof![
        6 => Just(Kill::Never),
        1 => Just(Kill::BeforeWrite),
        1 => Just(Kill::AfterWrite),
        2 => Just(Kill::BetweenWrites),
    ];
    (most, kill, any::<[bool; 2]>(), 0..5_u64).prop_map(|(most, kill, present, seconds)| Step {
        most,
        kill,
        present,
        seconds,
    })
}

/// Of each letter, how many came; `Err` if what was typed came as pasted, or the other way round.
fn received(mut out: &[u8]) -> Result<BTreeMap<u8, usize>, String> {
    let (mut counts, mut pasting) = (BTreeMap::new(), false);
    while let Some(byte) = out.first().copied() {
        if out.starts_with(b"\x1b[200~") || out.starts_with(END) {
            pasting = out[4] == b'0';
            out = &out[6..];
            continue;
        }
        out = &out[1..];
        // What a kill left of a frame is neither typed nor pasted.
        if byte.is_ascii_alphabetic() {
            if byte.is_ascii_uppercase() != pasting {
                return Err(format!("{} came while pasting was {pasting}", char::from(byte)));
            }
            *counts.entry(byte).or_default() += 1;
        }
    }
    Ok(counts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Two clients type and paste, come and go; the worker is killed anywhere in a write. What is pasted comes as pasted and
    /// what is typed as typed, each message whole and once, unless it is told as uncertain.
    #[test]
    fn nothing_typed_is_taken_for_pasted_and_nothing_pasted_for_typed(
        messages in proptest::collection::vec((0..2_usize, any::<bool>(), 1..9000_usize), 1..10),
        script in proptest::collection::vec(step(), 1..100),
    ) {
        let (_, mut region, phone) = fresh();
        let slots = [phone, laptop(&mut region)];
        let (mut sent, mut letters) = ([Vec::new(), Vec::new()], BTreeMap::new());
        for (n, (client, is_paste, len)) in messages.into_iter().enumerate() {
            let letter = if is_paste { b'A' } else { b'a' } + n as u8;
            let text = char::from(letter).to_string().repeat(len);
            sent[client].push(if is_paste { paste::frame(&text, true) } else { text.into_bytes() });
            letters.insert(letter, (len, client, sent[client].len() as u64));
        }
        let (mut queue, mut now) = (InputQueue::default(), t0());
        let (mut out, mut uncertain) = (Vec::new(), Vec::new());
        // At the end nobody is killed or away any more, so that everything arrives.
        let calm = Step { most: 5000, kill: Kill::Never, present: [true; 2], seconds: 0 };
        for Step { most, kill, present, seconds } in script.into_iter().chain(std::iter::repeat_n(calm, 80)) {
            for client in (0..2).filter(|client| present[*client]) {
                for (n, message) in sent[client].iter().enumerate() {
                    let _repeated =
                        queue.push_sequenced(&mut region, slots[client], Seq(n as u64 + 1), message.clone());
                }
            }
            now += Duration::from_secs(seconds);
            uncertain.extend(queue.handle_timeout(&mut region, now));
            if queue.is_empty(&region) {
                let waits = !queue.waiting.is_empty();
                prop_assert_eq!(waits, queue.poll_timeout(&region).is_some_and(|until| now < until));
                continue;
            }
            let next = queue.next_write(&mut region);
            let written = next[..next.len().min(most)].to_vec();
            if kill != Kill::BeforeWrite {
                out.extend_from_slice(&written);
            }
            if matches!(kill, Kill::Never | Kill::BetweenWrites) {
                queue.wrote(&mut region, written.len());
            }
            if kill != Kill::Never {
                (queue, region) = killed(&region);
                uncertain.extend(slots.iter().filter_map(|slot| Some((*slot, region.uncertain(*slot)?))));
            }
        }
        let counts = received(&out).map_err(TestCaseError::fail)?;
        for (letter, (len, client, seq)) in letters {
            let got = counts.get(&letter).copied().unwrap_or(0);
            let named = uncertain.contains(&(slots[client], Seq(seq)));
            prop_assert!(got == len || (named && got < len), "{}: {got} of {len}", char::from(letter));
        }
        prop_assert!(queue.is_empty(&region) && region.unfinished_paste().is_none());
    }
}
