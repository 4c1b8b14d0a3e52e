//! A whole system of real processes in a private directory: a keeper with its worker, any number of apis, an account.
//! Must not know what a test does with it. Everything it started ends in `Drop`; a failing test prints the logs.

pub mod account;
mod binaries;
mod cgroups;
mod mail;
pub mod operator;
pub mod place;
pub mod postgres;
pub mod proc;
pub mod process;
pub mod redis;
pub mod standalone;
pub mod token;
pub mod users;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

pub use account::Account;
pub use binaries::target_directory;
pub use place::Place;
pub use postgres::Postgres;
pub use process::{Launch, Process};
pub use redis::Redis;
pub use standalone::Standalone;

use crate::client::{Credential, Framing, Opening};
use crate::{wait_for, wait_until};

/// How long a process may take to be ready on a busy machine.
pub const START_LIMIT: Duration = Duration::from_secs(30);
/// How long the keeper may take to end all sessions (5 s for those that ignore HUP) and itself.
pub const END_LIMIT: Duration = Duration::from_secs(10);

/// What the apis and ptyd speak over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LinkKind {
    /// A Unix socket.
    Unix,
    /// QUIC with mutual TLS.
    Quic,
}

/// Where the apis keep what they keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DatabaseKind {
    /// A SQLite file.
    Sqlite,
    /// A PostgreSQL server of the stack's own.
    Postgres,
}

/// What the apis sign tokens with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JwtKind {
    /// HMAC, by a secret.
    Hs256,
    /// Ed25519, by a private key; the secret is accepted too.
    EdDsa,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the apis keep what they keep.
    pub database: DatabaseKind,
    /// Whether the apis agree over a Redis of the stack's own.
    pub redis: bool,
    /// What the apis and ptyd speak over.
    pub link: LinkKind,
    /// Over QUIC: whether an operator makes the link's certificates, in `keys/link` of the place; else ptyd does.
    pub operators_certificates: bool,
    /// What the apis sign tokens with.
    pub jwt: JwtKind,
    /// How many apis, with one database.
    pub apis: usize,
    /// Added to the keeper's environment.
    pub keeper_environment: Vec<(String, String)>,
    /// Added to the environment of the apis.
    pub api_environment: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        let database = binaries::database();
        Self {
            database,
            redis: database == DatabaseKind::Postgres,
            link: LinkKind::Unix,
            operators_certificates: false,
            jwt: JwtKind::Hs256,
            apis: 1,
            keeper_environment: Vec::new(),
            api_environment: Vec::new(),
        }
    }
}

/// One api: its address stays the same over its lives.
struct Api {
    address: SocketAddr,
    process: Process,
    starts: usize,
}

/// A running system.
pub struct Stack {
    /// What to start again after a kill.
    options: Options,
    /// The secret that the apis sign tokens with.
    jwt_secret: String,
    /// Where ptyd's UDP socket is bound, over QUIC.
    pub link_address: SocketAddr,
    /// The first account, an admin.
    pub admin: Account,
    // Fields are dropped in this order: apis before the keeper, the directory last.
    apis: Vec<Api>,
    keeper: Process,
    /// The database server, if the stack has one.
    pub postgres: Option<Postgres>,
    /// The Redis, if the stack has one.
    pub redis: Option<Redis>,
    /// The stack's directory.
    pub place: Place,
}

impl Stack {
    /// A keeper and one api over a Unix socket.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// A keeper and apis as `options` say, all ready, with the first account signed in.
    pub async fn start_with(mut options: Options) -> Self {
        let postgres = match options.database {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(Postgres::start().await),
        };
        let redis = if options.redis { Some(Redis::start().await) } else { None };
        if let Some(redis) = &redis {
            options.api_environment.push(("REDIS_URL".to_owned(), redis.url()));
        }
        if let Some(postgres) = &postgres {
            options.api_environment.push(("DATABASE_URL".to_owned(), postgres.url()));
        }
        let place = Place::make();
        let link_address = place::free_address();
        let jwt_secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let quic = options.link == LinkKind::Quic;
        if quic && options.operators_certificates {
            place.make_link_certificates("keys/link");
            place.install_link_certificates("keys/link", &["ptyd", "api"]);
        }
        fs::write(place.path("keys/jwt.key"), &jwt_secret).expect("a key file");
        fs::write(place.path("keys/jwt.pem"), token::PRIVATE_PEM).expect("a key file");
        for file in ["jwt.key", "jwt.pem"] {
            let (from, to) = (place.path("keys").join(file), place.path("api").join(file));
            place.hand_over(&from, &to, place.api_user.as_ref());
        }
        let mut keeper = launch_keeper(&place, &options, link_address);
        keeper_ready(&mut keeper, &place.path("ptyd/keeper.pid")).await;
        if quic && !options.operators_certificates {
            place.install_link_certificates("ptyd/link", &["api"]);
        }
        let (apis, admin) = (Vec::new(), Account::nobody());
        let mut stack =
            Self { options, jwt_secret, link_address, admin, apis, keeper, postgres, redis, place };
        for index in 0..stack.options.apis {
            stack.add_api();
            stack.api_ready(index).await;
        }
        if !stack.apis.is_empty() {
            stack.admin = Account::register(stack.address(0), "owner").await;
            assert!(
                stack.admin.user["is_admin"] == true,
                "the first account is an admin: {:?}",
                stack.admin.user
            );
        }
        stack
    }

