//! Shell integration on real shells: what they ran is known, whatever they print, and dotfiles, environments and habits stay
//! what they are.

use std::fs;
use std::path::Path;
use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::shell::Shell;
use devpocket_tests::stack::Stack;
use devpocket_tests::{wait_for, wait_until};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
/// What a prompt shows, so that a test knows one from what else there is.
const BASHRC: &str = "PS1='ready> '\n";

#[tokio::test]
async fn commands_are_known_with_their_exit_codes_and_output() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    assert_eq!(shell.says("true").await, (0, String::new()));
    assert_eq!(shell.says("false").await, (1, String::new()));
    assert_eq!(shell.says("printf 'a\\033[31mb\\033[m\\n'; (exit 7)").await, (7, "ab\n".to_owned()));
    assert_eq!(shell.says("cd /tmp; pwd").await, (0, "/tmp\n".to_owned()));
    let last = shell.run("sh -c 'kill -9 $$'").await;
    assert_eq!((&last["exit_code"], &last["cwd"]), (&json!(137), &json!("/tmp")), "{last}");
    let expected =
        [("true", 0), ("false", 1), ("printf 'a\\033[31mb\\033[m\\n'; (exit 7)", 7), ("cd /tmp; pwd", 0)];
    let mut expected: Vec<(&str, Option<i64>)> =
        expected.iter().map(|(text, code)| (*text, Some(*code))).collect();
    expected.push(("sh -c 'kill -9 $$'", Some(137)));
    shell.wait_history(&expected).await;

    let page = shell.rest.get(&shell.path("history?offset=1&limit=2")).await.expect(200);
    assert_eq!(
        (&page["total"], &page["offset"], &page["limit"]),
        (&json!(5), &json!(1), &json!(2)),
        "{page}"
    );
    let second = &page["commands"][0];
    assert_eq!(second["command"], "cd /tmp; pwd", "newest first: {page}");
    let id = second["id"].as_str().and_then(|id| id.parse::<uuid::Uuid>().ok());
    assert!(id.is_some() && second["duration_ms"].is_u64() && second["finished_at"].is_string(), "{page}");
    assert_eq!(page["commands"].as_array().map(Vec::len), Some(2));
    let session = shell.rest.get(&format!("/api/sessions/{}", shell.id)).await.expect(200);
    assert_eq!((&session["command_count"], &session["cwd"]), (&json!(5), &json!("/tmp")), "{session}");
    for query in ["history?limit=501", "history?limit=0", "history?what=1"] {
        shell.rest.get(&shell.path(query)).await.is_problem(422, "invalid_fields");
    }
}

#[tokio::test]
async fn nothing_is_made_up_where_no_command_was_run() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    shell.says("false").await;
    for (keys, prompts) in ["\u{3}", "\r", "# a comment\r", "sleep\u{3}", "if then\r"].into_iter().zip(3..) {
        shell.type_in(keys).await;
        // An interrupt takes with it what was typed ahead.
        wait_until("the next prompt is there", LIMIT, async || {
            shell.screen().await.matches("ready>").count() == prompts
        })
        .await;
    }
    shell.wait_shown("syntax error").await;
    shell.type_in("true\r").await;
    shell.wait_history(&[("false", Some(1)), ("true", Some(0))]).await;
}

#[tokio::test]
async fn a_shell_inside_is_one_command() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, "export PS1='outer> ' PS2 PS0 PROMPT_COMMAND\n").await;
    shell.says("true").await;
    shell.type_in("bash --norc\r").await;
    shell.wait_history(&[("true", Some(0)), ("bash --norc", None)]).await;
    shell.type_in("echo in'side'\r").await;
    shell.wait_shown("inside").await;
    // Its prompt is not the outer one's, whatever it inherited.
    shell.try_run("true", 1).await.is_problem(409, "command_running");
    shell.type_in("exit 4\r").await;
    shell.wait_history(&[("true", Some(0)), ("bash --norc", Some(4))]).await;
    assert_eq!(shell.says("echo out").await, (0, "out\n".to_owned()));
}

