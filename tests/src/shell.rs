//! A session with a real shell, driven over HTTP. Must not know how a shell tells what it runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rest::{Answered, Rest};
use crate::stack::Stack;
use crate::{wait_for, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

/// A session with a shell in it, whose home is its own.
pub struct Shell {
    /// As its owner.
    pub rest: Rest,
    /// The session.
    pub id: String,
    /// Its home.
    pub home: TempDir,
}

impl Shell {
    /// bash as a login shell.
    pub async fn bash(stack: &Stack, profile: &str) -> Self {
        Self::start(stack, &["bash", "-l"], &[(".bash_profile", profile)]).await
    }

    /// A shell with these files in its home.
    pub async fn start(stack: &Stack, command: &[&str], files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        // The shell may run as another user.
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).expect("its owner's");
        for (name, content) in files {
            let path = home.path().join(name);
            let within = path.ancestors().skip(1).take_while(|directory| *directory != home.path());
            let within: Vec<&Path> = within.collect();
            fs::create_dir_all(path.parent().expect("within home")).expect("a directory");
            for directory in within {
                fs::set_permissions(directory, Permissions::from_mode(0o777)).expect("its owner's");
            }
            fs::write(&path, content).expect("a file");
        }
        let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
        let environment = json!({"HOME": home.path()});
        let body = json!({"command": command, "environment": environment, "working_directory": home.path()});
        let made = rest.post("/api/sessions", &body).await.expect(201);
        let id = made["id"].as_str().expect("an id").to_owned();
        Self { rest, id, home }
    }

    /// The path of something of its session.
    pub fn path(&self, what: &str) -> String {
        format!("/api/sessions/{}/{what}", self.id)
    }

    /// Runs a command, once nobody types, and gives what came of it.
    pub async fn run(&self, command: &str) -> Value {
        let answer = wait_for("nobody types", LIMIT, async || {
            let answer = self.try_run(command, 20).await;
            (answer.body["code"] != "line_in_use").then_some(answer)
        })
        .await;
        assert_eq!(answer.status, 200, "{command}: {answer:?}\n{}", self.screen().await);
        answer.body
    }

    /// Runs a command, for so many seconds at most.
    pub async fn try_run(&self, command: &str, timeout: u32) -> Answered {
        self.rest.post(&self.path("commands"), &json!({"command": command, "timeout": timeout})).await
    }

    /// Exit code and output of a command.
    pub async fn says(&self, command: &str) -> (i64, String) {
        let result = self.run(command).await;
        assert_eq!(result["timed_out"], false, "{result}");
        let code = result["exit_code"].as_i64().unwrap_or_else(|| panic!("an exit code: {result}"));
        (code, result["output"].as_str().expect("text").to_owned())
    }

    /// Types.
    pub async fn type_in(&self, text: &str) {
        self.rest.post(&self.path("input"), &json!({"data": text})).await.expect(200);
    }

    /// Text and exit code of each command, oldest first.
    pub async fn history(&self) -> Vec<(Option<String>, Option<i64>)> {
        let page = self.rest.get(&self.path("history?limit=500")).await.expect(200);
        let commands = page["commands"].as_array().expect("commands");
        let told =
            |command: &Value| (command["command"].as_str().map(str::to_owned), command["exit_code"].as_i64());
        commands.iter().rev().map(told).collect()
    }

    /// Waits for exactly these commands and exit codes.
    pub async fn wait_history(&self, expected: &[(&str, Option<i64>)]) {
        let expected: Vec<_> =
            expected.iter().map(|(text, code)| (Some((*text).to_owned()), *code)).collect();
        wait_until(&format!("the history is {expected:?}"), LIMIT, async || self.history().await == expected)
            .await;
    }

    /// What is on its screen.
    pub async fn screen(&self) -> String {
        let screen = self.rest.get(&self.path("screen")).await;
        screen.body["content"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the screen shows something.
    pub async fn wait_shown(&self, needle: &str) {
        wait_until(&format!("the screen shows {needle:?}"), LIMIT, async || {
            self.screen().await.contains(needle)
        })
        .await;
    }

    /// Waits for its end, and gives the session.
    pub async fn wait_ended(&self) -> Value {
        wait_for("the session has ended", LIMIT, async || {
            let session = self.rest.get(&format!("/api/sessions/{}", self.id)).await.expect(200);
            session["ended_at"].is_string().then_some(session)
        })
        .await
    }

    /// What is on the screen, none of which may be ours.
    pub async fn must_show_nothing_of_ours(&self) {
        let screen = self.screen().await;
        for ours in ["__devpocket", "633;", "%90v"] {
            assert!(!screen.contains(ours), "{screen}");
        }
    }
}
