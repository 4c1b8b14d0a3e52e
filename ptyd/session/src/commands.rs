//! What a session's shell ran, by its marks: the commands that ended last, the one that runs, and whether the shell is at its
//! prompt. Kept in the session's memory, so that a worker kill loses and doubles none. It knows no clock.
//!
//! The state is written as a whole, in two places in turn; a command that has ended goes into a ring of bytes behind them. A
//! mark counts once: it is noted up to where the output has been looked at, by the same store that makes its state the newest.
//!
//! ```text
//! 0      place: number u64 (0 = none) | length u64 | state   little-endian
//! 32768  place
//! 65536  ring of ended commands, each with its length before it, u32
//! ```

mod journal;

use bincode::{Decode, Encode};
use devpocket_shared::ids::Offset;
use devpocket_shared::wire::Command;

use self::journal::Journal;
use crate::marks::{self, Mark, Nonce};
use crate::region::Region;

pub use journal::COMMANDS_BYTES;

/// Most ended commands kept, memory permitting.
pub const MAX_COMMANDS: u64 = 1000;

/// By this a line editor asks for pastes to be framed, before it draws a prompt or behind it.
const ASKS_FOR_PASTES: &[u8] = b"\x1b[?2004h";

/// What is known of a session's shell before it says anything.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub enum Integration {
    /// It was started with the marks' script.
    Marks,
    /// What was started is no shell that we have a script for.
    UnknownProgram,
    /// It was started with arguments that we do not understand.
    Arguments,
    /// The script cannot be handed to shells on this host.
    Unavailable,
    /// An earlier release started it, which knew no marks.
    #[default]
    Unknown,
}

impl Integration {
    /// Why ends of commands cannot be seen; none: they can, if the shell says anything.
    pub const fn why_not(self) -> Option<&'static str> {
        match self {
            Self::Marks => None,
            Self::UnknownProgram => Some("its program is not bash, zsh or fish"),
            Self::Arguments => Some(
                "its shell was started with arguments of its own, or an environment in which it cannot tell",
            ),
            Self::Unavailable => Some("its node cannot hand scripts to shells"),
            Self::Unknown => Some("it was started by an earlier release"),
        }
    }
}

/// What a shell does, as far as it has said.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub enum Phase {
    /// It has said nothing so far.
    #[default]
    Silent,
    /// It does something between two commands.
    Between,
    /// It waits for a command; the prompt ends here.
    Prompt(u64),
    /// It has a part of one, and waits for the rest.
    Continues,
    /// It runs one.
    Running,
    /// It does not tell of commands any more, until it tells of one or of a prompt again.
    Mute,
}

/// The state of the whole.
#[derive(Clone, Debug, Decode, Default, Encode)]
struct State {
    nonce: Option<[u8; Nonce::BYTES]>,
    integration: Integration,
    /// Marks that begin before this byte were taken.
    taken: u64,
    phase: Phase,
    /// Prompts so far.
    prompts: u64,
    /// The number of the last command that began.
    last: u64,
    cwd: Option<String>,
    /// What was typed last and has not begun, and whether there was more of it.
    line: Option<(String, bool)>,
    running: Option<Command>,
    /// The ended commands that are kept: where the first begins and the last ends in the ring, counted on and on.
    first_at: u64,
    end_at: u64,
    kept: u64,
    /// The number of the prompt that was shown last, if its shell numbers them.
    prompt_number: Option<u64>,
}

/// A mark in the output.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// What it says.
    pub payload: &'a [u8],
    /// Where it begins.
    pub begins: Offset,
    /// Where what follows it begins.
    pub ends: Offset,
}

