//! What a client leaves behind: one that says goodbye nothing, one whose connection was lost what it may come back to.

use std::time::Duration;

use devpocket_shared::ids::{ClientId, Offset, TerminalSize};
use devpocket_shared::wire::{Attach, AttachMode, Delivery};
use ptyd_session::holds::LINGER;
use ptyd_session::lease::LOST_KEEPS;

use super::sample::{attach, print, session};
use super::*;
use crate::worker::drive::now;

const INSTANT: Duration = Duration::from_nanos(1);

/// An attach of a client with an id, which holds from what it acknowledges.
fn attach_as(client: &str, mode: AttachMode) -> Attach {
    let client_id = ClientId::try_from(client.to_owned()).ok();
    let (offset, delivery, window) = (Some(Offset(0)), Delivery::Lossless, Some(4096));
    Attach { client_id, offset, delivery, window, ..attach(mode) }
}

/// A session whose client, which held the program back and had the size, left so, and when.
fn left(left: Left) -> (Session, Instant) {
    let (session, t0) = (session(), now());
    let begun = session.attach(&attach_as("phone", AttachMode::Control), false, t0).unwrap();
    print(&session, b"not acknowledged");
    session.leave(begun.number, &begun.attachment, left, t0);
    session.lock().wanted_size = None;
    (session, t0)
}

/// The size that a client with a smaller screen sets by attaching, if it does.
fn size_set_by_attaching(session: &Session, mode: AttachMode, now: Instant) -> Option<TerminalSize> {
    let size = TerminalSize::new(20, 40).ok();
    session.attach(&Attach { size, ..attach_as("tablet", mode) }, false, now).unwrap();
    session.lock().wanted_size
}

#[test]
fn who_says_goodbye_lets_go_of_the_program_and_of_the_size_at_once() {
    let (session, t0) = left(Left::Detached);
    let shared = session.lock();
    assert_eq!((shared.holds.lowest(), shared.region.holding_clients()), (None, Vec::new()));
    drop(shared);
    assert_eq!(size_set_by_attaching(&session, AttachMode::Control, t0), TerminalSize::new(20, 40).ok());
}

#[test]
fn whose_connection_was_lost_holds_the_program_for_ten_seconds_and_the_next_worker_knows() {
    let (session, t0) = left(Left::Lost);
    let mut shared = session.lock();
    let slot = shared.region.find_client(&ClientId::try_from("phone".to_owned()).unwrap()).unwrap();
    assert_eq!(shared.holds.lowest(), Some(Offset(0)));
    assert_eq!(shared.region.holding_clients(), [(slot, Offset(0))]);
    assert_eq!(shared.holds.handle_timeout(t0 + LINGER - INSTANT), []);
    assert_eq!(shared.holds.handle_timeout(t0 + LINGER), [slot]);
    assert_eq!(shared.holds.lowest(), None);
}

#[test]
fn whose_connection_was_lost_has_the_size_for_a_minute() {
    for (after, set) in [(LOST_KEEPS - INSTANT, None), (LOST_KEEPS, TerminalSize::new(20, 40).ok())] {
        let (session, t0) = left(Left::Lost);
        assert_eq!(size_set_by_attaching(&session, AttachMode::Control, t0 + after), set, "after {after:?}");
    }
}

#[test]
fn who_only_watches_takes_no_size_that_nobody_has() {
    let (session, t0) = left(Left::Detached);
    assert_eq!(size_set_by_attaching(&session, AttachMode::View, t0), None);
    assert_eq!(size_set_by_attaching(&session, AttachMode::Control, t0), TerminalSize::new(20, 40).ok());
}