    /// Where an api listens.
    pub fn address(&self, api: usize) -> SocketAddr {
        self.apis[api].address
    }

    /// How the admin opens a socket at an api.
    pub fn opening(&self, api: usize, framing: Framing) -> Opening {
        self.opening_at(self.address(api), framing)
    }

    /// How the admin opens a socket through a proxy in front of an api.
    pub fn opening_at(&self, address: SocketAddr, framing: Framing) -> Opening {
        Opening::new(address, framing, Credential::Bearer(self.admin.access_token.clone()))
    }

    /// The secret that the apis sign tokens with.
    pub fn jwt_secret(&self) -> &str {
        &self.jwt_secret
    }

    /// The keeper's process id.
    pub fn keeper_pid(&self) -> Pid {
        self.keeper.pid()
    }

    /// The process id of an api.
    pub fn api_pid(&self, api: usize) -> Pid {
        self.apis[api].process.pid()
    }

    /// The worker's process id, if it runs now.
    pub fn worker_pid(&self) -> Option<Pid> {
        worker_of(self.keeper_pid())
    }

    /// Waits for a worker and gives its process id.
    pub async fn worker_ready(&self) -> Pid {
        wait_for("a worker runs", START_LIMIT, async || self.worker_pid()).await
    }

    /// SIGKILLs the worker; false if none runs now.
    pub fn kill_worker(&self) -> bool {
        let Some(pid) = self.worker_pid() else { return false };
        process::send(pid, Signal::SIGKILL);
        true
    }

    /// SIGKILLs an api and waits until it is gone.
    pub fn kill_api(&mut self, api: usize) {
        self.apis[api].process.kill();
    }

    /// Asks an api to end, as a deployment does; true if it went by itself in time.
    pub fn end_api(&mut self, api: usize) -> bool {
        self.apis[api].process.end(END_LIMIT)
    }

    /// Starts a killed api again on the same address; does not wait for it.
    pub fn start_api(&mut self, api: usize) {
        let address = self.apis[api].address;
        let process = launch_api(&self.place, &self.options, api, address, self.link_address);
        self.apis[api].process = process;
        self.apis[api].starts += 1;
    }

    /// Starts one more api on the same database; does not wait for it.
    pub fn add_api(&mut self) {
        let (index, address) = (self.apis.len(), place::free_address());
        let process = launch_api(&self.place, &self.options, index, address, self.link_address);
        self.apis.push(Api { address, process, starts: 1 });
    }

    /// Waits until an api says that it listens, and checks that all it prints are lines of its log.
    pub async fn api_ready(&mut self, index: usize) {
        let api = &mut self.apis[index];
        let expected = format!("listening on http://{}", api.address);
        wait_until("the api says its address", START_LIMIT, async || {
            assert!(api.process.ended().is_none(), "the api ended at once");
            let printed = api.process.printed();
            // The last line may be half written.
            let lines = printed.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let said = lines.map(|line| {
                let line: serde_json::Value =
                    serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line:?}"));
                line["message"].clone()
            });
            said.filter(|message| *message == expected).count() == api.starts
        })
        .await;
    }

    /// Asks the keeper to execute itself again in place.
    pub fn reexec_keeper(&mut self) {
        self.keeper.signal(Signal::SIGHUP);
    }

    /// Asks the keeper to end everything, and waits for it.
    pub fn end_keeper(&mut self) -> bool {
        self.keeper.end(END_LIMIT)
    }

    /// SIGKILLs the keeper, with which its worker and its sessions end; waits until the worker, which could answer
    /// until then, is gone.
    pub async fn kill_keeper(&mut self) {
        let worker = self.worker_ready().await;
        self.keeper.kill();
        wait_until("the worker ends with its keeper", END_LIMIT, async || {
            // What has no arguments left runs no more, though nobody may have reaped it yet.
            proc::facts(worker).is_none_or(|process| process.arguments.is_empty())
        })
        .await;
    }

    /// Removes the state directory of a killed keeper: the next one is another node.
    pub fn forget_node(&self) {
        let state = self.place.path("ptyd");
        cgroups::remove_of(&state);
        fs::remove_dir_all(state).expect("the state directory can be removed");
    }

    /// Starts a keeper where the one before was, which is to end at once, and gives what all of them have said.
    pub async fn start_refused_keeper(&mut self) -> String {
        self.keeper = launch_keeper(&self.place, &self.options, self.link_address);
        wait_until("the keeper ends", START_LIMIT, async || self.keeper.ended().is_some()).await;
        self.keeper_log()
    }

    /// As [`Stack::start_api`], for one that is to end at once; gives what it has said in all its lives.
    pub async fn start_refused_api(&mut self, api: usize) -> String {
        self.start_api(api);
        wait_until("the api ends", START_LIMIT, async || self.apis[api].process.ended().is_some()).await;
        self.apis[api].starts -= 1;
        self.apis[api].process.logged()
    }

    /// Starts a keeper again where the one before was, and waits for it.
    pub async fn start_keeper(&mut self) {
        self.keeper = launch_keeper(&self.place, &self.options, self.link_address);
        keeper_ready(&mut self.keeper, &self.place.path("ptyd/keeper.pid")).await;
    }

    /// What the keeper and its workers have logged.
    pub fn keeper_log(&self) -> String {
        self.keeper.logged()
    }

    /// What an api has logged in all its lives.
    pub fn api_log(&self, api: usize) -> String {
        self.apis[api].process.printed()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for api in &mut self.apis {
            api.process.kill();
        }
        self.keeper.end(END_LIMIT);
        cgroups::remove_of(&self.place.path("ptyd"));
    }
}

