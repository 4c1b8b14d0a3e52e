//! What a session's shell ran, and commands typed into it by whoever is not attached: one at a time, at its prompt, where nobody
//! else types. The shell's own marks tell when one begins and ends.

use std::time::{Duration, Instant};

use devpocket_shared::wire::commands::{
    FIXED_BYTES, MAX_COMMAND_OUTPUT_BYTES, MAX_COMMAND_WAIT_MS, MAX_TYPED_BYTES,
};
use devpocket_shared::wire::message::MAX_TEXT_BYTES;
use devpocket_shared::wire::{Answer, Command, CommandResult, ErrorCode, Failure};
use ptyd_session::commands::Phase;
use ptyd_session::{paste, plain_text};
use tokio::time::timeout_at;

use super::unattached::over;
use super::{Session, Shared, failure};
use crate::worker::drive::now;

/// How long a shell may take to its first prompt, and to the next one after a command. All of it together is less than an api waits for an answer.
const FIRST_PROMPT: Duration = Duration::from_secs(4);
const NEXT_PROMPT: Duration = Duration::from_secs(2);
/// How long it may take to begin what was typed.
const BEGINNING: Duration = Duration::from_secs(5);
/// How long it may have a part of a command, when the whole was typed: it asks for the rest in a moment's time or never.
const CONTINUING: Duration = Duration::from_millis(500);
/// How long it may take to its prompt when it was interrupted.
const INTERRUPTED: Duration = Duration::from_millis(500);
/// Most output the screen catches up with before a command is typed.
const FEED_BYTES: usize = 256 << 10;
const INTERRUPT: u8 = 3;
/// For so long a shell may not have read what somebody typed.
const TYPED_AHEAD: Duration = Duration::from_millis(200);
/// How long after its prompt a shell may ask for pastes to be framed.
const PASTE_MODE: Duration = Duration::from_millis(300);

/// What is known of typing at a shell's prompt.
#[derive(Debug, Default)]
pub(super) struct Typing {
    /// When somebody typed last: prompts and commands there had been, and whether one ran.
    last: Option<(u64, u64, bool)>,
    /// When that was, if it was somebody attached, or typing for others.
    last_at: Option<Instant>,
    /// A command is being typed by nobody attached.
    is_commanded: bool,
}

/// The one command that is being typed.
struct Turn<'a>(&'a Session);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().typing.is_commanded = false;
    }
}

/// What a shell made of what was typed.
enum Taken {
    NotYet,
    /// It asks for the rest.
    Continues,
    Started(u64),
    /// It is back at its prompt.
    NotRun,
    Over,
}

impl Session {
    /// Commands its shell ran, newest first: as many as fit.
    pub(crate) fn commands(&self, before: Option<u64>, skip: u32, most: u32) -> Answer {
        let shared = self.lock();
        let (commands, total) = (shared.commands.since(0), shared.commands.kept());
        drop(shared);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let wanted =
            commands.into_iter().rev().filter(|command| before.is_none_or(|before| command.number < before));
        let mut room = MAX_TEXT_BYTES;
        let fits = |command: &Command| {
            let texts = [&command.text, &command.cwd].into_iter().flatten().map(String::len).sum::<usize>();
            let left = room.checked_sub(texts + FIXED_BYTES);
            room = left.unwrap_or(0);
            left.is_some()
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Answer::Commands { commands: wanted.skip(skip).take(most).take_while(fits).collect(), total }
    }

    /// Types a command at the shell's prompt and waits for it to begin; gives its number.
    pub(crate) async fn start_command(&self, command: &str) -> Result<u64, Failure> {
        let command = command.trim_end();
        if command.is_empty() || command.len() > MAX_TYPED_BYTES {
            return Err(failure(ErrorCode::InvalidField, "command is out of bounds"));
        }
        if command.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(failure(ErrorCode::InvalidField, "command holds control characters"));
        }
        self.wait_for_prompt().await?;
        if command.contains(char::is_control) {
            self.wait_for_paste_mode().await;
        }
        let (turn, before) = self.type_command(command)?;
        let mut continues_since = None;
        let deadline = now() + BEGINNING;
        let mut changed = self.subscribe();
        loop {
            changed.mark_unchanged();
            let taken = self.lock().taken(before);
            let until = match taken {
                Taken::Started(number) => return Ok(number),
                Taken::NotRun => {
                    return Err(failure(
                        ErrorCode::CommandNotRun,
                        "the shell did not run it; its screen may say why",
                    ));
                }
                Taken::Over => return Err(over()),
                Taken::NotYet => {
                    continues_since = None;
                    deadline
                }
                Taken::Continues => *continues_since.get_or_insert_with(|| now() + CONTINUING),
            };
            if now() >= until {
                self.interrupt();
                self.wait_until_back(before).await;
                drop(turn);
                let why = if continues_since.is_some() {
                    "it is no whole command: the shell waited for the rest, and was interrupted"
                } else {
                    "the shell did not begin it in time, and was interrupted"
                };
                return Err(failure(ErrorCode::CommandNotRun, why));
            }
            // What comes of it is looked at above.
            let _timed_out = timeout_at(until.into(), changed.changed()).await;
        }
    }

