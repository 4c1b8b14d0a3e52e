//! What a password must be, and hashing it off the async threads. Knows nothing of accounts.

use std::sync::Arc;
use std::thread::{self, available_parallelism};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use rustix::process::nice;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// argon2id with 19 MiB, two passes, one lane (OWASP password storage cheat sheet).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How long a request waits for its turn before it is told to come back. Hashing takes about 20 ms.
const PATIENCE: Duration = Duration::from_secs(10);
/// The least urgent there is: whoever waits for a key's echo runs first.
const LEAST_URGENT: i32 = 19;
/// The longest slice there is, in nanoseconds.
const SLICE_NS: u64 = 100_000_000;

/// Fewest characters of a password.
pub const MIN_CHARACTERS: usize = 8;
/// Most characters of a password.
pub const MAX_CHARACTERS: usize = 128;

/// A password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many others are being checked.
    #[error("password checks are backed up")]
    Busy,
    /// The hash function failed, or a stored hash is none.
    #[error("password hashing failed")]
    Hash(argon2::password_hash::Error),
    /// No thread could be started.
    #[error("no thread for a password")]
    Thread(#[source] std::io::Error),
    /// The thread died.
    #[error("password thread failed")]
    Died,
}

/// Names what a new password lacks; none if it is strong enough.
///
/// Counts characters, not bytes. Longer than [`MAX_CHARACTERS`] is for the caller to refuse earlier.
pub fn weakness(password: &str) -> Option<&'static str> {
    if password.chars().count() < MIN_CHARACTERS {
        Some("The password needs at least 8 characters")
    } else if !password.chars().any(char::is_uppercase) {
        Some("The password needs an upper-case letter")
    } else if !password.chars().any(char::is_lowercase) {
        Some("The password needs a lower-case letter")
    } else if !password.chars().any(char::is_numeric) {
        Some("The password needs a digit")
    } else if password.chars().all(char::is_alphanumeric) {
        Some("The password needs a special character")
    } else {
        None
    }
}

/// Hashes and checks passwords. One processor is left to others if there are several: urgency counts among the threads of
/// the api alone where the kernel shares processors out by group (autogroups, containers), and a key typed passes through
/// other processes as well. Each takes 19 MiB while it runs.
#[derive(Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Checked where there is no account or no password, so that the answer takes as long.
    decoy: SecretString,
}

impl Passwords {
    /// Ready to check; makes one hash, which takes about 20 ms.
    pub fn new() -> Result<Self, PasswordError> {
        let decoy = hash_now("no account has this password").map_err(PasswordError::Hash)?;
        let turns = available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
        Ok(Self { turns: Arc::new(Semaphore::new(turns)), decoy })
    }

    /// The PHC text to store for `password`.
    pub async fn hash(&self, password: SecretString) -> Result<SecretString, PasswordError> {
        self.in_turn(move || hash_now(password.expose_secret())).await?.map_err(PasswordError::Hash)
    }

    /// Whether `password` is the one of `stored`; false, after the same time, if nothing is stored.
    pub async fn verify(
        &self,
        password: Arc<SecretString>,
        stored: Option<&SecretString>,
    ) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.decoy).clone();
        let good = self.in_turn(move || verify_now(password.expose_secret(), stored.expose_secret())).await?;
        Ok(good.map_err(PasswordError::Hash)? && known)
    }

    /// Runs `work` when it has its turn, on a thread of its own: one that has become less urgent stays so. The turn ends with
    /// the work, not with who waits for it: a client that leaves does not make room for another.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(PasswordError::Busy)?;
        let (tell, told) = oneshot::channel();
        let work = move || {
            stand_back();
            let done = work();
            drop(turn);
            // Nobody waits any more.
            let _left = tell.send(done);
        };
        let _thread =
            thread::Builder::new().name("password".into()).spawn(work).map_err(PasswordError::Thread)?;
        told.await.map_err(|_| PasswordError::Died)
    }
}

/// Makes this thread, alone, give way to any other that wakes. Urgency is not enough: since Linux 6.6 a thread that runs is
/// left alone for its slice, and from 6.12 on only one that asks for a shorter slice goes first. Refused, it works all the same.
fn stand_back() {
    let gives_way = uapi::sched_getattr(0, 0).and_then(|mut how| {
        how.sched_nice = LEAST_URGENT;
        how.sched_runtime = SLICE_NS;
        uapi::sched_setattr(0, &how, 0)
    });
    if gives_way.is_err() {
        let _urgency = nice(LEAST_URGENT);
    }
}

fn hasher() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &str) -> Result<SecretString, argon2::password_hash::Error> {
    Ok(SecretString::from(hasher()?.hash_password(password.as_bytes())?.to_string()))
}

