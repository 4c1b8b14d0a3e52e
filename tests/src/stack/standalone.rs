//! `devpocket standalone` in a private directory, as a person at home starts it. Must not know what a test does with it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::process::{self, Launch, Process};
use super::{END_LIMIT, Place, START_LIMIT, place, proc};
use crate::wait_for;

/// How long `make run` may take, where something is to be built.
const BUILD_LIMIT: Duration = Duration::from_secs(240);

/// A standalone stack; the directory outlives every start.
pub struct Standalone {
    /// Where the api listens.
    pub address: SocketAddr,
    process: Process,
    starts: usize,
    /// The stack's directory.
    pub place: Place,
}

impl Standalone {
    /// Starts it on an empty data directory and waits for the link it prints.
    pub async fn start() -> (Self, String) {
        Self::start_with(&[]).await
    }

    /// As [`Standalone::start`], with more flags.
    pub async fn start_with(arguments: &[&str]) -> (Self, String) {
        let place = Place::make();
        let address = place::free_address();
        let process = launch(&place, address, 1, arguments, &[]);
        let mut standalone = Self { address, process, starts: 1, place };
        let link = standalone.first_run_link().await;
        (standalone, link)
    }

    /// What it says where it does not start with these variables, in a place of its own.
    ///
    /// # Panics
    /// It starts, or is not done with it in time.
    pub async fn refused_with(place: &Place, variables: &[(&str, &str)]) -> String {
        let mut process = launch(place, place::free_address(), 0, &[], variables);
        wait_for("standalone has ended", START_LIMIT, async || process.ended()).await;
        process.logged()
    }

    /// As [`Standalone::start`], in a place that was made before, with more variables.
    pub async fn start_in(place: Place, variables: &[(&str, &str)]) -> (Self, String) {
        let address = place::free_address();
        let process = launch(&place, address, 1, &[], variables);
        let mut standalone = Self { address, process, starts: 1, place };
        let link = standalone.first_run_link().await;
        (standalone, link)
    }

    /// Starts it as a newcomer does: `make run`, which builds first what is not built.
    pub async fn make_run() -> (Self, String) {
        let place = Place::make();
        let address = place::free_address();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").display();
        let environment = [environment(&place, address), of_cargo()].concat();
        let process = Process::start(&Launch {
            name: "standalone-1",
            program: Path::new("/usr/bin/make"),
            arguments: &["--no-print-directory", "-C", &repository.to_string(), "run"],
            environment: &environment,
            user: None,
            logs: &place.path("log"),
        });
        let mut standalone = Self { address, process, starts: 1, place };
        let link = standalone.link_within(BUILD_LIMIT).await;
        (standalone, link)
    }

    /// Starts it again on the same directory and address, after it ended or was killed.
    pub async fn start_again(&mut self) -> String {
        self.start_again_with(&[]).await
    }

    /// As [`Standalone::start_again`], with other variables.
    pub async fn start_again_with(&mut self, variables: &[(&str, &str)]) -> String {
        self.starts += 1;
        self.process = launch(&self.place, self.address, self.starts, &[], variables);
        self.first_run_link().await
    }

    /// The one-time link that this start printed.
    async fn first_run_link(&mut self) -> String {
        self.link_within(START_LIMIT).await
    }

    async fn link_within(&mut self, limit: Duration) -> String {
        let process = &mut self.process;
        let link = wait_for("standalone prints its first-run link", limit, async || {
            assert!(process.ended().is_none(), "standalone ended at once");
            let printed = process.printed();
            // A whole line only: the file may be read in the middle of a write.
            let (lines, _unfinished) = printed.rsplit_once('\n')?;
            let link = lines.split_whitespace().find(|word| word.contains("#first-run="))?;
            Some(link.to_owned())
        });
        link.await
    }

    /// The token in a first-run link.
    pub fn token_of(link: &str) -> &str {
        link.split_once("#first-run=").expect("a first-run link").1
    }

    /// Everything it printed since its last start.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// SIGKILLs every process of the api: what was started, and what it started, but not ptyd.
    pub fn kill_api(&mut self) {
        let program = self.place.path("bin/devpocket").display().to_string();
        for process in proc::all() {
            if process.arguments.first() == Some(&program) {
                process::send(process.pid, Signal::SIGKILL);
            }
        }
        self.process.kill();
    }

    /// Asks it to end, and waits for it. True if it went by itself in time.
    pub fn end(&mut self) -> bool {
        self.process.end(END_LIMIT)
    }

    /// The process id of its keeper, while that lives.
    pub fn keeper_pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.place.path("data/ptyd/keeper.pid")).ok()?;
        let pid = Pid::from_raw(text.trim().parse().ok()?);
        proc::facts(pid).filter(|process| process.state != 'Z').map(|process| process.pid)
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        self.process.end(END_LIMIT);
        if let Some(keeper) = self.keeper_pid() {
            process::send(keeper, Signal::SIGTERM);
        } else {
            super::cgroups::remove_of(&self.place.path("data/ptyd"));
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.place.path("data/log/ptyd.log")).unwrap_or_default();
            eprintln!("--- ptyd.log\n{log}");
        }
    }
}

/// What finds cargo and its crates; of the rest nothing, or cargo takes it for another build.
#[expect(clippy::disallowed_methods, reason = "a test binary hands on what it was started with")]
fn of_cargo() -> Vec<(String, String)> {
    let names = ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"];
    names.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}

fn environment(place: &Place, address: SocketAddr) -> Vec<(String, String)> {
    let mut environment = vec![
        ("LISTEN".to_owned(), address.to_string()),
        ("DATA_DIR".to_owned(), place.path("data").display().to_string()),
    ];
    if super::users::is_root() {
        environment.push(("PTYD_SHELL_USER".to_owned(), super::users::SHELL.to_owned()));
    }
    environment
}

fn launch(
    place: &Place,
    address: SocketAddr,
    start: usize,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Process {
    let mut environment = environment(place, address);
    environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Process::start(&Launch {
        name: &format!("standalone-{start}"),
        program: &place.path("bin/devpocket"),
        arguments: &[&["standalone"], arguments].concat(),
        environment: &environment,
        user: None,
        logs: &place.path("log"),
    })
}
