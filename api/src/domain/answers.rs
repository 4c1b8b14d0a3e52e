//! Requests that are done once, however often they are sent (API.md section 1): by a key of the client's, the answer is
//! kept and given again. Knows no HTTP and no SQL, nor what is done.

mod seal;

use std::sync::Arc;

use devpocket_shared::ids::{SessionId, UserId};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use self::seal::Seal;
use super::clock::Clock;
use crate::store::{AnswerKey, AnswerStore, Attempt, Begun, BegunCommand, KeptAnswer, StoreError};

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 255;
/// How long an answer is kept.
const KEPT: Duration = Duration::hours(24);
/// How long one attempt may take; after that its api is taken to be dead.
pub const ATTEMPT: std::time::Duration = std::time::Duration::from_secs(30);
/// How much longer it is waited until another attempt is made: clocks of apis may differ a little.
const MARGIN: Duration = Duration::seconds(5);
/// How long a second request waits for the answer of the first, and how often it looks.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
/// Kept answers of one account take so many bytes before only a little is kept of each.
const ACCOUNT_BYTES: i64 = 16 << 20;
/// How often it is tried to take back an attempt of which nobody knows whether it began.
const TAKING_BACK: std::time::Duration = std::time::Duration::from_secs(1);

/// What a client calls a request by: printable ASCII, 1 to [`MAX_KEY_BYTES`] bytes.
#[derive(Clone)]
pub struct RequestKey(String);

impl RequestKey {
    /// Takes `text` if it is a key.
    pub fn parse(text: &str) -> Option<Self> {
        let good =
            (1..=MAX_KEY_BYTES).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7F).contains(&b));
        good.then(|| Self(text.to_owned()))
    }
}

/// A request that is done once.
pub struct Once {
    user_id: UserId,
    route: String,
    key_hash: [u8; 32],
    fingerprint: [u8; 32],
    seal: Seal,
    attempt: Uuid,
}

impl Once {
    /// Whose request it is, where it was sent to, under which key, and with what in it.
    pub fn new(user_id: UserId, route: &str, key: &RequestKey, content: &[u8]) -> Self {
        Self {
            user_id,
            route: route.to_owned(),
            key_hash: Sha256::digest(key.0.as_bytes()).into(),
            fingerprint: keyed(key.0.as_bytes()).chain_update(content).finalize().into_bytes().into(),
            seal: Seal::of(user_id, route, &key.0),
            attempt: Uuid::new_v4(),
        }
    }

    fn key(&self) -> AnswerKey<'_> {
        AnswerKey { user_id: self.user_id, route: &self.route, key_hash: &self.key_hash }
    }

    /// An attempt that begins now, at what has this id.
    fn attempt_at(&self, now: OffsetDateTime, resource_id: Uuid) -> Attempt<'_> {
        Attempt {
            id: self.attempt,
            fingerprint: &self.fingerprint,
            resource_id,
            held_until: now + ATTEMPT + MARGIN,
            expires_at: now + KEPT,
        }
    }
}

/// The kept answers of one deployment.
pub struct Answers {
    store: Arc<dyn AnswerStore>,
    clock: Clock,
}

impl Answers {
    /// Over a store.
    pub fn new(store: Arc<dyn AnswerStore>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Begins to do it, or finds that it was done: then that is the answer. Waits a little for another attempt that is
    /// under way.
    pub async fn begin(&self, once: &Once) -> Result<Begun, StoreError> {
        let given_up = Instant::now() + PATIENCE;
        self.store.forget_expired(self.clock.now()).await?;
        loop {
            let now = self.clock.now();
            let attempt = once.attempt_at(now, Uuid::now_v7());
            let begun = self.store.begin_answer(once.key(), attempt, now).await?;
            if let Begun::Done(sealed) = begun {
                return Ok(Begun::Done(once.seal.opened(sealed)?));
            }
            if !matches!(begun, Begun::UnderWay(_)) || Instant::now() >= given_up {
                return Ok(begun);
            }
            sleep(LOOK).await;
        }
    }

    /// How long another attempt may still be under way that is given up at a time, in seconds: at least one.
    pub fn secs_until(&self, given_up: OffsetDateTime) -> u64 {
        let left = given_up - self.clock.now();
        u64::try_from(left.whole_seconds()).unwrap_or(0) + 1
    }

    /// Keeps the answer, sealed: what it tells of may be deleted before it is.
    pub async fn keep(&self, once: &Once, answer: &KeptAnswer) -> Result<(), StoreError> {
        self.store.keep_answer(once.key(), once.attempt, &once.seal.closed(answer)?).await
    }

    /// Nothing came of it, as far as is known: it may be tried again.
    pub async fn release(&self, once: &Once) -> Result<(), StoreError> {
        self.store.release_answer(once.key(), once.attempt).await
    }
}

impl Answers {
    /// Begins to type a command into a session, or finds what has become of it. Waits a little for another attempt that is
    /// typing it.
    pub async fn begin_command(&self, once: &Once, session: SessionId) -> Result<BegunCommand, StoreError> {
        let given_up = Instant::now() + PATIENCE;
        self.store.forget_expired(self.clock.now()).await?;
        loop {
            let now = self.clock.now();
            let attempt = once.attempt_at(now, session.uuid());
            let begun = self.store.begin_command(once.key(), attempt, now).await?;
            if let BegunCommand::Done(sealed) = begun {
                return Ok(BegunCommand::Done(once.seal.opened(sealed)?));
            }
            if !matches!(begun, BegunCommand::UnderWay(_)) || Instant::now() >= given_up {
                return Ok(begun);
            }
            sleep(LOOK).await;
        }
    }

    /// The session's shell has begun it: whoever sends it again waits for the end of this one.
    pub async fn note_started(&self, once: &Once, command_number: u64) -> Result<(), StoreError> {
        self.store.note_started(once.key(), once.attempt, command_number).await
    }

    /// Nothing was typed: the same may be tried again.
    pub async fn forget_command(&self, once: &Once) -> Result<(), StoreError> {
        self.store.forget_command(once.key(), once.attempt).await.map(|_| ())
    }

    /// The same of an attempt of which the database did not say that it began: it may have begun, and may yet, so that this is tried for as
    /// long as an attempt may take. Until then whoever sends it again is told that it is under way.
    pub async fn take_back(&self, once: &Once) {
        let given_up = Instant::now() + ATTEMPT;
        while Instant::now() < given_up {
            sleep(TAKING_BACK).await;
            if let Ok(true) = self.store.forget_command(once.key(), once.attempt).await {
                return;
            }
        }
    }

    /// Whether so little is kept for the account that much may be of another answer.
    pub async fn has_room(&self, once: &Once) -> Result<bool, StoreError> {
        Ok(self.store.kept_bytes(once.user_id).await? < ACCOUNT_BYTES)
    }

    /// Keeps the answer, sealed: it holds what a program has printed. Another that is kept already is the answer.
    pub async fn keep_first(
        &self,
        once: &Once,
        answer: &KeptAnswer,
    ) -> Result<Option<KeptAnswer>, StoreError> {
        let kept = self.store.keep_first_answer(once.key(), &once.seal.closed(answer)?).await?;
        kept.map(|sealed| once.seal.opened(sealed)).transpose()
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("any key length")
}