    /// Waits until an interrupted shell is back at its prompt, for a moment.
    async fn wait_until_back(&self, (prompts, _): (u64, u64)) {
        let until = now() + INTERRUPTED;
        let mut changed = self.subscribe();
        while now() < until {
            changed.mark_unchanged();
            if self.lock().commands.prompts() > prompts {
                return;
            }
            let _timed_out = timeout_at(until.into(), changed.changed()).await;
        }
    }

    /// Waits until what was typed with a command is over, and gives what it came to, or has come to by then.
    pub(crate) async fn await_command(&self, number: u64, wait_ms: u32) -> Result<CommandResult, Failure> {
        let until = now() + Duration::from_millis(wait_ms.min(MAX_COMMAND_WAIT_MS).into());
        let mut changed = self.subscribe();
        loop {
            changed.mark_unchanged();
            let (first, last, is_over) = self
                .lock()
                .progress(number)
                .ok_or_else(|| failure(ErrorCode::InvalidField, "the command is not kept any more"))?;
            if is_over || now() >= until {
                let (output, is_output_truncated) = self.printed(&first, &last);
                return Ok(CommandResult { command: last, is_over, output, is_output_truncated });
            }
            let _timed_out = timeout_at(until.into(), changed.changed()).await;
        }
    }

    async fn wait_for_prompt(&self) -> Result<(), Failure> {
        let began = now();
        let mut changed = self.subscribe();
        loop {
            changed.mark_unchanged();
            let until = self.lock().prompt_due(began)?;
            let Some(until) = until else { return Ok(()) };
            let _timed_out = timeout_at(until.into(), changed.changed()).await;
        }
    }

    /// Waits until the shell takes pasted text, for a moment: zsh says so behind its prompt.
    async fn wait_for_paste_mode(&self) {
        let until = now() + PASTE_MODE;
        let mut changed = self.subscribe();
        while now() < until {
            changed.mark_unchanged();
            {
                let mut shared = self.lock();
                shared.feed(FEED_BYTES);
                if shared.picture.screen().modes().bracketed_paste {
                    return;
                }
            }
            let _timed_out = timeout_at(until.into(), changed.changed()).await;
        }
    }

    /// Types a command, if nobody else types; gives how many prompts and commands there were before.
    fn type_command(&self, command: &str) -> Result<(Turn<'_>, (u64, u64)), Failure> {
        let mut shared = self.lock();
        if shared.exit.is_some() {
            return Err(over());
        }
        shared.feed(FEED_BYTES);
        let Phase::Prompt(since) = shared.commands.phase() else { return Err(running()) };
        let before = (shared.commands.prompts(), shared.commands.count());
        if shared.typing.is_commanded {
            return Err(running());
        }
        let (prompts, count) = before;
        let at_prompt = shared.typing.last.is_some_and(|(at, ..)| at == prompts);
        let ahead = shared.typing.last == Some((prompts.saturating_sub(1), count, true));
        let is_shown = shared.region.head().0 > since;
        // What was typed may not have come to the shell yet.
        let just_now = shared.typing.last_at.is_some_and(|at| now() < at + TYPED_AHEAD);
        if at_prompt || just_now || (ahead && is_shown) || !shared.input.is_empty(&shared.region) {
            return Err(failure(ErrorCode::LineInUse, "somebody has typed at the shell's prompt"));
        }
        let is_bracketed = shared.picture.screen().modes().bracketed_paste;
        if !is_bracketed && command.contains(char::is_control) {
            let why = "the shell takes no pasted text: command must be one line without tabs";
            return Err(failure(ErrorCode::InvalidField, why));
        }
        for part in [paste::frame(command, is_bracketed), b"\r".to_vec()] {
            shared.input.push(part).map_err(|_| {
                failure(ErrorCode::InputFull, "the program does not read its input; try again later")
            })?;
        }
        shared.note_line();
        shared.typing.is_commanded = true;
        drop(shared);
        self.work.notify_one();
        Ok((Turn(self), before))
    }

