//! Follows the files of the keys that sign tokens: what an operator writes there counts within seconds, without a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{KeySource, KeyTexts};
use crate::domain::accounts::Accounts;
use crate::domain::token::TokenKeys;

/// How often the files are read: a key dropped in an emergency is refused so soon.
const EVERY: Duration = Duration::from_secs(2);

/// Reads the files again and again until `stop`. One that cannot be read, is no list, or holds a key that is refused, changes
/// nothing.
pub(super) async fn follow(source: KeySource, accounts: Arc<Accounts>, stop: CancellationToken) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut held, mut told): (Option<KeyTexts>, Option<String>) = (None, None);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let (source, before) = (source.clone(), held.clone());
        let reading = spawn_blocking(move || read(&source, before.as_ref())).await;
        let (found, problem) = match reading.map_err(|err| err.to_string()).flatten() {
            Ok(Reading { texts, keys, problem }) => (Some((texts, keys)), problem),
            Err(problem) => (None, Some(problem)),
        };
        if let Some((texts, keys)) = found
            && !held.as_ref().is_some_and(|held| held.is_same(&texts))
        {
            accounts.replace_keys(&keys);
            if held.is_some() {
                info!("the keys of tokens were read again: {} are accepted", keys.count());
            }
            held = Some(texts);
        }
        if problem != told {
            if let Some(problem) = &problem {
                warn!("keys of tokens stay as they are: {problem}");
            }
            told = problem;
        }
    }
}

/// What counts from now on.
struct Reading {
    texts: KeyTexts,
    keys: TokenKeys,
    /// What is wrong with those that do not sign, which are as they were before.
    problem: Option<String>,
}

