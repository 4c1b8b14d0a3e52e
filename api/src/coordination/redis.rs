//! What apis agree on over Redis. While it is away each goes by its own memory, and asks again once a second.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use devpocket_shared::ids::DeviceId;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script, cmd};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use super::MemoryCoordination;
use crate::counts;
use crate::domain::coordination::{Coordination, Failures};
use crate::domain::limits::{Class, Limiter, Quota, Subject, Taken, micros};
use crate::domain::lockout::{FAILURES, WINDOW};
use crate::domain::ticket;

/// How long one question may take; it takes well under a millisecond.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);
/// How long nobody asks again after a question without an answer.
const AWAY: Duration = Duration::from_secs(1);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest pause between two tries to connect.
const RECONNECT: Duration = Duration::from_millis(500);

/// How long Redis remembers that an api told it of all that it has revoked; then it is told again.
const TOLD_LIFE: Duration = Duration::from_secs(3600);
/// Devices told of in one question; so many take Redis about a millisecond.
const TOLD_AT_ONCE: usize = 500;

/// [`Quota::take`], by the clock of Redis: the instant until which all is used, in microseconds, lives in one key that goes
/// away when it is past.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local per, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local before = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local after = before + cost
if after - now > per then
    return {0, before - now, after - now - per}
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {1, after - now, 0}
";

/// Counts a try (`ARGV[1]`: 1 if the password was right), unless the door is closed; gives for how many milliseconds it is.
const SETTLE: &str = r"
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count >= tonumber(ARGV[2]) then
    local left = redis.call('PTTL', KEYS[1])
    if left > 0 then return left end
end
if ARGV[1] == '1' then
    redis.call('DEL', KEYS[1])
else
    redis.call('INCR', KEYS[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 0
";

/// `REDIS_URL` is none; it is never repeated, for it may hold a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("must be a URL like redis://user:password@host:6379/0, or rediss:// for TLS")]
pub struct RedisUrlError;

/// Agreement over one Redis.
pub struct RedisCoordination {
    connection: ConnectionManager,
    memory: MemoryCoordination,
    take: Script,
    settle: Script,
    /// Nobody asks before; none: it answers.
    away_until: Mutex<Option<Instant>>,
    telling: Mutex<Telling>,
    /// Where Redis keeps the name of a telling: not there, it was emptied since that began.
    told_key: String,
}

/// How Redis stands with the devices that this api has revoked: it is told of all of them again after it was away, for it may
/// have come back empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Telling {
    /// It may lack some.
    Due,
    /// It is being told; if whoever does that gives up, nobody says that it is done.
    Begun(Uuid),
    /// It was told of all, and has not forgotten them if it still has the name.
    Done(Uuid),
}

impl RedisCoordination {
    /// Over the Redis of `url`, which need not be there yet. Call it inside the runtime.
    pub fn new(url: &SecretString) -> Result<Self, RedisUrlError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_max_delay(RECONNECT);
        let connection =
            ConnectionManager::new_lazy_with_config(client(url)?, config).map_err(|_| RedisUrlError)?;
        Ok(Self {
            connection,
            memory: MemoryCoordination::default(),
            take: Script::new(TAKE),
            settle: Script::new(SETTLE),
            away_until: Mutex::default(),
            telling: Mutex::new(Telling::Due),
            told_key: format!("devpocket:told:{}", Uuid::new_v4()),
        })
    }

    /// Whether `url` names a Redis.
    pub fn check(url: &SecretString) -> Result<(), RedisUrlError> {
        client(url).map(drop)
    }

    /// The answer to a question; none while Redis is away.
    async fn ask<T>(&self, asked: impl Future<Output = Result<T, RedisError>> + Send) -> Option<T> {
        if self.away().is_some_and(|until| Instant::now() < until) {
            counts::redis_fallback();
            return None;
        }
        let answer = self.ask_now(asked).await;
        if answer.is_none() {
            counts::redis_fallback();
        }
        answer
    }

    async fn ask_now<T>(&self, asked: impl Future<Output = Result<T, RedisError>> + Send) -> Option<T> {
        match timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(answer)) => {
                if self.set_away(None).is_some() {
                    info!("Redis answers again");
                }
                Some(answer)
            }
            Ok(Err(err)) => {
                self.note_away(&err);
                None
            }
            Err(elapsed) => {
                self.note_away(&elapsed);
                None
            }
        }
    }

    /// Tells Redis of devices that were signed out, each for as long as is given; false if it is away.
    async fn tell_revoked(&self, devices: &[(DeviceId, Duration)]) -> bool {
        for some in devices.chunks(TOLD_AT_ONCE) {
            let (mut asked, mut connection) = (redis::pipe(), self.connection.clone());
            for (device_id, life) in some {
                asked.cmd("SET").arg(revoked_key(*device_id)).arg(1).arg("PX").arg(millis(*life)).ignore();
            }
            if self.ask(asked.query_async::<()>(&mut connection)).await.is_none() {
                *locked(&self.telling) = Telling::Due;
                return false;
            }
        }
        true
    }

    /// Tells Redis of all devices that are remembered. Whoever asks for it may be gone before the end, so that nothing counts as
    /// told before it is: the name is set first, and is gone again if Redis is emptied meanwhile; what is noted as lacking
    /// meanwhile, or told by somebody else at the same time, stays so.
    async fn tell_all(&self) {
        let (name, mut connection) = (Uuid::new_v4(), self.connection.clone());
        *locked(&self.telling) = Telling::Begun(name);
        let mut asked = cmd("SET");
        asked.arg(&self.told_key).arg(name.to_string()).arg("PX").arg(millis(TOLD_LIFE));
        let named = self.ask(asked.query_async::<()>(&mut connection)).await.is_some();
        if named && self.tell_revoked(&self.memory.revoked()).await {
            let mut telling = locked(&self.telling);
            if *telling == Telling::Begun(name) {
                *telling = Telling::Done(name);
            }
        }
    }

    fn note_away(&self, err: &(dyn std::error::Error + 'static)) {
        *locked(&self.telling) = Telling::Due;
        if self.set_away(Some(Instant::now() + AWAY)).is_none() {
            warn!(error = err, "Redis does not answer, each api goes by its own memory: {err}");
        }
    }

    fn away(&self) -> Option<Instant> {
        *locked(&self.away_until)
    }

    fn set_away(&self, until: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut *locked(&self.away_until), until)
    }
}