/// The worker that a keeper runs now.
pub fn worker_of(keeper: Pid) -> Option<Pid> {
    let is_worker =
        |process: &proc::ProcessFacts| process.arguments.iter().skip(1).any(|word| word == "worker");
    proc::children(keeper).into_iter().find(is_worker).map(|process| process.pid)
}

async fn keeper_ready(keeper: &mut Process, pid_file: &Path) {
    let pid = keeper.pid().to_string();
    wait_until("the keeper writes its pid", START_LIMIT, async || {
        assert!(keeper.ended().is_none(), "the keeper ended at once");
        fs::read_to_string(pid_file).is_ok_and(|text| text.trim() == pid)
    })
    .await;
}

fn launch_keeper(place: &Place, options: &Options, link_address: SocketAddr) -> Process {
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let mut environment = vec![
        ("PTYD_STATE_DIR".to_owned(), text(place.path("ptyd"))),
        ("PTYD_SOCKET".to_owned(), text(place.path("run/ptyd.sock"))),
    ];
    if users::is_root() {
        environment.push(("PTYD_SHELL_USER".to_owned(), users::SHELL.to_owned()));
        environment.push(("PTYD_WORKER_USER".to_owned(), users::WORKER.to_owned()));
        environment.push(("PTYD_LINK_USER".to_owned(), users::API.to_owned()));
    }
    if options.link == LinkKind::Quic {
        environment.push(("PTYD_LINK_LISTEN".to_owned(), link_address.to_string()));
        if options.operators_certificates {
            environment.push(("PTYD_LINK_CERT_DIR".to_owned(), text(place.path("link-ptyd"))));
        }
    }
    environment.extend(options.keeper_environment.iter().cloned());
    Process::start(&Launch {
        name: "ptyd",
        program: &place.path("bin/ptyd"),
        arguments: &[],
        environment: &environment,
        user: None,
        logs: &place.path("log"),
    })
}

fn launch_api(
    place: &Place,
    options: &Options,
    index: usize,
    address: SocketAddr,
    link_address: SocketAddr,
) -> Process {
    let environment = api_environment(place, options, address, link_address);
    Process::start(&Launch {
        name: &format!("api-{index}"),
        program: &place.path("bin/devpocket"),
        arguments: &["serve"],
        environment: &environment,
        user: place.api_user.as_ref(),
        logs: &place.path("log"),
    })
}

/// What an api and an operator's commands are configured by.
fn api_environment(
    place: &Place,
    options: &Options,
    address: SocketAddr,
    link_address: SocketAddr,
) -> Vec<(String, String)> {
    let directory = place.path("api");
    let ptyd = match options.link {
        LinkKind::Unix => format!("unix:{}", place.path("run/ptyd.sock").display()),
        LinkKind::Quic => format!("quic:{link_address}"),
    };
    let mut environment = vec![
        ("LISTEN".to_owned(), address.to_string()),
        ("DATA_DIR".to_owned(), directory.display().to_string()),
        ("DATABASE_URL".to_owned(), format!("sqlite://{}", directory.join("devpocket.db").display())),
        ("JWT_SECRET_KEY_FILE".to_owned(), directory.join("jwt.key").display().to_string()),
        ("PTYD_ADDRESS".to_owned(), ptyd),
        ("LOCAL_SESSIONS".to_owned(), "admin".to_owned()),
        ("REGISTRATION".to_owned(), "open".to_owned()),
        ("ENVIRONMENT".to_owned(), "development".to_owned()),
        ("RATE_LIMITS".to_owned(), "off".to_owned()),
    ];
    if options.jwt == JwtKind::EdDsa {
        environment.push(("JWT_ALGORITHM".to_owned(), "EdDSA".to_owned()));
        environment
            .push(("JWT_PRIVATE_KEY_FILE".to_owned(), directory.join("jwt.pem").display().to_string()));
    }
    if options.link == LinkKind::Quic {
        environment.push(("LINK_CERT_DIR".to_owned(), place.path("link-api").display().to_string()));
    }
    environment.extend(options.api_environment.iter().cloned());
    environment
}
