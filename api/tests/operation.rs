//! How the binary is operated: `.env`, log files, and an end that nobody notices.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which the lints take for production code"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use devpocket_tests::stack::Postgres;
use devpocket_tests::stack::place::free_address;
use devpocket_tests::{wait_for, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor};

const SECRET: &str = "a-secret-that-must-never-be-printed";
const SOON: Duration = Duration::from_secs(30);

/// `devpocket serve` in a directory of its own; killed when a test leaves it behind.
struct Api {
    child: Child,
    address: SocketAddr,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn command(directory: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devpocket"));
    command.arg("serve").env_clear().env("LISTEN", "127.0.0.1:0").current_dir(directory);
    command.envs(environment.iter().copied()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(directory: &Path, environment: &[(&str, &str)]) -> Output {
    command(directory, environment).output().unwrap()
}

impl Api {
    fn start(directory: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = command(directory, environment).stderr(Stdio::null()).spawn().unwrap();
        let log = BufReader::new(child.stdout.take().unwrap());
        let (found, address) = mpsc::sync_channel(1);
        // To its end: a log that nobody reads holds the api up.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("\"message\":\"listening on http://") {
                    found.send(rest.split('"').next().unwrap().parse().unwrap()).unwrap();
                }
            }
        });
        let address = address.recv_timeout(SOON);
        let mut api = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        api.address = address.unwrap();
        api
    }

    fn tell(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Status line and all that follows; none if nobody answers.
    fn ask(&self, head: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let length = body.len();
        let request = format!(
            "{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: \
             {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

fn env_file(directory: &Path, text: &str) {
    fs::write(directory.join(".env"), text).unwrap();
}

#[test]
fn a_file_gives_what_the_environment_does_not_and_says_what_is_wrong_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    env_file(
        directory,
        &format!(
            "# for development\nJWT_SECRET_KEY='{SECRET}'\nexport PTYD_ADDRESS=unix:/nonexistent/ptyd.sock # none\n\
             DATA_DIR=from-file\nLOG=debug\nNOBODYS=x\nPTYD_RING_BYTES=1\nDATABASE_URL=mysql://x\n"
        ),
    );
    // The real environment wins, also by the other name of a secret.
    let url = directory.join("url");
    fs::write(&url, format!("sqlite://{}", directory.join("real.db").display())).unwrap();
    let real = [("DATA_DIR", "from-environment"), ("DATABASE_URL_FILE", url.to_str().unwrap())];
    let mut api = Api::start(directory, &real);
    assert!(api.ask("GET /health/live HTTP/1.1", "").unwrap().starts_with("HTTP/1.1 200"));
    assert!(directory.join("real.db").exists() && !directory.join("from-file").exists());
    api.tell(Signal::SIGKILL);
    api.child.wait().unwrap();

    let said = |environment: &[(&str, &str)]| {
        let ended = output(directory, environment);
        assert!(!ended.status.success());
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!said.contains(SECRET) && !said.contains("s3cret"), "{said}");
        said
    };
    assert!(said(&[("DATA_DIR", "d")]).contains("DATABASE_URL"));
    for (line, about) in [
        ("LISTEN=s3cret", "LISTEN"),
        ("JWT_ACCESS_TOKEN_EXPIRE_MINUTES=0", "JWT_ACCESS_TOKEN_EXPIRE_MINUTES"),
    ] {
        env_file(directory, &format!("JWT_SECRET_KEY={SECRET}\nPTYD_ADDRESS=unix:/x\n{line}\n"));
        let mut command = command(directory, &[]);
        let ended = command.env_remove("LISTEN").output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(about), "{said}");
    }
    env_file(directory, "DATA_DIR=d\ns3cret\n");
    assert!(said(&[]).contains(".env: line 2"));
    fs::remove_file(directory.join(".env")).unwrap();
    fs::create_dir(directory.join(".env")).unwrap();
    assert!(said(&[]).contains(".env cannot be read"));
}

#[test]
fn a_variable_that_nobody_reads_is_warned_of_once() {
    let directory = tempfile::tempdir().unwrap();
    env_file(directory.path(), "DATA_DIR=d\nDATABASE_ULR=s3cret\nPTYD_STATE_DIR=x\n");
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_devpocket"));
    let ended = migrate.arg("migrate").env_clear().current_dir(directory.path()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
    assert!(directory.path().join("d/devpocket.db").exists());
    assert_eq!(said.matches("nobody reads the variable DATABASE_ULR in .env").count(), 1, "{said}");
    assert!(!said.contains("s3cret") && !said.contains("PTYD_STATE_DIR"), "{said}");
}

/// Everything in files of a directory, links followed once.
fn everything_in(directory: &Path) -> String {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| fs::read_to_string(entry.path()).unwrap()).collect()
}

