use devpocket_shared::ids::TerminalSize;
use devpocket_shared::wire::commands::MAX_COMMAND_BYTES;
use proptest::prelude::*;

use super::*;
use crate::cutter::{Cutter, Overflow};
use crate::region::{MIN_RING_BYTES, region_bytes};
use crate::ring::as_usize;

const NONCE: Nonce = Nonce::new([7; Nonce::BYTES]);
const OTHER: Nonce = Nonce::new([8; Nonce::BYTES]);

struct Session {
    region: Region<Vec<u8>>,
    cutter: Cutter,
    commands: Commands<Vec<u8>>,
    now_ms: u64,
}

/// When a worker is killed.
#[derive(Clone, Copy, Debug)]
enum Kill {
    Never,
    /// When all that was read is visible.
    Clean,
    /// When it was read, and nothing else.
    BeforeCut,
    /// When its marks were taken, and it was not visible yet.
    BeforeShow,
}

impl Session {
    fn new() -> Self {
        let memory = vec![0; as_usize(region_bytes(MIN_RING_BYTES))];
        let region = Region::create(memory, 1, TerminalSize::DEFAULT).unwrap();
        let commands = Commands::create(vec![0; COMMANDS_BYTES], Some(NONCE), Integration::Marks).unwrap();
        Self { cutter: Cutter::recover(&region), region, commands, now_ms: 1000 }
    }

    fn print(&mut self, bytes: impl AsRef<[u8]>) {
        self.print_until(bytes.as_ref(), Kill::Never);
    }

    fn print_until(&mut self, bytes: &[u8], kill: Kill) {
        let space = self.region.space(None);
        let len = space.len().min(bytes.len());
        space[..len].copy_from_slice(&bytes[..len]);
        self.region.commit(len);
        self.now_ms += 10;
        let (region, commands) = (self.region_memory(), self.commands.journal.memory().clone());
        self.cut();
        match kill {
            Kill::Never => {}
            Kill::Clean => self.recover(self.region_memory(), self.commands.journal.memory().clone()),
            Kill::BeforeCut => self.recover(region, commands),
            Kill::BeforeShow => self.recover(region, self.commands.journal.memory().clone()),
        }
        self.cut();
        if len < bytes.len() {
            self.print_until(&bytes[len..], Kill::Never);
        }
    }

    /// As if a mark were printed, of whatever length: in tests no sequence is waited for that has more than a kilobyte.
    fn tell(&mut self, text: &str) {
        let payload = format!("633;{text};{NONCE}");
        let at = Offset(self.commands.state.taken + 1);
        self.commands.take(Found { payload: payload.as_bytes(), begins: at, ends: at }, &self.region, 7);
    }

    fn cut(&mut self) {
        let Self { region, cutter, commands, now_ms } = self;
        let mut take = |region: &Region<Vec<u8>>, found: Found<'_>| commands.take(found, region, *now_ms);
        cutter.cut_telling(region, Overflow::Drop, &mut take);
    }

    fn recover(&mut self, region: Vec<u8>, commands: Vec<u8>) {
        self.region = Region::recover(region).unwrap();
        self.cutter = Cutter::recover(&self.region);
        self.commands = Commands::recover(commands).unwrap();
    }

    fn region_memory(&self) -> Vec<u8> {
        self.region.bytes(0..as_usize(region_bytes(self.region.ring_bytes()))).to_vec()
    }

    fn printed(&self, command: &Command) -> String {
        let len = command.to.unwrap().since(command.from);
        let (first, second) = self.region.slices(command.from, as_usize(len));
        String::from_utf8([first, second].concat()).unwrap()
    }

    fn all(&self) -> Vec<Command> {
        self.commands.since(0)
    }
}

fn mark(text: &str, nonce: Nonce, end: &str) -> String {
    format!("\x1b]633;{text};{nonce}{end}")
}

fn signed(text: &str) -> String {
    mark(text, NONCE, "\x07")
}

/// What a shell prints at a prompt and for one command.
fn run(line: &str, output: &str, code: i32) -> String {
    let escaped = line.replace('\\', "\\\\").replace(';', "\\x3b").replace('\n', "\\x0a");
    let begin =
        signed("A") + "$ " + &signed("B") + line + "\r\n" + &signed(&format!("E;{escaped}")) + &signed("C");
    begin + output + &signed(&format!("D;{code}"))
}

/// Number, text, exit code.
fn seen(commands: &[Command]) -> Vec<(u64, Option<&str>, Option<i32>)> {
    commands.iter().map(|command| (command.number, command.text(), command.exit_code)).collect()
}

