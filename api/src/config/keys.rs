//! Where the keys that sign tokens come from: variables and files in, lists of keys out. They are read at the start, and
//! again and again while the api runs.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use devpocket_shared::certificates::{Content, read_trusted};
use nix::unistd::Uid;
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
    /// Keys that strangers would try are refused, and a file of secrets that others could write to.
    pub refuses_weak: bool,
    /// Whose a file of private keys may be, if it is not root's: as whom the api runs.
    pub reader: Uid,
}

/// What was read there.
#[derive(Clone)]
pub struct KeyTexts {
    /// The list of those that sign.
    pub signing: Option<SecretString>,
    /// The list of those that are accepted beside them.
    pub accepted: Option<SecretString>,
}

impl KeyTexts {
    /// Whether nothing has changed.
    pub fn is_same(&self, other: &Self) -> bool {
        let text = |text: &Option<SecretString>| text.as_ref().map(|text| text.expose_secret().to_owned());
        text(&self.signing) == text(&other.signing) && text(&self.accepted) == text(&other.accepted)
    }
}

impl KeySource {
    /// Whether something is named that can sign.
    pub fn has_signing(&self) -> bool {
        match self.algorithm {
            JwtAlgorithm::Hs256 => self.has_secrets(),
            JwtAlgorithm::EdDsa => self.private_key_file.is_some(),
        }
    }

    /// Whether secrets are named.
    pub fn has_secrets(&self) -> bool {
        self.secret.is_some() || self.secret_file.is_some()
    }

    /// Whether there is a file that may change.
    pub fn can_change(&self) -> bool {
        self.secret_file.is_some() || self.private_key_file.is_some()
    }

