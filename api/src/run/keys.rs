//! Follows the file of the keys that sign tokens: what an operator writes there counts within seconds, without a restart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::fs;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::domain::accounts::Accounts;
use crate::domain::token::KeyList;

/// How often the file is read: a key dropped in an emergency is refused so soon.
const EVERY: Duration = Duration::from_secs(2);
/// Longest file; a list of keys is far shorter.
const MAX_BYTES: u64 = 64 << 10;

/// Reads the file again and again until `stop`. One that cannot be read, or is no list, changes nothing.
pub(super) async fn follow(path: PathBuf, accounts: Arc<Accounts>, stop: CancellationToken) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Result<SecretString, String>> = None;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let read = match read(&path).await {
            Ok(text) => KeyList::parse(&text).map(|keys| (text, keys)).map_err(|err| err.to_string()),
            Err(err) => Err(err.to_string()),
        };
        let (now, keys) = match read {
            Ok((text, keys)) => (Ok(text), Some(keys)),
            Err(problem) => (Err(problem), None),
        };
        if last.as_ref().is_some_and(|last| is_same(last, &now)) {
            continue;
        }
        match (&keys, &now) {
            (Some(keys), _) => {
                accounts.replace_keys(keys);
                if last.is_some() {
                    info!("the keys of tokens were read again: {} are accepted", keys.accepted());
                }
            }
            (None, Err(problem)) => {
                warn!("the keys of tokens stay as they are: {}: {problem}", path.display());
            }
            (None, Ok(_)) => {}
        }
        last = Some(now);
    }
}

async fn read(path: &PathBuf) -> std::io::Result<SecretString> {
    if fs::metadata(path).await?.len() > MAX_BYTES {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(fs::read_to_string(path).await?.into())
}

fn is_same(one: &Result<SecretString, String>, other: &Result<SecretString, String>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.expose_secret() == other.expose_secret(),
        (Err(one), Err(other)) => one == other,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}
