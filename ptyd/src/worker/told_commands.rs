//! Which commands of a session's shell an attachment's client has been told of. Knows no stream.

use devpocket_shared::wire::ToApi;
use ptyd_session::Commands;

/// Most commands told at once; of more, those before are left out.
const MOST_AT_ONCE: u64 = 32;

/// What was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToldCommands {
    /// Changes there had been.
    changes: u64,
    /// The last command whose beginning was told.
    begun: u64,
    /// The last whose end was.
    ended: u64,
}

impl ToldCommands {
    /// All that there has been: the end of the command that runs is the first thing to be told.
    pub(crate) fn all_of<M: AsRef<[u8]> + AsMut<[u8]>>(commands: &Commands<M>) -> Self {
        let begun = commands.count();
        let ended = begun - u64::from(commands.running().is_some());
        Self { changes: commands.changes(), begun, ended }
    }

    /// What is to be told now.
    pub(crate) fn next<M: AsRef<[u8]> + AsMut<[u8]>>(&mut self, commands: &Commands<M>) -> Vec<ToApi> {
        if self.changes == commands.changes() {
            return Vec::new();
        }
        self.changes = commands.changes();
        let from = (self.ended + 1).max((commands.count() + 1).saturating_sub(MOST_AT_ONCE));
        let mut told = Vec::new();
        for command in commands.since(from) {
            if command.number > self.begun {
                self.begun = command.number;
                let mut begun = command.clone();
                (begun.to, begun.finished_at_ms, begun.exit_code) = (None, None, None);
                told.push(ToApi::CommandStarted(begun));
            }
            if command.is_finished() {
                self.ended = command.number;
                told.push(ToApi::CommandFinished(command));
            }
        }
        told
    }
}
