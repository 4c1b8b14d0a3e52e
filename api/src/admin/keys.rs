//! A new key for signing tokens, put into the file that every api reads again by itself: accepted at once, signing a little
//! later, so that no api sees a token of a key it does not know.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{AdminError, Outcome, written};
use crate::config::{JwtAlgorithm, secret};
use crate::domain::secret_token;
use crate::domain::token::{KeyList, MAX_ACCESS_MINUTES, MAX_KEYS};

/// Beyond an access token's life: apis' clocks may differ a little.
const MARGIN: Duration = Duration::minutes(1);

/// `rotate-keys`.
#[derive(clap::Args, Clone, Debug)]
pub struct RotateKeys {
    /// Secret in the environment; a key there cannot be changed from here.
    #[arg(long, env = "JWT_SECRET_KEY", hide = true, hide_env_values = true, value_parser = secret)]
    jwt_secret_key: Option<SecretString>,
    /// File with the keys of HS256 [default: jwt.key in DATA_DIR, as standalone keeps it].
    #[arg(long, env = "JWT_SECRET_KEY_FILE")]
    jwt_secret_key_file: Option<PathBuf>,
    /// File with the keys of EdDSA [default: jwt.pem in DATA_DIR, as standalone keeps it].
    #[arg(long, env = "JWT_PRIVATE_KEY_FILE")]
    jwt_private_key_file: Option<PathBuf>,
    /// What signs: of which file a new key is made [default: HS256, or EdDSA where DATA_DIR holds keys of that alone].
    #[arg(long, env = "JWT_ALGORITHM")]
    jwt_algorithm: Option<JwtAlgorithm>,
    /// How long an access token lives, in minutes: so long the old keys are accepted.
    #[arg(long, env = "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", default_value = "60",
        value_parser = clap::value_parser!(u32).range(1..=MAX_ACCESS_MINUTES))]
    jwt_access_token_expire_minutes: u32,
    /// After how many seconds the new key signs: longer than the file takes to reach every api, which reads it every two.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(i64).range(0..=2_592_000))]
    after: i64,
    /// In an emergency: accept no older key any more. Access tokens they signed are refused within seconds; devices go on
    /// with their refresh tokens.
    #[arg(long)]
    drop_old: bool,
}

impl RotateKeys {
    /// What signs; where it is not said, what lies beside a standalone says so.
    fn algorithm(&self, data_directory: &Path) -> Result<JwtAlgorithm, AdminError> {
        if let Some(algorithm) = self.jwt_algorithm {
            return Ok(algorithm);
        }
        if self.jwt_secret_key.is_some() || self.jwt_secret_key_file.is_some() {
            // As the apis have it that are configured so.
            return Ok(JwtAlgorithm::Hs256);
        }
        match (data_directory.join("jwt.key").exists(), data_directory.join("jwt.pem").exists()) {
            (false, true) => Ok(JwtAlgorithm::EdDsa),
            (_, false) => Ok(JwtAlgorithm::Hs256),
            (true, true) => Err(AdminError::Refused(
                "there are keys of both algorithms: say by JWT_ALGORITHM which of them sign, HS256 or EdDSA"
                    .to_owned(),
            )),
        }
    }

    /// The file with the keys that sign.
    fn file(&self, algorithm: JwtAlgorithm, data_directory: &Path) -> Result<PathBuf, AdminError> {
        match (algorithm, &self.jwt_private_key_file, &self.jwt_secret_key_file) {
            (JwtAlgorithm::EdDsa, Some(path), _) | (JwtAlgorithm::Hs256, _, Some(path)) => Ok(path.clone()),
            (JwtAlgorithm::EdDsa, None, _) => Ok(data_directory.join("jwt.pem")),
            (JwtAlgorithm::Hs256, _, None) if self.jwt_secret_key.is_some() => Err(AdminError::Refused(
                "the key is in the environment, as JWT_SECRET_KEY: put it into a file, name that by \
                 JWT_SECRET_KEY_FILE instead, restart the apis, and try again"
                    .to_owned(),
            )),
            (JwtAlgorithm::Hs256, _, None) => Ok(data_directory.join("jwt.key")),
        }
    }