#[tokio::test]
async fn what_is_shown_is_not_believed() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    let word = "0123456789abcdef0123456789abcdef";
    let mut marks = String::new();
    for nonce in ["", &format!(";{word}")] {
        for mark in ["D;0", "A", "B", "E;rm -rf /", "C", "D;0", "D"] {
            marks += &format!("\x1b]633;{mark}{nonce}\x07\x1b]133;{mark}{nonce}\x1b\\");
        }
    }
    fs::write(shell.home.path().join("marks"), marks + "shown\n").expect("a file");
    assert_eq!(shell.says("cat marks; (exit 9)").await, (9, "shown\n".to_owned()));
    shell.wait_history(&[("cat marks; (exit 9)", Some(9))]).await;
}

#[tokio::test]
async fn several_lines_are_pasted() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    let (code, output) = shell.says("for i in 1 2; do\n\techo line $i\ndone").await;
    assert_eq!((code, output.as_str()), (0, "line 1\nline 2\n"));
    assert_eq!(shell.history().await.len(), 1, "it is one command");
    // Two commands come to one answer: the last one's code, and all that was printed.
    let (code, output) = shell.says("echo one; false\necho two; (exit 3)").await;
    assert!(code == 3 && output.contains("one\n") && output.contains("two\n"), "{code} {output:?}");
    let (code, output) = shell.says("cat <<END\na b\nEND").await;
    assert_eq!((code, output.as_str()), (0, "a b\n"));
    // An end of paste inside is none.
    let escaped = shell.try_run("echo \u{1b}[201~\r rm x", 1).await;
    escaped.is_problem(422, "invalid_fields");
}

#[tokio::test]
async fn what_the_shell_does_not_run_is_said_and_leaves_its_prompt() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    shell.try_run("if then", 5).await.is_problem(422, "command_not_run");
    shell.try_run("echo 'open", 5).await.is_problem(422, "command_not_run");
    shell.try_run("# nothing", 5).await.is_problem(422, "command_not_run");
    for bad in [json!({}), json!({"command": " \n"}), json!({"command": "a\u{7}"}), json!({"command": 1})] {
        shell.rest.post(&shell.path("commands"), &bad).await.is_problem(422, "invalid_fields");
    }
    for timeout in [0, 301] {
        shell.try_run("true", timeout).await.is_problem(422, "invalid_fields");
    }
    assert_eq!(shell.says("echo fine").await, (0, "fine\n".to_owned()));
    assert_eq!(shell.history().await.len(), 1);
}

#[tokio::test]
async fn a_command_that_takes_longer_goes_on_and_keeps_others_out() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    let answer = shell.try_run("echo begun; read line; echo \"$line\"; (exit 5)", 1).await.expect(200);
    assert_eq!((&answer["timed_out"], &answer["exit_code"]), (&json!(true), &Value::Null), "{answer}");
    assert_eq!(answer["output"], "begun\n", "{answer}");
    shell.try_run("true", 1).await.is_problem(409, "command_running");
    shell.type_in("typed\r").await;
    wait_until("it ends", LIMIT, async || shell.history().await.last().is_some_and(|last| last.1 == Some(5)))
        .await;
    let page = shell.rest.get(&shell.path("history")).await.expect(200);
    assert_eq!(page["commands"][0]["id"], answer["id"], "the same command");
    // Of two at once one is typed, and the other not at all.
    shell.says("true").await;
    let (one, two) = tokio::join!(shell.try_run("sleep 1; echo a", 20), shell.try_run("sleep 1; echo b", 20));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {two:?}");
    let (ran, refused) = if one.status == 200 { (one, two) } else { (two, one) };
    refused.is_problem(409, "command_running");
    assert!(["a\n", "b\n"].iter().any(|text| ran.body["output"] == *text), "{ran:?}");
    assert_eq!(shell.history().await.len(), 3);
}

#[tokio::test]
async fn what_somebody_types_is_not_mixed_with_a_command() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    shell.says("true").await;
    shell.type_in("rm -rf ").await;
    shell.wait_shown("rm -rf").await;
    shell.try_run("true", 1).await.is_problem(409, "line_in_use");
    shell.type_in("\u{3}").await;
    shell.wait_shown("^C").await;
    assert_eq!(shell.says("echo free").await, (0, "free\n".to_owned()));
}

