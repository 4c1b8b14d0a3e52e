//! A PostgreSQL server of a test's own: in a private directory, on a loopback port, ended by pid. Must not know what is
//! kept in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::unistd::User;
use tempfile::TempDir;

use super::process::{self, Launch, Process};
use super::{START_LIMIT, binaries, place, proc, users};
use crate::wait_until;

/// Owns every database; loopback connections need no password.
const OWNER: &str = "devpocket";
/// How long an immediate shutdown may take.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A running server with one empty database.
pub struct Postgres {
    port: u16,
    user: Option<User>,
    programs: PathBuf,
    starts: usize,
    process: Process,
    directory: TempDir,
}

impl Postgres {
    /// Starts a server and waits until it takes connections.
    pub async fn start() -> Self {
        let programs = programs();
        let user = users::is_root().then(|| database_user().expect("a user that is not root"));
        let template = template(&programs, user.as_ref());
        let directory = tempfile::Builder::new()
            .prefix("devpocket-pg-")
            .tempdir_in("/tmp")
            .expect("a temporary directory");
        place::mode(directory.path(), 0o711);
        let data = directory.path().join("data");
        copy(&template, &data);
        give_all(&data, user.as_ref());
        let port = place::free_address().port();
        let process = launch(&programs, directory.path(), port, user.as_ref());
        let mut postgres = Self { port, user, programs, starts: 1, process, directory };
        postgres.ready().await;
        postgres
    }

    /// What `DATABASE_URL` names it by.
    pub fn url(&self) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends the server without warning; what was committed lies in its directory.
    pub fn stop(&mut self) {
        // SIGQUIT is its immediate shutdown: a SIGKILL would leave shared memory behind.
        self.process.signal(Signal::SIGQUIT);
        self.process.end(END_LIMIT);
    }

    /// SIGKILLs every process of the server, as a host does that runs out of memory.
    pub async fn kill(&mut self) {
        let servants = proc::children(self.process.pid());
        self.process.kill();
        for servant in &servants {
            process::send(servant.pid, Signal::SIGKILL);
        }
        wait_until("every process of PostgreSQL is gone", END_LIMIT, async || {
            servants.iter().all(|servant| {
                proc::facts(servant.pid).is_none_or(|now| now.began != servant.began || now.state == 'Z')
            })
        })
        .await;
    }

    /// Stops every process of the server without ending it: connections stay open and nobody answers.
    pub fn freeze(&mut self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Lets the server go on after [`Postgres::freeze`].
    pub fn thaw(&mut self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// Locks tables until the process that is given ends: whoever wants something of them waits.
    pub async fn lock(&self, tables: &str) -> Process {
        let script = self.directory.path().join("lock.sql");
        // Without the first line the server would not notice for ten minutes that nobody waits any more.
        let sql = format!(
            "set client_connection_check_interval = '100ms';\n\
             begin;\nlock table {tables};\n\\echo locked\nselect pg_sleep(600);\n"
        );
        fs::write(&script, sql).expect("a script can be written");
        let locking = Process::start(&Launch {
            name: "psql",
            program: &self.programs.join("psql"),
            arguments: &["-X", "-q", "-f", &script.display().to_string(), &self.url()],
            environment: &[],
            user: None,
            logs: self.directory.path(),
        });
        wait_until("the tables are locked", START_LIMIT, async || locking.printed().contains("locked")).await;
        locking
    }

    /// Runs a statement.
    pub fn run(&self, statement: &str) {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, &self.url()]);
        let done = psql.output().expect("psql runs");
        assert!(done.status.success(), "{statement}: {done:?}");
    }

    fn signal_all(&mut self, signal: Signal) {
        // The one that starts others first, so that none is missed.
        self.process.signal(signal);
        for servant in proc::children(self.process.pid()) {
            process::send(servant.pid, signal);
        }
    }

    /// Starts the server again after [`Postgres::stop`] or [`Postgres::kill`].
    pub async fn start_again(&mut self) {
        self.starts += 1;
        self.process = launch(&self.programs, self.directory.path(), self.port, self.user.as_ref());
        self.ready().await;
    }

    async fn ready(&mut self) {
        let process = &mut self.process;
        wait_until("PostgreSQL takes connections", START_LIMIT, async || {
            assert!(process.ended().is_none(), "PostgreSQL ended at once: {}", process.logged());
            let ready = "database system is ready to accept connections";
            process.logged().matches(ready).count() == self.starts
        })
        .await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // What is frozen does not end.
        self.thaw();
        self.stop();
    }
}

fn launch(programs: &Path, directory: &Path, port: u16, user: Option<&User>) -> Process {
    let (data, port) = (directory.join("data").display().to_string(), port.to_string());
    Process::start(&Launch {
        name: "postgres",
        program: &programs.join("postgres"),
        arguments: &[
            "-D",
            &data,
            "-p",
            &port,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            "-c",
            "fsync=off",
            "-c",
            "shared_buffers=16MB",
            "-c",
            "logging_collector=off",
        ],
        environment: &[("LC_ALL".to_owned(), "C.UTF-8".to_owned())],
        user,
        logs: directory,
    })
}

/// PostgreSQL refuses to run as root; the user its package makes is there with it.
fn database_user() -> Option<User> {
    ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten())
}

/// Where `initdb` and `postgres` are: Debian keeps them out of PATH, by version; the newest is taken.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/initdb")).exists())
        .max();
    if let Some(version) = newest {
        return format!("/usr/lib/postgresql/{version}/bin").into();
    }
    ["/usr/local/bin", "/usr/bin"]
        .iter()
        .map(PathBuf::from)
        .find(|directory| directory.join("initdb").exists())
        .expect("PostgreSQL is installed: scripts/install-packages.sh test")
}

/// An empty cluster, made once for each target directory: a copy of it takes a tenth of making it.
fn template(programs: &Path, user: Option<&User>) -> PathBuf {
    let version = programs.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let target = binaries::target_directory();
    let template = target.join(format!("postgres-template-{version}-small"));
    let lock = File::create(target.join("postgres-template.lock")).expect("a lock file");
    // Tests run in parallel processes.
    let _held = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("the lock");
    if template.exists() {
        return template;
    }
    // Made where an unprivileged user may write, then put in its place as a whole.
    let made = tempfile::Builder::new().prefix("devpocket-pg-").tempdir_in("/tmp").expect("a directory");
    place::give(made.path(), user);
    let mut initdb = Command::new(programs.join("initdb"));
    initdb.arg("-D").arg(made.path().join("data"));
    // Small files, because they are copied for every test.
    initdb.args([
        "--no-sync",
        "--wal-segsize=1",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-instructions",
    ]);
    initdb.arg(format!("--username={OWNER}")).stdout(Stdio::null()).current_dir("/");
    if let Some(user) = user {
        use std::os::unix::process::CommandExt;
        initdb.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let status = initdb.status().expect("initdb runs");
    assert!(status.success(), "initdb: {status}");
    let fresh = target.join("postgres-template.new");
    drop(fs::remove_dir_all(&fresh));
    copy(&made.path().join("data"), &fresh);
    fs::rename(&fresh, &template).expect("the template can be put in its place");
    template
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "cp: {status}");
}

/// Gives a directory and all in it to `owner`.
fn give_all(path: &Path, owner: Option<&User>) {
    place::give(path, owner);
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            give_all(&entry.expect("an entry").path(), owner);
        }
    }
}