#[test]
fn commands_are_told_with_their_exit_codes_and_where_their_output_is() {
    let mut session = Session::new();
    session.print(signed("P;Cwd=/home/ann") + &run("true", "", 0));
    session.print(run("echo a; false", "a\r\n", 1));
    session.print(signed("A") + "$ " + &signed("B"));
    let all = session.all();
    assert_eq!(seen(&all), [(1, Some("true"), Some(0)), (2, Some("echo a; false"), Some(1))]);
    assert_eq!((session.printed(&all[0]).as_str(), session.printed(&all[1]).as_str()), ("", "a\r\n"));
    assert_eq!((all[0].prompt, all[1].prompt, session.commands.prompts()), (1, 2, 3));
    assert_eq!(all[1].cwd.as_deref(), Some("/home/ann"));
    assert!(matches!(session.commands.phase(), Phase::Prompt(_)));
    assert_eq!(all[1].duration_ms(), Some(0));
}

/// The story: an interrupt at an empty prompt was once told as a command that failed by 130.
#[test]
fn a_prompt_where_nothing_was_run_makes_no_command() {
    let mut session = Session::new();
    session.print(run("false", "", 1));
    for _ in 0..3 {
        session.print(signed("A") + "$ " + &signed("B") + "^C\r\n" + &signed("D"));
    }
    assert_eq!(session.commands.count(), 1);
    assert_eq!(session.commands.prompts(), 4);
    // Drawn anew where it stands, it is the same prompt.
    session
        .print(signed("A") + "$ " + &signed("B") + "\r" + "$ " + &signed("B") + "\x1b[2J$ " + &signed("B"));
    assert_eq!(session.commands.prompts(), 5);
}

/// The story: bash draws its prompt with all the marks in it, and anew when it is resized; what was just being typed there was
/// then said not to have run.
#[test]
fn a_prompt_that_is_drawn_anew_with_its_marks_is_the_same() {
    let mut session = Session::new();
    let prompt = |number: u64| signed("D;3") + &signed(&format!("A;{number}")) + "$ " + &signed("B");
    session.print(prompt(1) + "\r" + &prompt(1) + "fal\r" + &prompt(1));
    assert_eq!(session.commands.prompts(), 1);
    session.print("\r\n".to_owned() + &prompt(2));
    assert_eq!(
        (session.commands.prompts(), session.commands.count()),
        (2, 0),
        "nothing was run at the first"
    );
    session.print("false\r\n".to_owned() + &signed("D;3") + &signed("E;false") + &signed("C") + &prompt(2));
    assert_eq!(seen(&session.all()), [(1, Some("false"), Some(3))], "whatever its number");
    assert_eq!((session.all()[0].prompt, session.commands.prompts()), (2, 3));
}

/// The story: of several lines pasted at once all but the last had no exit code, as no prompt came between them.
#[test]
fn an_end_that_is_told_before_the_next_begin_counts() {
    let mut session = Session::new();
    let run = |line: &str, code: i32| signed(&format!("D;{code}")) + &signed(line) + &signed("C");
    session
        .print(signed("A") + &signed("B") + &run("E;a", 0) + &run("E;b", 4) + &run("E", 5) + &signed("D;6"));
    assert_eq!(seen(&session.all()), [(1, Some("a"), Some(4)), (2, Some("b"), Some(5)), (3, None, Some(6))]);
}

/// The story: a shell whose prompt had lost its marks was never again at one, and its last command ran for ever.
#[test]
fn a_prompt_that_was_not_told_ends_the_command_before_it() {
    let mut session = Session::new();
    let begun = signed("B") + &signed("E;a") + &signed("C");
    session.print(begun.clone() + "x\r\n\x1b[?2004hmy> ");
    session.commands.take_for_prompt(&session.region, 5000);
    let all = session.all();
    assert_eq!(seen(&all), [(1, Some("a"), None)]);
    assert_eq!((session.printed(&all[0]).as_str(), all[0].finished_at_ms), ("x\r\n", Some(5000)));
    assert_eq!(session.commands.phase(), Phase::Prompt(session.region.held().end.0));
    assert_eq!((session.commands.prompts(), session.region.last_on_line()), (2, Some('>')));
    // What the shell tells then counts; the code is the one before's, which is over.
    session.print("b\r\n".to_owned() + &signed("D;3") + &signed("E;b") + &signed("C") + &signed("D;4"));
    assert_eq!(seen(&session.all()), [(1, Some("a"), None), (2, Some("b"), Some(4))]);
    // Without pastes it cannot be told where the prompt begins.
    session.print(begun + "y\r\nmy> ");
    session.commands.take_for_prompt(&session.region, 6000);
    assert_eq!(session.printed(&session.all()[2]), "y\r\nmy> ");
}

