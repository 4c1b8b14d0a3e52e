//! Owners whose readers take what they take, on a simulated clock: nobody else waits for them long.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// Bytes of the largest snapshot here.
const LARGE: usize = 100;
const BOUNDS: Bounds = Bounds { turns: 2, bytes: 16 * LARGE, owner_bytes: 4 * LARGE };

fn owner(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

fn grants(room: &mut Room) -> Vec<Granted> {
    std::iter::from_fn(|| room.poll_grant()).collect()
}

/// Draws all that can be drawn, and gives whose they were; all of them wait for their readers then.
fn draw_all(room: &mut Room) -> Vec<UserId> {
    let mut drawn = Vec::new();
    loop {
        let granted = grants(room);
        if granted.is_empty() {
            return drawn;
        }
        for turn in granted {
            drawn.push(turn.owner);
            room.end_turn();
        }
    }
}

/// The story: an owner had a quarter, whoever else was there or not.
#[test]
fn one_owner_alone_holds_three_quarters_and_another_does_not_wait_for_its_share() {
    let mut room = Room::new(BOUNDS);
    for _ in 0..16 {
        room.ask(owner(1), LARGE);
    }
    assert_eq!(draw_all(&mut room), [owner(1); 12]);
    assert_eq!(room.wanted_from(owner(1)), Wanted::ByItself);
    for _ in 0..4 {
        let other = room.ask(owner(2), LARGE);
        assert!(!room.lacks_bytes(owner(2), other));
        assert_eq!(draw_all(&mut room), [owner(2)]);
    }
    let more = room.ask(owner(2), LARGE);
    assert!(room.is_beyond_share(owner(2), more));
    assert_eq!(room.wanted_from(owner(1)), Wanted::ByItself, "nobody gives way to what is beyond a share");
    room.give_up(owner(2), more);
    // A third gets the first that is free.
    room.ask(owner(3), LARGE);
    assert_eq!(room.wanted_from(owner(1)), Wanted::ByOther { beyond_share: true });
    assert_eq!(room.wanted_from(owner(2)), Wanted::ByOther { beyond_share: false });
    room.give_back(owner(1), LARGE);
    assert_eq!(draw_all(&mut room), [owner(3)]);
    room.give_back(owner(1), 4 * LARGE);
    assert_eq!(draw_all(&mut room), [], "as much as a share is kept free");
    room.give_back(owner(2), LARGE);
    assert_eq!(draw_all(&mut room), [owner(1)]);
}

#[test]
fn turns_go_from_owner_to_owner_however_many_each_asked_for() {
    let mut room = Room::new(Bounds { turns: 1, ..BOUNDS });
    for _ in 0..3 {
        room.ask(owner(1), 0);
    }
    room.ask(owner(2), LARGE);
    room.ask(owner(3), 0);
    room.ask(owner(3), LARGE);
    let expected = [1, 2, 3, 1, 3, 1].map(owner);
    assert_eq!(draw_all(&mut room), expected);
}

#[test]
fn a_page_waits_for_a_turn_alone() {
    let mut room = Room::new(BOUNDS);
    for _ in 0..13 {
        room.ask(owner(1), LARGE);
    }
    assert_eq!(draw_all(&mut room).len(), 12);
    let page = room.ask(owner(1), 0);
    assert_eq!(grants(&mut room).iter().map(|turn| turn.asked).collect::<Vec<_>>(), [page]);
}

#[test]
fn what_all_hold_is_wanted_from_all_and_what_one_holds_from_that_one() {
    let mut room = Room::new(BOUNDS);
    for number in 0..16 {
        room.ask(owner(number / 4), LARGE);
    }
    assert_eq!(draw_all(&mut room).len(), 16);
    let own = room.ask(owner(0), LARGE);
    assert!(room.lacks_bytes(owner(0), own));
    assert_eq!([0, 1].map(|number| room.wanted_from(owner(number))), [Wanted::ByItself, Wanted::Not]);
    let other = room.ask(owner(9), LARGE);
    let by_other = Wanted::ByOther { beyond_share: false };
    assert!((0..4).all(|number| room.wanted_from(owner(number)) == by_other));
    room.give_up(owner(9), other);
    assert_eq!(room.wanted_from(owner(1)), Wanted::Not);
    room.give_up(owner(0), own);
    assert_eq!(room.wanted_from(owner(0)), Wanted::Not);
}

#[derive(Clone, Debug)]
enum Step {
    Ask { owner: u128, bytes: usize },
    GiveUp(prop::sample::Index),
    Drawn { which: prop::sample::Index, keeps: usize },
    Read { which: prop::sample::Index, bytes: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..6_u128, prop_oneof![Just(0), Just(LARGE)]).prop_map(|(owner, bytes)| Step::Ask { owner, bytes }),
        1 => which().prop_map(Step::GiveUp),
        3 => (which(), 0..=LARGE).prop_map(|(which, keeps)| Step::Drawn { which, keeps }),
        3 => (which(), 1..=LARGE).prop_map(|(which, bytes)| Step::Read { which, bytes }),
    ]
}

