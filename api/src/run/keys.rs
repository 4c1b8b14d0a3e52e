//! Follows the file of the keys that sign tokens: what an operator writes there counts within seconds, without a restart.

use std::path::{Path, PathBuf};
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

/// Reads the file again and again until `stop`. One that cannot be read, is no list, or with `strict` holds a key that
/// strangers would try, changes nothing.
pub(super) async fn follow(path: PathBuf, strict: bool, accounts: Arc<Accounts>, stop: CancellationToken) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Result<SecretString, String>> = None;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let (now, keys) = match read(&path, strict).await {
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

/// What the file holds, and the keys in it.
async fn read(path: &Path, strict: bool) -> Result<(SecretString, KeyList), String> {
    let text = text(path).await.map_err(|err| err.to_string())?;
    let keys = KeyList::accept(&text, strict).map_err(|err| err.to_string())?;
    Ok((text, keys))
}

async fn text(path: &Path) -> std::io::Result<SecretString> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The story: a key out of some documentation was refused at start, and taken when it came into the file later.
    #[tokio::test]
    async fn a_key_that_strangers_would_try_is_not_taken_from_the_file_in_production() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = async |text: &str, strict| {
            fs::write(file.path(), text).await.unwrap();
            super::read(file.path(), strict).await.map(|(_, keys)| keys.accepted())
        };
        let good = "5f1c0e9ab37d42685f1c0e9ab37d4268";
        let weak = format!("{good}\n2027-01-31T12:00:10Z change-me-change-me-0123456789-abcdef\n");
        assert_eq!(read(good, true).await, Ok(1));
        assert_eq!(read(&weak, false).await, Ok(2));
        let refused = read(&weak, true).await.unwrap_err();
        assert!(refused.contains("key 2") && !refused.contains("change-me"), "{refused}");
        assert!(read("short", false).await.is_err());
    }
}
