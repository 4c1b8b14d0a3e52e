//! Shells that wait for keys and do not say that the command before is over: nobody waits in vain for its end, and the next command is
//! typed where that is a prompt, and only there.

use std::time::Duration;

use devpocket_tests::shell::Shell;
use devpocket_tests::stack::Stack;
use devpocket_tests::wait_until;
use serde_json::{Value, json};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(30);
/// How long a command is waited for whose end is not told.
const TIMEOUT: u32 = 120;
/// In which it has to be answered nevertheless, on a busy machine.
const SOON: Duration = Duration::from_secs(40);

/// A shell by this name, whose own file holds this, at its prompt.
async fn start(stack: &Stack, name: &str, text: &str) -> Shell {
    let file = match name {
        "fish" => ".config/fish/config.fish",
        "zsh" => ".zshrc",
        _ => ".bashrc",
    };
    // Where there is none, fish begins to make them, beside the shell and in its process group.
    let completions = (".local/share/fish/generated_completions/none.fish", "");
    let shell = Shell::start(stack, &[name], &[(file, text), completions]).await;
    shell.says("true").await;
    shell
}

/// Runs a command whose end is not told, and gives the answer, which has to come long before the timeout.
async fn rests(shell: &Shell, command: &str) -> Value {
    let began = Instant::now();
    let answer = shell.try_run(command, TIMEOUT).await.expect(200);
    assert!(began.elapsed() < SOON, "{command}: {:?}", began.elapsed());
    assert_eq!(
        (&answer["exit_code"], &answer["finished_at"]),
        (&Value::Null, &Value::Null),
        "{command}: {answer}"
    );
    assert_eq!(answer["timed_out"], true, "{command}: {answer}");
    answer
}

/// The story: such a command's end never came: who waited for it did so until the timeout, and nothing more was typed for anybody.
#[tokio::test]
async fn a_bash_whose_prompt_lost_its_marks_is_typed_into() {
    let stack = Stack::start().await;
    for setup in ["echo set; PROMPT_COMMAND=() PS1='y> '", "echo set; unset PROMPT_COMMAND; PS1='\\w\\$ '"] {
        let shell = start(&stack, "bash", "PS1='b> '\n").await;
        let answer = rests(&shell, setup).await;
        assert!(answer["output"].as_str().is_some_and(|output| output.starts_with("set\n")), "{answer}");
        assert_eq!(shell.says("echo next; (exit 3)").await, (3, "next\n".to_owned()), "{setup}");
        assert_eq!(shell.says("(exit 4)").await.0, 4, "{setup}");
        shell
            .wait_history(&[
                ("true", Some(0)),
                (setup, None),
                ("echo next; (exit 3)", Some(3)),
                ("(exit 4)", Some(4)),
            ])
            .await;
        let page = shell.rest.get(&shell.path("history")).await.expect(200);
        let range = &page["commands"][2]["output_range"];
        assert_eq!(
            range[1].as_u64().zip(range[0].as_u64()).map(|(to, from)| to - from),
            Some(5),
            "its prompt is no output: {page}"
        );
    }
}

/// It looks the same from outside, and is none; nor may anybody's answer be what an API wants to have run.
#[tokio::test]
async fn what_reads_a_line_in_the_shell_is_no_prompt() {
    let stack = Stack::start().await;
    for (name, text, command) in [
        ("bash", "PS1='b> '\n", "read -e -p 'Go on? ' answer; echo \"got $answer\""),
        ("bash", "PS1='b> '\n", "read -e -p 'Drop all? [y/N]$ ' answer; echo \"got $answer\""),
        ("bash", "PS1='b> '\nask() { read -e -p '> ' answer; }\n", "ask; echo \"got $answer\""),
        (
            "bash",
            "PS1='b> '\nask() { PS1='$ '; read -e -p '> ' answer; }\n",
            "PS1='$ '; ask; echo \"got $answer\"",
        ),
        (
            "bash",
            "PS1='b> '\n",
            "printf '%s' 'PS1=\"c> \"; read -e -p \"Delete all? [y/N]> \" answer' >ask; . ./ask; echo \"got $answer\"",
        ),
        ("bash", "PS1='me:'\n", "read -e -s -p 'Password:' answer; echo \"got $answer\""),
        ("bash", "PS1='b> '\n", "read -e answer; echo \"got $answer\""),
        ("bash", "PS1='b> '\nask() { read -s -n 4 -p '> ' answer; }\n", "ask; echo \"got $answer\""),
        ("zsh", "PS1='z> '\n", "answer=; vared -p '> ' answer; echo \"got $answer\""),
        ("fish", "", "read answer; echo \"got $answer\""),
    ] {
        let shell = start(&stack, name, text).await;
        rests(&shell, command).await;
        shell.try_run("echo wrong", 5).await.is_problem(409, "command_running");
        shell.type_in("yes!\r").await;
        shell.wait_history(&[("true", Some(0)), (command, Some(0))]).await;
        shell.wait_shown("got yes!").await;
        assert_eq!(shell.says("echo next").await, (0, "next\n".to_owned()), "{name}: {command}");
    }
}

