//! Shell integration: which shells are started so that they mark prompts and commands in their output, and how their script
//! reaches them. No dotfile is touched, and what a shell would read it still reads.
//!
//! The scripts lie in a directory of their own in the state directory. A shell gets it as a descriptor, which its script closes
//! first thing: so it may run as whatever user, who can read them, and write none of them unless the keeper itself is that
//! user; and nobody need reach the state directory. The word that signs its marks is in a second one, a pipe that can be read
//! once: in an environment every program of that user could read it as long as the shell lives. fish cannot close descriptors,
//! which all its children would have; so its script and the word are what can be read once from a terminal of their own.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::{Mode, fchmod};
use nix::sys::termios::{InputFlags, LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{Uid, fchown, pipe2, write};
use ptyd_session::{Integration, Nonce};

use super::state_dir::{StateDir, StateDirError};
use super::sys;

/// Where the scripts are, as a shell sees it: its descriptor is [`super::sys::child::EXTRA`], and the word is in the next one.
const DIRECTORY: &str = "/proc/self/fd/3";
/// What the variables that are replaced were before; the script takes them away.
const ENV_BEFORE: &str = "DEVPOCKET_MARKS_ENV";
const ZDOTDIR_BEFORE: &str = "DEVPOCKET_MARKS_ZDOTDIR";
/// What zsh reads before our script, wherever it was built to have it.
const ZSH_BEFORE_US: [&str; 2] = ["/etc/zsh/zshenv", "/etc/zshenv"];

const BASH: &str = include_str!("shell/bash");
const ZSH: &str = include_str!("shell/zshenv");
const FISH: &str = include_str!("shell/fish");

/// Arguments that change nothing of how a shell reads its files and its commands, but for whether it is a login shell.
const UNDERSTOOD: [&str; 3] = ["-l", "--login", "-i"];

/// The scripts, where shells can read them.
#[derive(Debug)]
pub(super) struct Scripts(OwnedFd);

/// The scripts cannot be handed to shells.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScriptError {
    /// They cannot be written.
    #[error(transparent)]
    Write(#[from] StateDirError),
    /// They cannot be read by descriptor, as a shell does.
    #[error("the shells' scripts cannot be read by descriptor (is /proc mounted?)")]
    Read(#[source] io::Error),
}

impl Scripts {
    /// Puts the scripts in their place.
    pub(super) fn put(state_dir: &StateDir) -> Result<Self, ScriptError> {
        let path = state_dir.write_shared("shell", &[("bash", BASH), (".zshenv", ZSH)])?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = open(&path, flags, Mode::empty()).map_err(|errno| ScriptError::Read(errno.into()))?;
        File::open(format!("/proc/self/fd/{}/bash", directory.as_raw_fd())).map_err(ScriptError::Read)?;
        Ok(Self(directory))
    }

    /// The directory, for a shell.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A shell that we have a script for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn named(program: &OsStr) -> Option<Self> {
        match Path::new(program).file_name()?.to_str()? {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }
}

/// What a program is to be given so that it marks its output.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Needs {
    /// Nothing: it will not.
    Nothing,
    /// [`Scripts::directory`] and [`word`], as descriptors.
    Descriptors,
    /// The path of what [`read_once`] makes of this text, in an argument: [`source`].
    Source(String),
}

/// Has what is about to be started mark its output, if it is a shell that can. `shell`: the user's own, which is started where
/// there is no `command`. `programs` and `variables`: as they are without it.
pub(super) fn integrate(
    shell: &Path,
    command: &[String],
    nonce: Nonce,
    programs: &mut [(CString, Vec<CString>)],
    variables: &mut BTreeMap<OsString, OsString>,
) -> (Integration, Needs) {
    let program = command.first().map_or(shell.as_os_str(), OsStr::new);
    let Some(kind) = Shell::named(program) else { return (Integration::UnknownProgram, Needs::Nothing) };
    // In its place another one is started, which would not know what to do with all this.
    if command.is_empty() && !shell.is_file() {
        return (Integration::UnknownProgram, Needs::Nothing);
    }
    let arguments = command.iter().skip(1);
    let is_posix = kind == Shell::Bash && variables.contains_key(OsStr::new("POSIXLY_CORRECT"));
    let loses_functions = kind == Shell::Bash && variables.keys().any(|name| is_lost_function(name));
    if is_posix
        || loses_functions
        || !arguments.into_iter().all(|argument| UNDERSTOOD.contains(&argument.as_str()))
    {
        return (Integration::Arguments, Needs::Nothing);
    }
    let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
    match kind {
        // Without a word of its own, bash reads no other file so late that nothing of the user's comes before, and none at all
        // where it is a login shell: POSIX knows of one for interactive shells.
        Shell::Bash => {
            let before = set("ENV", &format!("{DIRECTORY}/bash"));
            before.map(|value| variables.insert(ENV_BEFORE.into(), value));
            arguments_of(programs, kind, |arguments| arguments.insert(1, c"--posix".to_owned()));
            (Integration::Marks, Needs::Descriptors)
        }
        // It would never come to our script, nor close what it was given.
        Shell::Zsh if ZSH_BEFORE_US.iter().any(|path| sets_zdotdir(Path::new(path))) => {
            (Integration::Unavailable, Needs::Nothing)
        }
        Shell::Zsh => {
            let before = set("ZDOTDIR", DIRECTORY);
            before.map(|value| variables.insert(ZDOTDIR_BEFORE.into(), value));
            (Integration::Marks, Needs::Descriptors)
        }
        Shell::Fish => {
            (Integration::Marks, Needs::Source(format!("set -g __devpocket_nonce {nonce}\n{FISH}")))
        }
    }
}

/// Whether a variable is a function that bash takes over (`export -f`), and not as we start it: in POSIX mode with a name that is an
/// identifier alone.
fn is_lost_function(variable: &OsStr) -> bool {
    let Some(name) = variable.to_str().and_then(|name| name.strip_prefix("BASH_FUNC_")?.strip_suffix("%%"))
    else {
        return false;
    };
    name.starts_with(|c: char| c.is_ascii_digit())
        || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// Whether zsh, which reads this file first, then looks for the user's files elsewhere.
fn sets_zdotdir(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let text = String::from_utf8_lossy(&bytes);
    text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains("ZDOTDIR"))
}

/// Has fish read this path behind the user's configuration: a terminal is nothing that it sources.
pub(super) fn source(path: &str, programs: &mut [(CString, Vec<CString>)]) {
    let Ok(command) =
        CString::new(format!("begin; read -z -l __devpocket_script <{path}; eval $__devpocket_script; end"))
    else {
        return;
    };
    arguments_of(programs, Shell::Fish, |arguments| {
        arguments.extend([c"--init-command".to_owned(), command.clone()]);
    });
}

/// The word, to be read once.
pub(super) fn word(nonce: Nonce) -> Result<OwnedFd, Errno> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    // A pipe holds more than this.
    write(&writer, format!("{nonce}\n").as_bytes())?;
    Ok(reader)
}

