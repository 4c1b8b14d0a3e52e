//! The control messages of a link stream. Variants and fields are positional on the wire: append variants, never
//! reorder or change them; a message that needs another field is a new variant.

use std::fmt;

use bincode::{Decode, Encode};

use super::ErrorCode;
use super::commands::{Command, CommandResult};
use super::details::{Limits, RollEntry, SessionDetails, Update};
use super::private::Private;
use crate::ids::{BootId, ClientId, NodeId, Offset, Seq, SessionId, TerminalSize, UserId};

/// Version of the link protocol spoken by this build.
pub const LINK_VERSION: u16 = 1;
/// Feature bit of an api that knows what shells ran: it is told of commands, and how many there have been.
pub const FEATURE_COMMANDS: u64 = 1;
/// Most lines in one page of history (PROTOCOL section 3).
pub const MAX_HISTORY_LINES: u32 = 5000;
/// Most bytes of text in a page of history. ptyd keeps to it, so that the message stays within
/// [`MAX_CONTROL_BYTES`](super::codec::MAX_CONTROL_BYTES) whatever number of lines the text is in.
pub const MAX_TEXT_BYTES: usize = 900 << 10;
/// Most bytes of a screen in an answer: one of 1000 x 1000 letters. Likewise within
/// [`MAX_CONTROL_BYTES`](super::codec::MAX_CONTROL_BYTES).
pub const MAX_SCREEN_BYTES: usize = (1 << 20) - 1024;

/// First frame of each side on every stream.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Hello {
    /// [`LINK_VERSION`] of the sender.
    pub version: u16,
    /// Feature bits of the sender, such as [`FEATURE_COMMANDS`]; unknown bits are ignored.
    pub features: u64,
    /// From the api: the node it means, if it knows it. From ptyd: itself.
    pub node_id: Option<NodeId>,
    /// From the api: the boot it means; ptyd refuses what is for another. From ptyd: its own.
    pub boot_id: Option<BootId>,
    /// The api's request id, for logs on both sides; at most 64 bytes.
    pub request_id: String,
}

/// Second frame of the api: what the stream is for.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Request {
    /// Starts a session and, with `attach`, goes on as its attachment. Answer: `Created`, then as for `Attach`.
    Create(Create),
    /// Attaches to a session of `owner`. Answer: `Attached`, or `Failed`.
    Attach { owner: UserId, session_id: SessionId, attach: Attach },
    /// Lists the sessions of `owner`, ended ones included. Answer: `Sessions`.
    List { owner: UserId },
    /// Ends a session of `owner`. Answer: `Done` once the request is with the keeper, or `Failed`.
    Terminate { owner: UserId, session_id: SessionId },
    /// Asks what node this is. Answer: `Node`.
    Info,
    /// Reads the screen of a session of `owner` without attaching. Answer: `Screen`, without colours where it is larger than
    /// [`MAX_SCREEN_BYTES`] with them; `Failed` with `ScreenTooLarge` where it is without them.
    Screen { owner: UserId, session_id: SessionId, format: ScreenFormat },
    /// Reads scrollback of a session of `owner` without attaching; as for [`ToPtyd::History`]. Answer: `History`.
    History { owner: UserId, session_id: SessionId, before_line: Option<u64>, lines: u32 },
    /// As `Create`, of a session with limits.
    CreateLimited { create: Create, limits: Limits },
    /// Changes a session of `owner`. Answer: `Done`, or `Failed`: then nothing was changed.
    Update { owner: UserId, session_id: SessionId, update: Update },
    /// Types into a session of `owner`, at most [`MAX_INPUT_BYTES`](super::details::MAX_INPUT_BYTES). Answer: `Done` once it
    /// waits for the terminal. Sent twice, it is typed twice.
    Input { owner: UserId, session_id: SessionId, bytes: Private<Vec<u8>> },
    /// Kills a session of `owner` at once. Answer: as for `Terminate`.
    Kill { owner: UserId, session_id: SessionId },
    /// Ends a session of `owner` and forgets it: it is not there for anybody from here on. Answer: as for `Terminate`.
    Discard { owner: UserId, session_id: SessionId },
    /// Asks for all that is known of sessions of `owner`, at most [`MAX_DETAILS`](super::details::MAX_DETAILS). Answer:
    /// `Details` of those that are there.
    Details { owner: UserId, session_ids: Vec<SessionId> },
    /// Asks which sessions there are, ended ones included, of `owner` or, for the api's own books, of everybody, in the
    /// order of their ids from the one after `after` on. Answer: `Roll`.
    Roll { owner: Option<UserId>, after: Option<SessionId> },
    /// Reads what the shell of a session of `owner` ran, newest first: at most `most` commands with numbers below `before`,
    /// after the first `skip` of them. Answer: `Commands`.
    Commands { owner: UserId, session_id: SessionId, before: Option<u64>, skip: u32, most: u32 },
    /// Types a command into the shell of a session of `owner`, which is at its prompt, and waits for it to begin; at most
    /// [`MAX_TYPED_BYTES`](super::commands::MAX_TYPED_BYTES). Answer: `CommandStarted`. Sent twice, it is typed twice.
    StartCommand { owner: UserId, session_id: SessionId, command: Private<String> },
    /// Waits for the end of what was typed together with command `number`, at most
    /// [`MAX_COMMAND_WAIT_MS`](super::commands::MAX_COMMAND_WAIT_MS). Answer: `CommandResult`.
    AwaitCommand { owner: UserId, session_id: SessionId, number: u64, wait_ms: u32 },
}

