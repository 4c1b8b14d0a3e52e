//! Where a deployment keeps what it keeps, found as `serve` and `standalone` leave it.

use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::config::DEFAULT_DATA_DIR;

/// Where a standalone that root started keeps its data when the default is out of the api's reach.
const SYSTEM_DIRECTORY: &str = "/var/lib/devpocket";

/// The directory with database and keys: `DATA_DIR`, or its part that is the api's own where a standalone made it.
pub(super) fn data_directory(given: Option<&Path>) -> PathBuf {
    let default = Path::new(DEFAULT_DATA_DIR);
    let system = Path::new(SYSTEM_DIRECTORY);
    let root = match given {
        Some(given) => given,
        None if !default.exists() && Uid::effective().is_root() && system.exists() => system,
        None => default,
    };
    let part = root.join("api");
    if part.join("devpocket.db").exists() && !root.join("devpocket.db").exists() {
        part
    } else {
        root.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_that_of_serve_or_that_of_standalone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(data_directory(Some(dir.path())), dir.path());
        std::fs::create_dir(dir.path().join("api")).unwrap();
        assert_eq!(data_directory(Some(dir.path())), dir.path());
        std::fs::write(dir.path().join("api/devpocket.db"), "").unwrap();
        assert_eq!(data_directory(Some(dir.path())), dir.path().join("api"));
        std::fs::write(dir.path().join("devpocket.db"), "").unwrap();
        assert_eq!(data_directory(Some(dir.path())), dir.path());
    }
}
