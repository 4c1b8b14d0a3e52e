//! Which lines may take the marks out of bash's prompt, and surely ask nobody for anything: only then is what waits for keys behind
//! them a prompt. Whatever runs something that is not in the line itself (a file, a function, a program) may ask. Knows no terminal.

/// Names of bash's that make its prompt.
const PROMPT_NAMES: [&str; 4] = ["PS0", "PS1", "PROMPT_COMMAND", "promptvars"];
/// Commands that ask nobody, and set no variable otherwise than by an assignment (`printf -v` does).
const MUTE: [&str; 11] =
    [":", "declare", "echo", "export", "false", "readonly", "set", "shopt", "true", "typeset", "unset"];

/// Whether a command line has names by which a prompt loses its marks, and nothing by which somebody is asked for a line: what a
/// `read -e` asks may end as prompts do.
pub(super) fn may_reshape_prompt(text: &str) -> bool {
    let mut names = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    names.any(|name| PROMPT_NAMES.contains(&name))
        && has_no_prompt_command(text)
        && without_quoted(text).is_some_and(|bare| bare.split([';', '\n', '&', '|']).all(asks_nobody))
}

/// Whether nothing is given that runs before the next prompt: there PROMPT_COMMAND is emptied, if it is set at all.
fn has_no_prompt_command(text: &str) -> bool {
    text.match_indices("PROMPT_COMMAND").all(|(at, name)| {
        let value = text[at + name.len()..].strip_prefix(['=', '+', '[']);
        let value = value.map(|value| value.strip_prefix("()").unwrap_or(value));
        value.is_none_or(|value| value.is_empty() || value.starts_with([' ', ';', '\n', '&']))
    })
}

/// Whether a simple command is assignments, or one that asks nobody.
fn asks_nobody(command: &str) -> bool {
    let first = command.split_whitespace().find(|word| !is_assignment(word));
    first.is_none_or(|word| MUTE.contains(&word))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        let name = name.strip_suffix('+').unwrap_or(name);
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// The line with a letter in place of whatever is quoted; none where it is no list of simple commands, or is not understood here.
fn without_quoted(text: &str) -> Option<String> {
    let mut bare = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => {
                rest.next()?;
                bare.push('q');
            }
            '\'' if !bare.ends_with('$') => {
                rest.find(|c| *c == '\'')?;
                bare.push('q');
            }
            '"' => {
                loop {
                    match rest.next()? {
                        '"' => break,
                        '\\' => drop(rest.next()?),
                        '$' if rest.as_str().starts_with(['(', '{']) => return None,
                        '`' => return None,
                        _ => {}
                    }
                }
                bare.push('q');
            }
            // A list of plain words is a value.
            '(' if bare.ends_with('=') => {
                let (list, behind) = rest.as_str().split_once(')')?;
                if list.contains(['\'', '"', '\\', '`', '$', '(']) {
                    return None;
                }
                rest = behind.chars();
                bare.push('q');
            }
            '\'' | '(' | ')' | '{' | '}' | '`' | '<' | '>' => return None,
            other => bare.push(other),
        }
    }
    Some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_change_a_prompt_and_asks_nothing_is_followed_by_an_untold_prompt() {
        for yes in [
            "PROMPT_COMMAND=() PS1='y> '",
            "echo set; PROMPT_COMMAND=() PS1='y> '",
            "echo set; unset PROMPT_COMMAND; PS1='\\w\\$ '",
            "unset PROMPT_COMMAND PS0; PS1='$ '",
            "shopt -u promptvars",
            "export PS1=\"a; read \\\" > \" && true",
            "PROMPT_COMMAND= PS1=x",
            "PS1=it\\'s\\;",
        ] {
            assert!(may_reshape_prompt(yes), "{yes}");
        }
        for no in [
            "read -e -p '$ ' x",
            "PS1='> '; read -e x",
            "PS1='> ' read -e x",
            "./install.sh",
            ". ~/.bashrc",
            "source PS1",
            "eval \"$PS1\"",
            "PS1='> '; ask",
            "PROMPT_COMMAND=ask",
            "printf -v PROMPT_COMMAND ask; PS1='> '",
            "PROMPT_COMMAND=(ask) PS1='x> '",
            "PROMPT_COMMAND='read -e -p \"> \" x'",
            "PROMPT_COMMAND+=(ask)",
            "PROMPT_COMMAND[0]=ask PS1=x",
            "PROMPT_COMMAND=\"ask\"",
            "PROMPT_COMMAND=()(ask)",
            "PS1='> ' && ask",
            "PS1='> '\nask",
            "PS1='> ' | ask",
            "PS1='> ' & ask",
            "PS1=it\\'s; ask; x='",
            "PS1=$'\\''; ask; echo 'a'",
            "PS1=\"$(a \"; ask; echo \")\"",
            "PS1=(a \")\" ; ask; \"b)\")",
            "if true; then PS1='> '; ask; fi",
            "f() { PS1='> '; read -e x; }; f",
            "{ PS1=x; ask; }",
            "PS1=`ask`",
            "PS1='> ",
            "PS1=\\",
            "ask",
            "cat .profile",
            "select x in . y",
            "",
        ] {
            assert!(!may_reshape_prompt(no), "{no}");
        }
    }
}
