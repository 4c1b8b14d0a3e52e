//! `devpocket admin` as an operator of a stack types it. Must not know what a command does.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Place, Stack, Standalone, api_environment, place};

/// What a command answered.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub printed: String,
    /// What it complained of, and logged.
    pub complained: String,
}

impl Said {
    /// What it printed as JSON, if it did what it should.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.printed).unwrap_or_else(|err| panic!("{err}: {self:?}"))
    }

    /// That it failed with this code, and complained of this.
    #[track_caller]
    pub fn is_refused(&self, code: i32, about: &str) {
        assert!(self.code == code && self.complained.contains(about), "{code} {about}: {self:?}");
        assert_eq!(self.printed, "");
    }
}

impl Stack {
    /// Runs `devpocket admin` with the configuration and as the user of the apis.
    pub fn admin_command(&self, arguments: &[&str]) -> Said {
        self.admin_command_reading("", arguments)
    }

    /// As [`Stack::admin_command`], with something on stdin.
    pub fn admin_command_reading(&self, stdin: &str, arguments: &[&str]) -> Said {
        let environment =
            api_environment(&self.place, &self.options, place::free_address(), self.link_address);
        let mut command = Command::new(self.place.path("bin/devpocket"));
        command.env_clear().envs(environment);
        if let Some(user) = &self.place.api_user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        run(command, stdin, arguments)
    }
}

impl Place {
    /// Runs `devpocket admin make-link-certificates` for a directory of the place.
    pub fn make_link_certificates(&self, directory: &str) -> Said {
        let directory = self.path(directory);
        let mut command = Command::new(self.path("bin/devpocket"));
        command.env_clear();
        let said = run(command, "", &["make-link-certificates", &directory.to_string_lossy()]);
        assert_eq!(said.code, 0, "{said:?}");
        said
    }

    /// Copies from a directory of certificates what sides of the link need, into `link-ptyd` and `link-api`.
    pub fn install_link_certificates(&self, from: &str, sides: &[&str]) {
        for side in sides {
            let owner = self.api_user.as_ref().filter(|_| *side == "api");
            let directory = format!("link-{side}");
            if !self.path(&directory).exists() {
                self.directory(&directory, 0o700, owner);
            }
            for file in ["ca.pem".to_owned(), format!("{side}.pem"), format!("{side}.key")] {
                let to = self.path(&format!("link-{side}")).join(&file);
                self.hand_over(&self.path(from).join(&file), &to, owner);
            }
        }
    }
}

impl Standalone {
    /// Runs `devpocket admin` as whoever started standalone.
    pub fn admin_command(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(self.place.path("bin/devpocket"));
        command.env_clear().env("DATA_DIR", self.place.path("data"));
        run(command, "", arguments)
    }
}

fn run(mut command: Command, stdin: &str, arguments: &[&str]) -> Said {
    command.arg("admin").args(arguments).current_dir(Path::new("/"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("devpocket admin starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    // It may not read what it does not need.
    let _unread = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said {
        code: output.status.code().unwrap_or(-1),
        printed: text(output.stdout),
        complained: text(output.stderr),
    }
}
