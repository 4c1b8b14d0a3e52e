//! How ptyd is configured: as one that runs was when it started, and as one would be that is started now. Knows nothing of
//! what a setting means, but for whom the shells run as.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What standalone says itself, to the ptyd of its directory: whatever the words, it is the same.
const OURS: [&str; 3] = ["PTYD_STATE_DIR", "PTYD_SOCKET", "PTYD_LINK_CERT_DIR"];
const SHELL_USER: &str = "PTYD_SHELL_USER";

/// The variables of one ptyd.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Settings(BTreeMap<OsString, OsString>);

impl Settings {
    /// Those in an environment.
    pub(super) fn of(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let counts =
            |name: &OsStr| name.as_bytes().starts_with(b"PTYD_") && !OURS.iter().any(|ours| name == *ours);
        Self(environment.into_iter().filter(|(name, _)| counts(name)).collect())
    }

    /// Those that the ptyd of this state directory says it was started with; none of one that says nothing.
    pub(super) fn told(state: &Path) -> Option<Self> {
        let text = fs::read(state.join("keeper.settings")).ok()?;
        let pairs = text.split(|byte| *byte == 0).filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = pair.split_at_checked(at)?;
            Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.get(1..)?.to_vec())))
        });
        Some(Self::of(pairs))
    }

    /// Whom the shells run as, if that is said.
    pub(super) fn shell_user(&self) -> Option<String> {
        Some(self.0.get(OsStr::new(SHELL_USER))?.to_string_lossy().into_owned())
    }

    /// The variables in which two differ.
    pub(super) fn differing(&self, other: &Self) -> Vec<String> {
        let names =
            self.0.keys().chain(other.0.keys()).filter(|name| self.0.get(*name) != other.0.get(*name));
        let names: std::collections::BTreeSet<String> =
            names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::of(pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
    }

    #[test]
    fn what_ptyd_tells_is_read_as_it_was_and_compared_but_for_what_is_ours_to_say() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Settings::told(dir.path()), None);
        let told = b"PTYD_LOG=a=b\nc\0PTYD_STATE_DIR=/x\0PTYD_SHELL_USER=ann\0";
        fs::write(dir.path().join("keeper.settings"), told).unwrap();
        let told = Settings::told(dir.path()).unwrap();
        assert_eq!(told.shell_user().as_deref(), Some("ann"));
        let same = [("PTYD_LOG", "a=b\nc"), ("PTYD_SHELL_USER", "ann"), ("PTYD_SOCKET", "/y"), ("HOME", "/")];
        assert_eq!(told.differing(&settings(&same)), Vec::<String>::new());
        let other = settings(&[("PTYD_SHELL_USER", "bob"), ("PTYD_RING_BYTES", "1")]);
        assert_eq!(told.differing(&other), ["PTYD_LOG", "PTYD_RING_BYTES", "PTYD_SHELL_USER"]);
    }
}
