//! The bytes of every message, pinned: two neighbouring releases must understand each other.

use bytes::BytesMut;
use uuid::Uuid;

use super::*;
use crate::ids::{BootId, ClientId, NodeId, Offset, Seq, SessionId, TerminalSize, UserId};
use codec::Message;

#[test]
fn requests_keep_their_bytes() {
    check(
        &Hello {
            version: 1,
            features: 0,
            node_id: Some(NodeId::new(id(1))),
            boot_id: None,
            request_id: "r".to_owned(),
        },
        "01000101010101010101010101010101010101000172",
    );
    check(
        &Request::Create(create()),
        "000202020202020202020202020202020203030303030303030303030303030303010163017201016e010273680001014101621850010101630101011850010101fc0000010002",
    );
    check(
        &Request::Attach { owner: UserId::new(id(2)), session_id: SessionId::new(id(3)), attach: attach() },
        "0102020202020202020202020202020202030303030303030303030303030303030101630101011850010101fc0000010002",
    );
    check(&Request::List { owner: UserId::new(id(2)) }, "0202020202020202020202020202020202");
    check(
        &Request::Terminate { owner: UserId::new(id(2)), session_id: SessionId::new(id(3)) },
        "030202020202020202020202020202020203030303030303030303030303030303",
    );
    check(&Request::Info, "04");
    let (owner, session_id) = (UserId::new(id(2)), SessionId::new(id(3)));
    check(
        &Request::Screen { owner, session_id, format: ScreenFormat::Json },
        "05020202020202020202020202020202020303030303030303030303030303030303",
    );
    check(
        &Request::History { owner, session_id, before_line: Some(300), lines: 5000 },
        "06020202020202020202020202020202020303030303030303030303030303030301fb2c01fb8813",
    );
}

#[test]
fn answers_keep_their_bytes() {
    check(
        &Answer::Created { session_id: SessionId::new(id(3)), existing: true },
        "000303030303030303030303030303030301",
    );
    let attached = Attached {
        session_id: SessionId::new(id(3)),
        resume: Resume::Replay,
        offset: Offset(70_000),
        input_seq: Some(Seq(7)),
        input_uncertain: None,
        window: Some(4096),
        size: TerminalSize::DEFAULT,
    };
    check(
        &Answer::Attached(attached.clone()),
        "010303030303030303030303030303030301fc7011010001070001fb00101850",
    );
    check(
        &Answer::AttachedWaiting { attached, input_queued: Seq(9) },
        "0a0303030303030303030303030303030301fc7011010001070001fb0010185009",
    );
    check(&Answer::Sessions(vec![info()]), "0201030303030303030303030303030303030005185001fb2c010100010100");
    check(
        &Answer::Node(NodeInfo {
            node_id: NodeId::new(id(1)),
            boot_id: BootId::new(id(4)),
            sessions: 2,
            capacity: 1000,
        }),
        "03010101010101010101010101010101010404040404040404040404040404040402fbe803",
    );
    check(&Answer::Done, "04");
    let failure = Failure { code: ErrorCode::Internal, message: "m".to_owned(), expected: Some(Seq(2)) };
    check(&Answer::Failed(failure), "0511016d0102");
    check(
        &Answer::Screen { offset: Offset(9), size: TerminalSize::DEFAULT, text: "s".to_owned() },
        "060918500173",
    );
    check(&Answer::History { first_line: 1, lines: vec!["l".to_owned()], total: 2 }, "070101016c02");
}