proptest! {
    #[test]
    fn bounds_hold_and_whoever_can_be_served_is(steps in prop::collection::vec(step(), 1..300)) {
        let mut room = Room::new(BOUNDS);
        let mut waiting: Vec<(UserId, Asked, usize)> = Vec::new();
        let (mut drawing, mut held): (Vec<Granted>, BTreeMap<UserId, usize>) = Default::default();
        for step in steps {
            match step {
                Step::Ask { owner: number, bytes } => {
                    waiting.push((owner(number), room.ask(owner(number), bytes), bytes));
                }
                Step::GiveUp(which) if !waiting.is_empty() => {
                    let (owner, asked, _) = waiting.swap_remove(which.index(waiting.len()));
                    room.give_up(owner, asked);
                    room.give_up(owner, asked);
                }
                Step::Drawn { which, keeps } if !drawing.is_empty() => {
                    let turn = drawing.swap_remove(which.index(drawing.len()));
                    room.end_turn();
                    let unused = turn.bytes - turn.bytes.min(keeps);
                    room.give_back(turn.owner, unused);
                    *held.entry(turn.owner).or_default() -= unused;
                }
                Step::Read { which, bytes } if !held.is_empty() => {
                    let (owner, has) = held.iter().nth(which.index(held.len())).map(|(owner, has)| (*owner, *has)).unwrap();
                    let drawn = has - drawing.iter().filter(|turn| turn.owner == owner).map(|turn| turn.bytes).sum::<usize>();
                    room.give_back(owner, bytes.min(drawn));
                    *held.entry(owner).or_default() -= bytes.min(drawn);
                }
                Step::GiveUp(_) | Step::Drawn { .. } | Step::Read { .. } => {}
            }
            for turn in grants(&mut room) {
                let at = waiting.iter().position(|(_, asked, _)| *asked == turn.asked).unwrap();
                prop_assert_eq!(waiting.remove(at), (turn.owner, turn.asked, turn.bytes));
                *held.entry(turn.owner).or_default() += turn.bytes;
                drawing.push(turn);
            }
            prop_assert!(drawing.len() <= BOUNDS.turns);
            prop_assert!(held.values().sum::<usize>() <= BOUNDS.bytes);
            prop_assert!(held.values().all(|has| *has <= BOUNDS.bytes - BOUNDS.owner_bytes));
            // Who waits while a turn is free lacks bytes, and they are wanted from somebody who has some.
            for (owner, asked, bytes) in &waiting {
                let has = held.get(owner).copied().unwrap_or(0);
                let all = held.values().sum::<usize>() + bytes;
                let most = if has + bytes <= BOUNDS.owner_bytes { BOUNDS.bytes } else { BOUNDS.bytes - BOUNDS.owner_bytes };
                let fits = *bytes == 0 || all <= most;
                prop_assert_eq!(room.lacks_bytes(*owner, *asked), !fits);
                prop_assert!(!fits || drawing.len() == BOUNDS.turns);
                prop_assert!(fits || held.iter().any(|(owner, has)| *has > 0 && room.wanted_from(*owner) != Wanted::Not));
            }
        }
        for (owner, asked, _) in waiting {
            room.give_up(owner, asked);
        }
        drawing.iter().for_each(|_| room.end_turn());
        held.into_iter().for_each(|(owner, has)| room.give_back(owner, has));
        prop_assert!(room.owners.is_empty() && room.order.is_empty() && room.held == 0 && room.drawing == 0);
    }
}
