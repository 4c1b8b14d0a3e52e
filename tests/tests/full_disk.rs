//! A database whose disk is full: what is read is answered, what is written is not, and health checks say so.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::shell::Shell;
use devpocket_tests::stack::account::{PASSWORD, post};
use devpocket_tests::stack::{DatabaseKind, Options, Stack, users};
use devpocket_tests::wait_until;
use nix::unistd::chown;
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);
/// Enough for the database and what it writes while all is well.
const SIZE: &str = "size=4m,mode=0711";

/// A file system of its own.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        fs::create_dir(at).expect("a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(at).status();
        assert!(mounted.expect("mount runs").success(), "root may mount");
        Self(at.to_owned())
    }

    /// Fills what is free, to the last byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filling")).expect("a file");
        for bytes in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filling")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whatever has a file open there goes on with it.
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn health_checks_tell_of_a_full_disk_from_the_first_refused_write_until_one_is_taken() {
    if !users::is_root() {
        return;
    }
    let directory =
        tempfile::Builder::new().prefix("devpocket-disk-").tempdir_in("/tmp").expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).expect("its owner's");
    let disk = SmallDisk::mount(&directory.path().join("disk"));
    let database = disk.0.join("api");
    fs::create_dir(&database).expect("a directory");
    let user = users::ensure(users::API);
    chown(&database, Some(user.uid), Some(user.gid)).expect("root may give it away");
    let url = format!("sqlite://{}", database.join("devpocket.db").display());
    let options = Options {
        database: DatabaseKind::Sqlite,
        redis: false,
        api_environment: vec![
            ("DATABASE_URL".to_owned(), url),
            ("METRICS_TOKEN".to_owned(), "0123456789abcdef".to_owned()),
        ],
        ..Options::default()
    };
    let stack = Stack::start_with(options).await;
    let api = stack.address(0);
    let (rest, watcher) =
        (Rest::new(api, Some(&stack.admin.access_token)), Rest::new(api, Some("0123456789abcdef")));
    let is_up = async || {
        let metrics = watcher.get("/metrics").await.expect(200);
        metrics.as_str().is_some_and(|text| text.lines().any(|line| line == "devpocket_database_up 1"))
    };
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    for path in ["/health", "/health/db", "/health/ready"] {
        rest.get(path).await.expect(200);
    }

    let shell = Shell::bash(&stack, "").await;
    shell.says("true").await;

    disk.fill();
    // What was written before has left some room in the log of writes. What is not kept is not said to be.
    let mut hour = 0;
    wait_until("a change is refused", SOON, async || {
        hour += 1;
        let change = json!({"timezone": format!("Etc/GMT+{}", hour % 12 + 1)});
        let answer = rest.put("/api/profile/settings", &change).await;
        if answer.status == 200 {
            let kept = rest.get("/api/profile/settings").await.expect(200);
            assert_eq!(kept["timezone"], change["timezone"], "the change that was answered with 200");
        }
        answer.status == 503
    })
    .await;
    let typed = json!({"command": "echo x >> typed", "timeout": 20});
    let keyed = [("idempotency-key", "on a full disk")];
    for _ in 0..3 {
        rest.post_with(&shell.path("commands"), &keyed, &typed).await.is_problem(503, "database_unavailable");
    }
    let login = json!({"username": "owner", "password": PASSWORD});
    wait_until("a write is refused", SOON, async || {
        post(api, "/api/auth/login", None, &login).await.status().as_u16() == 503
    })
    .await;
    assert_eq!(rest.get("/health/db").await.expect(503), json!({"status": "read_only"}));
    let all = rest.get("/health").await.expect(503);
    assert_eq!(
        (&all["status"], &all["dependencies"]["database"]),
        (&json!("unavailable"), &json!("read_only"))
    );
    let ready = rest.get("/health/ready").await.expect(200);
    assert_eq!((&ready["status"], &ready["dependencies"]["database"]), (&json!("ok"), &json!("read_only")));
    wait_until("the numbers tell it", SOON, async || !is_up().await).await;
    rest.get("/api/profile").await.expect(200);
    socket.send_input(session, None, b"still here\n");
    socket.read_until(session, "still here\r\nstill here").await;
    rest.get("/health/db").await.expect(503);

    disk.make_room();
    wait_until("a write is taken again", SOON, async || rest.get("/health/db").await.status == 200).await;
    rest.get("/health").await.expect(200);
    wait_until("the numbers tell that too", SOON, async || is_up().await).await;
    assert_eq!(post(api, "/api/auth/login", None, &login).await.status().as_u16(), 200);
    rest.post_with(&shell.path("commands"), &keyed, &typed).await.expect(200);
    assert_eq!(fs::read_to_string(shell.home.path().join("typed")).expect("it ran"), "x\n", "once");
}
