//! What programs tell beside their output: titles, bells, clipboard writes. The last few are kept for clients that are
//! attached; a slow client gets the newest of a kind, not all of them.

use std::collections::VecDeque;

use ptyd_screen::Effect;

/// Notifications kept; of every other kind only the last counts.
const MAX_NOTIFICATIONS: usize = 16;

/// The notices of one session.
#[derive(Debug, Default)]
pub struct Notices {
    count: u64,
    recent: VecDeque<(u64, Effect)>,
}

impl Notices {
    /// Takes one.
    pub fn push(&mut self, effect: Effect) {
        self.count += 1;
        if let Effect::Notify(_) = effect {
            let is_notify = |kept: &(u64, Effect)| matches!(kept.1, Effect::Notify(_));
            if self.recent.iter().filter(|kept| is_notify(kept)).count() >= MAX_NOTIFICATIONS
                && let Some(oldest) = self.recent.iter().position(is_notify)
            {
                self.recent.remove(oldest);
            }
        } else {
            let kind = std::mem::discriminant(&effect);
            self.recent.retain(|(_, kept)| std::mem::discriminant(kept) != kind);
        }
        self.recent.push_back((self.count, effect));
    }

    /// How many there have been.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Those that came after the first `seen`, oldest first.
    pub fn after(&self, seen: u64) -> impl Iterator<Item = &Effect> {
        self.recent.iter().filter(move |(number, _)| *number > seen).map(|(_, effect)| effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_titles_and_bells_the_last_counts_and_of_notifications_the_last_sixteen() {
        let mut notices = Notices::default();
        for number in 0..100 {
            notices.push(Effect::Title(format!("title {number}")));
            notices.push(Effect::Bell);
            notices.push(Effect::Notify(format!("done {number}")));
        }
        assert_eq!(notices.after(0).count(), 2 + 16);
        assert_eq!(
            notices.after(0).find(|e| matches!(e, Effect::Title(_))),
            Some(&Effect::Title("title 99".into()))
        );
        let seen = notices.count();
        assert_eq!(notices.after(seen).next(), None);
        notices.push(Effect::Bell);
        assert_eq!(notices.after(seen).collect::<Vec<_>>(), [&Effect::Bell]);
    }
}