/// Every section under these locks is an assignment, so a poisoned one is fine.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn client(url: &SecretString) -> Result<Client, RedisUrlError> {
    Client::open(url.expose_secret()).map_err(|_| RedisUrlError)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Limiter for RedisCoordination {
    async fn take(&self, class: Class, subject: &Subject, quota: Quota) -> Taken {
        let (per, mut connection) = (micros(quota.per), self.connection.clone());
        let cost = per / u64::from(quota.units);
        let mut asked = self.take.key(format!("devpocket:limit:{}:{subject}", class.as_str()));
        asked.arg(per).arg(cost);
        let answer = self.ask(asked.invoke_async::<(u8, u64, u64)>(&mut connection)).await;
        let Some((allowed, full_in, refused_for)) = answer else {
            return self.memory.take(class, subject, quota).await;
        };
        quota.told(full_in, (allowed == 0).then_some(refused_for))
    }
}

#[async_trait]
impl Coordination for RedisCoordination {
    async fn use_ticket(&self, id: Uuid, gone_at: OffsetDateTime, now: OffsetDateTime) -> ticket::Taken {
        // Here too: while Redis is away nobody uses a ticket again at least where it was used.
        let here = self.memory.use_ticket(id, gone_at, now).await;
        if here != ticket::Taken::First {
            return here;
        }
        let life = Duration::try_from(gone_at - now).unwrap_or_default() + Duration::from_secs(1);
        let mut connection = self.connection.clone();
        let mut asked = cmd("SET");
        asked.arg(format!("devpocket:ticket:{id}")).arg(1).arg("NX").arg("PX").arg(millis(life));
        match self.ask(asked.query_async::<Option<String>>(&mut connection)).await {
            Some(None) => ticket::Taken::Again,
            Some(Some(_)) | None => ticket::Taken::First,
        }
    }

    async fn failures(&self, key: &str) -> Failures {
        let (name, mut connection) = (lockout_key(key), self.connection.clone());
        let mut asked = redis::pipe();
        asked.get(&name).pttl(&name);
        match self.ask(asked.query_async::<(Option<u32>, i64)>(&mut connection)).await {
            None => self.memory.failures(key).await,
            Some((count, left)) => {
                let count = count.unwrap_or_default();
                let left = u64::try_from(left).ok().filter(|left| *left > 0 && count >= FAILURES);
                Failures { count, closed_for: left.map(Duration::from_millis) }
            }
        }
    }

    async fn settle(&self, key: &str, right: bool) -> Option<Duration> {
        let mut connection = self.connection.clone();
        let mut asked = self.settle.key(lockout_key(key));
        asked.arg(u8::from(right)).arg(FAILURES).arg(millis(WINDOW));
        match self.ask(asked.invoke_async::<u64>(&mut connection)).await {
            None => self.memory.settle(key, right).await,
            Some(0) => None,
            Some(left) => Some(Duration::from_millis(left)),
        }
    }

    async fn forget(&self, key: &str) {
        self.memory.forget(key).await;
        let mut connection = self.connection.clone();
        let mut asked = cmd("DEL");
        asked.arg(lockout_key(key));
        self.ask(asked.query_async::<i64>(&mut connection)).await;
    }

    async fn revoke(&self, devices: &[DeviceId], life: Duration) -> bool {
        self.memory.revoke(devices, life).await;
        let told: Vec<_> = devices.iter().map(|device_id| (*device_id, life)).collect();
        self.tell_revoked(&told).await
    }

    async fn is_revoked(&self, device_id: DeviceId) -> bool {
        if self.memory.is_revoked(device_id).await {
            return true;
        }
        let mut connection = self.connection.clone();
        let mut asked = cmd("EXISTS");
        asked.arg(revoked_key(device_id));
        self.ask(asked.query_async::<bool>(&mut connection)).await.unwrap_or(false)
    }

    /// Tells Redis what it may lack, if it is back or was emptied: whoever watches over this api asks every few seconds.
    async fn reachable(&self) -> Option<bool> {
        // It decides nothing, so it is no decision of this api's own either.
        if self.away().is_some_and(|until| Instant::now() < until) {
            return Some(false);
        }
        let (mut asked, mut connection) = (cmd("GET"), self.connection.clone());
        asked.arg(&self.told_key);
        let Some(named) = self.ask_now(asked.query_async::<Option<String>>(&mut connection)).await else {
            return Some(false);
        };
        let telling = *locked(&self.telling);
        if !matches!(telling, Telling::Done(name) if named == Some(name.to_string())) {
            self.tell_all().await;
        }
        Some(true)
    }
}

fn revoked_key(device_id: DeviceId) -> String {
    format!("devpocket:revoked:{device_id}")
}

fn lockout_key(key: &str) -> String {
    format!("devpocket:failures:{key}")
}
