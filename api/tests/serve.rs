//! The binary as an operator starts it: what it prints, when it stops, and what it refuses to start with.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which the lints take for production code"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SECRET: &str = "a-secret-that-must-never-be-printed";

/// `devpocket` with a clean environment; killed when a test leaves it behind.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn command(directory: &std::path::Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devpocket"));
    command.arg("serve").env_clear().env("LISTEN", "127.0.0.1:0").env("DATA_DIR", directory.join("data"));
    command.env("JWT_SECRET_KEY", SECRET).env("PTYD_ADDRESS", "unix:/nonexistent/ptyd.sock");
    command.envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// Reads the log until it says where the server listens. All that is read is added to `log`.
fn listening(stdout: &mut impl BufRead, log: &mut String) -> String {
    loop {
        let mut line = String::new();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it never listened: {log}");
        log.push_str(&line);
        let line: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|err| panic!("{err}: {line}"));
        let message = line["message"].as_str().unwrap_or_default();
        if let Some(address) = message.strip_prefix("listening on http://") {
            return address.to_owned();
        }
    }
}

#[test]
fn it_prints_its_log_serves_and_stops_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut started = Started(
        command(directory.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(),
    );
    let mut stdout = BufReader::new(started.0.stdout.take().unwrap());
    let mut log = String::new();
    let address = listening(&mut stdout, &mut log);

    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");

    kill(Pid::from_raw(started.0.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(started.0.wait().unwrap().success());
    let mut complaints = String::new();
    stdout.read_to_string(&mut log).unwrap();
    started.0.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
    assert_eq!(complaints, "", "nothing beside the log");
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(!log.contains(SECRET));
    let database = std::fs::metadata(directory.path().join("data/devpocket.db")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&database.permissions()) & 0o777, 0o600);
}

/// Scripts wait for the line, whatever an operator wants to read.
#[test]
fn where_it_listens_is_said_whatever_the_filter() {
    for filter in ["off", "error", "sqlx=debug"] {
        let directory = tempfile::tempdir().unwrap();
        let mut started = Started(
            command(directory.path(), &[("LOG", filter)])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        listening(&mut BufReader::new(started.0.stdout.take().unwrap()), &mut String::new());
    }
}

#[test]
fn a_bad_variable_stops_it_before_it_listens_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (variable, value) in [
        ("LISTEN", "everywhere"),
        ("LISTEN", "192.0.2.1:1"),
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "postgres://ann:s3cret@host:port/x"),
        ("DATABASE_URL_FILE", "/nonexistent"),
        ("MIGRATE_AT_START", "later"),
        ("REDIS_URL", "http://:s3cret@x"),
        ("SMTP_URL", "http://:s3cret@x"),
        ("MAIL_FROM", "nobody"),
        ("TRUSTED_PROXIES", "everybody"),
        ("ENVIRONMENT", "test"),
        ("API_V1_STR", "/v1"),
        ("PROJECT_NAME", "\t"),
        ("DEBUG", "true"),
        ("RATE_LIMITS", "off"),
        ("REQUIRE_EMAIL_VERIFICATION", "perhaps"),
        ("JWT_SECRET_KEY", "too-short-a-secret"),
        ("JWT_SECRET_KEY_FILE", "/nonexistent"),
        ("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "soon"),
        ("PTYD_ADDRESS", "somewhere"),
        ("LOCAL_SESSIONS", "maybe"),
        ("REGISTRATION", "maybe"),
        ("PUBLIC_URL", "here"),
        ("CORS_ORIGINS", "*"),
        ("LOG", "=x="),
    ] {
        let ended = command(directory.path(), &[(variable, value)]).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(variable), "{variable}={value}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
        assert!(ended.stdout.is_empty() && !said.contains(SECRET) && !said.contains("too-short"), "{said}");
    }
    assert!(!directory.path().join("data").exists(), "and before it writes anything");
}

#[test]
fn a_schema_is_migrated_on_its_own_and_a_start_that_may_not_says_how() {
    let directory = tempfile::tempdir().unwrap();
    let ended = command(directory.path(), &[("MIGRATE_AT_START", "off")]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("devpocket migrate"), "{said}");
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut migrate = Command::new(env!("CARGO_BIN_EXE_devpocket"));
        let ended = migrate
            .arg("migrate")
            .env_clear()
            .env("DATA_DIR", directory.path().join("data"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        lines.push(String::from_utf8(ended.stdout).unwrap());
    }
    assert!(
        lines[0].starts_with("schema version ") && !lines[0].ends_with(" 0 migrations run\n"),
        "{lines:?}"
    );
    assert!(lines[1].ends_with(" 0 migrations run\n"), "{lines:?}");
    let mut started = Started(
        command(directory.path(), &[("MIGRATE_AT_START", "off")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    listening(&mut BufReader::new(started.0.stdout.take().unwrap()), &mut String::new());
}
