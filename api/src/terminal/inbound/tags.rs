//! Which `request_id` belongs to which message on its way to a ptyd, so that the answer can repeat it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Messages remembered; most are never answered, so the oldest is forgotten.
const MAX_TAGS: usize = 256;

/// The tags of one attachment, shared by both directions.
#[derive(Clone, Debug, Default)]
pub(in crate::terminal) struct Tags(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    last: u32,
    waiting: VecDeque<(u32, String)>,
    terminate: Option<String>,
}

impl Tags {
    /// A tag for a message with this `request_id`; 0 for none.
    pub(in crate::terminal) fn give(&self, request_id: Option<String>) -> u32 {
        let Some(request_id) = request_id else { return 0 };
        let mut inner = self.lock();
        inner.last = inner.last.checked_add(1).unwrap_or(1);
        let tag = inner.last;
        if inner.waiting.len() >= MAX_TAGS {
            inner.waiting.pop_front();
        }
        inner.waiting.push_back((tag, request_id));
        tag
    }

    /// Notes that the session's end answers this `request_id`.
    pub(in crate::terminal) fn give_terminate(&self, request_id: Option<String>) {
        self.lock().terminate = request_id;
    }

    /// The `request_id` behind a tag.
    pub(in crate::terminal) fn take(&self, tag: u32) -> Option<String> {
        let mut inner = self.lock();
        let at = inner.waiting.iter().position(|(other, _)| *other == tag)?;
        inner.waiting.remove(at).map(|(_, request_id)| request_id)
    }

    /// The `request_id` that the session's end answers.
    pub(in crate::terminal) fn take_terminate(&self) -> Option<String> {
        self.lock().terminate.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
