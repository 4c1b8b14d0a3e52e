//! What the owner of a session may do with it and know of it without attaching. None of it takes the geometry lease.

use std::sync::atomic::Ordering;

use devpocket_shared::wire::details::{MAX_DETAIL_BYTES, MAX_INPUT_BYTES};
use devpocket_shared::wire::{ErrorCode, Failure, RollEntry, SessionDetails, Spec, Update};

use super::Session;
use crate::worker::create::failure;
use crate::worker::create::now_ms;

impl Session {
    /// Takes typed bytes from nobody in particular: they have no number, and leave the size as it is.
    pub(crate) fn type_unattached(&self, bytes: Vec<u8>) -> Result<(), Failure> {
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(failure(ErrorCode::InvalidField, "too much input at once"));
        }
        let mut shared = self.lock();
        if shared.exit.is_some() {
            return Err(over());
        }
        shared.input.push(bytes).map_err(|_| {
            failure(ErrorCode::InputFull, "the program does not read its input; try again later")
        })?;
        shared.note_typed();
        drop(shared);
        self.work.notify_one();
        Ok(())
    }

    /// Changes all of it, or nothing. The record is to be stored then.
    pub(crate) fn update(&self, update: Update) -> Result<(), Failure> {
        let Update { name, idle_timeout_secs, max_duration_secs, size } = update;
        let mut shared = self.lock();
        if shared.exit.is_some() {
            return Err(over());
        }
        let mut record = shared.record.clone();
        name.apply(&mut record.name);
        idle_timeout_secs.apply(&mut record.limits.idle_timeout_secs);
        max_duration_secs.apply(&mut record.limits.max_duration_secs);
        // One that an earlier release took may stay.
        let keeps_name = record.name == shared.record.name;
        let name_fits = keeps_name || record.name.as_deref().is_none_or(Spec::name_fits);
        let bounds = record.limits.check().and(if name_fits { Ok(()) } else { Err("name") });
        if let Err(field) = bounds {
            return Err(failure(ErrorCode::InvalidField, &format!("{field} is out of bounds")));
        }
        shared.life.set_limits(record.limits);
        shared.record = record;
        shared.want_size(size);
        drop(shared);
        self.work.notify_one();
        Ok(())
    }

    /// Notes that nobody is to find it any more. Its end is asked for elsewhere.
    pub(crate) fn discard(&self) {
        self.lock().record.discarded = true;
        self.discarded.store(true, Ordering::Release);
    }

    /// Notes when it ended; the record is to be stored then.
    pub(crate) fn note_ended(&self) {
        self.lock().record.ended_at_ms = Some(now_ms());
    }

    /// All that is known of it.
    pub(crate) fn details(&self) -> SessionDetails {
        let shared = self.lock();
        let active = shared.region.active_at_ms().unwrap_or(shared.record.created_at_ms);
        SessionDetails {
            info: shared.info(self.id),
            title: cut(&shared.picture.title()),
            // What anything may print says less than what the shell signed.
            cwd: shared.commands.cwd().or(shared.picture.cwd().as_deref()).map(cut),
            last_activity_at_ms: active,
            // An earlier release did not note it; it printed until its end.
            ended_at_ms: shared.ended.then(|| shared.record.ended_at_ms.unwrap_or(active)),
            limits: shared.life.limits(),
        }
    }

    /// All that is known of it, and how many commands its shell has run.
    pub(crate) fn details_counted(&self) -> (SessionDetails, u64) {
        (self.details(), self.lock().commands.count())
    }

    /// Its line on the node's roll.
    pub(crate) fn roll_entry(&self) -> RollEntry {
        let info = self.info();
        RollEntry {
            session_id: self.id,
            owner: self.owner,
            attached_clients: info.attached_clients,
            bytes_out: info.bytes_out,
            exit: info.exit,
        }
    }
}

pub(super) fn over() -> Failure {
    failure(ErrorCode::SessionEnded, "the session is over")
}

