//! What the owner of a session may do with it and know of it without attaching. None of it takes the geometry lease.

use std::sync::atomic::Ordering;

use devpocket_shared::wire::details::{MAX_DETAIL_BYTES, MAX_INPUT_BYTES};
use devpocket_shared::wire::{ErrorCode, Failure, RollEntry, SessionDetails, Spec, Update};

use super::{Session, failure};
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
        let name_fits = record.name.as_deref().is_none_or(Spec::name_fits);
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
        let screen = shared.picture.screen();
        SessionDetails {
            info: shared.info(self.id),
            title: cut(screen.title()),
            cwd: screen.cwd().map(cut),
            last_activity_at_ms: active,
            // An earlier release did not note it; it printed until its end.
            ended_at_ms: shared.ended.then(|| shared.record.ended_at_ms.unwrap_or(active)),
            limits: shared.life.limits(),
        }
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

fn over() -> Failure {
    failure(ErrorCode::SessionEnded, "the session is over")
}

/// At most [`MAX_DETAIL_BYTES`] of a text, in whole characters.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_DETAIL_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = format!("x{}", "\u{e4}".repeat(MAX_DETAIL_BYTES));
        assert_eq!(cut(&long).len(), MAX_DETAIL_BYTES - 1);
    }
}
