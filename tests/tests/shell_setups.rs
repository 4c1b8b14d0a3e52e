//! Shell integration on shells that are set up in odd ways: whatever the user has set, they behave as without it.

use std::fs;
use std::time::Duration;

use devpocket_tests::shell::Shell;
use devpocket_tests::stack::Stack;
use devpocket_tests::{wait_for, wait_until};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn no_setting_makes_us_end_the_shell_or_leak_into_its_children() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, "export PROMPT_COMMAND='codes=${codes-}:$?'\nset -e\n").await;
    shell.says("false && true").await;
    shell.says("set -E; trap 'echo failed' ERR; false || true; set -a").await;
    assert_eq!(shell.says("echo alive $codes").await, (0, "alive :0:1:0\n".to_owned()));
    assert_eq!(
        shell.says("bash -c 'echo $PROMPT_COMMAND'; env | grep -c __devpocket || true").await.1,
        "\n0\n"
    );
    assert_eq!(shell.says("bash -c 'exit 3' || echo $?").await, (0, "3\n".to_owned()));

    let shell = Shell::start(&stack, &["zsh"], &[(".zshrc", "setopt all_export\n")]).await;
    shell.says("true").await;
    assert_eq!(shell.says("env | grep -c __devpocket || true").await, (0, "0\n".to_owned()));
}

#[tokio::test]
async fn only_the_shell_itself_knows_the_word_that_signs_its_marks() {
    let stack = Stack::start().await;
    for (command, file, text) in [
        ("bash", ".bashrc", "env >~/seen; ls -l /proc/self/fd >>~/seen\n"),
        ("zsh", ".zshenv", "env >~/seen; ls -l /proc/self/fd >>~/seen\n"),
        ("fish", ".config/fish/config.fish", "env >~/seen; ls -l /proc/self/fd >>~/seen\n"),
    ] {
        let shell = Shell::start(&stack, &[command], &[(file, text)]).await;
        let pid = if command == "fish" { "$fish_pid" } else { "$$" };
        let (_, length) = shell.says("printf %s $__devpocket_nonce | wc -c").await;
        assert_eq!(length, "32\n", "{command}: the word");
        let look = format!("cat /proc/{pid}/environ /proc/{pid}/cmdline | grep -ac $__devpocket_nonce");
        assert_eq!(shell.says(&look).await.1, "0\n", "{command}");
        let seen = fs::read_to_string(shell.home.path().join("seen")).expect("its file was read");
        assert!(!seen.contains("DEVPOCKET_MARKS") && !seen.contains("pipe:"), "{command}: {seen}");
    }
}

/// The story: a widget that set a part of the prompt, with all that is set exported, gave what it started the word too.
#[tokio::test]
async fn what_a_widget_exports_has_no_word_in_it() {
    let stack = Stack::start().await;
    let text = "PS1='z> '\npsvar=(a)\nsetopt all_export\nw() { psvar[1]=b; env >~/now; mv ~/now ~/seen }\nzle -N w\nbindkey '^G' w\n";
    let shell = Shell::start(&stack, &["zsh"], &[(".zshrc", text)]).await;
    shell.says("true").await;
    shell.type_in("\u{7}").await;
    let seen = wait_for("the widget has run", LIMIT, async || {
        fs::read_to_string(shell.home.path().join("seen")).ok()
    })
    .await;
    assert_eq!(seen.lines().find(|line| line.starts_with("PSVAR")), Some("PSVAR=b"), "{seen}");
    shell.type_in("\u{3}").await;
    assert_eq!(shell.says("(exit 3)").await.0, 3);
}

#[tokio::test]
async fn who_makes_the_prompt_behind_us_is_followed() {
    let stack = Stack::start().await;
    let later = "f() { seen=$?; PS1='x> '; }\nPROMPT_COMMAND+=(f)\n";
    let shell = Shell::bash(&stack, later).await;
    assert_eq!(shell.says("(exit 4)").await, (4, String::new()));
    assert_eq!(shell.says("echo $seen").await, (0, "4\n".to_owned()));
    // What is typed later is as good as what the files say.
    for typed in ["PROMPT_COMMAND='PS1=\"y> \"'", "unset PROMPT_COMMAND", "PROMPT_COMMAND=(true true)"] {
        shell.run(typed).await;
        shell.run("true").await;
        assert_eq!(shell.says("(exit 5)").await, (5, String::new()), "{typed}");
    }

    let later = "autoload -U add-zsh-hook\nf() { seen=$?; PS1='x> ' }\nadd-zsh-hook precmd f\n";
    let shell = Shell::start(&stack, &["zsh"], &[(".zshrc", later)]).await;
    assert_eq!(shell.says("(exit 4)").await, (4, String::new()));
    assert_eq!(shell.says("echo $seen").await, (0, "4\n".to_owned()));
    shell.run("g() { PS1='y> ' }; add-zsh-hook precmd g").await;
    assert_eq!(shell.says("(exit 5)").await, (5, String::new()));
    shell.wait_shown("y>").await;
    let (_, left) = shell.says("/bin/ls /proc/self/fd").await;
    assert_eq!(
        left.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"],
        "its own listing is the fourth"
    );
}

