//! A file of log lines with colours and UTF-8, the same on every machine and in every run. Must not know who carries it.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use devpocket_tests::Random;
use devpocket_tests::client::{Hasher, Sink};
use tempfile::TempDir;

const LEVELS: [&str; 4] =
    ["\x1b[32mINFO\x1b[0m ", "\x1b[33mWARN\x1b[0m ", "\x1b[1;31mERROR\x1b[0m", "\x1b[2mDEBUG\x1b[0m"];
const PARTS: [&str; 4] = ["http", "store", "placement", "worker"];
const TEXTS: [&str; 6] = [
    "request finished \x1b[36mstatus\x1b[0m=200 bytes=48213",
    "connection from the café's router closed after 12 µs",
    "retrying in 250 ms: temporary failure in name resolution",
    "Größe der Warteschlange überschritten, ältester Eintrag verworfen",
    "レプリカ 3 と同期しました (遅延 18 ms) ✓",
    "deploy \x1b[38;5;208mblue\x1b[0m → \x1b[48;2;0;80;0mgreen\x1b[0m 🚀 done",
];

/// The file; ends in `Drop`.
pub struct Log {
    /// Where it is; anybody may read it.
    pub path: PathBuf,
    /// Its length.
    pub bytes: usize,
    /// Its SHA-256.
    pub digest: [u8; 32],
    _directory: TempDir,
}

impl Log {
    /// Writes about `bytes` bytes and never fewer.
    pub fn write(bytes: u64) -> anyhow::Result<Self> {
        // Not the user's TMPDIR: the sessions' user must reach it.
        let directory = tempfile::Builder::new().prefix("devpocket-bench-").tempdir_in("/tmp")?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let path = directory.path().join("log");
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        fs::set_permissions(&path, Permissions::from_mode(0o644))?;
        let (mut hasher, mut written, mut line) = (Hasher::default(), 0, String::new());
        let mut random = Random::new(0);
        for number in 0_u64.. {
            if written as u64 >= bytes {
                break;
            }
            line.clear();
            write_line(&mut line, number, &mut random);
            file.write_all(line.as_bytes())?;
            hasher.output(line.as_bytes());
            written += line.len();
        }
        file.flush()?;
        Ok(Self { path, bytes: written, digest: hasher.digest(), _directory: directory })
    }
}

fn write_line(line: &mut String, number: u64, random: &mut Random) {
    let (minute, second, milli) = (number / 60_000 % 60, number / 1000 % 60, number % 1000);
    let (level, part, text) = (random.pick(&LEVELS), random.pick(&PARTS), random.pick(&TEXTS));
    let (user, took) = (random.between(1, 99_999), random.between(1, 4000));
    // Carriage returns as well: the terminal is raw and adds none.
    let _written = write!(
        line,
        "2026-01-01T12:{minute:02}:{second:02}.{milli:03}Z {level} \x1b[1m{part}\x1b[0m[{number}] user={user} took={took}us {text}\r\n"
    );
}