/// Keys go to a program in the shell's own process group here.
#[tokio::test]
async fn what_runs_for_the_shell_is_waited_for_and_not_typed_into() {
    let stack = Stack::start().await;
    for (name, command) in [
        ("bash", "x=$(stty raw -echo; sleep 5; stty sane; echo x); echo got $x"),
        ("zsh", "x=$(stty raw -echo; sleep 5; stty sane; echo x); echo got $x"),
    ] {
        let shell = start(&stack, name, "PS1='b> '\n").await;
        let (answer, refused) = tokio::join!(shell.try_run(command, 60), async {
            wait_until("it runs", LIMIT, async || shell.history().await.len() == 2).await;
            shell.try_run("echo wrong", 5).await
        });
        refused.is_problem(409, "command_running");
        let answer = answer.expect(200);
        assert_eq!(
            (&answer["exit_code"], &answer["timed_out"]),
            (&json!(0), &json!(false)),
            "{name}: {answer}"
        );
        assert!(answer["output"].as_str().is_some_and(|output| output.contains("got x")), "{name}: {answer}");
    }
}

#[tokio::test]
async fn what_somebody_typed_behind_a_lost_prompt_is_left_alone() {
    let stack = Stack::start().await;
    let shell = start(&stack, "bash", "PS1='b> '\n").await;
    let setup = "PROMPT_COMMAND=() PS1='y> '";
    rests(&shell, setup).await;
    shell.type_in("echo >").await;
    shell.wait_shown("y> echo >").await;
    shell.try_run("true", 5).await.is_problem(409, "line_in_use");
    shell.type_in(" file\r").await;
    shell.wait_history(&[("true", Some(0)), (setup, Some(0)), ("echo > file", Some(0))]).await;
    assert_eq!(shell.says("echo free").await, (0, "free\n".to_owned()));
}

/// The story: behind `exec bash` nothing could be typed, and it was said that a command runs.
#[tokio::test]
async fn a_shell_in_the_place_of_ours_is_waited_for_no_longer_and_said_to_be_one() {
    let stack = Stack::start().await;
    for (name, command) in
        [("bash", "exec bash --norc"), ("bash", "exec zsh -f"), ("fish", "exec fish --no-config")]
    {
        let shell = start(&stack, name, "").await;
        if command.contains("zsh") {
            // Which of those it is cannot be seen.
            rests(&shell, command).await;
            shell.try_run("true", 5).await.is_problem(409, "command_running");
            continue;
        }
        rests(&shell, command).await;
        let refused = shell.try_run("true", 5).await;
        refused.is_problem(409, "no_shell_integration");
        assert!(
            refused.body["detail"].as_str().is_some_and(|why| why.contains("another shell")),
            "{refused:?}"
        );
        shell.type_in("exit 3\r").await;
        assert_eq!(shell.wait_ended().await["exit_code"], 3);
        shell.wait_history(&[("true", Some(0)), (command, Some(3))]).await;
    }
}

/// Nothing of ours is left in it: once a command is typed for nothing.
#[tokio::test]
async fn a_bash_that_lost_all_marks_is_said_to_tell_nothing() {
    let stack = Stack::start().await;
    let shell = start(&stack, "bash", "PS1='b> '\n").await;
    rests(&shell, "unset PROMPT_COMMAND PS0; PS1='$ '").await;
    shell.try_run("echo still", 20).await.is_problem(503, "input_uncertain");
    shell.wait_shown("still\n$").await;
    shell.try_run("echo wrong", 20).await.is_problem(409, "no_shell_integration");
    assert!(!shell.screen().await.contains("wrong"));
}

/// The story: it had said how the command ended, and that it would not tell of the next one, and was waited for in vain.
#[tokio::test]
async fn a_prompt_of_bash_that_is_not_told_of_in_full_is_drawn_anew() {
    let stack = Stack::start().await;
    let shell = start(&stack, "bash", "PS1='b> '\n").await;
    assert_eq!(shell.says("unset PROMPT_COMMAND PS0; (exit 4)").await.0, 4);
    assert_eq!(shell.says("echo next; (exit 3)").await, (3, "next\n".to_owned()));
    assert_eq!(shell.says("unset PROMPT_COMMAND PS0").await.0, 0);
    shell.type_in("half").await;
    shell.wait_shown("b> half").await;
    shell.try_run("true", 5).await.is_problem(409, "line_in_use");
}
