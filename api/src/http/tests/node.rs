//! A node that knows sessions and ends them, over the real link: what an api asks of it can be looked at.

use std::path::Path;
use std::sync::{Arc, Mutex};

use devpocket_shared::ids::{NodeId, SessionId, TerminalSize, UserId};
use devpocket_shared::wire::message::LINK_VERSION;
use devpocket_shared::wire::{
    Answer, ErrorCode, Exit, Failure, Hello, Limits, Request, RollEntry, SessionDetails, SessionInfo, stream,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Sessions by their owner.
pub(super) type Held = Arc<Mutex<Vec<(UserId, SessionInfo)>>>;

/// A node; it is gone when dropped.
pub(super) struct Node {
    held: Held,
    gate: Arc<Mutex<Option<Arc<Gate>>>>,
    _serving: JoinSet<()>,
}

/// Whether a node makes sessions.
#[derive(Clone)]
enum Making {
    Never,
    AtOnce,
    /// It says that it made one when told to.
    Told(Arc<Notify>),
}

/// Where an answer waits on its way.
#[derive(Default)]
pub(super) struct Gate {
    /// It is there.
    pub(super) reached: Notify,
    /// It may go on.
    pub(super) opened: Notify,
}

impl Node {
    /// Listens in the directory of an api.
    pub(super) fn listen(directory: &Path) -> Self {
        Self::serve(directory, Making::Never)
    }

    /// The same, one that makes sessions and says so when told to.
    pub(super) fn listen_and_make(directory: &Path, say_so: Arc<Notify>) -> Self {
        Self::serve(directory, Making::Told(say_so))
    }

    /// The same, one that says which it is.
    pub(super) fn listen_as(directory: &Path, id: NodeId, held: Held) -> Self {
        let _none = std::fs::remove_file(directory.join("ptyd.sock"));
        Self::hold(directory, Making::Never, held, Some(id))
    }

    /// The same, one that makes sessions, says which it is, and says that it made one when told to.
    pub(super) fn listen_and_make_as(directory: &Path, id: NodeId, say_so: Arc<Notify>) -> Self {
        Self::hold(directory, Making::Told(say_so), Held::default(), Some(id))
    }

    /// The same, one that makes sessions and says so at once.
    pub(super) fn listen_and_make_at_once_as(directory: &Path, id: NodeId) -> Self {
        let _none = std::fs::remove_file(directory.join("ptyd.sock"));
        Self::hold(directory, Making::AtOnce, Held::default(), Some(id))
    }

    /// It is away, and what it had is kept for [`Node::come_back`].
    pub(super) fn leave(self) -> Held {
        self.held.clone()
    }

    /// Listens again, with what the one before had.
    pub(super) fn come_back(directory: &Path, held: Held) -> Self {
        std::fs::remove_file(directory.join("ptyd.sock")).unwrap();
        Self::hold(directory, Making::Never, held, None)
    }

    fn serve(directory: &Path, making: Making) -> Self {
        Self::hold(directory, making, Held::default(), None)
    }

    fn hold(directory: &Path, making: Making, held: Held, id: Option<NodeId>) -> Self {
        let listener = UnixListener::bind(directory.join("ptyd.sock")).unwrap();
        let mut serving = JoinSet::new();
        let (sessions, gate) = (held.clone(), Arc::<Mutex<Option<Arc<Gate>>>>::default());
        let in_the_way = gate.clone();
        serving.spawn(async move {
            let mut answering = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (sessions, gate, making) = (sessions.clone(), in_the_way.clone(), making.clone());
                answering.spawn(async move { answer(socket, &sessions, &gate, &making, id).await });
                while let Some(answered) = answering.try_join_next() {
                    answered.unwrap();
                }
            }
        });
        Self { held, gate, _serving: serving }
    }

    /// Holds the next answer about details of sessions, as they were when it was asked.
    pub(super) fn hold_details(&self) -> Arc<Gate> {
        self.gate.lock().unwrap().insert(Arc::default()).clone()
    }

    /// Starts a session.
    pub(super) fn start(&self, owner: UserId) -> SessionId {
        self.start_with(owner, |_| {})
    }

    /// The same, one that differs: it has done nothing since it was made.
    pub(super) fn start_with(&self, owner: UserId, change: impl FnOnce(&mut SessionInfo)) -> SessionId {
        let mut session = session(SessionId::new(Uuid::now_v7()));
        change(&mut session);
        let id = session.session_id;
        self.held.lock().unwrap().push((owner, session));
        id
    }

    /// How many sessions it has.
    pub(super) fn count(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// Whether a session has not ended.
    pub(super) fn is_live(&self, id: SessionId) -> bool {
        let held = self.held.lock().unwrap();
        held.iter().any(|(_, session)| session.session_id == id && session.exit.is_none())
    }
}

fn session(session_id: SessionId) -> SessionInfo {
    SessionInfo {
        session_id,
        name: Some("work".to_owned()),
        created_at_ms: 1_700_000_000_000,
        size: TerminalSize::new(24, 80).unwrap(),
        attached_clients: 0,
        bytes_out: 5,
        exit: None,
        reason: None,
    }
}

async fn answer(
    socket: UnixStream,
    held: &Held,
    gate: &Mutex<Option<Arc<Gate>>>,
    making: &Making,
    id: Option<NodeId>,
) {
    let (mut reader, mut writer) = stream::over_unix(socket).unwrap();
    let hello: Hello = reader.next_control().await.unwrap().unwrap();
    assert_eq!(hello.version, LINK_VERSION);
    let request: Request = reader.next_control().await.unwrap().unwrap();
    let answer = match &request {
        Request::List { owner } => {
            let held = held.lock().unwrap();
            let of_owner = held.iter().filter(|(whose, _)| whose == owner);
            Answer::Sessions(of_owner.map(|(_, session)| session.clone()).collect())
        }
        Request::Terminate { owner, session_id } => {
            let mut held = held.lock().unwrap();
            let found = held
                .iter_mut()
                .find(|(whose, session)| (*whose, session.session_id) == (*owner, *session_id));
            match found {
                Some((_, session)) => {
                    session.exit = Some(Exit::Code(0));
                    Answer::Done
                }
                None => unknown(),
            }
        }
        Request::Roll { owner, after: _ } => {
            let held = held.lock().unwrap();
            let asked = held.iter().filter(|(whose, _)| owner.is_none_or(|owner| owner == *whose));
            let sessions = asked.map(|(owner, session)| RollEntry {
                session_id: session.session_id,
                owner: *owner,
                attached_clients: session.attached_clients,
                bytes_out: session.bytes_out,
                exit: session.exit.clone(),
            });
            Answer::Roll { sessions: sessions.collect(), more: false }
        }
        Request::Details { owner, session_ids } => {
            let held = held.lock().unwrap();
            let asked = held
                .iter()
                .filter(|(whose, session)| whose == owner && session_ids.contains(&session.session_id));
            let details = asked.map(|(_, session)| SessionDetails {
                info: session.clone(),
                title: "a title".to_owned(),
                cwd: None,
                last_activity_at_ms: session.created_at_ms,
                ended_at_ms: session.exit.as_ref().map(|_| session.created_at_ms),
                limits: Limits::default(),
            });
            Answer::Details(details.collect())
        }
        Request::CreateLimited { create, .. } if !matches!(making, Making::Never) => {
            held.lock().unwrap().push((create.owner, session(create.session_id)));
            if let Making::Told(say_so) = making {
                say_so.notified().await;
            }
            Answer::Created { session_id: create.session_id, existing: false }
        }
        Request::Discard { owner, session_id } => {
            let mut held = held.lock().unwrap();
            let before = held.len();
            held.retain(|(whose, session)| (whose, &session.session_id) != (owner, session_id));
            if held.len() < before { Answer::Done } else { unknown() }
        }
        Request::Input { .. } | Request::StartCommand { .. } => unknown(),
        Request::Create(_)
        | Request::CreateLimited { .. }
        | Request::Kill { .. }
        | Request::Update { .. }
        | Request::Attach { .. }
        | Request::Info
        | Request::Screen { .. }
        | Request::History { .. }
        | Request::Commands { .. }
        | Request::AwaitCommand { .. } => {
            let message = "it only knows and ends sessions".to_owned();
            Answer::Failed(Failure { code: ErrorCode::NodeFull, message, expected: None })
        }
    };
    let gate = matches!(answer, Answer::Details(_)).then(|| gate.lock().unwrap().take()).flatten();
    if let Some(gate) = gate {
        gate.reached.notify_one();
        gate.opened.notified().await;
    }
    writer.send(&Hello { node_id: id, ..hello }).await.unwrap();
    writer.send(&answer).await.unwrap();
    writer.finish().await.unwrap();
}

fn unknown() -> Answer {
    let message = "no such session".to_owned();
    Answer::Failed(Failure { code: ErrorCode::SessionNotFound, message, expected: None })
}
