//! A session as the api's books have it: what was asked for, where it is, how it ended. Knows no HTTP and no SQL.

use devpocket_shared::ids::{NodeId, SessionId, TerminalSize, UserId};
use devpocket_shared::wire::{Change, EndReason, Exit, Limits, SessionDetails, Spec, Update};
use time::OffsetDateTime;

/// What became of a session, as far as the books know. Whether somebody is attached is known to its ptyd alone.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Status {
    /// Its ptyd was asked for it and has not answered.
    Starting,
    /// It lives.
    Running,
    /// Its program ended by itself.
    Exited,
    /// It was ended on request, or by one of its limits.
    Terminated,
    /// It could not be started.
    Failed,
    /// Its ptyd does not know it any more.
    Lost,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Running, Self::Exited, Self::Terminated, Self::Failed, Self::Lost];

    /// The word it is stored by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Terminated => "terminated",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// The status stored by `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub owner: UserId,
    /// Where it is; none: no ptyd has answered for it yet.
    pub node: Option<NodeId>,
    /// A name for people.
    pub name: Option<String>,
    /// What it is for, in its owner's words.
    pub description: Option<String>,
    /// Program and arguments; empty: the login shell, or not known.
    pub command: Vec<String>,
    /// Where it was started; none: at home, or not known.
    pub working_directory: Option<String>,
    /// The terminal's size.
    pub size: TerminalSize,
    /// How long it may live.
    pub limits: Limits,
    /// What became of it.
    pub status: Status,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// When its ptyd had started it.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended, or was found to be gone.
    pub ended_at: Option<OffsetDateTime>,
    /// When it last printed, or a client came or went.
    pub last_activity_at: Option<OffsetDateTime>,
    /// How its program ended.
    pub exit: Option<Exit>,
    /// Why it was ended, if not by itself.
    pub reason: Option<EndReason>,
    /// Why it failed or was lost, for people.
    pub error_message: Option<String>,
    /// Its window's title.
    pub title: Option<String>,
    /// Where its shell last said it was.
    pub cwd: Option<String>,
    /// Bytes of output.
    pub bytes_out: u64,
    /// Commands that its shell ran.
    pub command_count: u64,
}

/// What its ptyd says of a session.
#[derive(Clone, Debug)]
pub struct Told {
    /// All but the number of its commands.
    pub details: SessionDetails,
    /// Commands that its shell ran.
    pub command_count: u64,
}

/// Changes to a session, each within its bounds.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Name, limits and size.
    pub update: Update,
    /// What it is for.
    pub description: Change<String>,
}

impl Changes {
    /// What makes of them again what was before.
    pub fn undoing(&self, before: &Session) -> Self {
        let Self { update, description } = self;
        let limits = before.limits;
        Self {
            update: Update {
                name: undo(&update.name, before.name.clone()),
                idle_timeout_secs: undo(&update.idle_timeout_secs, limits.idle_timeout_secs),
                max_duration_secs: undo(&update.max_duration_secs, limits.max_duration_secs),
                size: update.size.map(|_| before.size),
            },
            description: undo(description, before.description.clone()),
        }
    }
}

fn undo<T>(change: &Change<T>, before: Option<T>) -> Change<T> {
    if change.is_keep() { Change::Keep } else { before.map_or(Change::Clear, Change::Set) }
}

impl Session {
    /// A session that is asked for now.
    pub fn new(id: SessionId, owner: UserId, spec: &Spec, limits: Limits, now: OffsetDateTime) -> Self {
        Self {
            id,
            owner,
            node: None,
            name: spec.name.clone(),
            description: None,
            command: spec.command.clone(),
            working_directory: spec.working_directory.clone(),
            size: spec.size,
            limits,
            status: Status::Starting,
            created_at: now,
            started_at: None,
            ended_at: None,
            last_activity_at: None,
            exit: None,
            reason: None,
            error_message: None,
            title: None,
            cwd: None,
            bytes_out: 0,
            command_count: 0,
        }
    }