    /// Has the shell forget what it was typed.
    fn interrupt(&self) {
        // It is full of them already, or goes out.
        let _full = self.lock().input.push_urgent(INTERRUPT);
        self.work.notify_one();
    }

    /// What commands printed, from the first of them to the last.
    fn printed(&self, first: &Command, last: &Command) -> (String, bool) {
        let shared = self.lock();
        let held = shared.region.held();
        let (from, to) = (first.from.max(held.start), last.to.unwrap_or(held.end).min(held.end));
        let len = usize::try_from(to.since(from)).unwrap_or(0);
        let (before, behind) = shared.region.slices(from, len);
        let output = [before, behind].concat();
        drop(shared);
        let (text, is_cut) = plain_text(&output, MAX_COMMAND_OUTPUT_BYTES);
        (text, is_cut || from > first.from)
    }
}

impl Shared {
    /// Notes that somebody typed.
    pub(super) fn note_typed(&mut self) {
        self.typing.last_at = Some(now());
        self.note_line();
    }

    fn note_line(&mut self) {
        let is_running = self.commands.running().is_some();
        self.typing.last = Some((self.commands.prompts(), self.commands.count(), is_running));
    }

    /// Until when to wait for the shell's prompt, from `began` on; none: it is there.
    fn prompt_due(&self, began: Instant) -> Result<Option<Instant>, Failure> {
        if self.exit.is_some() {
            return Err(over());
        }
        let patience = match self.commands.phase() {
            Phase::Prompt(_) => return Ok(None),
            Phase::Running | Phase::Continues => return Err(running()),
            Phase::Between => NEXT_PROMPT,
            Phase::Silent => FIRST_PROMPT,
        };
        let is_silent = self.commands.phase() == Phase::Silent;
        if let Some(why) = self.commands.integration().why_not().filter(|_| is_silent) {
            return Err(unseen(why));
        }
        let until = began + patience;
        if now() < until {
            return Ok(Some(until));
        }
        Err(if is_silent { unseen("its shell has not shown a prompt so far") } else { running() })
    }

    fn taken(&self, (prompts, count): (u64, u64)) -> Taken {
        if self.commands.count() > count {
            Taken::Started(count + 1)
        } else if self.exit.is_some() {
            Taken::Over
        } else if self.commands.prompts() > prompts {
            Taken::NotRun
        } else if self.commands.phase() == Phase::Continues {
            Taken::Continues
        } else {
            Taken::NotYet
        }
    }

    /// The first and the last command of what was typed with this one, and whether it is over; none: it is not kept.
    fn progress(&self, number: u64) -> Option<(Command, Command, bool)> {
        let since = self.commands.since(number);
        let first = since.first().filter(|first| first.number == number)?.clone();
        let last = since.into_iter().take_while(|command| command.prompt == first.prompt).last()?;
        let is_back = self.commands.prompts() > first.prompt || self.ended;
        let is_over = is_back && last.is_finished();
        Some((first, last, is_over))
    }
}

fn running() -> Failure {
    failure(ErrorCode::CommandRunning, "the shell is not at its prompt: something else runs")
}

fn unseen(why: &str) -> Failure {
    let message = format!("it cannot be seen when commands of this session end: {why}");
    failure(ErrorCode::NoShellIntegration, &message)
}