#[tokio::test]
async fn what_answers_to_a_program_left_on_the_line_is_taken_away() {
    let stack = Stack::start().await;
    for (command, files) in [
        (&["bash", "-l"][..], &[(".bash_profile", BASHRC)][..]),
        (&["zsh"], &[(".zshrc", "PS1='z> '\n")]),
        (&["fish"], &[]),
    ] {
        let shell = Shell::start(&stack, command, files).await;
        for query in ["\\e[c", "\\e[6n", "\\e[c\\e[6n"] {
            shell.says(&format!("printf '{query}'")).await;
            let next = shell.try_run("echo q4", 20).await.expect(200);
            assert_eq!(
                (&next["command"], &next["output"]),
                (&json!("echo q4"), &json!("q4\n")),
                "{command:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_a_program_was_typed_is_not_on_the_line_behind_it() {
    let stack = Stack::start().await;
    for (command, files) in [
        (&["bash", "-l"][..], &[(".bash_profile", BASHRC)][..]),
        (&["zsh"], &[(".zshrc", "PS1='z> '\nRPROMPT='%F{green}right%f'\n")]),
        (&["fish"], &[]),
    ] {
        let shell = Shell::start(&stack, command, files).await;
        let read = shell.try_run("sh -c 'read line; echo got $line'", 1).await.expect(200);
        assert_eq!(read["timed_out"], true, "{command:?}: {read}");
        shell.type_in("typed\r").await;
        wait_until("it ends", LIMIT, async || {
            shell.history().await.last().is_some_and(|last| last.1 == Some(0))
        })
        .await;
        assert_eq!(shell.says("echo next").await, (0, "next\n".to_owned()), "{command:?}");
        // What was typed ahead of the prompt is.
        let (slept, ()) = tokio::join!(shell.try_run("sh -c 'echo sleeps; sleep 1'", 20), async {
            shell.wait_shown("sleeps\n").await;
            shell.type_in("half").await;
        });
        slept.expect(200);
        shell.try_run("echo no", 20).await.is_problem(409, "line_in_use");
        shell.wait_shown("half").await;
        assert!(!shell.screen().await.contains("echo no"), "{command:?}: {}", shell.screen().await);
    }
}

#[tokio::test]
async fn a_paste_whose_end_is_no_whole_command_is_interrupted() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    let refused = shell.try_run("echo 1\necho \"open", 20).await;
    refused.is_problem(422, "command_not_run");
    let detail = refused.body["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("ran what stands before it"), "{refused:?}");
    assert_eq!(shell.says("echo free").await, (0, "free\n".to_owned()));
    let history = shell.history().await;
    assert_eq!(
        (history.len(), history[1].1),
        (2, Some(0)),
        "what stood before it, and what came behind: {history:?}"
    );
}

#[tokio::test]
async fn very_many_lines_come_to_the_answer_of_the_last() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    let lines = "true\n".repeat(1010) + "(exit 3)";
    let result = shell.try_run(&lines, 200).await.expect(200);
    assert_eq!((&result["exit_code"], &result["timed_out"]), (&json!(3), &json!(false)), "{result}");
    assert_eq!((&result["command"], &result["output_truncated"]), (&json!("(exit 3)"), &json!(true)));
}

#[tokio::test]
async fn a_space_at_the_end_is_part_of_a_command() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    assert_eq!(shell.says("printf '<%s>' a\\ ").await, (0, "<a >".to_owned()));
    assert_eq!(shell.says("echo line end\n\n").await, (0, "line end\n".to_owned()));
}

#[tokio::test]
async fn where_the_shell_is_is_what_it_signed() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    shell.says("cd /tmp; printf '\\e]7;file:///lies\\a'").await;
    let session = shell.rest.get(&format!("/api/sessions/{}", shell.id)).await.expect(200);
    assert_eq!(session["cwd"], "/tmp", "{session}");
}

