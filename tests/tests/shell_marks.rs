//! Where a shell's marks go, and what of them its user can see or change: the terminal alone has them, whatever the user does to
//! output, prompts, hooks and traps, and every command has its end.

use std::fs;
use std::time::Duration;

use devpocket_tests::shell::Shell;
use devpocket_tests::stack::Stack;
use devpocket_tests::wait_until;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

/// A shell by this name, whose own file holds this.
async fn start(stack: &Stack, name: &str, text: &str) -> Shell {
    let file = match name {
        "fish" => ".config/fish/config.fish",
        "zsh" => ".zshrc",
        _ => ".bashrc",
    };
    Shell::start(stack, &[name], &[(file, text)]).await
}

/// Runs these, each of which has to come to its exit code.
async fn check(stack: &Stack, name: &str, text: &str, commands: &[(&str, i64)]) -> Shell {
    let shell = start(stack, name, text).await;
    for (command, code) in commands {
        assert_eq!(shell.says(command).await.0, *code, "{name}, {text}: {command}");
    }
    shell.must_show_nothing_of_ours().await;
    shell
}

fn read(shell: &Shell, name: &str) -> String {
    fs::read_to_string(shell.home.path().join(name)).unwrap_or_default()
}

/// The story: `exec >file` had the marks in that file, with the word that signs them, and no command ended.
#[tokio::test]
async fn where_the_shell_prints_to_has_no_marks() {
    let stack = Stack::start().await;
    for (name, text) in [("bash", "PS1='b> '\n"), ("zsh", "PS1='z> '\n")] {
        let shell =
            check(&stack, name, text, &[("exec >out", 0), ("echo hi; (exit 3)", 3), ("exec >&0", 0)]).await;
        let printed = read(&shell, "out");
        // Debian's zsh prints there what the terminal is to do.
        assert!(printed.contains("hi\n") && !printed.contains("633;"), "{name}: {printed:?}");
        assert_eq!(shell.says("echo back; (exit 4)").await, (4, "back\n".to_owned()), "{name}");
        for command in ["exec 2>errors", "(exit 5)", "exec 2>&0", "(exit 6)"] {
            let code = command.strip_prefix("(exit ").map_or(0, |rest| rest[..1].parse().unwrap_or(0));
            assert_eq!(shell.says(command).await.0, code, "{name}: {command}");
        }
        assert!(!read(&shell, "errors").contains("633;"), "{name}: {}", read(&shell, "errors"));
    }
    let text = "PS1='b> '\nexec > >(tee -a log) 2>&1\n";
    let shell = check(&stack, "bash", text, &[("echo logged; (exit 3)", 3), ("(exit 4)", 4)]).await;
    let logged = || read(&shell, "log").contains("logged\r\n") || read(&shell, "log").contains("logged\n");
    wait_until("it is logged", LIMIT, async || logged()).await;
    assert!(!read(&shell, "log").contains("633;"), "{}", read(&shell, "log"));
}

/// The story: fish's own commands that save its prompt wrote ours over the user's file, which then failed in every shell.
#[tokio::test]
async fn a_prompt_of_fish_is_saved_and_erased_as_the_users_own() {
    let stack = Stack::start().await;
    let own = "function fish_prompt\n    echo -n 'f> '\nend\n";
    let shell = check(&stack, "fish", own, &[("funcsave fish_prompt", 0), ("false", 1)]).await;
    let saved = read(&shell, ".config/fish/functions/fish_prompt.fish");
    assert!(saved.contains("echo -n 'f> '") && !saved.contains("devpocket"), "{saved}");
    let (_, output) = shell.says("functions fish_prompt; set | string match '*__devpocket_script*'").await;
    assert!(output.contains("echo -n 'f> '") && !output.contains("devpocket"), "{output}");
    for (command, code) in [("functions -e fish_prompt", 0), ("false", 1), ("true", 0)] {
        assert_eq!(shell.says(command).await.0, code, "{command}");
    }
    let screen = shell.screen().await;
    assert!(!screen.contains("Unknown command"), "{screen}");
}

