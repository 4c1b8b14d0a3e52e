//! Where the binaries under test are, and what they are run on. Must not know how they are started.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::DatabaseKind;

/// Environment variable that names the directory of the binaries.
const DIRECTORY_VARIABLE: &str = "DEVPOCKET_BIN_DIR";

/// Environment variable that names what stacks keep their data in where a test does not say.
const DATABASE_VARIABLE: &str = "DEVPOCKET_TEST_DATABASE";

/// Names of the binaries under test.
const NAMES: [&str; 2] = ["devpocket", "ptyd"];

/// Puts the binaries into `into`, so that unprivileged users reach them wherever the checkout is.
///
/// Hard links where possible: a copy of both costs about 100 MB of writing for each stack.
pub fn bring(into: &Path) {
    let from = directory();
    for name in NAMES {
        let (source, target) = (from.join(name), into.join(name));
        let metadata = fs::metadata(&source).unwrap_or_else(|err| {
            panic!("{}: {err}; build it first: cargo build --release", source.display())
        });
        let linked = if metadata.permissions().mode() & 0o055 == 0o055 {
            fs::hard_link(&source, &target)
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        };
        if linked.is_err() {
            fs::copy(&source, &target).expect("the binary can be copied");
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).expect("its mode can be set");
        }
    }
}

/// [`DIRECTORY_VARIABLE`], else `release` in the target directory that the test was built into.
#[expect(clippy::disallowed_methods, reason = "a test binary has no configuration but this variable")]
fn directory() -> PathBuf {
    if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) {
        return directory.into();
    }
    target_directory().join("release")
}

/// What [`DATABASE_VARIABLE`] says, by which the whole suite runs on one or the other: SQLite alone, or PostgreSQL and Redis.
#[expect(clippy::disallowed_methods, reason = "a test binary has no configuration but this variable")]
pub(super) fn database() -> DatabaseKind {
    match std::env::var(DATABASE_VARIABLE).as_deref() {
        Err(_) | Ok("sqlite") => DatabaseKind::Sqlite,
        Ok("postgres") => DatabaseKind::Postgres,
        Ok(other) => panic!("{DATABASE_VARIABLE} is sqlite or postgres, and not {other:?}"),
    }
}

/// Cargo's target directory that the test was built into.
pub fn target_directory() -> PathBuf {
    let executable = std::env::current_exe().expect("the path of the test");
    let target = executable
        .ancestors()
        .find(|path| path.join("CACHEDIR.TAG").exists())
        .expect("the test lies in cargo's target directory");
    target.to_owned()
}