#[tokio::test]
async fn what_is_wrong_with_a_command_is_said_once_by_its_name() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, &format!("bind 'set enable-bracketed-paste off'\n{BASHRC}")).await;
    shell.says("true").await;
    for (command, code) in [
        (Value::Null, "missing"),
        (json!(" \t\n"), "missing"),
        (json!("x".repeat(16_385)), "out_of_range"),
        (json!("a\u{0}"), "out_of_range"),
        (json!([1]), "wrong_type"),
    ] {
        let refused = shell.rest.post(&shell.path("commands"), &json!({"command": command})).await;
        refused.is_problem(422, "invalid_fields");
        let errors = refused.body["errors"].as_array().expect("errors");
        assert_eq!((errors.len(), &errors[0]["field"]), (1, &json!("command")), "{refused:?}");
        assert_eq!(errors[0]["code"], code, "{refused:?}");
    }
    let pasted = shell.try_run("echo 1\necho 2", 5).await;
    assert_eq!((pasted.status, &pasted.body["errors"][0]["field"]), (422, &json!("command")), "{pasted:?}");
}

#[tokio::test]
async fn a_worker_kill_in_the_middle_of_a_command_loses_nothing_of_it() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    shell.says("true").await;
    stack.worker_ready().await;
    let running = shell.try_run("echo before; read line; echo after; (exit 6)", 60);
    let kill = async {
        wait_until("the command runs", LIMIT, async || shell.history().await.len() == 2).await;
        shell.wait_shown("before\n").await;
        assert!(stack.kill_worker(), "there was a worker a moment ago");
        stack.worker_ready().await;
        shell.type_in("go on\r").await;
    };
    let (answer, ()) = tokio::join!(running, kill);
    let answer = answer.expect(200);
    assert_eq!((&answer["exit_code"], &answer["timed_out"]), (&json!(6), &json!(false)), "{answer}");
    let output = answer["output"].as_str().expect("text");
    assert!(output.starts_with("before\n") && output.ends_with("after\n"), "{output:?}");
    shell.wait_history(&[("true", Some(0)), ("echo before; read line; echo after; (exit 6)", Some(6))]).await;
    assert!(stack.kill_worker());
    stack.worker_ready().await;
    assert_eq!(shell.history().await.len(), 2, "no kill makes any come or go");
    assert_eq!(shell.says("echo $((20 + 3))").await, (0, "23\n".to_owned()));
}

/// The user's own prompt, hooks and traps, in every place where ours could be in the way.
const HABITS: &str = r#"
set -u
FROM_PROFILE=sourced
PS0='[ps0]\n'
PS1='\[\e[1m\]mine $?> '
PROMPT_COMMAND='codes=${codes-}:$?'
dbg=0
trap 'dbg=$((dbg + 1))' DEBUG
HISTCONTROL=ignoreboth
"#;

#[tokio::test]
async fn the_users_own_habits_go_on_to_work() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, HABITS).await;
    assert_eq!(shell.says("echo $FROM_PROFILE").await, (0, "sourced\n".to_owned()));
    assert_eq!(shell.says("(exit 3)").await.0, 3);
    let (_, output) = shell.says("echo $codes; [ $dbg -gt 3 ] && echo traced").await;
    assert_eq!(output, ":0:0:3\ntraced\n", "each exit code, as without us");
    shell.wait_shown("[ps0]").await;
    shell.wait_shown("mine 3>").await;
    assert_eq!(shell.says("shopt -q login_shell; echo $? $- $0").await.1, "0 himuBHs bash\n");
    assert_eq!(
        shell.says("shopt -po posix; shopt inherit_errexit; echo ${POSIXLY_CORRECT-none}").await.1,
        "set +o posix\ninherit_errexit\toff\nnone\n"
    );
    let home = shell.home.path().display();
    assert_eq!(
        shell.says("declare -p HISTFILE").await.1,
        format!("declare -- HISTFILE=\"{home}/.bash_history\"\n")
    );
    // What is kept out of bash's history is kept out of ours; what is typed twice is there twice.
    shell.says("echo twice").await;
    shell.says("echo twice").await;
    let before = shell.history().await.len();
    shell.type_in(" echo hidden\r").await;
    let history = wait_for("it is over", LIMIT, async || {
        let history = shell.history().await;
        (history.len() > before && history.last()?.1.is_some()).then_some(history)
    })
    .await;
    let last: Vec<Option<&str>> = history.iter().rev().take(3).map(|(text, _)| text.as_deref()).collect();
    assert_eq!(last, [None, Some("echo twice"), Some("echo twice")]);
    // The shell ends at a command that fails, as it would without us.
    shell.says("set -e").await;
    let end = shell.try_run("false", 10).await.expect(200);
    assert_eq!((&end["exit_code"], &end["timed_out"]), (&json!(1), &json!(false)), "{end}");
    assert_eq!(shell.wait_ended().await["exit_code"], 1);
    assert!(
        !fs::read_to_string(shell.home.path().join(".bash_history")).unwrap_or_default().contains("hidden")
    );
}

