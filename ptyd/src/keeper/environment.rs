//! What a session's program finds: environment, program and arguments. Nothing in here comes from the keeper's own
//! environment. Knows nothing of processes.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::Spec;

use super::users::Account;

/// As login(1) of Debian gives it to everybody, with the sbin directories that people expect to find.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const FALLBACK_SHELL: &str = "/bin/sh";
const FALLBACK_LANG: &str = "C.UTF-8";

/// The host's own UTF-8 locale, else C.UTF-8.
pub(super) fn host_lang() -> String {
    let files = ["/etc/default/locale", "/etc/locale.conf"];
    let texts = files.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.into_iter().find_map(|text| lang(&text)).unwrap_or_else(|| FALLBACK_LANG.to_owned())
}

fn lang(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix("LANG="))?.trim_matches(['"', '\'']);
    let charset = value.rsplit_once('.')?.1.to_ascii_lowercase();
    matches!(charset.as_str(), "utf-8" | "utf8").then(|| value.to_owned())
}

/// The environment of a session: the fixed part, then what the client asked for, which wins.
pub(super) fn variables(
    account: &Account,
    lang: &str,
    session_id: SessionId,
    spec: &Spec,
) -> BTreeMap<OsString, OsString> {
    let fixed: [(&str, OsString); 9] = [
        ("HOME", account.home.clone().into()),
        ("USER", account.name.clone().into()),
        ("LOGNAME", account.name.clone().into()),
        ("SHELL", account.shell.clone().into()),
        ("PATH", PATH.into()),
        ("TERM", "xterm-256color".into()),
        ("COLORTERM", "truecolor".into()),
        ("LANG", lang.into()),
        ("DEVPOCKET_SESSION", session_id.to_string().into()),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (OsString::from(name), value));
    let asked = spec.environment.iter().map(|(name, value)| (name.into(), value.into()));
    fixed.chain(asked).collect()
}

/// `variables` as exec wants them. A text with a NUL, which [`Spec::check`] refuses, is left out.
pub(super) fn strings(variables: &BTreeMap<OsString, OsString>) -> Vec<CString> {
    let pair = |(name, value): (&OsString, &OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    };
    variables.iter().filter_map(pair).collect()
}

/// What to try to run, in order, with the arguments of each.
pub(super) fn programs(
    account: &Account,
    variables: &BTreeMap<OsString, OsString>,
    command: &[String],
) -> Vec<(CString, Vec<CString>)> {
    let text = |bytes: &[u8]| CString::new(bytes).ok();
    let Some(program) = command.first() else {
        let shells = [account.shell.as_path(), Path::new(FALLBACK_SHELL)];
        let login = |shell: &Path| {
            // A dash ahead of the name is what makes it a login shell (login(1)).
            let name = [b"-", shell.file_name()?.as_bytes()].concat();
            Some((text(shell.as_os_str().as_bytes())?, vec![text(&name)?]))
        };
        return shells.into_iter().filter_map(login).collect();
    };
    let arguments: Vec<CString> = command.iter().filter_map(|argument| text(argument.as_bytes())).collect();
    if program.contains('/') {
        return text(program.as_bytes()).map(|path| (path, arguments)).into_iter().collect();
    }
    let path = variables.get(&OsString::from("PATH")).cloned().unwrap_or_default().into_vec();
    let directories = path.split(|byte| *byte == b':');
    let found = directories.filter_map(|directory| {
        // execvp(3): an empty entry is the current directory.
        let directory = if directory.is_empty() { b"." } else { directory };
        Some((text(&[directory, b"/", program.as_bytes()].concat())?, arguments.clone()))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::TerminalSize;

    use super::*;
    use crate::keeper::users::Users;

    fn spec(command: &[&str], environment: &[(&str, &str)]) -> Spec {
        Spec {
            name: None,
            command: command.iter().map(|&text| text.to_owned()).collect(),
            working_directory: None,
            environment: environment
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            size: TerminalSize::DEFAULT,
        }
    }

    fn account() -> Account {
        Users::test_account("ann", "/home/ann", "/bin/zsh")
    }

    fn made(spec: &Spec) -> BTreeMap<OsString, OsString> {
        variables(&account(), "C.UTF-8", "a0a0a0a0-0000-4000-8000-000000000001".parse().unwrap(), spec)
    }

    #[test]
    fn the_environment_is_exactly_this_and_what_the_client_asked_for() {
        let made = made(&spec(&[], &[("TERM", "dumb"), ("A", "1"), ("A", "2=3")]));
        let strings: Vec<String> =
            strings(&made).into_iter().map(|text| text.into_string().unwrap()).collect();
        assert_eq!(
            strings,
            [
                "A=2=3",
                "COLORTERM=truecolor",
                "DEVPOCKET_SESSION=a0a0a0a0-0000-4000-8000-000000000001",
                "HOME=/home/ann",
                "LANG=C.UTF-8",
                "LOGNAME=ann",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "SHELL=/bin/zsh",
                "TERM=dumb",
                "USER=ann",
            ]
        );
    }

    #[test]
    fn programs_are_looked_up_as_a_shell_would() {
        let check = |command: &[&str], path: &str, expected: &[(&str, &[&str])]| {
            let spec = spec(command, &[("PATH", path)]);
            let found = programs(&account(), &made(&spec), &spec.command);
            let found: Vec<(String, Vec<String>)> = found
                .into_iter()
                .map(|(path, arguments)| {
                    let arguments = arguments.into_iter().map(|argument| argument.into_string().unwrap());
                    (path.into_string().unwrap(), arguments.collect())
                })
                .collect();
            let expected: Vec<(String, Vec<String>)> = expected
                .iter()
                .map(|(path, arguments)| {
                    ((*path).to_owned(), arguments.iter().map(|&a| a.to_owned()).collect())
                })
                .collect();
            assert_eq!(found, expected);
        };
        check(&[], "/x", &[("/bin/zsh", &["-zsh"]), ("/bin/sh", &["-sh"])]);
        check(&["ls", "-l"], "/x:/y", &[("/x/ls", &["ls", "-l"]), ("/y/ls", &["ls", "-l"])]);
        check(&["ls"], ":/y", &[("./ls", &["ls"]), ("/y/ls", &["ls"])]);
        check(&["./ls"], "/x", &[("./ls", &["./ls"])]);
    }

    #[test]
    fn only_a_utf8_locale_of_the_host_is_taken() {
        assert_eq!(lang("# x\nLANG=\"de_DE.UTF-8\"\n"), Some("de_DE.UTF-8".to_owned()));
        assert_eq!(lang("LANG=en_US.utf8"), Some("en_US.utf8".to_owned()));
        assert_eq!(lang("LANG=C\n"), None);
        assert_eq!(lang("LANGUAGE=de.UTF-8\n"), None);
    }
}