/// Makes a terminal of `uid`'s from which `text` can be read once, as long as the master lives; gives that and the path. By
/// lines of at most 4 KiB, of printable ASCII.
pub(super) fn read_once(text: &str, uid: Option<Uid>) -> Result<(OwnedFd, String), Errno> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname_r(&master)?;
    let master: OwnedFd = master.into();
    let slave = sys::open_slave(master.as_fd())?;
    let mut modes = tcgetattr(&slave)?;
    modes.local_flags = LocalFlags::ICANON;
    modes.input_flags = InputFlags::empty();
    tcsetattr(&slave, SetArg::TCSANOW, &modes)?;
    fchown(&slave, uid, None)?;
    fchmod(&slave, Mode::S_IRUSR | Mode::S_IWUSR)?;
    const END: &[u8] = b"\x04";
    let bytes = [text.as_bytes(), END].concat();
    if write(&master, &bytes)? < bytes.len() {
        return Err(Errno::ENOSPC);
    }
    Ok((master, path))
}

/// Changes the arguments with which programs of this kind are started; what is tried in their place keeps its own.
fn arguments_of(programs: &mut [(CString, Vec<CString>)], kind: Shell, change: impl Fn(&mut Vec<CString>)) {
    use std::os::unix::ffi::OsStrExt;
    for (program, arguments) in programs {
        if Shell::named(OsStr::from_bytes(program.as_bytes())) == Some(kind) {
            change(arguments);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE_OF_TESTS: Nonce = Nonce::new([0xAB; Nonce::BYTES]);

    /// The arguments and variables of a program started so, and how it was decided.
    fn integrated(
        command: &[&str],
        variables: &[(&str, &str)],
    ) -> (Integration, Needs, Vec<String>, Vec<String>) {
        let command: Vec<String> = command.iter().map(|&text| text.to_owned()).collect();
        let text = |text: &str| CString::new(text).unwrap();
        let mut programs = match command.first() {
            Some(program) => {
                vec![(text(&format!("/x/{program}")), command.iter().map(|a| text(a)).collect())]
            }
            None => vec![(text("/bin/bash"), vec![text("-bash")]), (text("/bin/sh"), vec![text("-sh")])],
        };
        let mut variables: BTreeMap<OsString, OsString> =
            variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let (integration, needs) =
            integrate(Path::new("/bin/bash"), &command, NONCE_OF_TESTS, &mut programs, &mut variables);
        let arguments = programs.into_iter().flat_map(|(_, arguments)| arguments);
        let arguments = arguments.map(|argument| argument.into_string().unwrap()).collect();
        let names = variables
            .into_iter()
            .map(|(name, value)| format!("{}={}", name.into_string().unwrap(), value.into_string().unwrap()));
        (integration, needs, arguments, names.collect())
    }

    #[test]
    fn shells_are_started_with_their_script_and_stay_what_they_are() {
        let (integration, needs, arguments, variables) = integrated(&[], &[]);
        assert_eq!((integration, needs), (Integration::Marks, Needs::Descriptors));
        assert_eq!(arguments, ["-bash", "--posix", "-sh"]);
        assert_eq!(variables, ["ENV=/proc/self/fd/3/bash"]);
        let (integration, ..) = integrated(&["bash"], &[("BASH_FUNC_a_2%%", "() { :; }")]);
        assert_eq!(integration, Integration::Marks);
        let (_, _, arguments, variables) = integrated(&["bash", "-l"], &[("ENV", "mine")]);
        assert_eq!(arguments, ["bash", "--posix", "-l"]);
        assert_eq!(variables, ["DEVPOCKET_MARKS_ENV=mine", "ENV=/proc/self/fd/3/bash"]);
        let (_, needs, arguments, variables) = integrated(&["zsh"], &[("ZDOTDIR", "/z")]);
        assert_eq!((needs, arguments), (Needs::Descriptors, vec!["zsh".to_owned()]));
        assert_eq!(variables, ["DEVPOCKET_MARKS_ZDOTDIR=/z", "ZDOTDIR=/proc/self/fd/3"]);
        let (_, needs, arguments, variables) = integrated(&["fish", "--login"], &[]);
        assert!(matches!(needs, Needs::Source(text) if text.contains(&NONCE_OF_TESTS.to_string())));
        assert_eq!(arguments, ["fish", "--login"]);
        assert!(variables.is_empty(), "{variables:?}");
    }

    #[test]
    fn a_text_is_read_once_from_its_terminal() {
        let text = format!("{FISH}{}\n", "a long line \t\\".repeat(100));
        let (_master, path) = read_once(&text, None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let again =
            open(Path::new(&path), OFlag::O_RDONLY | OFlag::O_NOCTTY | OFlag::O_NONBLOCK, Mode::empty());
        assert_eq!(nix::unistd::read(again.unwrap(), &mut [0; 1]), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_zshenv_that_looks_elsewhere_is_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, expected) in [("# ZDOTDIR\nPATH=/bin\n", false), ("export ZDOTDIR=~/.zsh\n", true)] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(sets_zdotdir(file.path()), expected, "{text}");
        }
        assert!(!sets_zdotdir(Path::new("/nowhere")));
    }

    #[test]
    fn what_we_do_not_understand_is_started_as_it_is() {
        for (command, variables, expected) in [
            (&["sh"][..], &[][..], Integration::UnknownProgram),
            (&["vim"], &[], Integration::UnknownProgram),
            (&["bash", "-c", "true"], &[], Integration::Arguments),
            (&["bash", "--norc"], &[], Integration::Arguments),
            (&["zsh", "script"], &[], Integration::Arguments),
            (&["bash"], &[("POSIXLY_CORRECT", "1")], Integration::Arguments),
            (&["bash"], &[("BASH_FUNC_a-b%%", "() { :; }")], Integration::Arguments),
        ] {
            let (integration, needs, arguments, left) = integrated(command, variables);
            assert_eq!((integration, needs), (expected, Needs::Nothing), "{command:?}");
            assert_eq!(arguments, command);
            assert_eq!(left.len(), variables.len());
        }
    }
}