#[test]
fn what_is_asked_without_attaching_keeps_its_bytes() {
    let (owner, session_id) = (UserId::new(id(2)), SessionId::new(id(3)));
    let limits = Limits { idle_timeout_secs: Some(60), max_duration_secs: None };
    check(
        &Request::CreateLimited { create: create(), limits },
        "070202020202020202020202020202020203030303030303030303030303030303010163017201016e010273680001014101621850010101630101011850010101fc0000010002013c00",
    );
    let update = Update {
        name: Change::Set("n".to_owned()),
        idle_timeout_secs: Change::Keep,
        max_duration_secs: Change::Clear,
        size: Some(TerminalSize::DEFAULT),
    };
    check(
        &Request::Update { owner, session_id, update },
        "08020202020202020202020202020202020303030303030303030303030303030302016e0001011850",
    );
    check(
        &Request::Input { owner, session_id, bytes: vec![3, 0].into() },
        "090202020202020202020202020202020203030303030303030303030303030303020300",
    );
    check(
        &Request::Kill { owner, session_id },
        "0a0202020202020202020202020202020203030303030303030303030303030303",
    );
    check(
        &Request::Discard { owner, session_id },
        "0b0202020202020202020202020202020203030303030303030303030303030303",
    );
    check(
        &Request::Details { owner, session_ids: vec![session_id] },
        "0c020202020202020202020202020202020103030303030303030303030303030303",
    );
    check(&Request::Roll { owner: None, after: Some(session_id) }, "0d000103030303030303030303030303030303");
    check(&Request::Roll { owner: Some(owner), after: None }, "0d010202020202020202020202020202020200");
    let details = SessionDetails {
        info: SessionInfo { exit: None, reason: Some(EndReason::MaxDuration), ..info() },
        title: "t".to_owned(),
        cwd: Some("/".to_owned()),
        last_activity_at_ms: 6,
        ended_at_ms: Some(7),
        limits: Limits { idle_timeout_secs: None, max_duration_secs: Some(1) },
    };
    check(
        &Answer::Details(vec![details]),
        "0801030303030303030303030303030303030005185001fb2c01000102017401012f060107000101",
    );
    let entry = RollEntry { session_id, owner, attached_clients: 1, bytes_out: 2, exit: Some(Exit::Code(3)) };
    check(
        &Answer::Roll { sessions: vec![entry], more: true },
        "09010303030303030303030303030303030302020202020202020202020202020202010201000601",
    );
    check(
        &ToApi::Ended { offset: Offset(4), exit: Exit::Code(0), reason: Some(EndReason::IdleTimeout) },
        "030400000101",
    );
}

#[test]
fn what_is_said_of_commands_keeps_its_bytes() {
    let (owner, session_id) = (UserId::new(id(2)), SessionId::new(id(3)));
    check(
        &Request::Commands { owner, session_id, before: Some(9), skip: 1, most: 500 },
        "0e0202020202020202020202020202020203030303030303030303030303030303010901fbf401",
    );
    check(
        &Request::StartCommand { owner, session_id, command: "c".to_owned().into() },
        "0f02020202020202020202020202020202030303030303030303030303030303030163",
    );
    check(
        &Request::AwaitCommand { owner, session_id, number: 4, wait_ms: 5000 },
        "10020202020202020202020202020202020303030303030303030303030303030304fb8813",
    );
    check(&Answer::DetailsCounted(Vec::new()), "0b00");
    check(
        &Answer::Commands { commands: vec![command()], total: 3 },
        "0c0104050101630001012f0601070800010103",
    );
    check(&Answer::CommandStarted { number: 4 }, "0d04");
    let result = CommandResult {
        command: command(),
        is_over: true,
        output: "o".to_owned().into(),
        is_output_truncated: false,
    };
    check(&Answer::CommandResult(Box::new(result)), "0e04050101630001012f0601070800010101016f00");
    check(&ToApi::CommandStarted(command()), "0e04050101630001012f06010708000101");
    check(&ToApi::CommandFinished(command()), "0f04050101630001012f06010708000101");
}

#[test]
fn the_largest_lists_fit_into_a_control_message() {
    let passes = |message: Answer| {
        let mut bytes = BytesMut::new();
        frame::put_control(&mut bytes, &message).unwrap();
        let frame = Frame::take(&mut bytes).unwrap().unwrap();
        assert_eq!(frame.control::<Answer>().unwrap(), message);
    };
    let details = SessionDetails {
        info: SessionInfo {
            name: Some("x".repeat(Spec::MAX_NAME_BYTES)),
            created_at_ms: u64::MAX,
            bytes_out: u64::MAX,
            exit: Some(Exit::Signal("x".repeat(16))),
            ..info()
        },
        title: "x".repeat(details::MAX_DETAIL_BYTES),
        cwd: Some("x".repeat(details::MAX_DETAIL_BYTES)),
        last_activity_at_ms: u64::MAX,
        ended_at_ms: Some(u64::MAX),
        limits: Limits { idle_timeout_secs: Some(u32::MAX), max_duration_secs: Some(u32::MAX) },
    };
    passes(Answer::Details(vec![details; details::MAX_DETAILS]));
    let entry = RollEntry {
        session_id: SessionId::new(id(3)),
        owner: UserId::new(id(2)),
        attached_clients: u32::MAX,
        bytes_out: u64::MAX,
        exit: Some(Exit::Signal("x".repeat(10))),
    };
    passes(Answer::Roll { sessions: vec![entry; details::MAX_ROLL], more: true });
    let (owner, session_id) = (UserId::new(id(2)), SessionId::new(id(3)));
    let mut bytes = BytesMut::new();
    let input = Request::Input { owner, session_id, bytes: vec![b'x'; details::MAX_INPUT_BYTES].into() };
    frame::put_control(&mut bytes, &input).unwrap();
    let frame = Frame::take(&mut bytes).unwrap().unwrap();
    assert_eq!(frame.control::<Request>().unwrap(), input);
}