#[tokio::test]
async fn logs_are_files_of_three_kinds_and_no_secret_is_in_them_on_sqlite() {
    logs_are_files_of_three_kinds_and_no_secret_is_in_them(&[], ruin_sqlite).await;
}

/// What cannot be read as accounts from here on. (A file of nonsense is not enough: a connection may still know the
/// pages it asks for.)
const RUIN: &str = "alter table users rename column password_hash to gone";

async fn ruin_sqlite(directory: &Path) {
    let file = SqliteConnectOptions::new().filename(directory.join("data/devpocket.db"));
    let mut connection = sqlx::SqliteConnection::connect_with(&file).await.unwrap();
    connection.execute(RUIN).await.unwrap();
    connection.close().await.unwrap();
}

/// The story: of PostgreSQL's statements sqlx asks whether they are to be logged, and the next line of the request was
/// without its id.
#[tokio::test]
async fn logs_are_files_of_three_kinds_and_no_secret_is_in_them_on_postgres() {
    let postgres = Postgres::start().await;
    let url = postgres.url();
    logs_are_files_of_three_kinds_and_no_secret_is_in_them(&[("DATABASE_URL", &url)], async |_| {
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        connection.execute(RUIN).await.unwrap();
    })
    .await;
}

async fn logs_are_files_of_three_kinds_and_no_secret_is_in_them(
    database: &[(&str, &str)],
    ruin: impl AsyncFnOnce(&Path),
) {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    let environment = [
        ("JWT_SECRET_KEY", SECRET),
        ("PTYD_ADDRESS", "unix:/nonexistent/ptyd.sock"),
        ("DATA_DIR", "data"),
        ("LOG_DIR", "logs"),
        // Everything that any crate says at all.
        ("LOG", "trace"),
        ("METRICS_TOKEN", "a-token-for-the-metrics"),
    ];
    let environment = [&environment, database].concat();
    let mut api = Api::start(directory.path(), &environment);
    let mut secrets = vec![SECRET.to_owned(), "a-token-for-the-metrics".to_owned()];
    let text = |answer: &str, field: &str| {
        let (_, after) =
            answer.split_once(&format!("\"{field}\":\"")).unwrap_or_else(|| panic!("{field}: {answer}"));
        after.split('"').next().unwrap().to_owned()
    };
    let (password, wrong) = ("Correct-horse-7-battery", "Wrong-horse-8-battery");
    let account = format!(r#"{{"email":"ann@example.com","username":"ann","password":"{password}"}}"#);
    let answer = api.ask("POST /api/auth/register HTTP/1.1", &account).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let access = text(&answer, "access_token");
    secrets.extend([password.to_owned(), wrong.to_owned(), access.clone(), text(&answer, "refresh_token")]);
    let bearer = format!("authorization: Bearer {access}");
    let ticket = api.ask(&format!("POST /api/auth/ws-ticket HTTP/1.1\r\n{bearer}"), "").unwrap();
    let ticket = text(&ticket, "ticket");
    api.ask(&format!("GET /ws/terminal?ticket={ticket} HTTP/1.1"), "").unwrap();
    api.ask(&format!("GET /ws/terminal?token={access} HTTP/1.1"), "").unwrap();
    api.ask(&format!("GET /api/auth/verify-email/{access} HTTP/1.1"), "").unwrap();
    let refused = format!(r#"{{"username":"ann","password":"{wrong}"}}"#);
    assert!(api.ask("POST /api/auth/login HTTP/1.1", &refused).unwrap().starts_with("HTTP/1.1 401"));
    api.ask("POST /api/auth/forgot-password HTTP/1.1", r#"{"email":"ann@example.com"}"#).unwrap();
    let mails = directory.path().join("data/mail");
    let reset = wait_for("the mail is there", SOON, async || {
        let mails =
            fs::read_dir(&mails).ok()?.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
        mails.filter(|mail| mail.contains("new password")).find_map(|mail| {
            let mut words = mail.split(|c: char| !c.is_ascii_alphanumeric());
            words.find(|word| word.len() == 64).map(str::to_owned)
        })
    })
    .await;
    secrets.extend([ticket, reset.clone()]);
    let change = format!(r#"{{"token":"{reset}","new_password":"Another-horse-9"}}"#);
    let changed = api.ask("POST /api/auth/reset-password HTTP/1.1", &change).unwrap();
    assert!(changed.starts_with("HTTP/1.1 200"), "{changed}");
    secrets.push("Another-horse-9".to_owned());
    // A database that is not as it was made is for somebody to look at.
    ruin(directory.path()).await;
    let again = format!(r#"{{"username":"ann","password":"{password}"}}"#);
    assert!(api.ask("POST /api/auth/login HTTP/1.1", &again).unwrap().starts_with("HTTP/1.1 500"));
    api.tell(Signal::SIGTERM);
    assert!(api.child.wait().unwrap().success());

    let (app, access, error) = ("app.log", "access.log", "error.log");
    let read = |name: &str| fs::read_to_string(logs.join(name)).unwrap();
    for name in [app, access] {
        let lines = read(name);
        assert!(
            !lines.is_empty() && lines.lines().all(|line| line.starts_with('{') && line.ends_with('}')),
            "{name}"
        );
    }
    assert!(
        read(access)
            .lines()
            .any(|line| line.contains("/api/auth/login") && line.contains("\"http.status\":401"))
    );
    assert!(
        read(access)
            .lines()
            .all(|line| line.contains("\"target\":\"access\"") && line.contains("request.id"))
    );
    assert!(!read(app).contains("\"target\":\"access\"") && read(app).contains("listening on"));
    assert!(read(error).contains("request failed: the database failed: error returned from database: "));
    assert!(
        read(error).lines().all(|line| line.contains("\"level\":\"ERROR\"") && line.contains("request.id"))
    );
    let all = everything_in(&logs);
    for secret in &secrets {
        assert!(!all.contains(secret.as_str()), "{secret} is in a log");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(logs.join(app)).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "for their owner alone");

    fs::write(directory.path().join("file"), "").unwrap();
    let refused = output(directory.path(), &[&environment[..3], &[("LOG_DIR", "file")]].concat());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("LOG_DIR"), "{said}");
}

/// The story: with `LOG=warn` the lines about a request had no id: what says it was filtered too.
#[tokio::test]
async fn every_line_about_a_request_says_which_however_little_is_logged() {
    for level in ["error", "warn", "debug"] {
        let directory = tempfile::tempdir().unwrap();
        let environment = [
            ("JWT_SECRET_KEY", SECRET),
            ("PTYD_ADDRESS", "unix:/nonexistent/ptyd.sock"),
            ("DATA_DIR", "data"),
            ("LOG_DIR", "logs"),
            ("LOG", level),
            ("DRAIN_SECS", "0"),
        ];
        let mut api = Api::start(directory.path(), &environment);
        ruin_sqlite(directory.path()).await;
        let login = r#"{"username":"ann","password":"Correct-horse-7-battery"}"#;
        assert!(api.ask("POST /api/auth/login HTTP/1.1", login).unwrap().starts_with("HTTP/1.1 500"));
        api.tell(Signal::SIGTERM);
        assert!(api.child.wait().unwrap().success());
        let app = fs::read_to_string(directory.path().join("logs/app.log")).unwrap();
        let mut lines = app.lines().filter(|line| line.contains("request failed")).peekable();
        assert!(lines.peek().is_some(), "{level}: {app}");
        assert!(lines.all(|line| line.contains("request.id")), "{level}: {app}");
    }
}

#[tokio::test]
async fn an_api_that_is_told_to_end_says_so_serves_on_and_then_ends_what_is_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [
        ("JWT_SECRET_KEY", SECRET),
        ("PTYD_ADDRESS", "unix:/nonexistent/ptyd.sock"),
        ("DATA_DIR", "data"),
        ("DRAIN_SECS", "3"),
    ];
    let mut api = Api::start(directory.path(), &environment);
    let ready = |api: &Api| api.ask("GET /health/ready HTTP/1.1", "");
    assert!(ready(&api).unwrap().starts_with("HTTP/1.1 200"));
    // Half a request: its other half comes when the api has long been told.
    let mut slow = TcpStream::connect(api.address).unwrap();
    let body = r#"{"username":"ann","password":"Correct-horse-7-battery"}"#;
    let head = format!(
        "POST /api/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&body.as_bytes()[..10]).unwrap();

    api.tell(Signal::SIGTERM);
    wait_until("it says that it drains", SOON, async || {
        ready(&api)
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 503") && answer.contains("\"draining\""))
    })
    .await;
    assert!(api.ask("GET /health/live HTTP/1.1", "").unwrap().starts_with("HTTP/1.1 200"));
    let wrong = r#"{"username":"nobody","password":"Wrong-horse-8-battery"}"#;
    assert!(api.ask("POST /api/auth/login HTTP/1.1", wrong).unwrap().starts_with("HTTP/1.1 401"));
    let socket = api.ask("GET /ws/terminal?token=x HTTP/1.1", "").unwrap();
    assert!(
        socket.starts_with("HTTP/1.1 503") && socket.to_lowercase().contains("retry-after: "),
        "{socket}"
    );

    wait_until("it takes no more connections", SOON, async || TcpStream::connect(api.address).is_err()).await;
    slow.write_all(&body.as_bytes()[10..]).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "what was under way is answered: {answer:?}");
    assert!(api.child.wait().unwrap().success());
}

#[test]
fn a_second_word_is_not_waited_after() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [
        ("JWT_SECRET_KEY", SECRET),
        ("PTYD_ADDRESS", "unix:/nonexistent/ptyd.sock"),
        ("DATA_DIR", "data"),
        ("DRAIN_SECS", "300"),
    ];
    let mut api = Api::start(directory.path(), &environment);
    api.tell(Signal::SIGTERM);
    while !api.ask("GET /health/ready HTTP/1.1", "").unwrap().contains("\"draining\"") {}
    api.tell(Signal::SIGTERM);
    assert!(api.child.wait().unwrap().success());
}