fn verify_now(password: &str, stored: &str) -> Result<bool, argon2::password_hash::Error> {
    match hasher()?.verify_password(password.as_bytes(), &PasswordHash::new(stored)?) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_password_is_told_what_it_lacks() {
        let check = |password: &str, lacks: &str| {
            let told = weakness(password).unwrap_or("");
            assert!(told.contains(lacks) && told.is_empty() == lacks.is_empty(), "{password:?}: {told:?}");
        };
        check("", "8 characters");
        check("Aa1!aaa", "8 characters");
        check("aa1!aaaa", "upper-case");
        check("AA1!AAAA", "lower-case");
        check("Aa!!aaaa", "digit");
        check("Aa1aaaaa", "special");
        check("Aa1!aaaa", "");
        check("Aa1 äöüß", "");
        check("Ää1😀äääß", "");
    }

    #[tokio::test]
    async fn a_password_opens_its_own_hash_and_no_decoy() {
        let passwords = Passwords::new().unwrap();
        let stored = passwords.hash(SecretString::from("Correct1!")).await.unwrap();
        assert!(
            stored.expose_secret().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            stored.expose_secret()
        );
        let check = async |password: &str, stored: Option<&SecretString>| {
            passwords.verify(Arc::new(SecretString::from(password)), stored).await.unwrap()
        };
        assert!(check("Correct1!", Some(&stored)).await);
        assert!(!check("correct1!", Some(&stored)).await);
        assert!(!check("no account has this password", None).await);
    }

    #[tokio::test]
    async fn whoever_hashes_gives_way() {
        let passwords = Passwords::new().unwrap();
        let how = passwords.in_turn(|| uapi::sched_getattr(0, 0).unwrap()).await.unwrap();
        assert_eq!(how.sched_nice, LEAST_URGENT);
        if has_slices() {
            assert_eq!(how.sched_runtime, SLICE_NS);
        }
        assert_eq!(uapi::sched_getattr(0, 0).unwrap().sched_nice, 0, "and nobody else");
    }

    /// Whether the kernel lets threads ask for a slice, as Linux does since 6.12; before, it says of every thread that it has
    /// asked for none.
    fn has_slices() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next().unwrap().parse::<u32>().unwrap();
        (next(), next()) >= (6, 12)
    }

    /// The story: a request that was cut off gave its turn back while its hash went on, so that a client that came and went
    /// could have hundreds of them run at once, 19 MiB each.
    #[tokio::test]
    async fn no_more_run_at_once_than_there_are_turns_whoever_waits_for_them() {
        let passwords = Passwords::new().unwrap();
        let turns = passwords.turns.available_permits();
        let (begun, began) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = Arc::new(std::sync::Mutex::new(gone));
        for _ in 0..turns {
            let (begun, gone) = (begun.clone(), gone.clone());
            let mut left = Box::pin(passwords.in_turn(move || {
                begun.send(()).unwrap();
                let _over = gone.lock().unwrap().recv();
            }));
            assert!(futures_util::poll!(left.as_mut()).is_pending());
            began.recv().unwrap();
            drop(left);
        }
        assert_eq!(passwords.turns.available_permits(), 0);
        let mut late = Box::pin(passwords.in_turn(|| 7));
        assert!(futures_util::poll!(late.as_mut()).is_pending());
        drop(go);
        assert_eq!(late.await.unwrap(), 7);
    }

    /// Whoever looked at less of an unknown account would tell by its haste that nobody has it; whoever worked without a turn
    /// would hold up the async threads, and be one of any number.
    #[tokio::test]
    async fn hashing_and_checking_take_a_turn_each_whatever_is_stored() {
        let passwords = Passwords::new().unwrap();
        let stored = passwords.hash(SecretString::from("Correct1!")).await.unwrap();
        let given = || Arc::new(SecretString::from("Correct1!"));
        let all = u32::try_from(passwords.turns.available_permits()).unwrap();
        let every_turn = Arc::clone(&passwords.turns).acquire_many_owned(all).await.unwrap();
        let mut hashing = Box::pin(passwords.hash(SecretString::from("Correct1!")));
        let mut known = Box::pin(passwords.verify(given(), Some(&stored)));
        let mut unknown = Box::pin(passwords.verify(given(), None));
        assert!(futures_util::poll!(hashing.as_mut()).is_pending());
        assert!(futures_util::poll!(known.as_mut()).is_pending());
        assert!(futures_util::poll!(unknown.as_mut()).is_pending());
        drop(every_turn);
        assert!(hashing.await.is_ok() && known.await.unwrap() && !unknown.await.unwrap());
    }
}
