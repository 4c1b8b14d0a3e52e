//! What a session's shell ran, and commands typed into it by whoever is not attached: one at a time, at its prompt, where nobody
//! else types. The shell's own marks tell when one begins and ends.

mod line;
mod rest;

use std::pin::pin;
use std::time::{Duration, Instant};

use devpocket_shared::ids::Offset;
use devpocket_shared::wire::commands::{
    FIXED_BYTES, MAX_COMMAND_OUTPUT_BYTES, MAX_COMMAND_WAIT_MS, MAX_TYPED_BYTES,
};
use devpocket_shared::wire::message::MAX_TEXT_BYTES;
use devpocket_shared::wire::{Answer, Command, CommandResult, ErrorCode, Failure};
use ptyd_session::commands::Phase;
use ptyd_session::plain_text;
use tokio::time::timeout_at;

use super::unattached::over;
use super::{Session, Shared};
use crate::worker::create::failure;
use crate::worker::drive::now;
pub(super) use line::Typing;
pub(crate) use rest::Looks;

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
/// Most output of which the text is made; it is copied while the session stands still.
const MAX_READ_BYTES: u64 = 4 << 20;
/// How long after its prompt a shell may ask for pastes to be framed.
const PASTE_MODE: Duration = Duration::from_millis(300);

/// How a shell came to its prompt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Prompt {
    /// It said so.
    Told,
    /// It is taken to be there.
    Found,
}

/// When it is there.
enum Due {
    Now,
    /// Until then it may say so.
    By(Instant),
    /// It has said that it does something else, or nothing in time.
    Busy,
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

/// How far what was typed at once is.
struct Progress {
    /// The first command of it that is kept.
    first: Command,
    last: Command,
    is_over: bool,
    /// None of it was given up.
    is_whole: bool,
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
            let text = command.text().map_or(0, str::len);
            let texts = text + command.cwd.as_ref().map_or(0, String::len);
            let left = room.checked_sub(texts + FIXED_BYTES);
            room = left.unwrap_or(0);
            left.is_some()
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Answer::Commands { commands: wanted.skip(skip).take(most).take_while(fits).collect(), total }
    }