    /// A session that its ptyd knows and the books do not.
    pub fn found(owner: UserId, node: Option<NodeId>, told: &Told) -> Self {
        let details = &told.details;
        let info = &details.info;
        let spec = Spec {
            name: info.name.clone(),
            command: Vec::new(),
            working_directory: None,
            environment: Vec::new(),
            size: info.size,
        };
        let created_at = at_ms(info.created_at_ms);
        let mut session = Self::new(info.session_id, owner, &spec, details.limits, created_at);
        (session.node, session.status, session.started_at) = (node, Status::Running, Some(created_at));
        session.update(told);
        session
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Takes over what its ptyd says. Name and description are the books' own. Its start is by an api's clock and the rest by
    /// its ptyd's: nothing of it comes before the start.
    pub fn update(&mut self, told: &Told) {
        let details = &told.details;
        let info = &details.info;
        self.command_count = told.command_count;
        let begun = self.started_at.unwrap_or(self.created_at);
        (self.size, self.limits, self.bytes_out) = (info.size, details.limits, info.bytes_out);
        self.last_activity_at = Some(at_ms(details.last_activity_at_ms).max(begun));
        self.title = Some(details.title.clone()).filter(|title| !title.is_empty());
        self.cwd.clone_from(&details.cwd);
        self.status = Status::Running;
        if let Some(exit) = &info.exit {
            self.exit = Some(exit.clone());
            self.reason = info.reason;
            self.status = if info.reason.is_some() { Status::Terminated } else { Status::Exited };
            let ended_at = at_ms(details.ended_at_ms.unwrap_or(details.last_activity_at_ms));
            self.ended_at = Some(ended_at.max(begun));
        }
    }

    /// Does what its owner asks for.
    pub fn change(&mut self, changes: &Changes) {
        let Changes { update, description } = changes.clone();
        update.name.apply(&mut self.name);
        description.apply(&mut self.description);
        update.idle_timeout_secs.apply(&mut self.limits.idle_timeout_secs);
        update.max_duration_secs.apply(&mut self.limits.max_duration_secs);
        self.size = update.size.unwrap_or(self.size);
    }

    /// What a search looks in, in lower case.
    pub fn search_text(&self) -> String {
        let texts = [self.name.as_deref(), self.description.as_deref(), self.title.as_deref()];
        let command = self.command.join(" ");
        let all: Vec<&str> = texts.into_iter().flatten().chain([command.as_str()]).collect();
        all.join("\n").to_lowercase()
    }
}

/// A time from a ptyd, in milliseconds since the Unix epoch.
pub fn at_ms(ms: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use devpocket_shared::wire::SessionInfo;
    use uuid::Uuid;

    use super::*;

    fn told(exit: Option<Exit>, reason: Option<EndReason>) -> Told {
        let details = SessionDetails {
            info: SessionInfo {
                session_id: SessionId::new(Uuid::nil()),
                name: Some("Build".to_owned()),
                created_at_ms: 1000,
                size: TerminalSize::DEFAULT,
                attached_clients: 0,
                bytes_out: 7,
                exit,
                reason,
            },
            title: String::new(),
            cwd: None,
            last_activity_at_ms: 2000,
            ended_at_ms: None,
            limits: Limits::default(),
        };
        Told { details, command_count: 3 }
    }

    #[test]
    fn how_it_ended_decides_what_became_of_it() {
        let check = |exit, reason, status| {
            let found = Session::found(UserId::new(Uuid::nil()), None, &told(exit, reason));
            assert_eq!((found.status, found.has_ended()), (status, status != Status::Running));
        };
        check(None, None, Status::Running);
        check(Some(Exit::Code(0)), None, Status::Exited);
        check(Some(Exit::Signal("SIGHUP".to_owned())), Some(EndReason::Terminated), Status::Terminated);
        check(Some(Exit::Code(1)), Some(EndReason::IdleTimeout), Status::Terminated);
    }

    /// The story: `ended_at` was before `started_at`, for an api's clock was a moment ahead of its node's.
    #[test]
    fn nothing_of_a_session_comes_before_its_start() {
        let mut session = Session::found(UserId::new(Uuid::nil()), None, &told(None, None));
        let started_at = at_ms(5000);
        session.started_at = Some(started_at);
        session.update(&told(Some(Exit::Code(0)), None));
        assert_eq!((session.last_activity_at, session.ended_at), (Some(started_at), Some(started_at)));
        session.started_at = Some(at_ms(1500));
        session.update(&told(Some(Exit::Code(0)), None));
        assert_eq!((session.last_activity_at, session.ended_at), (Some(at_ms(2000)), Some(at_ms(2000))));
    }

    #[test]
    fn what_is_undone_is_as_it_was_and_the_rest_as_it_is() {
        let mut session = Session::found(UserId::new(Uuid::nil()), None, &told(None, None));
        session.limits.max_duration_secs = Some(9);
        let before = session.clone();
        let size = Some(TerminalSize::new(7, 7).unwrap());
        let update = Update {
            name: Change::Set("new".to_owned()),
            max_duration_secs: Change::Clear,
            size,
            ..Update::default()
        };
        let changes = Changes { update, description: Change::Set("new".to_owned()) };
        let undoing = changes.undoing(&before);
        session.change(&changes);
        assert_ne!(session, before);
        // Somebody else's.
        session.limits.idle_timeout_secs = Some(60);
        session.change(&undoing);
        assert_eq!(session.limits.idle_timeout_secs.take(), Some(60));
        assert_eq!(session, before);
    }

    #[test]
    fn a_search_ignores_case_and_sees_every_text() {
        let mut found = Session::found(UserId::new(Uuid::nil()), None, &told(None, None));
        found.description = Some("My Ärger".to_owned());
        found.command = vec!["VIM".to_owned(), "x".to_owned()];
        assert_eq!(found.search_text(), "build\nmy ärger\nvim x");
    }

    #[test]
    fn every_status_has_a_word_of_its_own() {
        for status in Status::ALL {
            assert_eq!(Status::from_word(status.as_str()), Some(status));
        }
        assert_eq!(Status::from_word("active"), None);
    }
}