    /// What an operator should know of that is taken all the same.
    pub fn warnings(&self) -> Vec<String> {
        let gone = self.gone().map(|(variable, path)| {
            let path = path.display();
            format!("{variable}: {path} is not there: tokens of the keys in it are refused until it is")
        });
        let open = self
            .secret_file
            .as_deref()
            .filter(|path| fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0));
        let open = open.map(|path| {
            let path = path.display();
            format!(
                "{SECRET_FILE}: everybody on this host may read {path}, and so sign in as anybody (chmod o-r)"
            )
        });
        gone.into_iter().chain(open).collect()
    }

    /// Checks each list that is given.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let texts = self.texts()?;
        self.signing_list(&texts)?;
        self.accepted_list(&texts).map(drop)
    }

    /// What the variables and files hold now.
    pub fn texts(&self) -> Result<KeyTexts, ConfigError> {
        Ok(KeyTexts { signing: self.signing_text()?, accepted: self.accepted_text()? })
    }

    /// The same for who holds what was there `before`: where there is something wrong with those that do not sign, they stay as they
    /// were, and what is wrong is told. No rotation of the others waits for that.
    pub fn texts_after(&self, before: &KeyTexts) -> Result<(KeyTexts, Option<ConfigError>), ConfigError> {
        let signing = self.signing_text()?;
        let accepted = self.accepted_text().and_then(|accepted| {
            let texts = KeyTexts { signing: signing.clone(), accepted };
            self.keys(&texts)?;
            Ok(texts.accepted)
        });
        let (accepted, problem) = match accepted {
            Ok(accepted) => (accepted, None),
            Err(problem) => (before.accepted.clone(), Some(problem)),
        };
        Ok((KeyTexts { signing, accepted }, problem))
    }

    /// The keys in it.
    pub fn keys(&self, texts: &KeyTexts) -> Result<TokenKeys, ConfigError> {
        let variable = self.variable(self.algorithm);
        let Some(signing) = self.signing_list(texts)? else {
            return Err(match self.algorithm {
                JwtAlgorithm::Hs256 => wrong(SECRET, format!("or {SECRET_FILE} is needed")),
                JwtAlgorithm::EdDsa => wrong(PRIVATE_FILE, "is needed with JWT_ALGORITHM=EdDSA"),
            });
        };
        let accepted = self.accepted_list(texts)?;
        TokenKeys::new(signing, accepted).map_err(|problem| wrong(variable, problem.to_string()))
    }

    fn signing_text(&self) -> Result<Option<SecretString>, ConfigError> {
        self.text(self.algorithm)
    }

    /// None of a file that is not there: an operator has taken those keys away.
    fn accepted_text(&self) -> Result<Option<SecretString>, ConfigError> {
        if self.gone().is_some() {
            return Ok(None);
        }
        self.text(self.algorithm.other())
    }

    /// The file of keys that do not sign, if one is named and there is none, and the variable that names it.
    fn gone(&self) -> Option<(&'static str, &Path)> {
        let (variable, path) = match self.algorithm {
            JwtAlgorithm::Hs256 => (PRIVATE_FILE, self.private_key_file.as_deref()?),
            // With secrets in the environment too it is one too many.
            JwtAlgorithm::EdDsa if self.secret.is_some() => return None,
            JwtAlgorithm::EdDsa => (SECRET_FILE, self.secret_file.as_deref()?),
        };
        matches!(path.try_exists(), Ok(false)).then_some((variable, path))
    }

    fn signing_list(&self, texts: &KeyTexts) -> Result<Option<KeyList>, ConfigError> {
        self.list(texts.signing.as_ref(), self.algorithm)
    }

    fn accepted_list(&self, texts: &KeyTexts) -> Result<Option<KeyList>, ConfigError> {
        self.list(texts.accepted.as_ref(), self.algorithm.other())
    }

    /// What is given for one algorithm.
    fn text(&self, algorithm: JwtAlgorithm) -> Result<Option<SecretString>, ConfigError> {
        match algorithm {
            JwtAlgorithm::Hs256 if self.secret.is_some() && self.secret_file.is_some() => {
                Err(wrong(SECRET, format!("is given, and {SECRET_FILE} too; one of them is needed")))
            }
            JwtAlgorithm::Hs256 => match &self.secret_file {
                None => Ok(self.secret.clone()),
                Some(path) => self.secrets_in(path).map(Some),
            },
            JwtAlgorithm::EdDsa => {
                self.private_key_file.as_deref().map(|path| self.private_keys_in(path)).transpose()
            }
        }
    }

    /// Whoever can write to the file can sign in as anybody. Whose it is and who may read it is no reason to refuse it: what
    /// orchestrators mount is root's, or of a user of the host, and often for everybody in the container to read.
    fn secrets_in(&self, path: &Path) -> Result<SecretString, ConfigError> {
        let failed = |problem: io::Error| unread(SECRET_FILE, path, problem);
        let about = fs::metadata(path).map_err(failed)?;
        if about.len() > MAX_BYTES {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        if self.refuses_weak && about.mode() & 0o022 != 0 {
            return Err(unread(SECRET_FILE, path, "others may write to it (chmod go-w)"));
        }
        Ok(fs::read_to_string(path).map_err(failed)?.trim_end().to_owned().into())
    }

    /// As the link's keys are read: whoever else could write to the file could sign in as anybody.
    fn private_keys_in(&self, path: &Path) -> Result<SecretString, ConfigError> {
        let bytes = read_trusted(path, Content::Key, self.reader.as_raw())
            .map_err(|problem| unread(PRIVATE_FILE, path, problem))?;
        let text = String::from_utf8(bytes).map_err(|_| unread(PRIVATE_FILE, path, "it is no text"))?;
        Ok(text.into())
    }

    fn list(
        &self,
        text: Option<&SecretString>,
        algorithm: JwtAlgorithm,
    ) -> Result<Option<KeyList>, ConfigError> {
        let read = |text: &SecretString| {
            let list = KeyList::parse_for(algorithm.keys(), text)?;
            if self.refuses_weak {
                list.check()?;
            }
            Ok(list)
        };
        let list = text.map(read).transpose();
        list.map_err(|problem: BadKeys| wrong(self.variable(algorithm), problem.to_string()))
    }

    /// What names the keys of an algorithm.
    fn variable(&self, algorithm: JwtAlgorithm) -> &'static str {
        match algorithm {
            JwtAlgorithm::Hs256 if self.secret_file.is_some() => SECRET_FILE,
            JwtAlgorithm::Hs256 => SECRET,
            JwtAlgorithm::EdDsa => PRIVATE_FILE,
        }
    }
}

fn unread(variable: &'static str, path: &Path, problem: impl std::fmt::Display) -> ConfigError {
    wrong(variable, format!("{}: {problem}", path.display()))
}
