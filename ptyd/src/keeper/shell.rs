//! Shell integration: which shells are started so that they mark prompts and commands in their output, and how their script
//! reaches them. No dotfile is touched, and what a shell would read it still reads.
//!
//! The scripts lie in a directory of their own in the state directory. A shell gets it as a descriptor, which its script closes
//! first thing: so it may run as whatever user, who can read them, and write none of them unless the keeper itself is that
//! user; and nobody need reach the state directory.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use ptyd_session::{Integration, Nonce};

use super::state_dir::{StateDir, StateDirError};

/// Where the scripts are, as a shell sees it: its descriptor is [`super::sys::child::EXTRA`].
const DIRECTORY: &str = "/proc/self/fd/3";
/// The variables by which a script learns what it must know; it takes them away.
const NONCE: &str = "DEVPOCKET_MARKS";
const FISH_SCRIPT: &str = "DEVPOCKET_MARKS_SCRIPT";

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

/// Has what is about to be started mark its output, if it is a shell that can. `shell`: the user's own, which is started where
/// there is no `command`. `programs` and `variables`: as they are without it. True: it needs [`Scripts::directory`].
pub(super) fn integrate(
    shell: &Path,
    command: &[String],
    nonce: Nonce,
    programs: &mut [(CString, Vec<CString>)],
    variables: &mut BTreeMap<OsString, OsString>,
) -> (Integration, bool) {
    let program = command.first().map_or(shell.as_os_str(), OsStr::new);
    let Some(kind) = Shell::named(program) else { return (Integration::UnknownProgram, false) };
    // In its place another one is started, which would not know what to do with all this.
    if command.is_empty() && !shell.is_file() {
        return (Integration::UnknownProgram, false);
    }
    let arguments = command.iter().skip(1);
    let is_posix = kind == Shell::Bash && variables.contains_key(OsStr::new("POSIXLY_CORRECT"));
    if is_posix || !arguments.into_iter().all(|argument| UNDERSTOOD.contains(&argument.as_str())) {
        return (Integration::Arguments, false);
    }
    let mut set = |name: &str, value: &str| variables.insert(name.into(), value.into());
    set(NONCE, &nonce.to_string());
    match kind {
        // Without a word of its own, bash reads no other file so late that nothing of the user's comes before, and none at all
        // where it is a login shell: POSIX knows of one for interactive shells.
        Shell::Bash => {
            let before = set("ENV", &format!("{DIRECTORY}/bash"));
            before.map(|value| variables.insert(format!("{NONCE}_ENV").into(), value));
            arguments_of(programs, kind, |arguments| arguments.insert(1, c"--posix".to_owned()));
        }
        Shell::Zsh => {
            let before = set("ZDOTDIR", DIRECTORY);
            before.map(|value| variables.insert(format!("{NONCE}_ZDOTDIR").into(), value));
        }
        // It does not close descriptors, and its own files may be read before.
        Shell::Fish => {
            set(FISH_SCRIPT, FISH);
            arguments_of(programs, kind, |arguments| {
                arguments.extend([c"--init-command".to_owned(), c"eval $DEVPOCKET_MARKS_SCRIPT".to_owned()]);
            });
        }
    }
    (Integration::Marks, kind != Shell::Fish)
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
    ) -> (Integration, bool, Vec<String>, Vec<String>) {
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
        let (integration, needs_directory) =
            integrate(Path::new("/bin/bash"), &command, NONCE_OF_TESTS, &mut programs, &mut variables);
        let arguments = programs.into_iter().flat_map(|(_, arguments)| arguments);
        let arguments = arguments.map(|argument| argument.into_string().unwrap()).collect();
        let names = variables.into_iter().map(|(name, value)| {
            let value = value.into_string().unwrap().replace(&NONCE_OF_TESTS.to_string(), "nonce");
            format!("{}={}", name.into_string().unwrap(), value.lines().next().unwrap_or_default())
        });
        (integration, needs_directory, arguments, names.collect())
    }

    #[test]
    fn shells_are_started_with_their_script_and_stay_what_they_are() {
        let (integration, needs_directory, arguments, variables) = integrated(&[], &[]);
        assert_eq!((integration, needs_directory), (Integration::Marks, true));
        assert_eq!(arguments, ["-bash", "--posix", "-sh"]);
        assert_eq!(variables, ["DEVPOCKET_MARKS=nonce", "ENV=/proc/self/fd/3/bash"]);
        let (_, _, arguments, variables) = integrated(&["bash", "-l"], &[("ENV", "mine")]);
        assert_eq!(arguments, ["bash", "--posix", "-l"]);
        assert_eq!(
            variables,
            ["DEVPOCKET_MARKS=nonce", "DEVPOCKET_MARKS_ENV=mine", "ENV=/proc/self/fd/3/bash"]
        );
        let (_, needs_directory, arguments, variables) = integrated(&["zsh"], &[("ZDOTDIR", "/z")]);
        assert_eq!((needs_directory, arguments), (true, vec!["zsh".to_owned()]));
        assert_eq!(
            variables,
            ["DEVPOCKET_MARKS=nonce", "DEVPOCKET_MARKS_ZDOTDIR=/z", "ZDOTDIR=/proc/self/fd/3"]
        );
        let (_, needs_directory, arguments, _) = integrated(&["fish", "--login"], &[]);
        assert!(!needs_directory && arguments[1..3] == ["--login", "--init-command"], "{arguments:?}");
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
        ] {
            let (integration, needs_directory, arguments, left) = integrated(command, variables);
            assert_eq!((integration, needs_directory), (expected, false), "{command:?}");
            assert_eq!(arguments, command);
            assert_eq!(left.len(), variables.len());
        }
    }
}