/// How a screen is written down.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum ScreenFormat {
    /// The characters alone.
    Text,
    /// Text with SGR sequences.
    Ansi,
    /// A fragment of HTML.
    Html,
    /// Cells and cursor as JSON.
    Json,
}

/// A session to start.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Create {
    /// Whose session it is.
    pub owner: UserId,
    /// The id it gets, unless `key` names one made before.
    pub session_id: SessionId,
    /// The same key from the same owner within 60 s gives the session made before.
    pub key: Option<CreationKey>,
    /// What to run.
    pub spec: Spec,
    /// Go on as an attachment on this stream.
    pub attach: Option<Attach>,
}

/// What makes a repeated `connect` the same one (PROTOCOL section 3).
#[derive(Clone, Debug, Decode, Encode, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CreationKey {
    /// The client that asks.
    pub client_id: ClientId,
    /// Its `request_id`; at most 128 bytes.
    pub request_id: String,
}

/// What a local session runs, and how. Bounds are checked by the api and again by ptyd ([`Spec::check`]).
#[derive(Clone, Decode, Encode, Eq, PartialEq)]
pub struct Spec {
    /// A name for people.
    pub name: Option<String>,
    /// Program and arguments; empty: the user's login shell.
    pub command: Vec<String>,
    /// Where it starts; none: the user's home.
    pub working_directory: Option<String>,
    /// Added to the session's environment, in this order.
    pub environment: Vec<(String, String)>,
    /// The terminal's first size.
    pub size: TerminalSize,
}

/// Of the environment the names alone, and of the command the program: secrets may be in them.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, command, working_directory, environment, size } = self;
        let names: Vec<&str> = environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Spec")
            .field("name", name)
            .field("command", &command.first())
            .field("working_directory", working_directory)
            .field("environment", &names)
            .field("size", size)
            .finish()
    }
}

impl Spec {
    /// Longest `name`, in bytes.
    pub const MAX_NAME_BYTES: usize = 256;
    /// Most arguments, program included.
    pub const MAX_ARGUMENTS: usize = 256;
    /// Longest `working_directory`, in bytes (PATH_MAX).
    pub const MAX_PATH_BYTES: usize = 4096;
    /// Most environment variables a client may add.
    pub const MAX_VARIABLES: usize = 256;
    /// Bytes of all arguments together, and of all variables together.
    pub const MAX_TEXT_BYTES: usize = 64 << 10;

    /// Whether a session may be named so. A name is shown in terminals: what would steer one is refused.
    pub fn name_fits(name: &str) -> bool {
        name.len() <= Self::MAX_NAME_BYTES && !name.contains(char::is_control)
    }

    /// Names the first field that is out of bounds. No text may hold a NUL; a variable's name is not empty, has no `=`
    /// and is not `DEVPOCKET_SESSION`.
    pub fn check(&self) -> Result<(), &'static str> {
        let clean = |text: &str| !text.contains('\0');
        if !self.name.as_deref().is_none_or(Self::name_fits) {
            return Err("name");
        }
        let text: usize = self.command.iter().map(|a| a.len() + 1).sum();
        let program_missing = self.command.first().is_some_and(String::is_empty);
        if self.command.len() > Self::MAX_ARGUMENTS
            || text > Self::MAX_TEXT_BYTES
            || program_missing
            || !self.command.iter().all(|a| clean(a))
        {
            return Err("command");
        }
        if let Some(path) = &self.working_directory
            && (path.is_empty() || path.len() > Self::MAX_PATH_BYTES || !clean(path))
        {
            return Err("working_directory");
        }
        let text: usize = self.environment.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
        let good_name = |name: &str| !name.is_empty() && !name.contains('=') && name != "DEVPOCKET_SESSION";
        if self.environment.len() > Self::MAX_VARIABLES
            || text > Self::MAX_TEXT_BYTES
            || !self.environment.iter().all(|(k, v)| good_name(k) && clean(k) && clean(v))
        {
            return Err("environment");
        }
        Ok(())
    }
}