/// The story: hooks that the user set anew were gone for good, and a command that ran was answered as one that did not.
#[tokio::test]
async fn hooks_that_are_set_anew_have_ours_again() {
    let stack = Stack::start().await;
    let codes = [("(exit 3)", 3), ("(exit 4)", 4)];
    for (text, typed) in [
        ("PS1='z> '\n", "preexec_functions=()"),
        ("PS1='z> '\n", "precmd_functions=()"),
        ("PS1='z> '\n", "precmd_functions=() preexec_functions=()"),
        ("PS1='z> '\nf() { PS1='y> ' }\n", "precmd_functions=(f); PS1=''"),
        ("PS1='z> '\nprecmd_functions=(true)\npreexec_functions=()\n", "true"),
    ] {
        check(&stack, "zsh", text, &[(typed, 0), codes[0], codes[1]]).await;
    }
    for typed in [
        "PS1='y> '",
        "unset PROMPT_COMMAND",
        "unset PS0 PS1 PS2",
        "PROMPT_COMMAND=(true true)",
        "set -o posix; unset PROMPT_COMMAND",
    ] {
        check(&stack, "bash", "PS1='b> '\n", &[(typed, 0), codes[0], codes[1]]).await;
    }
}

/// The story: what fish told went to a function of the user's, and a zsh that was then restricted told nothing: no command ended.
#[tokio::test]
async fn no_function_and_no_restriction_takes_the_marks() {
    let stack = Stack::start().await;
    let codes = [("true", 0), ("false", 1)];
    for function in ["printf", "functions"] {
        let define = format!("function {function}; end");
        let own = "function fish_prompt\n    echo -n 'f> '\nend\n";
        check(&stack, "fish", own, &[(&define, 0), codes[0], codes[1]]).await;
    }
    for restriction in ["set -r", "readonly PS1; set -r"] {
        let shell = check(&stack, "zsh", "PS1='z> '\n", &[(restriction, 0), codes[0], codes[1]]).await;
        assert_eq!(shell.says("echo hi; (exit 3)").await, (3, "hi\n".to_owned()), "{restriction}");
        assert!(!shell.screen().await.contains("restricted"));
    }
    check(&stack, "zsh", "PS1='z> '\nsetopt restricted\n", &codes).await;
}

/// The story: the command that left no room for marks ran for ever, and it was said that something else runs.
#[tokio::test]
async fn a_command_that_leaves_no_room_for_marks_has_its_end_and_is_the_last() {
    let stack = Stack::start().await;
    for typed in ["shopt -u promptvars", "PS1='x> '; readonly PS1", "PS1='x> '; readonly PS1 PROMPT_COMMAND"]
    {
        let shell = check(&stack, "bash", "PS1='b> '\n", &[(&format!("{typed}; (exit 4)"), 4)]).await;
        let refused = shell.try_run("true", 5).await;
        refused.is_problem(409, "no_shell_integration");
        let why = refused.body["detail"].as_str().unwrap_or_default();
        assert!(why.contains("does not tell of them any more"), "{typed}: {refused:?}");
        shell.type_in("echo $((40 + 2))\r").await;
        shell.wait_shown("42\n").await;
        shell.must_show_nothing_of_ours().await;
    }
}

/// The story: an exported prompt had our marks in it, and `sh` showed them.
#[tokio::test]
async fn a_shell_inside_shows_nothing_of_ours_in_its_prompt() {
    let stack = Stack::start().await;
    let shell = start(&stack, "bash", "export PS1='$ ' PS2='> ' PS0='[ps0]'\n").await;
    shell.says("true").await;
    for inside in ["sh", "bash --norc", "bash --norc -u"] {
        shell.type_in(&format!("clear; {inside}\r")).await;
        wait_until("it shows its prompt", LIMIT, async || shell.screen().await.trim() == "$").await;
        shell.type_in("echo in'side'\r").await;
        shell.wait_shown("inside").await;
        shell.must_show_nothing_of_ours().await;
        let screen = shell.screen().await;
        assert!(screen.contains("$ echo in'side'") && !screen.contains("\\["), "{inside}: {screen}");
        shell.type_in("exit\r").await;
        wait_until("it is over", LIMIT, async || {
            shell.history().await.last().is_some_and(|last| last.1.is_some())
        })
        .await;
    }
    let shell = start(&stack, "zsh", "export PS1='z> ' PS2='> '\nsetopt all_export\npsvar=(a b)\n").await;
    shell.says("true").await;
    let (_, output) = shell.says("env | grep -a -e '^PS' -e __devpocket; print ${#psvar}").await;
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["2", "PS1=z> ", "PS2=> ", "PSVAR=a:b"], "as without us");
}