#[test]
fn a_shell_that_is_mute_speaks_again_by_any_mark() {
    let mut session = Session::new();
    session
        .print(signed("B") + &signed("E;a") + &signed("C") + &signed("D;1") + &signed("P;Integration=Off"));
    assert_eq!(
        (seen(&session.all()), session.commands.phase()),
        (vec![(1, Some("a"), Some(1))], Phase::Mute)
    );
    session.print("$ ".to_owned() + &signed("A") + &signed("B"));
    session.commands.note_mute();
    session.recover(session.region_memory(), session.commands.journal.memory().clone());
    assert_eq!(session.commands.phase(), Phase::Mute);
    session.print(signed("C"));
    assert_eq!(session.commands.phase(), Phase::Running);
}

#[test]
fn what_bash_prints_before_its_prompt_is_no_output() {
    let mut session = Session::new();
    session.print(signed("B") + &signed("E;a") + &signed("C") + "x\x1b[?2004h" + &signed("D;0"));
    session.print(signed("C") + &signed("D;1"));
    let all = session.all();
    assert_eq!((session.printed(&all[0]), session.printed(&all[1])), ("x".to_owned(), String::new()));
}

#[test]
fn marks_of_others_give_neither_text_nor_code() {
    let mut session = Session::new();
    session.print(signed("A") + "$ " + &signed("B") + "cat it\r\n" + &signed("E;cat it") + &signed("C"));
    for nonce in ["", ";", &format!(";{OTHER}"), ";07"] {
        for spoofed in ["D;0", "E;rm -rf /", "C", "A", "B", "D", "P;Cwd=/evil"] {
            session.print(format!("\x1b]633;{spoofed}{nonce}\x07\x1b]133;{spoofed}{nonce}\x1b\\"));
        }
    }
    assert_eq!(session.commands.count(), 1, "a shell inside is the same command");
    assert_eq!(session.commands.phase(), Phase::Running);
    session.print(signed("D;3"));
    let all = session.all();
    assert_eq!(seen(&all), [(1, Some("cat it"), Some(3))]);
    assert_eq!(all[0].cwd, None);
}

#[test]
fn a_shell_that_goes_away_ends_its_command_with_what_it_exited_with() {
    let mut session = Session::new();
    session.print(signed("A") + &signed("B") + &signed("E;exit 3") + &signed("C") + "exit\r\n");
    let end = session.region.held().end;
    session.commands.end(Some(3), end, 5000);
    session.commands.end(None, end, 6000);
    let all = session.all();
    assert_eq!(seen(&all), [(1, Some("exit 3"), Some(3))]);
    assert_eq!((session.printed(&all[0]).as_str(), all[0].finished_at_ms), ("exit\r\n", Some(5000)));
}

#[test]
fn a_start_without_an_end_before_it_ends_the_one_before() {
    let mut session = Session::new();
    session.print(signed("B") + &signed("E;a") + &signed("C") + "x" + &signed("E;b") + &signed("C"));
    assert_eq!(seen(&session.all()), [(1, Some("a"), None), (2, Some("b"), None)]);
    assert_eq!(session.commands.running().map(|command| command.number), Some(2));
    assert_eq!(session.all()[0].prompt, session.all()[1].prompt, "both were typed at one prompt");
}

#[test]
fn a_line_that_begins_with_a_space_and_is_not_in_the_shells_history_is_in_none() {
    let mut session = Session::new();
    let typed = |line: &str, told: &str| {
        signed("A")
            + "$ "
            + &signed("B")
            + "\x1b[?2004h\x1b[7m"
            + line
            + "\r\n"
            + &signed(told)
            + &signed("C")
            + &signed("D;0")
    };
    session.print(typed("ls", "E;ls"));
    session.print(typed("ls", "E;ls;repeated"));
    session.print(typed(" secret", "E;ls;repeated"));
    assert_eq!(
        seen(&session.all()),
        [(1, Some("ls"), Some(0)), (2, Some("ls"), Some(0)), (3, None, Some(0))]
    );
}