/// How a client attaches (PROTOCOL sections 3 and 6).
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Attach {
    /// The app instance, if it says.
    pub client_id: Option<ClientId>,
    /// The first output byte the client does not have yet.
    pub offset: Option<Offset>,
    /// The client's screen.
    pub size: Option<TerminalSize>,
    /// May it type?
    pub mode: AttachMode,
    /// What happens when it falls behind.
    pub delivery: Delivery,
    /// The most bytes sent beyond its last ack; none: the transport alone limits.
    pub window: Option<u64>,
    /// Scrollback lines wanted in a snapshot.
    pub scrollback: u32,
}

/// What an attachment may do.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum AttachMode {
    /// Type, resize, signal.
    Control,
    /// Watch only.
    View,
}

/// What happens when a client falls behind.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Delivery {
    /// The program is held back, for a bounded time.
    Lossless,
    /// The client gets a snapshot in place of what it missed.
    Realtime,
}

/// ptyd's answer to a [`Request`].
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Answer {
    /// The session runs; with `attach` asked for, `Attached` follows. `existing`: made before under the same key.
    Created { session_id: SessionId, existing: bool },
    /// The stream is an attachment from here on.
    Attached(Attached),
    /// The owner's sessions, oldest first.
    Sessions(Vec<SessionInfo>),
    /// This node.
    Node(NodeInfo),
    /// It was done.
    Done,
    /// It was not done.
    Failed(Failure),
    /// The screen as it was at `offset`; `text` has at most [`MAX_TEXT_BYTES`].
    Screen { offset: Offset, size: TerminalSize, text: String },
    /// A page of scrollback, as in [`ToApi::History`].
    History { first_line: u64, lines: Vec<String>, total: u64 },
    /// The sessions asked for that are there, in no order.
    Details(Vec<SessionDetails>),
    /// At most [`MAX_ROLL`](super::details::MAX_ROLL) sessions; `more`: others follow the last of them.
    Roll { sessions: Vec<RollEntry>, more: bool },
    /// As `Attached`, of a client whose input up to `input_queued` was taken and waits for the terminal.
    AttachedWaiting { attached: Attached, input_queued: Seq },
    /// As `Details`, to an api with [`FEATURE_COMMANDS`]: each with the number of commands its shell has run.
    DetailsCounted(Vec<(SessionDetails, u64)>),
    /// Commands, newest first, as many as fit into [`MAX_TEXT_BYTES`]; `total`: those that are kept.
    Commands { commands: Vec<Command>, total: u64 },
    /// The command typed has begun, and has this number.
    CommandStarted { number: u64 },
    /// What commands came to, or have come to so far.
    CommandResult(Box<CommandResult>),
}

/// How an attach goes on.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Attached {
    /// The session attached to.
    pub session_id: SessionId,
    /// From where the output goes on, and how.
    pub resume: Resume,
    /// Where the output goes on.
    pub offset: Offset,
    /// Last input of this client that was applied; none: the session does not know this client.
    pub input_seq: Option<Seq>,
    /// The input whose write a worker kill interrupted: counts as applied, may not have been.
    pub input_uncertain: Option<Seq>,
    /// The window in force, in bytes.
    pub window: Option<u64>,
    /// The terminal's size at `offset`.
    pub size: TerminalSize,
}

/// From where output goes on after an attach.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Resume {
    /// The session was made by this very request.
    Fresh,
    /// At exactly the offset asked for.
    Replay,
    /// A snapshot follows at once.
    Snapshot,
}

/// One session of an owner.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SessionInfo {
    /// Its id.
    pub session_id: SessionId,
    /// Its name.
    pub name: Option<String>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// The terminal's size.
    pub size: TerminalSize,
    /// Clients attached now.
    pub attached_clients: u32,
    /// Bytes of output so far.
    pub bytes_out: u64,
    /// How it ended, if it has.
    pub exit: Option<Exit>,
    /// Why it ended, if not by itself.
    pub reason: Option<EndReason>,
}

/// A node.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct NodeInfo {
    /// Its stable id.
    pub node_id: NodeId,
    /// The life of its keeper.
    pub boot_id: BootId,
    /// Live sessions.
    pub sessions: u32,
    /// Most sessions it takes.
    pub capacity: u32,
}

/// Something was not done, and why.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Failure {
    /// The stable word.
    pub code: ErrorCode,
    /// For people; never holds terminal bytes or secrets.
    pub message: String,
    /// For `seq_gap`: the `seq` expected.
    pub expected: Option<Seq>,
}