    /// Where keys of the other algorithm are, which are accepted too.
    fn accepted_beside(&self, algorithm: JwtAlgorithm, data_directory: &Path) -> Option<String> {
        let (given, default) = match algorithm {
            JwtAlgorithm::Hs256 => (self.jwt_private_key_file.as_ref(), "jwt.pem"),
            JwtAlgorithm::EdDsa if self.jwt_secret_key.is_some() => return Some("JWT_SECRET_KEY".to_owned()),
            JwtAlgorithm::EdDsa => (self.jwt_secret_key_file.as_ref(), "jwt.key"),
        };
        let default = data_directory.join(default);
        let path = given.cloned().or_else(|| default.exists().then_some(default))?;
        Some(path.display().to_string())
    }
}

pub(super) fn rotate(
    args: &RotateKeys,
    data_directory: Option<&Path>,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let data_directory = data_directory.unwrap_or(Path::new(""));
    let algorithm = args.algorithm(data_directory)?;
    let path = args.file(algorithm, data_directory)?;
    let file = |source| AdminError::File { path: path.clone(), source };
    let directory = lock(&path)?;
    let name = path.file_name().ok_or_else(|| file(io::ErrorKind::InvalidFilename.into()))?;
    let mut old = open(&directory, name).map_err(file)?;
    let about = old.metadata().map_err(file)?;
    if !about.is_file() {
        return Err(AdminError::Refused(format!("{} is not a regular file", path.display())));
    }
    let mut text = String::new();
    old.read_to_string(&mut text).map_err(file)?;
    let mut keys = KeyList::parse_for(algorithm.keys(), &text.trim_end().to_owned().into())
        .map_err(|source| AdminError::Keys { path: path.clone(), source })?;
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let from = if args.drop_old { now } else { now + Duration::seconds(args.after) };
    let kept = Duration::minutes(args.jwt_access_token_expire_minutes.into()) + MARGIN;
    keys.add(from, kept, now)?;
    if args.drop_old {
        keys.keep_last();
    }
    if algorithm == JwtAlgorithm::EdDsa && about.mode() & 0o026 != 0 {
        return Err(AdminError::Refused(format!(
            "{} is for others to read or write, so that no api takes it (chmod o-r,go-w)",
            path.display()
        )));
    }
    // As a production api takes it or not: which of them reads the file is not known here.
    if about.mode() & 0o022 != 0 {
        return Err(AdminError::Refused(format!(
            "{} is for others to write, so that no api in production takes it (chmod go-w)",
            path.display()
        )));
    }
    if keys.check().is_err() {
        return Err(AdminError::Refused(format!(
            "{} holds a key that can be guessed, so that no api in production takes the file: --drop-old replaces all keys \
             in it at once",
            path.display()
        )));
    }
    if keys.accepted() > MAX_KEYS {
        let problem = format!(
            "{} has {MAX_KEYS} keys whose tokens are good still: try again later, or --drop-old",
            path.display()
        );
        return Err(AdminError::Refused(problem));
    }
    put(&directory, name, &about, &keys, secret_token::random()?.expose_secret()).map_err(file)?;
    let (file, accepted) = (path.display(), keys.accepted());
    let mut text = format!("{file}: a new key signs from {} on; {accepted} keys are accepted", written(from));
    if args.drop_old
        && let Some(beside) = args.accepted_beside(algorithm, data_directory)
    {
        text += &format!(", and those of {beside}, which did not change");
    }
    Ok(Outcome::done(text, json!({"file": path, "signs_from": written(from), "accepted": accepted})))
}