/// The story: half a minute of warnings, and then that a pool had timed out.
#[test]
fn an_operator_is_told_at_once_and_why_a_database_does_not_answer() {
    let directory = tempfile::tempdir().unwrap();
    let began = tokio::time::Instant::now();
    let mut admin = Command::new(env!("CARGO_BIN_EXE_devpocket"));
    admin.args(["admin", "list-users"]).env_clear().current_dir(directory.path());
    let ended = admin.env("DATABASE_URL", format!("postgres://{}/x", free_address())).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("refused"), "{said}");
    assert!(!said.contains("waiting for the database") && began.elapsed() < SOON / 2, "{said}");
}

/// The story: a standalone started ptyd before its api found that the database was none; ptyd's own variables were looked at
/// by ptyd alone, when users and directories had been made.
#[test]
fn a_standalone_with_a_bad_value_starts_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for (variable, value) in [
        ("DATABASE_URL", "mysql://x"),
        ("REDIS_URL", "http://x"),
        ("SMTP_URL", "http://x"),
        ("METRICS_TOKEN_FILE", "/nonexistent"),
        ("PTYD_RING_BYTES", "5"),
        ("PTYD_METRICS_LISTEN", "9100"),
        ("PTYD_LOG", "=nonsense="),
    ] {
        let data = directory.path().join("data");
        let mut standalone = Command::new(env!("CARGO_BIN_EXE_devpocket"));
        standalone.arg("standalone").env_clear().env("LISTEN", "127.0.0.1:0").env("DATA_DIR", &data);
        let ended = standalone.env(variable, value).current_dir(directory.path()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(variable), "{variable}: {said}");
        assert!(!data.exists(), "{variable}: {said}");
    }
}