    /// Types a command at the shell's prompt and waits for it to begin; gives its number.
    pub(crate) async fn start_command(&self, command: &str) -> Result<u64, Failure> {
        // A space at the end may be escaped, and part of it.
        let command = command.trim_end_matches(['\r', '\n']);
        if command.trim().is_empty() || command.len() > MAX_TYPED_BYTES {
            return Err(failure(ErrorCode::InvalidField, "command is out of bounds"));
        }
        if command.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(failure(ErrorCode::InvalidField, "command holds control characters"));
        }
        let prompt = self.wait_for_prompt().await?;
        if command.contains(char::is_control) {
            self.wait_for_paste_mode().await;
        }
        let (turn, before) = self.type_when_free(command).await?;
        let mut continues_since = None;
        let deadline = now() + BEGINNING;
        let mut changed = self.subscribe();
        loop {
            changed.mark_unchanged();
            let taken = self.lock().taken(before);
            let until = match taken {
                Taken::Started(number) => return Ok(number),
                Taken::NotRun if prompt == Prompt::Found => return Err(unknown()),
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
                if prompt == Prompt::Found && matches!(taken, Taken::NotYet) {
                    self.lock().note_mute(before);
                    return Err(unknown());
                }
                self.interrupt();
                self.wait_until_back(before).await;
                if prompt == Prompt::Found {
                    self.lock().note_mute(before);
                }
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
        let mut continues_since = None;
        let (mut resting, mut is_at_rest) = (pin!(self.come_to_rest()), false);
        loop {
            changed.mark_unchanged();
            let (progress, is_continued) = {
                let shared = self.lock();
                (shared.progress(number), shared.commands.phase() == Phase::Continues)
            };
            let Progress { first, last, is_over, is_whole } =
                progress.ok_or_else(|| failure(ErrorCode::InvalidField, "there is no such command"))?;
            let is_over = is_over || is_at_rest;
            if is_over || now() >= until {
                let (output, is_cut) = self.printed(&first, &last).await;
                let is_output_truncated = is_cut || !is_whole;
                let output = output.into();
                return Ok(CommandResult { command: last, is_over, output, is_output_truncated });
            }
            // What was typed with it is no whole command.
            let continued = is_continued.then(|| *continues_since.get_or_insert_with(|| now() + CONTINUING));
            continues_since = continued;
            if continued.is_some_and(|until| now() >= until) {
                self.interrupt();
                self.wait_until_back((last.prompt, last.number)).await;
                let why = "the end of it is no whole command: the shell ran what stands before it, waited for the rest, and was interrupted";
                return Err(failure(ErrorCode::CommandNotRun, why));
            }
            let until = continued.map_or(until, |continued| continued.min(until));
            tokio::select! {
                _timed_out = timeout_at(until.into(), changed.changed()) => {}
                () = &mut resting, if !is_continued => is_at_rest = true,
            }
        }
    }

    async fn wait_for_prompt(&self) -> Result<Prompt, Failure> {
        let began = now();
        let mut changed = self.subscribe();
        loop {
            changed.mark_unchanged();
            let due = self.lock().prompt_due(began)?;
            match due {
                Due::Now => return Ok(Prompt::Told),
                Due::By(until) => drop(timeout_at(until.into(), changed.changed()).await),
                Due::Busy => return self.find_prompt().await,
            }
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

    /// What commands printed, from the first of them to the last.
    async fn printed(&self, first: &Command, last: &Command) -> (String, bool) {
        let (output, is_whole) = self.lock().output_of(first, last);
        let read = move || plain_text(&output, MAX_COMMAND_OUTPUT_BYTES);
        // Much of it would hold up other sessions.
        let (text, is_cut) = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        (text, is_cut || !is_whole)
    }
}

impl Shared {
    /// When the shell is at its prompt, of one that has been waited for since `began`.
    fn prompt_due(&self, began: Instant) -> Result<Due, Failure> {
        if self.exit.is_some() {
            return Err(over());
        }
        let patience = match self.commands.phase() {
            Phase::Prompt(_) => return Ok(Due::Now),
            Phase::Running => return Ok(Due::Busy),
            Phase::Continues => return Err(running()),
            Phase::Mute => return Err(unseen("its shell does not tell of them any more")),
            Phase::Between => NEXT_PROMPT,
            Phase::Silent => FIRST_PROMPT,
        };
        let is_silent = self.commands.phase() == Phase::Silent;
        if let Some(why) = self.commands.integration().why_not().filter(|_| is_silent) {
            return Err(unseen(why));
        }
        let until = began + patience;
        if now() < until {
            return Ok(Due::By(until));
        }
        if is_silent { Err(unseen("its shell has not shown a prompt so far")) } else { Ok(Due::Busy) }
    }

    /// Notes that the shell does not tell of commands any more, if it has told of none since, nor of a prompt.
    fn note_mute(&mut self, before: (u64, u64)) {
        if matches!(self.taken(before), Taken::NotYet | Taken::Continues) {
            self.commands.note_mute();
        }
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

    /// The bytes that commands printed, from the first of them to the last, and whether they are all held.
    fn output_of(&self, first: &Command, last: &Command) -> (Vec<u8>, bool) {
        let held = self.region.held();
        let to = last.to.unwrap_or(held.end).min(held.end);
        let from = first.from.max(held.start).max(Offset(to.0.saturating_sub(MAX_READ_BYTES)));
        let len = usize::try_from(to.since(from)).unwrap_or(0);
        let (before, behind) = self.region.slices(from, len);
        ([before, behind].concat(), from == first.from)
    }

    /// How far what was typed with this command is; none: there was none. Where its first is not kept any more, as of very many
    /// lines, what is kept of it counts.
    fn progress(&self, number: u64) -> Option<Progress> {
        let mut since = self.commands.since(number).into_iter().filter(|_| number <= self.commands.count());
        let first = since.next()?;
        let last = since.take_while(|command| command.prompt == first.prompt).last();
        let last = last.unwrap_or_else(|| first.clone());
        let is_mute = self.commands.phase() == Phase::Mute;
        let is_back = self.commands.prompts() > first.prompt || is_mute || self.ended;
        let is_over = is_back && last.is_finished();
        let is_whole = first.number == number;
        Some(Progress { first, last, is_over, is_whole })
    }
}

fn running() -> Failure {
    failure(ErrorCode::CommandRunning, "the shell is not at its prompt: something else runs")
}

fn unknown() -> Failure {
    let why = "the shell took it and does not tell of it: whether it ran, or runs, cannot be seen";
    failure(ErrorCode::InputUncertain, why)
}

fn unseen(why: &str) -> Failure {
    let message = format!("it cannot be seen when commands of this session end: {why}");
    failure(ErrorCode::NoShellIntegration, &message)
}
