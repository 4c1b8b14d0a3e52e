//! ptyd's log, as the supervisor has it written: opened for a start, quoted in errors, kept short. Knows nothing of what is
//! in it, nor of ptyd.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use tracing::warn;

/// Of a log longer than this, so much is put aside, and it begins anew.
const MAX_BYTES: u64 = 10 << 20;
/// How much of the log an error quotes.
const QUOTED_BYTES: u64 = 2 << 10;

/// The log, and where what is written next begins.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    trim(path);
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let from = file.metadata()?.len();
    Ok((file, from))
}

/// The last of what was logged since `from`.
pub(super) fn quote(path: &Path, from: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(end.saturating_sub(QUOTED_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(QUOTED_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_else(|err| format!("({}: {err})", path.display()))
}

/// Empties a log that has grown long, and puts its end aside if there is room for it. Nothing hangs on a log: where that
/// fails it is said, and no more.
pub(super) fn trim(path: &Path) {
    if let Err(err) = empty_if_long(path, free_bytes(path)) {
        warn!("{} cannot be emptied, although it is long: {err}", path.display());
    }
}

/// Where it is, and not by another name: a ptyd that runs appends to this file and to no other. What it writes in the moment
/// between the end of the copy and the emptying is lost.
fn empty_if_long(path: &Path, free_bytes: u64) -> io::Result<()> {
    let mut log = match OpenOptions::new().read(true).write(true).open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let length = log.metadata()?.len();
    if length <= MAX_BYTES {
        return Ok(());
    }
    let aside = path.with_extension("log.1");
    if let Err(err) = put_aside(&mut log, length, &aside, free_bytes) {
        warn!("{} is long and is emptied, and what it held is lost: {err}", path.display());
        // Half a copy, or one of long ago. The room is for others.
        let _not_there = fs::remove_file(&aside);
    }
    log.set_len(0)
}

/// Copies the end of a log. Others on its disk, the database above all, are left as much room as that takes.
fn put_aside(log: &mut File, length: u64, aside: &Path, free_bytes: u64) -> io::Result<()> {
    let former_bytes = fs::metadata(aside).map_or(0, |former| former.len());
    if free_bytes.saturating_add(former_bytes) < 2 * MAX_BYTES {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let mut to = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(aside)?;
    log.seek(SeekFrom::Start(length - MAX_BYTES))?;
    io::copy(log, &mut to).map(drop)
}

/// How much more the file system of a path takes; where that is not known, it is tried.
fn free_bytes(path: &Path) -> u64 {
    statvfs(path).map_or(u64::MAX, |disk| disk.blocks_available().saturating_mul(disk.fragment_size()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A log one byte too long, with these last bytes.
    fn long_log(path: &Path, last: &[u8]) -> File {
        let (mut log, _) = open(path).unwrap();
        log.set_len(MAX_BYTES + 1 - last.len() as u64).unwrap();
        log.write_all(last).unwrap();
        log
    }

    #[test]
    fn an_error_quotes_this_start_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ptyd.log");
        fs::write(&path, "of a former life\n").unwrap();
        let (_log, from) = open(&path).unwrap();
        fs::write(&path, "of a former life\nno terminals here\n").unwrap();
        assert_eq!(quote(&path, from), "no terminals here");
    }

    /// A ptyd that was not started anew for months once filled the disk.
    #[test]
    fn of_a_long_log_that_is_still_written_to_the_end_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("ptyd.log"), dir.path().join("ptyd.log.1"));
        trim(&path);
        let (mut log, _) = open(&path).unwrap();
        log.write_all(b"first").unwrap();
        log.set_len(MAX_BYTES).unwrap();
        trim(&path);
        assert!(!aside.exists());
        log.write_all(b"last").unwrap();
        trim(&path);
        log.write_all(b"next").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"next");
        let aside = fs::read(&aside).unwrap();
        assert_eq!(aside.len() as u64, MAX_BYTES);
        assert!(aside.ends_with(b"\0last") && aside.starts_with(b"t\0"));
        let (_log, from) = open(&path).unwrap();
        assert_eq!(from, 4);
    }

    /// The copy of a long log took the last of a disk, and the log was not emptied: the database stopped, and no ptyd could
    /// be started any more.
    #[test]
    fn a_long_log_is_emptied_where_there_is_no_room_for_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("ptyd.log"), dir.path().join("ptyd.log.1"));
        let _log = long_log(&path, b"last");
        // Every write to it fails as on a full disk.
        std::os::unix::fs::symlink("/dev/full", &aside).unwrap();
        let (mut log, from) = open(&path).expect("a start goes on");
        assert_eq!((from, fs::metadata(&path).unwrap().len()), (0, 0));
        assert!(fs::symlink_metadata(&aside).is_err(), "half a copy is not left");
        log.write_all(b"next").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"next");
    }

    #[test]
    fn a_copy_that_would_leave_others_no_room_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("ptyd.log"), dir.path().join("ptyd.log.1"));
        assert!((1..u64::MAX).contains(&free_bytes(dir.path())));
        let copied_with = |free_bytes, former: Option<u64>| {
            let _log = long_log(&path, b"last");
            let _not_there = fs::remove_file(&aside);
            if let Some(bytes) = former {
                File::create(&aside).unwrap().set_len(bytes).unwrap();
            }
            empty_if_long(&path, free_bytes).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), 0);
            aside.exists()
        };
        assert!(!copied_with(2 * MAX_BYTES - 1, None));
        assert!(copied_with(2 * MAX_BYTES, None));
        assert!(copied_with(MAX_BYTES, Some(MAX_BYTES)), "what it replaces is room too");
        assert!(!copied_with(MAX_BYTES - 1, Some(MAX_BYTES)));
    }
}