#[test]
fn messages_to_ptyd_keep_their_bytes() {
    check(&ToPtyd::Ack { offset: Offset(1) }, "0001");
    check(&ToPtyd::Resize { tag: 1, size: TerminalSize::DEFAULT, claim: true }, "0101185001");
    check(&ToPtyd::Signal { tag: 0, signal: Signal::Winch }, "020009");
    check(&ToPtyd::Key { tag: 0, byte: 3 }, "030003");
    check(&ToPtyd::Paste { tag: 0, seq: Some(Seq(1)), text: "p".to_owned().into() }, "040001010170");
    check(&ToPtyd::Detach, "05");
    check(&ToPtyd::Terminate { tag: 9 }, "0609");
    check(&ToPtyd::History { tag: 1, before_line: Some(2), lines: 5000 }, "07010102fb8813");
}

#[test]
fn messages_to_the_api_keep_their_bytes() {
    check(&ToApi::InputAck { seq: Seq(1) }, "0001");
    check(&ToApi::Resized { offset: Offset(2), size: TerminalSize::DEFAULT }, "01021850");
    let failure = Failure { code: ErrorCode::BadJson, message: String::new(), expected: None };
    check(&ToApi::Error { tag: 3, failure }, "0203000000");
    check(
        &ToApi::Ended { offset: Offset(4), exit: Exit::Signal("SIGHUP".to_owned()), reason: None },
        "0304010653494748555000",
    );
    check(&ToApi::Superseded, "04");
    check(&ToApi::Draining, "05");
    check(&ToApi::Title { text: "t".to_owned() }, "060174");
    check(&ToApi::Bell, "07");
    check(&ToApi::Clipboard { text: "c".to_owned().into() }, "080163");
    check(&ToApi::Cwd { text: "/".to_owned() }, "09012f");
    check(&ToApi::Notify { text: "n".to_owned() }, "0a016e");
    let echo = ToApi::Echo {
        offset: Offset(1),
        echo: true,
        canonical: false,
        alternate_screen: true,
        input_seq: Some(Seq(2)),
    };
    check(&echo, "0b010100010102");
    let page = ToApi::History { tag: 1, first_line: 2, lines: vec!["l".to_owned(), String::new()], total: 4 };
    check(&page, "0c010202016c0004");
    check(&ToApi::InputUncertain { seq: Seq(3) }, "0d03");
}

#[test]
fn the_largest_texts_fit_into_a_control_message() {
    let passes = |message: ToApi| {
        let mut bytes = BytesMut::new();
        frame::put_control(&mut bytes, &message).unwrap();
        let frame = Frame::take(&mut bytes).unwrap().unwrap();
        assert_eq!(frame.control::<ToApi>().unwrap(), message);
    };
    // While a list is read each entry that is still to come counts as well: the worst is a long line before many.
    let mut lines = vec![String::new(); message::MAX_HISTORY_LINES as usize];
    lines[0] = "x".repeat(message::MAX_TEXT_BYTES);
    passes(ToApi::History { tag: u32::MAX, first_line: u64::MAX, lines: lines.clone(), total: u64::MAX });
    lines.reverse();
    passes(ToApi::History { tag: u32::MAX, first_line: u64::MAX, lines, total: u64::MAX });
    passes(ToApi::Clipboard { text: "x".repeat(100 << 10).into() });
    let longest = Some("x".repeat(commands::MAX_COMMAND_BYTES));
    let command = Command { text: longest.clone().map(Into::into), cwd: longest, ..command() };
    passes(ToApi::CommandFinished(command.clone()));
    let mut bytes = BytesMut::new();
    let most = message::MAX_TEXT_BYTES / (2 * commands::MAX_COMMAND_BYTES + commands::FIXED_BYTES);
    for commands in
        [vec![command; most], vec![self::command(); message::MAX_TEXT_BYTES / commands::FIXED_BYTES]]
    {
        frame::put_control(&mut bytes, &Answer::Commands { commands, total: u64::MAX }).unwrap();
        Frame::take(&mut bytes).unwrap().unwrap().control::<Answer>().unwrap();
    }
}

