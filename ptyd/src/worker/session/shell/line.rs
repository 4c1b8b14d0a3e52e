//! The line at a shell's prompt: whose it is, and typing a command onto it. What somebody typed is left alone; what our own answers
//! to a program's queries left there, which that program did not wait for, is taken away first.

use std::time::{Duration, Instant};

use devpocket_shared::wire::{ErrorCode, Failure};
use ptyd_session::commands::Phase;
use ptyd_session::paste;
use tokio::time::{sleep_until, timeout_at};

use super::{FEED_BYTES, INTERRUPTED, running};
use crate::worker::create::failure;
use crate::worker::drive::now;
use crate::worker::session::unattached::over;
use crate::worker::session::{Session, Shared};

const INTERRUPT: u8 = 3;
/// For so long a shell may not have read what was typed, or not shown it.
const TYPED_AHEAD: Duration = Duration::from_millis(200);
/// How often a line is looked at; answers may go on to come.
const MOST_LOOKS: usize = 8;

/// What is known of typing at a shell's prompt.
#[derive(Debug, Default)]
pub(in crate::worker::session) struct Typing {
    /// When somebody typed last.
    last: Option<Moment>,
    /// When that was, if it was somebody attached, or typing for others.
    last_at: Option<Instant>,
    /// When an answer to a query was written last.
    answered: Option<Answered>,
    /// A command is being typed by nobody attached.
    is_commanded: bool,
}

impl Typing {
    /// When somebody typed last.
    pub(super) fn last_at(&self) -> Option<Instant> {
        self.last_at
    }
}

/// Prompts and commands there had been, and whether one ran.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Moment {
    prompts: u64,
    count: u64,
    is_running: bool,
}

#[derive(Clone, Copy, Debug)]
struct Answered {
    moment: Moment,
    at: Instant,
    /// The terminal gathered lines: no program waits like that for an answer.
    is_left: bool,
}

/// The one command that is being typed.
pub(super) struct Turn<'a>(&'a Session);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().typing.is_commanded = false;
    }
}

/// Prompts and commands there were before a command was typed.
pub(super) type Before = (u64, u64);

/// What became of a command that was to be typed.
enum Typed {
    Whole(Before),
    NotYet(InTheWay),
}

/// Why nothing is typed onto a line so far.
enum InTheWay {
    /// Whose it is cannot be told before then.
    Unsettled(Instant),
    /// What answers left is on it; the prompt ends here.
    Answers(u64),
}

impl Session {
    /// Types a command, if nobody else types; gives how many prompts and commands there were before.
    pub(super) async fn type_when_free(&self, command: &str) -> Result<(Turn<'_>, Before), Failure> {
        let turn = self.begin_turn()?;
        let (mut settled, mut is_cleared) = (None, false);
        for _ in 0..MOST_LOOKS {
            match self.type_command(command, settled)? {
                Typed::Whole(before) => return Ok((turn, before)),
                Typed::NotYet(InTheWay::Unsettled(until)) => {
                    sleep_until(until.into()).await;
                    settled = Some(until);
                }
                Typed::NotYet(InTheWay::Answers(since)) => {
                    if is_cleared || !self.clear_line(since).await {
                        break;
                    }
                    is_cleared = true;
                }
            }
        }
        Err(in_use())
    }

