//! HTTP requests per second, their p99 and what they cost the api, on both databases, beside the libraries with nothing on
//! top. Must not know how a request travels.

pub mod caller;
mod hashing;
mod load;
mod plain;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::account::PASSWORD;
use serde_json::{Value, json};

use crate::contender::Contender;
use crate::options::Options;
use crate::report::sample::percentile;
use crate::report::{Row, Target};
use crate::rig::Rig;
use crate::usage;
use caller::{Caller, Request};
use load::Load;
use plain::Plain;

/// Sessions in the books while they are listed, all alive.
const SESSIONS: usize = 50;
/// Connections that ask at once.
const CONNECTIONS: usize = 8;
/// Connections that sign in at once.
const LOGINS: usize = 4;

/// One kind of request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Call {
    Health,
    Me,
    Sessions,
    Login,
}

/// The rows of one kind of request.
struct Figures {
    call: Call,
    rate: Row,
    p99: Row,
    cpu: Row,
}

impl Call {
    const ALL: [Self; 4] = [Self::Health, Self::Me, Self::Sessions, Self::Login];
    /// Those whose answer can be repeated from memory.
    const GETS: [Self; 3] = [Self::Health, Self::Me, Self::Sessions];

    const fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Me => "/api/auth/me",
            Self::Sessions => "/api/sessions",
            Self::Login => "/api/auth/login",
        }
    }

    fn request(self, address: SocketAddr, token: &str) -> Request {
        match self {
            Self::Health => Request::get(address, self.path(), None),
            Self::Me | Self::Sessions => Request::get(address, self.path(), Some(token)),
            Self::Login => {
                let body = json!({"username": "owner", "password": PASSWORD, "device_name": "bench"});
                Request::post(address, self.path(), &body)
            }
        }
    }

    fn name(self) -> String {
        match self {
            Self::Health | Self::Me => format!("GET {}", self.path()),
            Self::Sessions => format!("GET {}, {SESSIONS} of them", self.path()),
            Self::Login => format!("POST {}", self.path()),
        }
    }

    const fn connections(self) -> usize {
        match self {
            Self::Health | Self::Me | Self::Sessions => CONNECTIONS,
            Self::Login => LOGINS,
        }
    }
}

/// Rate, p99 and cost of each call.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rig = Rig::start(Contender::SERVERS.to_vec()).await?;
    for ours in [Contender::Sqlite, Contender::Postgres] {
        fill(&rig, ours).await?;
    }
    let plain = Plain::start(answers(&rig)?)?;
    let lasting = Duration::from_secs(options.http_seconds());
    let mut all: Vec<Figures> = Call::ALL.into_iter().map(Figures::new).collect();
    for _ in 0..options.server_rounds() {
        for figures in &mut all {
            for contender in &rig.contenders {
                round(&rig, &plain, *contender, lasting, figures)
                    .with_context(|| format!("{}, {}", contender.name(), figures.call.name()))?;
            }
        }
    }
    Ok(all.into_iter().flat_map(Figures::rows).collect())
}

/// Opens sessions and waits until the list shows them all.
async fn fill(rig: &Rig, contender: Contender) -> anyhow::Result<()> {
    let stack = rig.stack(contender)?;
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    for _ in 0..SESSIONS {
        let session = json!({"session_type": "local", "command": ["sleep", "infinity"]});
        let answer = rest.post(Call::Sessions.path(), &session).await;
        ensure!(answer.status == 201, "a session: {answer:?}");
    }
    let listed = rest.get(Call::Sessions.path()).await.body;
    let shown = listed["sessions"].as_array().map_or(0, Vec::len);
    ensure!(shown == SESSIONS && listed["total"] == SESSIONS, "{shown} sessions are listed: {listed}");
    Ok(())
}

/// What ours answers to each GET.
fn answers(rig: &Rig) -> anyhow::Result<Vec<(&'static str, String)>> {
    let stack = rig.stack(Contender::Sqlite)?;
    let mut caller = Caller::connect(stack.address(0))?;
    let mut answers = Vec::new();
    for call in Call::GETS {
        let status = caller.call(&call.request(stack.address(0), &stack.admin.access_token))?;
        ensure!(status == 200, "{}: {status}", call.name());
        let body: Value = serde_json::from_slice(caller.body())?;
        answers.push((call.path(), body.to_string()));
    }
    Ok(answers)
}

fn round(
    rig: &Rig,
    plain: &Plain,
    contender: Contender,
    lasting: Duration,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let call = figures.call;
    if contender == Contender::Libraries {
        let load = match call {
            Call::Health | Call::Me | Call::Sessions => {
                let request = call.request(plain.address(), "none");
                Load::of_requests(plain.address(), &request, 200, call.connections(), lasting)?
            }
            Call::Login => hashing::load(lasting)?,
        };
        figures.add(contender, &load);
        return Ok(());
    }
    let stack = rig.stack(contender)?;
    let (address, api) = (stack.address(0), [stack.api_pid(0)]);
    let request = call.request(address, &stack.admin.access_token);
    let before = usage::cpu(&api)?;
    let load = Load::of_requests(address, &request, 200, call.connections(), lasting)?;
    let spent = usage::cpu(&api)?.saturating_sub(before);
    figures.add(contender, &load);
    figures.cpu.add(contender, spent.as_secs_f64() * 1e6 / load.times.len() as f64);
    Ok(())
}

impl Figures {
    fn new(call: Call) -> Self {
        let name = call.name();
        Self {
            call,
            rate: Row::new(format!("{name}, {} connections", call.connections()), "1/s"),
            p99: Row::new(format!("{name}, p99"), "ms"),
            cpu: Row::new(format!("{name}, CPU of the api for each"), "us"),
        }
    }

    fn add(&mut self, contender: Contender, load: &Load) {
        self.rate.add(contender, load.per_second());
        self.p99.add(contender, percentile(&load.times, 99) * 1e3);
    }

    fn rows(mut self) -> [Row; 3] {
        for ours in [Contender::Sqlite, Contender::Postgres] {
            for row in [&mut self.rate, &mut self.p99] {
                row.compare(ours, Contender::Libraries, Target::None);
            }
        }
        [self.rate, self.p99, self.cpu]
    }
}
