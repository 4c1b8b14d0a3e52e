//! Shells that have come to rest: one waits for keys at its line editor and does not say, or has not said, that the command before is
//! over. So it is where a command took all marks out of a prompt at once, and where the shell put another one in its place. It looks
//! just the same where a builtin reads a line with that editor (`read -e`, `vared`, fish's `read`). The terminal is looked at for whoever
//! asks, never for itself.

mod reshaping;

use std::time::{Duration, Instant};

use devpocket_shared::ids::Offset;
use devpocket_shared::wire::Failure;
use nix::unistd::Pid;
use ptyd_session::commands::Phase;
use tokio::time::{sleep, timeout};

use self::reshaping::may_reshape_prompt;
use super::line::in_use;
use super::{FEED_BYTES, Prompt, running, unseen};
use crate::worker::create::now_ms;
use crate::worker::leader::Leader;
use crate::worker::session::{Session, Shared};

/// For so long it waits for keys, and nothing is printed or typed.
const REST: Duration = Duration::from_secs(1);
/// How long the session's task may take to look at the terminal.
const LOOKING: Duration = Duration::from_secs(1);
/// What the prompts of shells end with.
const PROMPTS: [char; 4] = ['$', '#', '%', '>'];
/// Looks at whom keys go to, which only the session's task can take.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    asked: u64,
    answered: u64,
    /// The leader, where its line editor, or another program of that kind, waits for keys.
    leader: Option<Pid>,
}

impl Looks {
    /// Asks for one, and gives its number.
    fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// Whether the one with this number was taken.
    fn is_taken(&self, number: u64) -> bool {
        self.answered >= number
    }

    /// Whether somebody waits for a look.
    pub(crate) fn are_wanted(&self) -> bool {
        self.asked > self.answered
    }

    /// Notes what a look came to.
    pub(crate) fn note(&mut self, leader: Option<Pid>) {
        self.answered = self.asked;
        self.leader = leader;
    }
}

/// What stands still while a shell rests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Still {
    printed: Offset,
    typed_at: Option<Instant>,
    has_input: bool,
    /// The terminal is not read now: more may have been printed.
    is_unread: bool,
}

impl Session {
    /// Completes once a shell is at rest, the one that was started or another in its place.
    pub(super) async fn come_to_rest(&self) {
        loop {
            match self.rest().await {
                Some((_, Leader::Bash | Leader::OtherShell | Leader::Successor)) => return,
                // Who reads keys there may well be at work.
                Some((_, Leader::Program | Leader::Unknown)) | None => sleep(REST).await,
            }
        }
    }

    /// Makes a prompt of what a shell that rests shows, if it is one; the command that ran is over then. Only bash can be at one and
    /// not say so: zsh and fish tell of each from the line editor itself, so that a builtin reads there.
    pub(super) async fn find_prompt(&self) -> Result<Prompt, Failure> {
        match self.rest().await {
            None | Some((_, Leader::OtherShell | Leader::Unknown)) => Err(running()),
            Some((_, Leader::Successor)) => Err(unseen("another shell has taken the place of its own")),
            Some((_, Leader::Program)) => Err(unseen("another program has taken the place of its shell")),
            Some((still, Leader::Bash)) => self.bring_prompt(still).await,
        }
    }

    async fn bring_prompt(&self, still: Still) -> Result<Prompt, Failure> {
        {
            let mut shared = self.lock();
            shared.check_free(still)?;
            match shared.commands.phase() {
                // Somebody else was faster.
                Phase::Prompt(_) => return Ok(Prompt::Found),
                // It said that it is at its prompt, and that it will not tell of what is typed there: it does at the next one.
                Phase::Between => {}
                Phase::Running | Phase::Continues | Phase::Silent | Phase::Mute => {
                    return shared.take_for_prompt().map(|()| Prompt::Found);
                }
            }
        }
        if self.clear_line(still.printed.0).await { Ok(Prompt::Told) } else { Err(running()) }
    }

    /// Who has waited for keys for a while, if it is the leader; the answer takes as long, unless it is no at once.
    async fn rest(&self) -> Option<(Still, Leader)> {
        let still = self.lock().still();
        let leader = self.look().await?;
        sleep(REST).await;
        if still.is_unread || self.lock().still() != still || self.look().await != Some(leader) {
            return None;
        }
        let seen = tokio::task::spawn_blocking(move || Leader::look(leader)).await.ok()?;
        Some((still, seen))
    }

    /// The leader, if it waits for keys now.
    async fn look(&self) -> Option<Pid> {
        let mut changed = self.subscribe();
        let wanted = self.lock().looks.ask();
        self.work.notify_one();
        let looked = async {
            loop {
                changed.mark_unchanged();
                {
                    let shared = self.lock();
                    if shared.looks.is_taken(wanted) {
                        return shared.looks.leader;
                    }
                }
                changed.changed().await.ok()?;
            }
        };
        // Nobody looks once the session has ended.
        timeout(LOOKING, looked).await.ok().flatten()
    }
}

impl Shared {
    fn still(&self) -> Still {
        Still {
            printed: self.region.held().end,
            typed_at: self.typing.last_at(),
            has_input: !self.input.is_empty(&self.region),
            is_unread: self.held_back || self.answers_first,
        }
    }

    /// Whether the shell still rests, and nobody typed since the command began.
    fn check_free(&self, still: Still) -> Result<(), Failure> {
        if self.still() != still {
            return Err(running());
        }
        if self.is_typed_since_begin() { Err(in_use()) } else { Ok(()) }
    }

    /// Only what surely is a prompt: a line editor asked for pastes to be framed, the line ends as prompts do, and the command that
    /// runs may have taken the marks out of the prompt, and asks nobody anything itself.
    fn take_for_prompt(&mut self) -> Result<(), Failure> {
        self.feed(FEED_BYTES);
        let last = self.region.last_on_line();
        let is_prompt = last.is_some_and(|last| PROMPTS.contains(&last));
        let text = self.commands.running().and_then(|command| command.text());
        let is_reshaped = text.is_some_and(may_reshape_prompt);
        if !self.picture.screen().modes().bracketed_paste || !is_prompt || !is_reshaped {
            return Err(running());
        }
        self.commands.take_for_prompt(&self.region, now_ms());
        Ok(())
    }
}