/// Control messages of an attached client.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum ToPtyd {
    /// The client has drawn the output up to here.
    Ack { offset: Offset },
    /// The client's screen size; `claim` takes the geometry lease.
    Resize { tag: u32, size: TerminalSize, claim: bool },
    /// A signal for the foreground process group.
    Signal { tag: u32, signal: Signal },
    /// A control byte (0x00 to 0x1F), written ahead of queued input.
    Key { tag: u32, byte: u8 },
    /// Text to paste; framed by the daemon as the program's mode asks.
    Paste { tag: u32, seq: Option<Seq>, text: Private<String> },
    /// The client leaves on purpose.
    Detach,
    /// End the session.
    Terminate { tag: u32 },
    /// Asks for `lines` lines of scrollback (1 to [`MAX_HISTORY_LINES`]) that end before `before_line`; none: the last
    /// page. Answer: [`ToApi::History`] with the same tag.
    History { tag: u32, before_line: Option<u64>, lines: u32 },
}

/// Signals a client may send.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
#[expect(missing_docs, reason = "named after POSIX")]
pub enum Signal {
    Int,
    Quit,
    Tstp,
    Cont,
    Term,
    Hup,
    Kill,
    Usr1,
    Usr2,
    Winch,
}

/// Control messages to an attached client.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum ToApi {
    /// Everything up to `seq` has been handed to the terminal.
    InputAck { seq: Seq },
    /// Bytes before `offset` belong to the old size.
    Resized { offset: Offset, size: TerminalSize },
    /// A message was not applied; `tag` is the message's own (0: it had none).
    Error { tag: u32, failure: Failure },
    /// The session is over and `offset` its last byte, already sent. The stream ends here.
    Ended { offset: Offset, exit: Exit, reason: Option<EndReason> },
    /// Another attach of the same client took over. The stream ends here.
    Superseded,
    /// The daemon moves away; attach again. The stream ends here.
    Draining,
    /// The program named its window (OSC 0, 2).
    Title { text: String },
    /// The program rang.
    Bell,
    /// The program wrote to the clipboard (OSC 52); at most 100 KiB.
    Clipboard { text: Private<String> },
    /// The shell said where it is (OSC 7).
    Cwd { text: String },
    /// The program has something to say (OSC 9, 99, 777).
    Notify { text: String },
    /// What the terminal does with typed text from here on.
    Echo {
        /// From where on it holds.
        offset: Offset,
        /// The terminal echoes what is typed (`ECHO`).
        echo: bool,
        /// It gathers lines (`ICANON`).
        canonical: bool,
        /// The program draws on the alternate screen.
        alternate_screen: bool,
        /// Last input of this client that had been applied; none: it has no client id, or nothing was.
        input_seq: Option<Seq>,
    },
    /// A page of scrollback, oldest line first, each as text with SGR sequences; at most [`MAX_HISTORY_LINES`] lines and
    /// [`MAX_TEXT_BYTES`] together, so it may hold fewer lines than were asked for: the ones nearest to `before_line`.
    History {
        /// The tag of the message this answers.
        tag: u32,
        /// The number of the first line; lines count from 0 at the session's start.
        first_line: u64,
        /// The lines; empty when none are held before `before_line`.
        lines: Vec<String>,
        /// Lines so far, the ones no longer held counted.
        total: u64,
    },
    /// The rest of this input, which a worker kill cut, was waited for in vain: it counts as applied, and may not have been.
    InputUncertain { seq: Seq },
    /// The session's shell began a command. To an api with [`FEATURE_COMMANDS`].
    CommandStarted(Command),
    /// It ended. To an api with [`FEATURE_COMMANDS`].
    CommandFinished(Command),
}

/// How a session's program ended.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal, named `SIGHUP` and so on.
    Signal(String),
}

/// Why a session ended, if not by itself.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum EndReason {
    /// On request of its owner.
    Terminated,
    /// Nobody was attached and nothing was printed for as long as its limit allows.
    IdleTimeout,
    /// It lived for as long as its limit allows.
    MaxDuration,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Terminated, Self::IdleTimeout, Self::MaxDuration];

    /// The word clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminated => "terminated",
            Self::IdleTimeout => "idle_timeout",
            Self::MaxDuration => "max_duration",
        }
    }
}

/// Why a snapshot was sent (PROTOCOL section 5 gives the numbers).
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
#[repr(u8)]
pub enum SnapshotReason {
    /// The client has nothing to go on from.
    Attach = 0,
    /// The client fell too far behind.
    Lagged = 1,
    /// The daemon recovered.
    Recovered = 2,
}