/// The file's directory, locked: two rotations at once would lose a key. Not the file itself, which each replaces: a lock on
/// the one before keeps nobody from the next.
fn lock(path: &Path) -> Result<File, AdminError> {
    let failed = |source| AdminError::File { path: path.to_owned(), source };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(parent).map_err(failed)?;
    match directory.try_lock() {
        Ok(()) => Ok(directory),
        Err(fs::TryLockError::WouldBlock) => {
            Err(AdminError::Refused(format!("{} is being changed by somebody else", path.display())))
        }
        Err(fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The directory may belong to the api's user and this be root: no link of theirs is followed, and no pipe waited for.
fn open(directory: &File, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => Ok(file.into()),
        Err(Errno::ELOOP) => Err(io::Error::other("is a symbolic link: name the file that it leads to")),
        Err(err) => Err(err.into()),
    }
}

/// Replaces the file as a whole, for the same owner: root may do this for the api's user. By a name that nobody can have
/// put anything at.
fn put(directory: &File, name: &OsStr, old: &Metadata, keys: &KeyList, random: &str) -> io::Result<()> {
    let fresh = format!(".jwt-{}.new", random.get(..32).unwrap_or(random));
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = File::from(openat(directory, fresh.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    let put = fill(file, old, keys).and_then(|()| {
        renameat(directory, fresh.as_str(), directory, name)?;
        directory.sync_all()
    });
    if put.is_err() {
        let _gone = unlinkat(directory, fresh.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    put
}

fn fill(mut file: File, old: &Metadata, keys: &KeyList) -> io::Result<()> {
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (old.uid(), old.gid()) {
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
    file.write_all(keys.to_text().expose_secret().as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const FIRST: &str = "5f1c0e9ab37d4268a1c93e07d24f6b58";

    fn args(path: &Path) -> RotateKeys {
        RotateKeys {
            jwt_secret_key: None,
            jwt_secret_key_file: Some(path.to_owned()),
            jwt_private_key_file: None,
            jwt_algorithm: Some(JwtAlgorithm::Hs256),
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

    /// The story: the new key was said to sign, and no api in production took the file, for a key in it that can be guessed.
    #[test]
    fn a_file_that_no_api_would_take_is_left_and_made_good_by_dropping_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwt.key");
        let text = format!("{FIRST}\n2027-01-15T07:59:10Z change-me-change-me-0123456789-abcdef\n");
        fs::write(&path, &text).unwrap();
        let refused = rotate(&args(&path), None, t0()).unwrap_err();
        assert!(refused.exit_code() == 4 && refused.to_string().contains("--drop-old"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let outcome = rotate(&RotateKeys { drop_old: true, ..args(&path) }, None, t0()).unwrap();
        assert_eq!(outcome.json["accepted"], 1);
        assert!(KeyList::parse(&fs::read_to_string(&path).unwrap().into()).unwrap().check().is_ok());
    }

    #[test]
    fn a_private_key_is_put_beside_the_ones_before() {
        let dir = tempfile::tempdir().unwrap();
        let (path, secrets) = (dir.path().join("jwt.pem"), dir.path().join("jwt.key"));
        let args = RotateKeys {
            jwt_private_key_file: Some(path.clone()),
            jwt_algorithm: Some(JwtAlgorithm::EdDsa),
            ..args(&secrets)
        };
        fs::write(&path, KeyList::fresh_pem().unwrap().expose_secret()).unwrap();
        let chmod = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o604, 0o620, 0o602] {
            chmod(mode);
            assert!(matches!(rotate(&args, None, t0()), Err(AdminError::Refused(_))), "{mode:o}");
        }
        chmod(0o640);
        fs::write(&secrets, FIRST).unwrap();
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o666)).unwrap();
        let open = super::RotateKeys { jwt_algorithm: Some(JwtAlgorithm::Hs256), ..args.clone() };
        let refused = rotate(&open, None, t0()).unwrap_err();
        assert!(refused.to_string().contains("chmod go-w"), "{refused}");
        fs::remove_file(&secrets).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        assert_eq!(rotate(&args, None, t0()).unwrap().json["accepted"], 2);
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(&format!("{first}2027-01-15T08:00:10Z\n-----BEGIN PRIVATE KEY-----\n")),
            "{text}"
        );
        let dropped = rotate(&RotateKeys { drop_old: true, ..args.clone() }, None, t0()).unwrap();
        assert!(
            dropped.json["accepted"] == 1 && dropped.text.contains("jwt.key, which did not change"),
            "{dropped:?}"
        );
        assert!(!secrets.exists(), "the other algorithm's keys are not its matter");
        let by_directory = RotateKeys { jwt_private_key_file: None, ..args };
        assert_eq!(rotate(&by_directory, Some(dir.path()), t0()).unwrap().json["accepted"], 2);
    }

    /// The story: beside a standalone with EdDSA the secrets were rotated, and said to sign.
    #[test]
    fn where_no_algorithm_is_named_the_only_keys_there_are_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let (pem, secrets) = (dir.path().join("jwt.pem"), dir.path().join("jwt.key"));
        let unnamed = RotateKeys { jwt_secret_key_file: None, jwt_algorithm: None, ..args(&secrets) };
        fs::write(&pem, KeyList::fresh_pem().unwrap().expose_secret()).unwrap();
        fs::set_permissions(&pem, fs::Permissions::from_mode(0o600)).unwrap();
        let rotated = rotate(&unnamed, Some(dir.path()), t0()).unwrap();
        assert_eq!(rotated.json["file"], json!(pem));
        fs::write(&secrets, FIRST).unwrap();
        let refused = rotate(&unnamed, Some(dir.path()), t0()).unwrap_err();
        assert!(refused.to_string().contains("JWT_ALGORITHM"), "{refused}");
        assert_eq!(fs::read_to_string(&secrets).unwrap(), FIRST);
        // Where the secrets are named and no algorithm is, they sign: so it is for the apis.
        let named = RotateKeys { jwt_secret_key_file: Some(secrets.clone()), ..unnamed.clone() };
        assert_eq!(rotate(&named, Some(dir.path()), t0()).unwrap().json["file"], json!(secrets));
        fs::remove_file(&pem).unwrap();
        assert_eq!(rotate(&unnamed, Some(dir.path()), t0()).unwrap().json["file"], json!(secrets));
    }

    /// The story: the new keys were written to `jwt.new`, whatever lay there. A link of the api's user to a file of root's
    /// made root write to that, and give it away.
    #[test]
    fn what_lies_beside_the_file_is_not_touched_and_a_link_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, victim) = (dir.path().join("jwt.key"), dir.path().join("victim"));
        fs::write(&path, FIRST).unwrap();
        fs::write(&victim, FIRST).unwrap();
        symlink(&victim, dir.path().join("jwt.new")).unwrap();
        rotate(&args(&path), None, t0()).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), FIRST);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);

        fs::remove_file(&path).unwrap();
        symlink(&victim, &path).unwrap();
        let refused = rotate(&args(&path), None, t0());
        assert!(matches!(refused, Err(AdminError::File { .. })), "{refused:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), FIRST);
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        assert!(matches!(rotate(&args(&path), None, t0()), Err(AdminError::Refused(_))));
    }

    /// The story: the lock was on the file, which each rotation replaces, so that two could hold one.
    #[test]
    fn rotations_at_once_lose_no_key() {
        for _ in 0..8 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("jwt.key");
            fs::write(&path, FIRST).unwrap();
            let once = || loop {
                match rotate(&args(&path), None, t0()) {
                    Ok(_) => break,
                    Err(AdminError::Refused(_)) => std::thread::yield_now(),
                    Err(err) => panic!("{}", crate::chain(&err)),
                }
            };
            std::thread::scope(|scope| {
                for _ in 1..MAX_KEYS {
                    scope.spawn(once);
                }
            });
            assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), MAX_KEYS);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