/// The commands of one session.
#[derive(Debug)]
pub struct Commands<M> {
    journal: Journal<M>,
    state: State,
    nonce: Option<Nonce>,
    /// Counts changes; of this life only.
    changes: u64,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Commands<M> {
    /// The commands of a new session, whose shell was given `nonce` if it takes one. None: the memory is not
    /// [`COMMANDS_BYTES`] long.
    pub fn create(memory: M, nonce: Option<Nonce>, integration: Integration) -> Option<Self> {
        let mut commands = Self::recover(memory)?;
        commands.state = State { nonce: nonce.map(Nonce::bytes), integration, ..State::default() };
        commands.nonce = nonce;
        commands.keep();
        Some(commands)
    }

    /// Those that a worker before left; none at all, where an earlier release kept none. None: the memory is not
    /// [`COMMANDS_BYTES`] long.
    pub fn recover(memory: M) -> Option<Self> {
        let mut journal = Journal::new(memory)?;
        let state: State = journal.read().unwrap_or_default();
        let nonce = state.nonce.map(Nonce::new);
        Some(Self { journal, state, nonce, changes: 0 })
    }

    /// Takes a mark that stands in the output; one that the shell did not sign, or that was taken before, is none.
    pub fn take<R: AsRef<[u8]> + AsMut<[u8]>>(&mut self, found: Found<'_>, region: &Region<R>, now_ms: u64) {
        let Some(nonce) = self.nonce else { return };
        if found.begins.0 < self.state.taken {
            return;
        }
        let Some(mark) = marks::read(found.payload, nonce) else { return };
        match mark {
            Mark::Cwd(cwd) => self.state.cwd = Some(cwd),
            Mark::Line { text, is_truncated, is_repeated } => {
                let is_hidden = is_repeated && self.was_typed_with_a_space(region);
                self.state.line = (!is_hidden).then_some((text, is_truncated));
            }
            Mark::UnknownLine => self.state.line = None,
            Mark::Started => {
                self.finish(None, found.begins, now_ms);
                self.start(found.ends, now_ms);
            }
            // bash says it before every prompt, and again where that is drawn anew.
            Mark::Finished(_) if self.state.running.is_none() => {}
            Mark::Finished(code) => {
                self.finish(code, before_prompt(region, found.begins), now_ms);
                self.state.phase = Phase::Between;
            }
            Mark::Prompt(number) => {
                self.finish(None, found.begins, now_ms);
                let is_drawn_anew = number.is_some() && number == self.state.prompt_number;
                if !(is_drawn_anew && matches!(self.state.phase, Phase::Prompt(_))) {
                    self.state.phase = Phase::Between;
                }
                self.state.prompt_number = number;
            }
            Mark::Input => {
                // A prompt is also drawn anew where it stands.
                if !matches!(self.state.phase, Phase::Prompt(_)) {
                    self.state.prompts += 1;
                }
                self.finish(None, found.begins, now_ms);
                self.state.phase = Phase::Prompt(found.ends.0);
            }
            Mark::Continues => self.state.phase = Phase::Continues,
            Mark::Mute => {
                self.finish(None, found.begins, now_ms);
                self.state.phase = Phase::Mute;
            }
        }
        self.state.taken = found.ends.0;
        self.keep();
    }

    /// The shell is gone, and with it the command that ran: what the session's leader exited with is what it came to.
    pub fn end(&mut self, code: Option<i32>, at: Offset, now_ms: u64) {
        if self.state.running.is_some() {
            self.finish(code, at, now_ms);
            self.keep();
        }
    }

    /// The output so far ends with a prompt that the shell did not tell of, nor of the end of the command before it: what that one
    /// came to is not known.
    pub fn take_for_prompt<R: AsRef<[u8]> + AsMut<[u8]>>(&mut self, region: &Region<R>, now_ms: u64) {
        let end = region.held().end;
        if let Some(running) = &self.state.running {
            let output_ends = region.last_behind(running.from, ASKS_FOR_PASTES).unwrap_or(end);
            self.finish(None, output_ends, now_ms);
        }
        self.state.prompts += 1;
        self.state.phase = Phase::Prompt(end.0);
        self.keep();
    }

    /// The shell did not tell what became of the line that was typed at its prompt.
    pub fn note_mute(&mut self) {
        self.state.phase = Phase::Mute;
        self.keep();
    }

    /// What is known of the shell from its start.
    pub fn integration(&self) -> Integration {
        self.state.integration
    }

    /// What the shell does.
    pub fn phase(&self) -> Phase {
        self.state.phase
    }

    /// Prompts so far.
    pub fn prompts(&self) -> u64 {
        self.state.prompts
    }

    /// Where the shell is, as it said at its last prompt.
    pub fn cwd(&self) -> Option<&str> {
        self.state.cwd.as_deref()
    }

    /// Commands so far, those no longer kept counted.
    pub fn count(&self) -> u64 {
        self.state.last
    }

    /// Commands that are kept.
    pub fn kept(&self) -> u64 {
        self.state.kept + u64::from(self.state.running.is_some())
    }

    /// Counts what has changed; another number says that there is something new.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The command that runs.
    pub fn running(&self) -> Option<&Command> {
        self.state.running.as_ref()
    }

    /// The commands kept, oldest first, from the one numbered `from` on.
    pub fn since(&self, from: u64) -> Vec<Command> {
        // Numbers have no gaps: those before it need not be read.
        let ended = self.state.last - u64::from(self.state.running.is_some());
        let first = (ended + 1).saturating_sub(self.state.kept);
        let mut at = self.state.first_at;
        for _ in first..from.min(ended + 1) {
            at = self.journal.next_after(at, self.state.end_at).unwrap_or(self.state.end_at);
        }
        let ended = self.journal.commands(at, self.state.end_at);
        ended.chain(self.state.running.clone()).filter(|command| command.number >= from).collect()
    }

    fn start(&mut self, from: Offset, now_ms: u64) {
        let (text, is_truncated) = match self.state.line.take() {
            Some((text, is_truncated)) => (Some(text.into()), is_truncated),
            None => (None, false),
        };
        self.state.last += 1;
        self.state.phase = Phase::Running;
        self.state.running = Some(Command {
            number: self.state.last,
            prompt: self.state.prompts,
            text,
            is_truncated,
            cwd: self.state.cwd.clone(),
            from,
            to: None,
            started_at_ms: now_ms,
            finished_at_ms: None,
            exit_code: None,
        });
    }

    /// Ends the command that runs, if one does.
    fn finish(&mut self, code: Option<i32>, at: Offset, now_ms: u64) {
        let Some(command) = self.state.running.clone() else { return };
        let bytes = Journal::<M>::encode(&Command {
            to: Some(at.max(command.from)),
            finished_at_ms: Some(now_ms.max(command.started_at_ms)),
            exit_code: code,
            ..command
        });
        let before = self.state.first_at;
        while self.state.kept >= MAX_COMMANDS
            || !Journal::<M>::fits(&bytes, self.state.first_at, self.state.end_at)
        {
            let Some(next) = self.journal.next_after(self.state.first_at, self.state.end_at) else { break };
            self.state.first_at = next;
            self.state.kept -= 1;
        }
        // What is overwritten is given up first; a kill from here on leaves the mark to be taken again.
        if self.state.first_at != before {
            self.journal.keep(&self.state);
        }
        self.journal.put(&bytes, self.state.end_at);
        self.state.running = None;
        self.state.end_at += bytes.len() as u64;
        self.state.kept += 1;
    }

    /// Whether what stands behind the prompt begins with a space: bash keeps such lines out of its history, if told to.
    fn was_typed_with_a_space<R: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<R>) -> bool {
        let Phase::Prompt(since) = self.state.phase else { return false };
        region.first_printed_since(since) == Some(b' ')
    }

    fn keep(&mut self) {
        self.changes += 1;
        self.journal.keep(&self.state);
    }
}

/// Where what a command printed ends, of a shell whose mark for that, at `mark`, is part of its prompt: bash asks for pastes to be
/// framed before it draws that.
fn before_prompt<R: AsRef<[u8]> + AsMut<[u8]>>(region: &Region<R>, mark: Offset) -> Offset {
    if region.is_behind(mark.0, ASKS_FOR_PASTES) {
        Offset(mark.0 - ASKS_FOR_PASTES.len() as u64)
    } else {
        mark
    }
}

#[cfg(test)]
mod tests;