/// What the files hold, for who holds what was there `before`.
fn read(source: &KeySource, before: Option<&KeyTexts>) -> Result<Reading, String> {
    let (texts, problem) = match before {
        None => (source.texts().map_err(|err| err.to_string())?, None),
        Some(before) => source.texts_after(before).map_err(|err| err.to_string())?,
    };
    let keys = source.keys(&texts).map_err(|err| err.to_string())?;
    Ok(Reading { texts, keys, problem: problem.map(|problem| problem.to_string()) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use nix::unistd::geteuid;

    use super::*;
    use crate::config::JwtAlgorithm;
    use crate::domain::token::KeyList;

    /// Keys of both algorithms, in files, as in production.
    fn of_files(algorithm: JwtAlgorithm, secrets: &Path, pem: &Path) -> KeySource {
        KeySource {
            algorithm,
            secret: None,
            secret_file: Some(secrets.to_owned()),
            private_key_file: Some(pem.to_owned()),
            refuses_weak: true,
            reader: geteuid(),
        }
    }

    /// The story: a key out of some documentation was refused at start, and taken when it came into the file later.
    #[test]
    fn a_key_that_strangers_would_try_is_not_taken_from_the_file_in_production() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str, refuses_weak| {
            fs::write(file.path(), text).unwrap();
            let source = KeySource {
                algorithm: JwtAlgorithm::Hs256,
                secret: None,
                secret_file: Some(file.path().to_owned()),
                private_key_file: None,
                refuses_weak,
                reader: geteuid(),
            };
            super::read(&source, None).map(|reading| reading.keys.count())
        };
        let good = "5f1c0e9ab37d42685f1c0e9ab37d4268";
        let weak = format!("{good}\n2027-01-31T12:00:10Z change-me-change-me-0123456789-abcdef\n");
        assert_eq!(read(good, true), Ok(1));
        assert_eq!(read(&weak, false), Ok(2));
        let refused = read(&weak, true).unwrap_err();
        assert!(refused.contains("key 2") && !refused.contains("change-me"), "{refused}");
        assert!(read("short", false).is_err());
    }

    /// The story: with the old algorithm's file taken away, no rotation of the other counted, `--drop-old` neither, and the old
    /// keys stayed good.
    #[test]
    fn a_file_of_keys_that_do_not_sign_may_be_taken_away() {
        let directory = tempfile::tempdir().unwrap();
        let (secrets, pem) = (directory.path().join("jwt.key"), directory.path().join("jwt.pem"));
        fs::write(&secrets, "5f1c0e9ab37d42685f1c0e9ab37d4268").unwrap();
        let text = KeyList::fresh_pem().unwrap();
        fs::write(&pem, secrecy::ExposeSecret::expose_secret(&text)).unwrap();
        fs::set_permissions(&pem, fs::Permissions::from_mode(0o600)).unwrap();
        let read = |algorithm| {
            super::read(&of_files(algorithm, &secrets, &pem), None).map(|reading| reading.keys.count())
        };
        assert_eq!(read(JwtAlgorithm::EdDsa), Ok(2));
        fs::remove_file(&secrets).unwrap();
        assert_eq!(read(JwtAlgorithm::EdDsa), Ok(1));
        assert!(read(JwtAlgorithm::Hs256).unwrap_err().contains("jwt.key"), "what signs has to be there");
    }

    /// The story: with the old algorithm's file damaged, no rotation of the other counted.
    #[test]
    fn keys_that_do_not_sign_stay_as_they_are_where_their_file_is_damaged_and_those_that_sign_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (secrets, pem) = (directory.path().join("jwt.key"), directory.path().join("jwt.pem"));
        let text = KeyList::fresh_pem().unwrap();
        fs::write(&pem, secrecy::ExposeSecret::expose_secret(&text)).unwrap();
        fs::set_permissions(&pem, fs::Permissions::from_mode(0o600)).unwrap();
        let one = "5f1c0e9ab37d42685f1c0e9ab37d4268\n";
        let two = format!("{one}2027-01-31T12:00:10Z 0e9ab37d42685f1c0e9ab37d42685f1c\n");
        fs::write(&secrets, one).unwrap();
        let source = of_files(JwtAlgorithm::Hs256, &secrets, &pem);
        let before = read(&source, None).unwrap();
        assert_eq!((before.keys.count(), before.problem), (2, None));
        for damage in ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            fs::write(&pem, damage).unwrap();
            fs::write(&secrets, &two).unwrap();
            let now = read(&source, Some(&before.texts)).unwrap();
            assert_eq!(now.keys.count(), 3, "{damage}");
            assert!(now.problem.unwrap().starts_with("JWT_PRIVATE_KEY_FILE: "), "{damage}");
            assert!(!now.texts.is_same(&before.texts));
            fs::write(&secrets, "short").unwrap();
            assert!(read(&source, Some(&before.texts)).is_err(), "what signs has to be right");
        }
        fs::remove_file(&pem).unwrap();
        fs::write(&secrets, &two).unwrap();
        let now = read(&source, Some(&before.texts)).unwrap();
        assert_eq!((now.keys.count(), now.problem), (2, None), "they were taken away");
    }

    /// The story: a new key of one algorithm waited for a secret that was the public one of another.
    #[test]
    fn a_secret_that_is_a_public_key_holds_up_no_key_that_signs() {
        let directory = tempfile::tempdir().unwrap();
        let (secrets, pem) = (directory.path().join("jwt.key"), directory.path().join("jwt.pem"));
        let public = "G9d1roPEqZXmE+cq6I6Bvk8cSCdRn8mP54/hbX4EH4Y";
        let in_pem =
            format!("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{public}=\n-----END PUBLIC KEY-----\n");
        let text = KeyList::fresh_pem().unwrap();
        fs::write(&pem, format!("{in_pem}{}", secrecy::ExposeSecret::expose_secret(&text))).unwrap();
        fs::set_permissions(&pem, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&secrets, "5f1c0e9ab37d42685f1c0e9ab37d4268").unwrap();
        let source = of_files(JwtAlgorithm::EdDsa, &secrets, &pem);
        let before = read(&source, None).unwrap();
        assert_eq!(before.keys.count(), 3);
        fs::write(&secrets, public).unwrap();
        assert!(read(&source, None).err().unwrap().contains("public"), "at a start");
        let now = read(&source, Some(&before.texts)).unwrap();
        assert_eq!(now.keys.count(), 3);
        assert!(now.problem.unwrap().contains("public"));
    }

    #[test]
    fn a_file_that_somebody_else_could_have_written_is_not_taken_either() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = KeySource {
            algorithm: JwtAlgorithm::EdDsa,
            secret: Some("5f1c0e9ab37d42685f1c0e9ab37d4268".into()),
            secret_file: None,
            private_key_file: Some(file.path().to_owned()),
            refuses_weak: true,
            reader: geteuid(),
        };
        let read = |text: &str, mode| {
            fs::write(file.path(), text).unwrap();
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            super::read(&source, None).map(|reading| reading.keys.count())
        };
        let pem = KeyList::fresh_pem().unwrap();
        let pem = secrecy::ExposeSecret::expose_secret(&pem);
        assert_eq!(read(pem, 0o600), Ok(2));
        for mode in [0o604, 0o620] {
            let refused = read(pem, mode).unwrap_err();
            assert!(refused.starts_with("JWT_PRIVATE_KEY_FILE: ") && refused.contains("chmod"), "{refused}");
        }
        let cut = read(&pem[..60], 0o600).unwrap_err();
        assert!(cut.contains("JWT_PRIVATE_KEY_FILE: line 1: ") && !cut.contains(&pem[28..50]), "{cut}");
    }
}