/// The story: without a history bash gave the last line that it had kept for whatever was typed.
#[tokio::test]
async fn what_was_typed_is_not_known_where_the_history_does_not_say() {
    let stack = Stack::start().await;
    for (name, text, setup, line) in [
        ("bash", "PS1='b> '\n", "set +o history", "echo secret"),
        ("bash", "PS1='b> '\n", "shopt -u cmdhist; shopt -s lithist", "for i in 1; do\necho $i\ndone"),
        ("fish", "", "set -g fish_private_mode 1", "echo secret"),
    ] {
        let shell = check(&stack, name, text, &[(setup, 0)]).await;
        let answer = shell.run(line).await;
        assert_eq!((&answer["command"], &answer["exit_code"]), (&Value::Null, &0.into()), "{name}: {answer}");
    }
}

/// The story: the classic timer of a command, a DEBUG trap and a prompt command, counted the time at the prompt.
#[tokio::test]
async fn a_trap_of_the_user_sees_the_users_commands_alone() {
    let stack = Stack::start().await;
    let shell = start(&stack, "bash", "PS1='b> '\nPROMPT_COMMAND='test 1'\n").await;
    shell.says("trap 'echo \"$BASH_COMMAND\" >>seen' DEBUG").await;
    shell.says("true").await;
    shell.type_in("\r").await;
    shell.says("false").await;
    let expected = ["test 1", "true", "test 1", "test 1", "false", "test 1"];
    assert_eq!(read(&shell, "seen").lines().collect::<Vec<_>>(), expected);
    // Those of a subshell too, with functrace.
    shell.says("set -T; rm seen").await;
    shell.says("true").await;
    let seen = read(&shell, "seen");
    assert!(seen.lines().count() < 5 && !seen.contains("printf"), "{seen}");
}