#[test]
fn a_standalone_whose_port_for_metrics_is_taken_starts_no_ptyd() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut standalone = Command::new(env!("CARGO_BIN_EXE_devpocket"));
    standalone.arg("standalone").env_clear().env("LISTEN", "127.0.0.1:0").env("METRICS_LISTEN", &address);
    let data = directory.path().join("data");
    let ended = standalone.env("DATA_DIR", &data).current_dir(directory.path()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains(&format!("METRICS_LISTEN: cannot listen on {address}")));
    assert!(!said.contains("started ptyd") && !data.join("run/ptyd.sock").exists(), "{said}");
}

/// The story: standalone put its own words in the place of an operator's and said nothing.
#[test]
fn a_standalone_warns_of_what_it_does_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let unread = [
        "PTYD_ADDRESS",
        "LINK_CERT_DIR",
        "PTYD_STATE_DIR",
        "PTYD_SOCKET",
        "PTYD_LINK_CERT_DIR",
        "PTYD_WORKER_USER",
        "PTYD_LINK_USER",
    ];
    let mut standalone = Command::new(env!("CARGO_BIN_EXE_devpocket"));
    standalone.arg("standalone").env_clear().envs(unread.map(|name| (name, "unix:/nowhere")));
    // It ends for want of a port.
    standalone.env("LISTEN", taken.local_addr().unwrap().to_string());
    standalone.env("DATA_DIR", directory.path().join("data"));
    let ended = standalone.current_dir(directory.path()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("LISTEN: cannot listen"), "{said}");
    for name in unread {
        assert!(said.contains(&format!("nobody reads {name}:")), "{name}: {said}");
    }
}
