//! Where the keys that sign tokens come from: variables and files in, lists of keys out. They are read at the start, and
//! again and again while the api runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use devpocket_shared::certificates::{Content, read_trusted};
use nix::unistd::geteuid;
use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, JwtAlgorithm, wrong};
use crate::domain::token::{BadKeys, KeyList, TokenKeys};

const SECRET: &str = "JWT_SECRET_KEY";
const SECRET_FILE: &str = "JWT_SECRET_KEY_FILE";
const PRIVATE_FILE: &str = "JWT_PRIVATE_KEY_FILE";
/// Longest file of secrets; a list of keys is far shorter.
const MAX_BYTES: u64 = 64 << 10;

/// Where the keys are.
#[derive(Clone, Debug)]
pub struct KeySource {
    /// Which of them sign; the others are accepted.
    pub algorithm: JwtAlgorithm,
    /// Secrets, from the environment.
    pub secret: Option<SecretString>,
    /// Secrets, in a file.
    pub secret_file: Option<PathBuf>,
    /// Private keys, in a file.
    pub private_key_file: Option<PathBuf>,
    /// Keys that strangers would try are refused.
    pub refuses_weak: bool,
}

/// What was read there.
pub struct KeyTexts {
    /// Secrets, one a line.
    pub secrets: Option<SecretString>,
    /// Keys in PEM.
    pub private_keys: Option<SecretString>,
}

impl KeyTexts {
    /// Whether nothing has changed.
    pub fn is_same(&self, other: &Self) -> bool {
        let text = |text: &Option<SecretString>| text.as_ref().map(|text| text.expose_secret().to_owned());
        text(&self.secrets) == text(&other.secrets) && text(&self.private_keys) == text(&other.private_keys)
    }
}

impl KeySource {
    /// Whether something is named that can sign.
    pub fn has_signing(&self) -> bool {
        match self.algorithm {
            JwtAlgorithm::Hs256 => self.secret.is_some() || self.secret_file.is_some(),
            JwtAlgorithm::EdDsa => self.private_key_file.is_some(),
        }
    }

    /// Whether there is a file that may change.
    pub fn can_change(&self) -> bool {
        self.secret_file.is_some() || self.private_key_file.is_some()
    }

    /// The same without a file of keys that do not sign which is not there any more: an operator has taken those keys away.
    #[must_use]
    pub fn without_what_was_taken_away(&self) -> Self {
        let mut left = self.clone();
        let beside = match self.algorithm {
            JwtAlgorithm::Hs256 => &mut left.private_key_file,
            JwtAlgorithm::EdDsa => &mut left.secret_file,
        };
        *beside = beside.take().filter(|path| !matches!(path.try_exists(), Ok(false)));
        left
    }

    /// Checks each list that is given.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.lists(&self.texts()?).map(drop)
    }

    /// What the variables and files hold now.
    pub fn texts(&self) -> Result<KeyTexts, ConfigError> {
        if self.secret.is_some() && self.secret_file.is_some() {
            return Err(wrong(SECRET, format!("is given, and {SECRET_FILE} too; one of them is needed")));
        }
        let secrets = match &self.secret_file {
            None => self.secret.clone(),
            Some(path) => Some(secrets_in(path).map_err(|err| unread(SECRET_FILE, path, err))?),
        };
        let private_keys = match &self.private_key_file {
            None => None,
            Some(path) => Some(private_keys_in(path)?),
        };
        Ok(KeyTexts { secrets, private_keys })
    }

    /// The keys in it.
    pub fn keys(&self, texts: &KeyTexts) -> Result<TokenKeys, ConfigError> {
        let (secrets, private_keys) = self.lists(texts)?;
        let (signing, accepted, variable) = match self.algorithm {
            JwtAlgorithm::Hs256 => (secrets, private_keys, self.secrets_from()),
            JwtAlgorithm::EdDsa => (private_keys, secrets, PRIVATE_FILE),
        };
        let Some(signing) = signing else {
            return Err(match self.algorithm {
                JwtAlgorithm::Hs256 => wrong(SECRET, format!("or {SECRET_FILE} is needed")),
                JwtAlgorithm::EdDsa => wrong(PRIVATE_FILE, "is needed with JWT_ALGORITHM=EdDSA"),
            });
        };
        TokenKeys::new(signing, accepted).map_err(|problem| wrong(variable, problem.to_string()))
    }

    fn lists(&self, texts: &KeyTexts) -> Result<(Option<KeyList>, Option<KeyList>), ConfigError> {
        let read = |text: &SecretString, parse: fn(&SecretString) -> Result<KeyList, BadKeys>| {
            let list = parse(text)?;
            if self.refuses_weak {
                list.check()?;
            }
            Ok(list)
        };
        let secrets = texts.secrets.as_ref().map(|text| read(text, KeyList::parse)).transpose();
        let secrets = secrets.map_err(|problem: BadKeys| wrong(self.secrets_from(), problem.to_string()))?;
        let private_keys = texts.private_keys.as_ref().map(|text| read(text, KeyList::parse_pem)).transpose();
        let private_keys =
            private_keys.map_err(|problem: BadKeys| wrong(PRIVATE_FILE, problem.to_string()))?;
        Ok((secrets, private_keys))
    }

    fn secrets_from(&self) -> &'static str {
        if self.secret_file.is_some() { SECRET_FILE } else { SECRET }
    }
}

fn unread(variable: &'static str, path: &Path, problem: impl std::fmt::Display) -> ConfigError {
    wrong(variable, format!("{}: {problem}", path.display()))
}

fn secrets_in(path: &Path) -> io::Result<SecretString> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(fs::read_to_string(path)?.trim_end().to_owned().into())
}

/// As the link's keys are read: whoever else could write to the file could sign in as anybody.
fn private_keys_in(path: &Path) -> Result<SecretString, ConfigError> {
    let bytes = read_trusted(path, Content::Key, geteuid().as_raw())
        .map_err(|problem| unread(PRIVATE_FILE, path, problem))?;
    let text = String::from_utf8(bytes).map_err(|_| unread(PRIVATE_FILE, path, "it is no text"))?;
    Ok(text.into())
}