#[test]
fn the_oldest_go_when_there_are_many_or_they_are_long() {
    let mut session = Session::new();
    for number in 1..=MAX_COMMANDS + 5 {
        session.print(run(&format!("echo {number}"), "", 0));
    }
    assert_eq!((session.commands.kept(), session.commands.count()), (MAX_COMMANDS, MAX_COMMANDS + 5));
    assert_eq!(session.all()[0].text(), Some("echo 6"));
    let long = "x".repeat(MAX_COMMAND_BYTES + 1);
    for _ in 0..300 {
        ["A", "B", &format!("E;{long}"), "C", "D;0"].into_iter().for_each(|mark| session.tell(mark));
    }
    let all = session.all();
    assert!(session.commands.kept() < 120 && all.len() as u64 == session.commands.kept());
    assert!(all.iter().all(|command| command.is_truncated && command.text() == Some(&long[1..])));
    assert_eq!(session.commands.since(MAX_COMMANDS + 305).len(), 1);
}

#[test]
fn commands_before_the_ones_asked_for_are_not_read() {
    let mut session = Session::new();
    for number in 1..=5 {
        session.print(run(&format!("echo {number}"), "", 0));
    }
    let mut memory = session.commands.journal.memory().clone();
    let first = memory.windows(6).rposition(|window| window == b"echo 1").unwrap();
    memory[first] = 0xFF;
    let commands = Commands::recover(memory).unwrap();
    assert!(commands.since(1).is_empty(), "the first cannot be read");
    for from in 2..=6 {
        let numbers: Vec<u64> = commands.since(from).iter().map(|command| command.number).collect();
        assert_eq!(numbers, (from..=5).collect::<Vec<u64>>());
    }
    session.tell("A");
    session.tell("B");
    session.tell("C");
    assert_eq!(session.commands.since(6).len(), 1, "the one that runs");
    assert!(session.commands.since(7).is_empty() && session.commands.since(u64::MAX).is_empty());
}

#[test]
fn memory_of_an_earlier_release_holds_none_and_takes_none() {
    for byte in [0, 0xEE] {
        let mut session = Session::new();
        session.commands = Commands::recover(vec![byte; COMMANDS_BYTES]).unwrap();
        session.print(run("true", "", 0));
        assert_eq!((session.commands.count(), session.commands.integration()), (0, Integration::Unknown));
    }
    assert!(Commands::recover(vec![0; 100]).is_none());
}

fn any_command() -> impl Strategy<Value = (String, String, i32)> {
    let line = prop_oneof![4 => "[a-z|&\\\\;\n\"'?äß漢]{1,40}", 1 => "[ -~]{200,400}"];
    // Text with what looks like the end of a string in other encodings, and marks of others.
    let output = prop_oneof![
        4 => "[a-z\r\nŝ蜜\u{9C}]{0,60}".prop_map(|text| text),
        1 => Just("\x1b]633;D;0\x07\x1b]133;C\x1b\\".to_owned()),
    ];
    (line.prop_map(|line| line.trim_start().to_owned() + "x"), output, 0..256)
}

proptest! {
    /// Marks may be split at any byte over reads, end in either way, and the worker may be killed at any read: the same commands
    /// come out, each once.
    #[test]
    fn whatever_is_split_and_killed_the_same_commands_come_out(
        commands in proptest::collection::vec(any_command(), 1..12),
        reads in proptest::collection::vec((1..200_usize, prop_oneof![
            8 => Just(Kill::Never), 1 => Just(Kill::Clean), 1 => Just(Kill::BeforeCut), 1 => Just(Kill::BeforeShow),
        ]), 1..200),
        with_st in any::<bool>(),
    ) {
        let mut printed: String = commands.iter().map(|(line, output, code)| run(line, output, *code)).collect();
        if with_st {
            printed = printed.replace(&format!("{NONCE}\x07"), &format!("{NONCE}\x1b\\"));
        }
        let mut session = Session::new();
        let (mut rest, mut reads) = (printed.as_bytes(), reads.iter().cycle());
        while !rest.is_empty() {
            let (most, kill) = *reads.next().unwrap();
            let (read, behind) = rest.split_at(most.min(rest.len()));
            session.print_until(read, kill);
            rest = behind;
        }
        let all = session.all();
        prop_assert_eq!(all.len(), commands.len());
        for ((command, (line, output, code)), number) in all.iter().zip(&commands).zip(1..) {
            prop_assert_eq!((command.number, command.prompt), (number, number));
            prop_assert_eq!((command.text(), command.exit_code), (Some(line.as_str()), Some(*code)));
            prop_assert_eq!(&session.printed(command), output);
        }
    }
}