#[test]
fn raw_frames_keep_their_bytes() {
    let mut bytes = BytesMut::new();
    frame::put_output_header(&mut bytes, Offset(258), 1);
    bytes.extend_from_slice(b"x");
    assert_eq!(hex(&bytes), "0000000901000000000000010278");
    let frame = Frame::take(&mut bytes).unwrap().unwrap();
    assert_eq!(frame.output().unwrap(), (Offset(258), &b"x"[..]));
    assert_eq!(hex(&frame.into_channel_frame(0x01, 5)), "010005000000000000010278");

    let header = frame::SnapshotHeader {
        offset: Offset(1),
        size: TerminalSize::DEFAULT,
        reason: SnapshotReason::Lagged,
        more: true,
    };
    frame::put_snapshot(&mut bytes, header, b"s");
    assert_eq!(hex(&bytes), "0000000e020000000000000001005000188173");
    let frame = Frame::take(&mut bytes).unwrap().unwrap();
    assert_eq!(frame.snapshot().unwrap(), (header, &b"s"[..]));

    frame::put_input(&mut bytes, 1, Some(Seq(2)), b"i");
    assert_eq!(hex(&bytes), "0000000d0300000001000000000000000269");
    let input = Frame::take(&mut bytes).unwrap().unwrap().into_input().unwrap();
    assert_eq!((input.tag, input.seq, &input.bytes.0[..]), (1, Some(Seq(2)), &b"i"[..]));
}

#[test]
fn hostile_frames_cost_an_error_and_no_memory() {
    let check = |bytes: &[u8]| Frame::take(&mut BytesMut::from(bytes));
    assert!(matches!(check(&[0xFF, 0xFF, 0xFF, 0xFF, 0]), Err(FrameError::TooLong(_))));
    assert!(matches!(check(&[0, 0, 0, 0, 9]), Err(FrameError::UnknownKind(9))));
    assert!(matches!(check(&[0, 0, 0, 9]), Ok(None)));
    let short = check(&[0, 0, 0, 1, 1, 7]).unwrap().unwrap();
    assert!(matches!(short.output(), Err(FrameError::Malformed)));
    // A list that claims to have 2^64-1 entries.
    let claim = [2, 0xFD, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert!(codec::decode::<Answer>(&claim).is_err());
    // The same in a page of history, in details, and on a roll, and a text that claims as much.
    for before in [&[7, 0][..], &[6, 0, 0x18, 0x50], &[8], &[9]] {
        assert!(codec::decode::<Answer>(&[before, &claim[1..]].concat()).is_err());
    }
    for before in [&[12, 0, 0][..], &[6], &[8], &[9], &[10]] {
        assert!(codec::decode::<ToApi>(&[before, &claim[1..]].concat()).is_err());
    }
    assert!(matches!(codec::decode::<ToPtyd>(&[5, 0]), Err(codec::CodecError::Trailing(1))));
}

fn check<T: Message + PartialEq + std::fmt::Debug>(message: &T, expected: &str) {
    let bytes = codec::encode(message).unwrap();
    assert_eq!(hex(&bytes), expected, "{message:?}");
    assert_eq!(&codec::decode::<T>(&bytes).unwrap(), message);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn id(byte: u8) -> Uuid {
    Uuid::from_bytes([byte; 16])
}

fn command() -> Command {
    Command {
        number: 4,
        prompt: 5,
        text: Some("c".to_owned().into()),
        is_truncated: false,
        cwd: Some("/".to_owned()),
        from: Offset(6),
        to: Some(Offset(7)),
        started_at_ms: 8,
        finished_at_ms: None,
        exit_code: Some(-1),
    }
}

fn info() -> SessionInfo {
    SessionInfo {
        session_id: SessionId::new(id(3)),
        name: None,
        created_at_ms: 5,
        size: TerminalSize::DEFAULT,
        attached_clients: 1,
        bytes_out: 300,
        exit: Some(Exit::Code(-1)),
        reason: Some(EndReason::Terminated),
    }
}

fn attach() -> Attach {
    Attach {
        client_id: Some(ClientId::try_from("c".to_owned()).unwrap()),
        offset: Some(Offset(1)),
        size: Some(TerminalSize::DEFAULT),
        mode: AttachMode::View,
        delivery: Delivery::Realtime,
        window: Some(65_536),
        scrollback: 2,
    }
}

fn create() -> Create {
    Create {
        owner: UserId::new(id(2)),
        session_id: SessionId::new(id(3)),
        key: Some(CreationKey {
            client_id: ClientId::try_from("c".to_owned()).unwrap(),
            request_id: "r".to_owned(),
        }),
        spec: Spec {
            name: Some("n".to_owned()),
            command: vec!["sh".to_owned()],
            working_directory: None,
            environment: vec![("A".to_owned(), "b".to_owned())],
            size: TerminalSize::DEFAULT,
        },
        attach: Some(attach()),
    }
}