/// What `env` says in a session, but for what every shell sets by itself.
async fn environment(shell: &Shell) -> Vec<String> {
    let (_, output) = shell.says("env | LC_ALL=C sort").await;
    output.lines().map(|line| line.split('=').next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn dotfiles_stay_as_they_are_and_no_variable_is_left() {
    let stack = Stack::start().await;
    for (command, files) in [
        (&["bash", "-l"][..], &[(".bash_profile", "export LOGIN=1\n")][..]),
        (&["bash", "-l"], &[(".profile", "export LOGIN=1\n")]),
        (&["bash"], &[(".bashrc", "export LOGIN=1\n")]),
        (&["zsh", "-l"], &[(".zshenv", "export LOGIN=1\n"), (".zshrc", "PS1='z> '\n")]),
        (&["fish"], &[(".config/fish/config.fish", "set -x LOGIN 1\n")]),
    ] {
        let shell = Shell::start(&stack, command, files).await;
        let found = environment(&shell).await;
        let set_by_shells = ["LOGIN", "OLDPWD", "PWD", "SHLVL", "_"];
        let given =
            ["COLORTERM", "DEVPOCKET_SESSION", "HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];
        let others: Vec<&String> = found
            .iter()
            .filter(|name| !set_by_shells.contains(&name.as_str()) && !given.contains(&name.as_str()))
            .collect();
        assert!(others.is_empty() && found.contains(&"LOGIN".to_owned()), "{command:?}: {found:?}");
        assert_eq!(
            shell.says("/bin/ls /proc/self/fd").await.1.split_whitespace().collect::<Vec<_>>(),
            ["0", "1", "2", "3"],
            "its own listing is the fourth: {command:?}"
        );
        for (name, content) in files {
            assert_eq!(fs::read_to_string(shell.home.path().join(name)).expect("it is there"), *content);
        }
        assert!(!Path::new(&shell.home.path().join(".sh_history")).exists());
    }
}

#[tokio::test]
async fn zsh_and_fish_tell_as_much_as_bash() {
    let stack = Stack::start().await;
    for (command, files) in [
        (&["zsh"][..], &[(".zshrc", "PS1='z> '\nprecmd() { codes=$codes:$? }\n")][..]),
        (&["fish"], &[(".config/fish/config.fish", "function fish_prompt; echo 'f> '; end\n")]),
    ] {
        let shell = Shell::start(&stack, command, files).await;
        assert_eq!(shell.says("true").await, (0, String::new()), "{command:?}");
        assert_eq!(shell.says("false").await, (1, String::new()), "{command:?}");
        assert_eq!(shell.says("echo 'a;b?'; cd /tmp").await, (0, "a;b?\n".to_owned()), "{command:?}");
        let (_, output) = shell.says("echo one\necho two").await;
        assert!(output.starts_with("one\n") && output.ends_with("two\n"), "{command:?}: {output:?}");
        assert_eq!(shell.says("printf no-end").await, (0, "no-end".to_owned()), "{command:?}");
        // No interrupt before it: fish may drop what comes right behind one, and its prompt is then typed at for good.
        shell.type_in("\r").await;
        let result = shell.run("sh -c 'exit 9'").await;
        assert_eq!(
            (&result["exit_code"], &result["cwd"]),
            (&json!(9), &json!("/tmp")),
            "{command:?}: {result}"
        );
        let expected = [
            ("true", 0),
            ("false", 1),
            ("echo 'a;b?'; cd /tmp", 0),
            ("echo one\necho two", 0),
            ("printf no-end", 0),
            ("sh -c 'exit 9'", 9),
        ];
        let expected: Vec<(&str, Option<i64>)> =
            expected.iter().map(|(text, code)| (*text, Some(*code))).collect();
        shell.wait_history(&expected).await;
        let end = shell.try_run("exit 3", 10).await.expect(200);
        assert_eq!((&end["exit_code"], &end["timed_out"]), (&json!(3), &json!(false)), "{command:?}: {end}");
        assert_eq!(shell.wait_ended().await["command_count"], 7);
    }
}

#[tokio::test]
async fn an_end_of_the_shell_is_the_end_of_its_command() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    let end = shell.try_run("echo bye; exit 3", 10).await.expect(200);
    assert_eq!((&end["exit_code"], &end["timed_out"]), (&json!(3), &json!(false)), "{end}");
    assert!(end["output"].as_str().is_some_and(|output| output.starts_with("bye\n")), "{end}");
    let ended = shell.wait_ended().await;
    assert_eq!((&ended["command_count"], &ended["exit_code"]), (&json!(1), &json!(3)), "{ended}");
    shell.wait_history(&[("echo bye; exit 3", Some(3))]).await;
    shell.try_run("true", 1).await.is_problem(409, "session_ended");

    let shell = Shell::bash(&stack, BASHRC).await;
    let going = shell.try_run("exec sh -c 'echo other; read line; exit 8'", 1).await.expect(200);
    assert_eq!(going["timed_out"], true, "{going}");
    shell.type_in("end\r").await;
    assert_eq!(shell.wait_ended().await["exit_code"], 8);
    shell.wait_history(&[("exec sh -c 'echo other; read line; exit 8'", Some(8))]).await;
}

#[tokio::test]
async fn where_ends_cannot_be_seen_it_is_said_why() {
    let stack = Stack::start().await;
    for (command, why) in [
        (&["sh"][..], "not bash, zsh or fish"),
        (&["cat"], "not bash, zsh or fish"),
        (&["bash", "--norc"], "arguments of its own"),
    ] {
        let shell = Shell::start(&stack, command, &[]).await;
        let refused = shell.try_run("true", 1).await;
        refused.is_problem(409, "no_shell_integration");
        assert!(refused.body["detail"].as_str().is_some_and(|text| text.contains(why)), "{refused:?}");
        let page = shell.rest.get(&shell.path("history")).await.expect(200);
        assert_eq!((&page["total"], &page["commands"]), (&json!(0), &json!([])));
    }
}

#[tokio::test]
async fn every_client_is_told_of_commands() {
    let stack = Stack::start().await;
    let shell = Shell::bash(&stack, BASHRC).await;
    shell.says("true").await;
    let session = shell.id.parse().expect("an id");
    let mut first = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let mut second = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    first.attach(session, json!({})).await;
    second.attach(session, json!({"mode": "view"})).await;
    first.send_input(session, None, b"echo hello; (exit 2)\r");
    for socket in [&mut first, &mut second] {
        let mut told = Vec::new();
        for phase in ["started", "finished"] {
            told.push(
                socket
                    .wait(&format!("a command has {phase}"), |event| match event {
                        devpocket_tests::client::Event::Message(message) if message.kind == "command" => {
                            assert_eq!(message.data()["phase"], phase, "{}", message.body);
                            Some(message.data().clone())
                        }
                        _ => None,
                    })
                    .await,
            );
        }
        let (started, finished) = (&told[0], &told[1]);
        assert_eq!(
            (&started["command"], &finished["exit_code"]),
            (&json!("echo hello; (exit 2)"), &json!(2))
        );
        assert_eq!((&started["id"], &started["cwd"]), (&finished["id"], &json!(shell.home.path())));
        assert!(started.get("exit_code").is_none() && finished["duration_ms"].is_u64(), "{told:?}");
        let range: Vec<u64> =
            finished["output_range"].as_array().expect("two").iter().filter_map(Value::as_u64).collect();
        assert_eq!(range[1] - range[0], "hello\r\n".len() as u64);
    }
}