/// At most [`MAX_DETAIL_BYTES`] of a text, in whole characters.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_DETAIL_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use devpocket_shared::ids::TerminalSize;
    use devpocket_shared::wire::{AttachMode, Change, EndReason, Limits};

    use super::*;
    use crate::handover::ExitStatus;
    use crate::worker::drive::now;
    use crate::worker::session::sample::{attach, session};
    use crate::worker::session::{Left, Wish};

    const MINUTE: Duration = Duration::from_mins(1);

    fn deadline(session: &Session) -> Option<Instant> {
        let shared = session.lock();
        shared.life.poll_timeout(shared.is_attached())
    }

    #[test]
    fn a_client_keeps_a_quiet_session_alive_until_it_leaves() {
        let (session, t0) = (session(), now());
        assert!(deadline(&session).unwrap() <= t0 + MINUTE);
        let watching = session.attach(&attach(AttachMode::View), false, t0).unwrap();
        assert_eq!(deadline(&session), None);
        session.leave(watching.number, &watching.attachment, Left::Lost, t0 + MINUTE * 9);
        assert_eq!(deadline(&session), Some(t0 + MINUTE * 10));
        session.lock().note_activity(t0 + MINUTE * 9 + MINUTE / 2);
        assert_eq!(deadline(&session), Some(t0 + MINUTE * 10 + MINUTE / 2));
    }

    #[test]
    fn the_first_reason_for_an_end_counts_and_ends_the_wait() {
        let session = session();
        assert_eq!(session.mark_ending(EndReason::IdleTimeout), Wish::Noted);
        assert_eq!(session.mark_ending(EndReason::Terminated), Wish::Known);
        assert_eq!(session.record().reason, Some(EndReason::IdleTimeout));
        assert_eq!(deadline(&session), None);
        session.exited(ExitStatus::Code(0));
        assert_eq!(session.mark_ending(EndReason::Terminated), Wish::Ended);
    }

    #[test]
    fn typing_and_resizing_unattached_leave_the_lease_where_it_is() {
        let (session, t0) = (session(), now());
        let laptop = session.attach(&attach(AttachMode::Control), false, t0).unwrap();
        let large = TerminalSize::new(50, 150).unwrap();
        assert_eq!(session.lock().wanted_size.take(), Some(large));
        session.lock().region.record_size(large);
        session.type_unattached(b"ls\n".to_vec()).unwrap();
        assert_eq!(session.lock().wanted_size, None);
        let small = TerminalSize::new(5, 20).unwrap();
        session.update(Update { size: Some(small), ..Update::default() }).unwrap();
        assert_eq!(session.lock().wanted_size.take(), Some(small));
        session.lock().region.record_size(small);
        // The lease is still the laptop's: a report of its size counts.
        session.resize(laptop.number, large, false).unwrap();
        assert_eq!(session.lock().wanted_size, Some(large));
    }

    #[test]
    fn an_update_is_done_whole_or_not_at_all() {
        let session = session();
        let update = |name: &str, secs| Update {
            name: Change::Set(name.to_owned()),
            max_duration_secs: Change::Set(secs),
            idle_timeout_secs: Change::Clear,
            size: None,
        };
        for (bad, field) in [(update("two", 0), "max_duration"), (update("a\0b", 5), "name")] {
            let refused = session.update(bad).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidField);
            assert!(refused.message.starts_with(field), "{}", refused.message);
            assert_eq!(session.record().name.as_deref(), Some("one"));
        }
        session.update(update("two", 5)).unwrap();
        let details = session.details();
        assert_eq!(details.info.name.as_deref(), Some("two"));
        assert_eq!(details.limits, Limits { idle_timeout_secs: None, max_duration_secs: Some(5) });
        assert_eq!(session.record().limits, details.limits, "the next worker knows");
        session.exited(ExitStatus::Code(0));
        assert_eq!(session.update(Update::default()).unwrap_err().code, ErrorCode::SessionEnded);
        assert_eq!(session.type_unattached(b"x".to_vec()).unwrap_err().code, ErrorCode::SessionEnded);
    }

    #[test]
    fn input_has_bounds() {
        let session = session();
        let refused = session.type_unattached(vec![b'x'; MAX_INPUT_BYTES + 1]).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidField);
        for _ in 0..4 {
            session.type_unattached(vec![b'x'; MAX_INPUT_BYTES]).unwrap();
        }
        assert_eq!(session.type_unattached(vec![b'x']).unwrap_err().code, ErrorCode::InputFull);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = format!("x{}", "\u{e4}".repeat(MAX_DETAIL_BYTES));
        assert_eq!(cut(&long).len(), MAX_DETAIL_BYTES - 1);
    }
}
