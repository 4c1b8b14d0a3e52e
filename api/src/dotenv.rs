//! `.env` in the working directory, as a second source of the environment: what is really there wins. The process starts
//! itself again with what it found, so that everything after this reads one environment.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The file.
const FILE: &str = ".env";
/// Our own program, also when its file was replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// Variables of ptyd, which a standalone hands on.
const PTYD: &str = "PTYD_";

/// `.env` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DotEnvError {
    /// It cannot be read.
    #[error(".env cannot be read")]
    Read(#[source] io::Error),
    /// A line is none; what is in it stays unsaid.
    #[error(".env: line {line}: must be NAME=value")]
    Line {
        /// From 1.
        line: usize,
    },
    /// The process cannot start itself again.
    #[error(".env: cannot start again with it")]
    Restart(#[source] io::Error),
}

/// Adds what `.env` says of the variables in `known`, and starts the process again if that is anything new. Otherwise gives
/// the names that nobody knows.
pub fn load(known: &BTreeSet<String>) -> Result<Vec<String>, DotEnvError> {
    let text = match std::fs::read_to_string(FILE) {
        Ok(text) => text,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        // Started in somebody else's directory, as by `runuser`: whatever is there is not ours.
        Err(err) if err.kind() == io::ErrorKind::PermissionDenied && !may_look() => return Ok(Vec::new()),
        Err(err) => return Err(DotEnvError::Read(err)),
    };
    let there: BTreeSet<OsString> = std::env::vars_os().map(|(name, _)| name).collect();
    let is_there = |name: &str| there.contains(&OsString::from(name));
    let (mut fresh, mut unknown) = (Vec::new(), Vec::new());
    for (name, value) in parse(&text)? {
        if !known.contains(&name) && !name.starts_with(PTYD) {
            unknown.push(name);
        } else if !is_there(&name) && !is_there(&twin(&name)) {
            fresh.push((name, value));
        }
    }
    if fresh.is_empty() {
        return Ok(unknown);
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new(OURSELVES);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    Err(DotEnvError::Restart(command.args(arguments).envs(fresh).exec()))
}

/// Whether this process may look for files in its working directory at all.
fn may_look() -> bool {
    let denied = |err: io::Error| err.kind() == io::ErrorKind::PermissionDenied;
    !std::fs::symlink_metadata(FILE).is_err_and(denied)
}

/// The other name that the same secret may be given by.
fn twin(name: &str) -> String {
    name.strip_suffix("_FILE").map_or_else(|| format!("{name}_FILE"), str::to_owned)
}

/// Lines `NAME=value`, also after `export`; a value in quotes is taken as it stands there, of one without them ` #` begins a
/// comment. Nothing is put in for `$`: passwords have it.
fn parse(text: &str) -> Result<Vec<(String, String)>, DotEnvError> {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut all = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = DotEnvError::Line { line: index + 1 };
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else { return Err(bad) };
        let name = name.trim();
        let good_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match value_of(value.trim()).filter(|value| good_name && !value.contains('\0')) {
            Some(value) => all.push((name.to_owned(), value)),
            None => return Err(bad),
        }
    }
    Ok(all)
}

fn value_of(text: &str) -> Option<String> {
    let Some(quote) = text.chars().next().filter(|c| ['"', '\''].contains(c)) else {
        let plain = text.split_once(" #").map_or(text, |(value, _)| value);
        return Some(plain.trim_end().to_owned());
    };
    let (value, rest) = text[1..].split_once(quote)?;
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with('#')).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_people_write_it() {
        let text = "\u{feff}\n# a comment\nA=1\nexport B = two words # said\nC='a # b$C'\nD=\"it's\" # so\nE=\nF=a#b=c\r\nG=\"\"\n";
        let read = parse(text).unwrap();
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a # b$C"),
            ("D", "it's"),
            ("E", ""),
            ("F", "a#b=c"),
            ("G", ""),
        ];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_mark_before_the_first_line_is_none_of_it() {
        assert_eq!(parse("\u{feff}A=1").unwrap(), [("A".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn a_line_that_is_none_is_told_by_its_number_alone() {
        for bad in
            ["s3cret", "=s3cret", "1A=s3cret", "A B=s3cret", "A='s3cret", "A=\"s3cret\"x", "A=s3\0cret"]
        {
            let err = parse(&format!("GOOD=1\n{bad}")).unwrap_err();
            assert_eq!(err.to_string(), ".env: line 2: must be NAME=value", "{bad}");
        }
    }

    #[test]
    fn a_secret_and_its_file_are_one_variable() {
        assert_eq!(
            (twin("DATABASE_URL"), twin("DATABASE_URL_FILE")),
            ("DATABASE_URL_FILE".into(), "DATABASE_URL".into())
        );
    }
}