/// The story: with a prompt that is made anew each time, what bash-preexec tells its hooks of (atuin, starship) had a command of ours in it.
#[tokio::test]
async fn who_leaves_prompt_commands_out_of_what_a_trap_sees_leaves_ours_out() {
    let stack = Stack::start().await;
    let text = r#"PROMPT_COMMAND='PS1="b> "'
see() {
    local IFS=$'\n;' line
    for line in ${PROMPT_COMMAND[*]}; do [[ ${line##*( )} != "$1" ]] || return 0; done
    echo "$1" >>seen
}
shopt -s extglob
"#;
    let shell = start(&stack, "bash", text).await;
    shell.says("trap 'see \"$BASH_COMMAND\"' DEBUG").await;
    shell.says("true").await;
    shell.says("false").await;
    assert_eq!(read(&shell, "seen"), "true\nfalse\n");
}

#[tokio::test]
async fn a_trace_to_a_file_has_no_word_in_it() {
    let stack = Stack::start().await;
    let text = "PS1='b> '\nexec 8>trace\nBASH_XTRACEFD=8\nset -x\n";
    let shell = check(&stack, "bash", text, &[("true", 0), ("(exit 3)", 3)]).await;
    let (_, word) = shell.says("echo $__devpocket_nonce >word; exec 8>&-").await;
    assert_eq!(word, "");
    let (trace, word) = (read(&shell, "trace"), read(&shell, "word"));
    let before = trace.split("+ echo").next().unwrap_or_default();
    assert!(before.contains("+ true") && word.len() > 8 && !before.contains(word.trim()), "{trace}");
    assert!(before.matches("devpocket").count() <= 1, "{trace}");
}

/// Whatever a user's own functions are called, and whatever is not allowed.
#[tokio::test]
async fn functions_with_the_names_of_builtins_and_restrictions_are_not_in_the_way() {
    let stack = Stack::start().await;
    let names = [
        "set", "local", "trap", "unset", "return", "printf", "read", "shopt", "history", "declare", "export",
    ];
    let text: String = names.iter().map(|name| format!("{name}() {{ echo taken; }}\n")).collect();
    let codes = [("(exit 3)", 3), ("PS1='c> '", 0), ("(exit 4)", 4)];
    let shell = check(&stack, "bash", &format!("PS1='b> '\n{text}"), &codes).await;
    assert_eq!(shell.history().await.first().and_then(|first| first.0.clone()).as_deref(), Some("(exit 3)"));
    let shell = check(&stack, "bash", "PS1='b> '\n", &[("set -r", 0), codes[0], codes[1], codes[2]]).await;
    assert!(!shell.screen().await.contains("restricted"));
}

#[tokio::test]
async fn what_posix_mode_leaves_is_undone() {
    let stack = Stack::start().await;
    let shell = start(&stack, "bash", "PS1='b> '\n").await;
    let plain = "bash --rcfile /dev/null -i -c";
    for asked in
        ["echo $MAILCHECK", "shopt -po | grep -v -e history -e emacs", "shopt -p | grep -v -e checkwinsize"]
    {
        let (_, ours) = shell.says(asked).await;
        let (_, theirs) = shell.says(&format!("{plain} '{asked}'")).await;
        assert_eq!(ours, theirs, "{asked}");
    }
}

/// The story: of several lines pasted at once all but the last had no exit code.
#[tokio::test]
async fn of_several_lines_each_has_its_exit_code() {
    let stack = Stack::start().await;
    let shell = start(&stack, "bash", "PS1='b> '\n").await;
    assert_eq!(shell.says("(exit 1)\n(exit 2)\n(exit 3)").await.0, 3);
    shell.wait_history(&[("(exit 1)", Some(1)), ("(exit 2)", Some(2)), ("(exit 3)", Some(3))]).await;
}

/// The story: what zsh fills the line with to see whether output ended in the middle of it was taken for output.
#[tokio::test]
async fn the_end_of_a_line_that_zsh_makes_is_no_output() {
    let stack = Stack::start().await;
    for text in ["PS1='z> '\nPROMPT_EOL_MARK=''\n", "PS1='z> '\nTERM=dumb\n"] {
        let shell = start(&stack, "zsh", text).await;
        shell.says("true").await;
        assert_eq!(shell.says("echo hi").await, (0, "hi\n".to_owned()), "{text}");
        assert_eq!(shell.says("printf hi").await, (0, "hi".to_owned()), "{text}");
    }
}

/// The stories: `(venv) ` in front of bash's prompt was output of the command before, and a title that zsh set before its prompt
/// left the mark of an unfinished line in it.
#[tokio::test]
async fn what_is_shown_for_a_prompt_is_no_output() {
    let stack = Stack::start().await;
    let shell = check(&stack, "bash", "PS1='b> '\n", &[("PS1=\"(venv) $PS1\"", 0)]).await;
    for _ in 0..2 {
        assert_eq!(shell.says("echo a").await, (0, "a\n".to_owned()));
    }
    for prompt in [r"print -Pn '\e]0;title\a'", "print", "print -P '%~'"] {
        let shell = start(&stack, "zsh", &format!("PS1='z> '\nprecmd() {{ {prompt} }}\n")).await;
        shell.says("true").await;
        assert_eq!(shell.says("printf '{\"id\":42}'").await, (0, "{\"id\":42}".to_owned()), "{prompt}");
        assert_eq!(shell.says("echo a").await, (0, "a\n".to_owned()), "{prompt}");
    }
}

/// The story: bash started a process before each line to know what was typed, and where none could be started it dropped every line,
/// those too that would have helped.
#[tokio::test]
async fn where_no_process_can_be_started_a_line_still_runs() {
    let stack = Stack::start().await;
    let shell = start(&stack, "bash", "PS1='b> '\n").await;
    assert_eq!(shell.says("ulimit -Su 1; echo set").await, (0, "set\n".to_owned()));
    // It tries for 15 seconds, and says so.
    shell.type_in("echo lo''st\r").await;
    shell.wait_shown("fork: Resource temporarily unavailable").await;
    shell.type_in("kill -l 9; ulimit -Su 4096\r").await;
    shell.wait_shown("KILL").await;
    let known: Vec<_> = (0..30).map(|number| format!("(exit {number})")).collect();
    for (code, command) in known.iter().enumerate() {
        assert_eq!(shell.says(command).await.0, i64::try_from(code).unwrap_or(0), "{command}");
    }
    let last = shell.history().await;
    assert!(last.iter().any(|(command, _)| command.as_deref() == Some("(exit 29)")), "{last:?}");
    assert!(!shell.screen().await.contains("lost"));
}