#[tokio::test]
async fn traces_and_traps_show_nothing_of_ours() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, "PS1='b> '\nset -x\n").await;
    shell.says("true").await;
    assert_eq!(shell.says("echo hi").await, (0, "+ echo hi\nhi\n".to_owned()));
    shell.must_show_nothing_of_ours().await;

    let shell = Shell::bash(&stack, "PS1='b> '\nset -T\ntrap 'echo \"[$BASH_COMMAND]\"' DEBUG\n").await;
    shell.says("true").await;
    assert_eq!(shell.says("echo hi; (exit 3)").await.0, 3);
    shell.wait_history(&[("true", Some(0)), ("echo hi; (exit 3)", Some(3))]).await;
    shell.must_show_nothing_of_ours().await;

    let shell = Shell::start(&stack, &["zsh"], &[(".zshrc", "PS1='z> '\nsetopt xtrace\n")]).await;
    shell.says("true").await;
    let (code, output) = shell.says("echo hi; (exit 3)").await;
    assert!(code == 3 && output.contains("hi\n"), "{code} {output}");
    shell.must_show_nothing_of_ours().await;
}

#[tokio::test]
async fn prompts_that_expand_nothing_and_variables_that_cannot_be_set_are_left_alone() {
    let stack = Stack::start().await;
    for (command, file, text) in [
        ("bash", ".bashrc", "PS1='there> '\nshopt -u promptvars\n"),
        ("bash", ".bashrc", "PS1='there> '\nreadonly PS1 PROMPT_COMMAND\n"),
        ("bash", ".bashrc", "PS1='there> '\nreadonly PROMPT_COMMAND=true\n"),
        ("zsh", ".zshrc", "PS1='there> '\nunsetopt prompt_percent\n"),
        ("zsh", ".zshrc", "PS1='there> '\nreadonly PS1\n"),
    ] {
        let shell = Shell::start(&stack, &[command], &[(file, text)]).await;
        shell.wait_shown("there>").await;
        shell.type_in("echo $((40 + 2))\r").await;
        shell.wait_shown("42\n").await;
        wait_until("there is another prompt", LIMIT, async || {
            shell.screen().await.matches("there>").count() >= 2
        })
        .await;
        shell.must_show_nothing_of_ours().await;
        let screen = shell.screen().await;
        assert!(!screen.contains("read-only") && !screen.contains("readonly"), "{text}: {screen}");
    }
    let shell = Shell::bash(&stack, "PS1='there> '\nreadonly HISTTIMEFORMAT='%F '\n").await;
    shell.says("true").await;
    assert_eq!(shell.says("echo hi").await, (0, "hi\n".to_owned()));
    assert!(!shell.screen().await.contains("readonly"));
    // It is no more than an option: ours come back with it.
    shell.type_in("shopt -u promptvars\r").await;
    shell.wait_shown("shopt -u promptvars\nthere>").await;
    shell.type_in("echo $((40 + 2))\r").await;
    shell.wait_shown("42\nthere>").await;
    shell.must_show_nothing_of_ours().await;
    shell.type_in("shopt -s promptvars\r").await;
    shell.wait_shown("shopt -s promptvars\nthere>").await;
    assert_eq!(shell.says("echo back").await, (0, "back\n".to_owned()));
}

#[tokio::test]
async fn an_interrupt_leaves_the_marks() {
    let stack = Stack::start().await;
    // What is interrupted says itself that it is there: until it has the terminal bash would wait for it all the same.
    let text = "PS1='b> '; sh -c 'echo begun; exec sleep 60'; PS1='never> '\n";
    let shell = Shell::bash(&stack, text).await;
    shell.wait_shown("begun").await;
    shell.type_in("\u{3}").await;
    shell.wait_shown("b>").await;
    assert_eq!(shell.says("(exit 3)").await, (3, String::new()));

    let shell = Shell::start(&stack, &["fish"], &[]).await;
    shell.says("true").await;
    shell.type_in("echo typed").await;
    shell.wait_shown("echo typed").await;
    shell.try_run("true", 1).await.is_problem(409, "line_in_use");
    // fish may drop one.
    wait_until("the line is given up", LIMIT, async || {
        shell.type_in("\u{3}").await;
        timeout(Duration::from_secs(5), shell.wait_shown("typed^C")).await.is_ok()
    })
    .await;
    assert_eq!(shell.says("echo free").await, (0, "free\n".to_owned()));
}