    fn begin_turn(&self) -> Result<Turn<'_>, Failure> {
        let mut shared = self.lock();
        if std::mem::replace(&mut shared.typing.is_commanded, true) {
            return Err(running());
        }
        Ok(Turn(self))
    }

    /// Types a command; or says what has to come before.
    fn type_command(&self, command: &str, settled: Option<Instant>) -> Result<Typed, Failure> {
        let mut shared = self.lock();
        if shared.exit.is_some() {
            return Err(over());
        }
        shared.feed(FEED_BYTES);
        let Phase::Prompt(since) = shared.commands.phase() else { return Err(running()) };
        if let Some(what) = shared.in_the_way(since, settled)? {
            return Ok(Typed::NotYet(what));
        }
        let is_bracketed = shared.picture.screen().modes().bracketed_paste;
        if !is_bracketed && command.contains(char::is_control) {
            let why = "command must be one line without tabs: the shell takes no pasted text";
            return Err(failure(ErrorCode::InvalidField, why));
        }
        for part in [paste::frame(command, is_bracketed), b"\r".to_vec()] {
            shared.input.push(part).map_err(|_| {
                failure(ErrorCode::InputFull, "the program does not read its input; try again later")
            })?;
        }
        let before = (shared.commands.prompts(), shared.commands.count());
        shared.typing.last = Some(shared.moment());
        drop(shared);
        self.work.notify_one();
        Ok(Typed::Whole(before))
    }

    /// Takes away what stands behind the prompt that ends at `since`; false: the shell shows no new prompt.
    pub(super) async fn clear_line(&self, since: u64) -> bool {
        self.interrupt();
        let until = now() + INTERRUPTED;
        let mut changed = self.subscribe();
        while now() < until {
            changed.mark_unchanged();
            {
                let mut shared = self.lock();
                if matches!(shared.commands.phase(), Phase::Prompt(anew) if anew > since) {
                    shared.typing.answered = None;
                    return true;
                }
            }
            let _timed_out = timeout_at(until.into(), changed.changed()).await;
        }
        false
    }

    /// Has the shell forget what it was typed.
    pub(super) fn interrupt(&self) {
        // It is full of them already, or goes out.
        let _full = self.lock().input.push_urgent(INTERRUPT);
        self.work.notify_one();
    }
}

impl Shared {
    /// Notes that somebody typed.
    pub(in crate::worker::session) fn note_typed(&mut self) {
        self.typing.last_at = Some(now());
        self.typing.last = Some(self.moment());
    }

    /// Notes that an answer to a query was written.
    pub(crate) fn note_answered(&mut self) {
        let is_left = self.line_discipline.is_some_and(|discipline| discipline.canonical);
        self.typing.answered = Some(Answered { moment: self.moment(), at: now(), is_left });
    }

    /// Whether somebody typed since the last command began.
    pub(super) fn is_typed_since_begin(&self) -> bool {
        let Moment { prompts, count, .. } = self.moment();
        self.typing.last.is_some_and(|typed| (typed.prompts, typed.count) == (prompts, count))
    }

    fn moment(&self) -> Moment {
        Moment {
            prompts: self.commands.prompts(),
            count: self.commands.count(),
            is_running: self.commands.running().is_some(),
        }
    }

    /// What keeps a command from the line behind the prompt that ends at `since`, which was looked at up to `settled`.
    fn in_the_way(&self, since: u64, settled: Option<Instant>) -> Result<Option<InTheWay>, Failure> {
        let here = self.moment();
        let before = Moment { prompts: here.prompts.saturating_sub(1), is_running: true, ..here };
        let typed = self.typing.last;
        let is_theirs = typed.is_some_and(|typed| typed.prompts == here.prompts);
        // What was typed may not have come to the shell yet.
        let is_fresh = self.typing.last_at.is_some_and(|at| now() < at + TYPED_AHEAD);
        if is_theirs || is_fresh || !self.input.is_empty(&self.region) {
            return Err(in_use());
        }
        let is_ahead = typed == Some(before);
        let answered = self.typing.answered.filter(|answered| {
            let Moment { prompts, count, .. } = answered.moment;
            prompts == here.prompts || (prompts, count) == (before.prompts, before.count)
        });
        if !is_ahead && answered.is_none() {
            return Ok(None);
        }
        let at = answered.map_or_else(now, |answered| answered.at);
        let until = if settled.is_some() { at } else { now() } + TYPED_AHEAD;
        if settled.is_none_or(|settled| settled < until && answered.is_some()) {
            return Ok(Some(InTheWay::Unsettled(until)));
        }
        let is_begun = self.region.is_line_begun(since);
        if is_ahead && is_begun {
            return Err(in_use());
        }
        let is_left = answered.is_some_and(|answered| answered.is_left || is_begun);
        Ok(is_left.then_some(InTheWay::Answers(since)))
    }
}

pub(super) fn in_use() -> Failure {
    failure(ErrorCode::LineInUse, "somebody has typed at the shell's prompt")
}
