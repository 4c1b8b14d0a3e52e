//! Connections that wait for their client: for a request or for its body, the one that waits longest first: when there are too many, it goes. Knows
//! no socket.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Those that wait for their client, by when they began to.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    last: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

/// A connection's place among them; it is given up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    all: Arc<Waiting>,
    /// None while a request is under way.
    number: Mutex<Option<u64>>,
    has_worked: AtomicBool,
    /// Told when it has to go.
    pub(super) go: CancellationToken,
}

impl Waiting {
    /// Tells the one that waits longest to go, if there is one.
    pub(super) fn dismiss_oldest(&self) {
        if let Some((_, go)) = self.line().waiting.pop_first() {
            go.cancel();
        }
    }

    /// Every section under this lock is a map operation and leaves nothing half done, so a poisoned one is fine.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A new connection's, which waits for its first request.
    pub(super) fn new(all: Arc<Waiting>) -> Self {
        let (has_worked, go) = (AtomicBool::new(false), CancellationToken::new());
        let place = Self { all, number: Mutex::default(), has_worked, go };
        place.wait();
        place
    }

    /// It waits for its client from here on.
    pub(super) fn wait(&self) {
        let mut line = self.all.line();
        line.last += 1;
        let number = line.last;
        line.waiting.insert(number, self.go.clone());
        drop(line);
        self.leave(Some(number));
    }

    /// A request is under way, and its client has sent what is needed.
    pub(super) fn work(&self) {
        self.has_worked.store(true, Ordering::Relaxed);
        self.leave(None);
    }

    /// Whether there was a request on it.
    pub(super) fn has_worked(&self) -> bool {
        self.has_worked.load(Ordering::Relaxed)
    }

    fn leave(&self, next: Option<u64>) {
        let before =
            std::mem::replace(&mut *self.number.lock().unwrap_or_else(PoisonError::into_inner), next);
        if let Some(before) = before {
            self.all.line().waiting.remove(&before);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.work();
    }
}
