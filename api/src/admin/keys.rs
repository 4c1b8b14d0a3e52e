//! A new key for signing tokens, put into the file that every api reads again by itself: accepted at once, signing a little
//! later, so that no api sees a token of a key it does not know.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{AdminError, Outcome, written};
use crate::config::secret;
use crate::domain::secret_token;
use crate::domain::token::{KeyList, MAX_KEYS};

/// Beyond an access token's life: apis' clocks may differ a little.
const MARGIN: Duration = Duration::minutes(1);

/// `rotate-keys`.
#[derive(clap::Args, Clone, Debug)]
pub struct RotateKeys {
    /// Secret in the environment; a key there cannot be changed from here.
    #[arg(long, env = "JWT_SECRET_KEY", hide = true, hide_env_values = true, value_parser = secret)]
    jwt_secret_key: Option<SecretString>,
    /// File with the keys [default: jwt.key in DATA_DIR, as standalone keeps it].
    #[arg(long, env = "JWT_SECRET_KEY_FILE")]
    jwt_secret_key_file: Option<PathBuf>,
    /// How long an access token lives, in minutes: so long the old keys are accepted.
    #[arg(long, env = "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", default_value = "60",
        value_parser = clap::value_parser!(u32).range(1..=525_600))]
    jwt_access_token_expire_minutes: u32,
    /// After how many seconds the new key signs: longer than the file takes to reach every api, which reads it every two.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(i64).range(0..=2_592_000))]
    after: i64,
    /// In an emergency: accept no older key any more. Access tokens they signed are refused within seconds; devices go on
    /// with their refresh tokens.
    #[arg(long)]
    drop_old: bool,
}

pub(super) fn rotate(
    args: &RotateKeys,
    data_directory: Option<&Path>,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let path = match (&args.jwt_secret_key_file, &args.jwt_secret_key) {
        (Some(path), _) => path.clone(),
        (None, Some(_)) => {
            return Err(AdminError::Refused(
                "the key is in the environment, as JWT_SECRET_KEY: put it into a file, name that by \
                 JWT_SECRET_KEY_FILE instead, restart the apis, and try again"
                    .to_owned(),
            ));
        }
        (None, None) => data_directory.unwrap_or(Path::new("")).join("jwt.key"),
    };
    let _turn = lock(&path)?;
    let text = fs::read_to_string(&path).map_err(|source| AdminError::File { path: path.clone(), source })?;
    let mut keys = KeyList::parse(&text.trim_end().to_owned().into())
        .map_err(|source| AdminError::Keys { path: path.clone(), source })?;
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let from = if args.drop_old { now } else { now + Duration::seconds(args.after) };
    let kept = Duration::minutes(args.jwt_access_token_expire_minutes.into()) + MARGIN;
    keys.add(secret_token::random()?, from, kept, now);
    if args.drop_old {
        keys.keep_last();
    }
    if keys.accepted() > MAX_KEYS {
        let problem = format!(
            "{} has {MAX_KEYS} keys whose tokens are good still: try again later, or --drop-old",
            path.display()
        );
        return Err(AdminError::Refused(problem));
    }
    put(&path, &keys).map_err(|source| AdminError::File { path: path.clone(), source })?;
    let (file, accepted) = (path.display(), keys.accepted());
    let text = format!("{file}: a new key signs from {} on; {accepted} keys are accepted", written(from));
    Ok(Outcome::done(text, json!({"file": path, "signs_from": written(from), "accepted": accepted})))
}

/// Two rotations at once would lose a key.
fn lock(path: &Path) -> Result<File, AdminError> {
    let failed = |source| AdminError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(AdminError::Refused(format!("{} is being changed by somebody else", path.display())))
        }
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Replaces the file as a whole, for the same owner: root may do this for the api's user.
fn put(path: &Path, keys: &KeyList) -> io::Result<()> {
    // Through a link to where it really lies.
    let path = fs::canonicalize(path)?;
    let owner = fs::metadata(&path)?;
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (owner.uid(), owner.gid()) {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.set_permissions(owner.permissions())?;
    file.write_all(keys.to_text().expose_secret().as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const FIRST: &str = "0123456789abcdef0123456789abcdef";

    fn args(path: &Path) -> RotateKeys {
        RotateKeys {
            jwt_secret_key: None,
            jwt_secret_key_file: Some(path.to_owned()),
            jwt_access_token_expire_minutes: 60,
            after: 10,
            drop_old: false,
        }
    }

    fn t0() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    #[test]
    fn the_file_keeps_its_mode_and_has_the_old_keys_until_their_tokens_have_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwt.key");
        fs::write(&path, FIRST).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let outcome = rotate(&args(&path), None, t0()).unwrap();
        assert_eq!(outcome.json["signs_from"], "2027-01-15T08:00:10Z");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&format!("{FIRST}\n2027-01-15T08:00:10Z ")), "{text}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(!outcome.text.contains(FIRST) && !outcome.json.to_string().contains(FIRST));

        rotate(&args(&path), None, t0() + Duration::hours(1)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
        rotate(&args(&path), None, t0() + Duration::minutes(62)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() == 3 && !text.contains(FIRST), "{text}");

        rotate(&RotateKeys { drop_old: true, ..args(&path) }, None, t0() + Duration::hours(2)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() == 1 && text.starts_with("2027-01-15T10:00:00Z "), "{text}");
    }

    #[test]
    fn more_keys_than_are_accepted_are_refused_and_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwt.key");
        fs::write(&path, FIRST).unwrap();
        for _ in 1..MAX_KEYS {
            rotate(&args(&path), None, t0()).unwrap();
        }
        let before = fs::read_to_string(&path).unwrap();
        assert!(matches!(rotate(&args(&path), None, t0()), Err(AdminError::Refused(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        assert!(matches!(rotate(&args(&dir.path().join("none")), None, t0()), Err(AdminError::File { .. })));
    }
}
