//! What a session's program finds, and what becomes of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsFd;

use devpocket_shared::ids::TerminalSize;
use devpocket_shared::wire::{ErrorCode, Spec};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;
use ptyd::handover::{ExitStatus, Target, ToKeeper};

use crate::node::{Node, is_root, shell_user, state_of, wait_until};
use crate::worker::{REGION_BYTES, Worker, command, owner};

#[test]
fn a_session_sees_nothing_of_the_daemon() {
    let node = Node::start();
    let mut worker = node.serving();
    let user = shell_user();

    let session =
        worker.spawn(Spec { environment: vec![("ASKED".into(), "für".into())], ..command(&["env"]) });
    let output = session.all_output();
    let found: BTreeSet<&str> = output.lines().collect();
    let home = user.dir.display();
    let expected = [
        "ASKED=für".to_owned(),
        "COLORTERM=truecolor".to_owned(),
        format!("DEVPOCKET_SESSION={}", session.id),
        format!("HOME={home}"),
        format!("LOGNAME={}", user.name),
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        format!("SHELL={}", user.shell.display()),
        "TERM=xterm-256color".to_owned(),
        format!("USER={}", user.name),
    ];
    let (lang, found): (Vec<&str>, BTreeSet<&str>) = split(found, "LANG=");
    assert!(lang.len() == 1 && lang[0].to_lowercase().contains("utf"), "{lang:?}");
    assert_eq!(found, expected.iter().map(String::as_str).collect());

    let output = worker.spawn(command(&["ls", "-l", "/proc/self/fd"])).all_output();
    let open: Vec<&str> =
        output.lines().filter_map(|line| line.split_once(" -> ")).map(|(_, to)| to.trim()).collect();
    assert_eq!(open.len(), 4, "{output}");
    assert!(open[..3].iter().all(|to| to.starts_with("/dev/pts/")), "{output}");
    assert!(open[3].starts_with("/proc/"), "ls itself has its directory open: {output}");

    let output = worker.spawn(command(&["cat", "/proc/self/status"])).all_output();
    for line in ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"] {
        assert!(output.contains(line), "{output}");
    }
}

#[test]
fn a_session_has_a_terminal_of_its_own() {
    let node = Node::start();
    let mut worker = node.serving();
    let spec = command(&[
        "sh",
        "-c",
        "stty -a; tty; echo written > $(tty) && ps -o pid=,sid=,tpgid= -p $$; pwd; umask; ulimit -c; ulimit -n",
    ]);
    let session = worker.spawn(Spec { size: TerminalSize::new(33, 101).unwrap(), ..spec });
    let output = session.all_output();
    for part in
        ["rows 33; columns 101;", "iutf8", "/dev/pts/", "written", &shell_user().dir.display().to_string()]
    {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("-iutf8"), "{output}");
    let pid = session.pid.to_string();
    let job_control =
        output.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == [&*pid, &*pid, &*pid]);
    assert!(job_control, "{output}");
    let last: Vec<&str> = output.lines().rev().take(3).collect();
    assert_eq!(last[1..], ["0", "0022"], "{output}");
    assert!(last[0].parse::<u64>().unwrap() >= 1024, "{output}");
}

#[test]
fn without_a_command_it_is_a_login_shell_at_home() {
    let node = Node::start();
    let mut worker = node.serving();
    let shell = worker.spawn(command(&[]));
    shell.type_text("echo \"[$0]\" \"[$PWD]\"\n");
    let name = shell_user().shell.file_name().unwrap().to_string_lossy().into_owned();
    shell.output_with(&format!("[-{name}] [{}]", shell_user().dir.display()));
    shell.type_text("exit 3\n");
    assert_eq!(worker.exit_of(shell.id), ExitStatus::Code(3));
}

#[test]
fn how_a_leader_ended_is_reported() {
    let node = Node::start();
    let mut worker = node.serving();
    let session = worker.sh("exit 7");
    assert_eq!(worker.exit_of(session.id), ExitStatus::Code(7));
    let session = worker.sh("kill -KILL $$");
    assert_eq!(worker.exit_of(session.id), ExitStatus::Signal(Signal::SIGKILL as i32));
}

#[test]
fn the_ring_can_never_change_its_size() {
    let node = Node::start();
    let session = node.serving().sh("exec sleep 100");
    assert_eq!(u64::try_from(fstat(&session.ring).unwrap().st_size), Ok(REGION_BYTES));
    assert_eq!(ftruncate(&session.ring, 0), Err(Errno::EPERM));
    assert_eq!(ftruncate(&session.ring, 1 << 22), Err(Errno::EPERM));
    let more = SealFlag::F_SEAL_FUTURE_WRITE;
    assert_eq!(fcntl(session.ring.as_fd(), FcntlArg::F_ADD_SEALS(more)), Err(Errno::EPERM));
}

#[test]
fn what_cannot_be_started_is_said_with_its_reason_and_leaves_nothing() {
    let node = Node::start();
    let mut worker = node.serving();
    let open_before = open_files(&node);
    let mut check = |spec: Spec, code: ErrorCode, reason: &str| {
        let (found, message) = worker.try_spawn(owner(1), spec).err().expect("not started");
        assert_eq!(found, code, "{message}");
        assert!(message.contains(reason), "{message}");
    };
    let failed = ErrorCode::SpawnFailed;
    let at = |directory: &str| Spec { working_directory: Some(directory.into()), ..command(&["true"]) };
    check(command(&["no-such-program"]), failed, "program could not be started: No such file or directory");
    check(command(&["/etc/passwd"]), failed, "program could not be started: Permission denied");
    check(at("/no/such/directory"), failed, "working directory cannot be entered: No such file or directory");
    check(at("/etc/passwd"), failed, "working directory cannot be entered: Not a directory");
    check(command(&["nul\0"]), ErrorCode::InvalidField, "command");
    let variable = ("DEVPOCKET_SESSION".to_owned(), "mine".to_owned());
    check(Spec { environment: vec![variable], ..command(&["true"]) }, ErrorCode::InvalidField, "environment");

    wait_until("nothing is left of it", || open_files(&node) == open_before && children(&node).is_empty());
    if let Some(cgroups) = cgroups(&node) {
        wait_until("no control group is left", || directories(&cgroups) == 0);
    }
    assert_eq!(worker.spawn(at("/tmp")).pid.as_raw().signum(), 1, "and the next one starts");
}

#[test]
fn one_account_only_is_served() {
    let node = Node::start();
    let mut worker = node.serving();
    worker.sh("exit 0");
    let refused = |worker: &mut Worker| worker.try_spawn(owner(2), command(&["true"])).err().unwrap().0;
    assert_eq!(refused(&mut worker), ErrorCode::LocalSessionsUnavailable);
    let kept = fs::read_to_string(node.state_dir().join("owner")).unwrap();
    assert_eq!(kept.trim(), owner(1).to_string());
    worker.kill();
    let mut worker = node.serving();
    assert_eq!(refused(&mut worker), ErrorCode::LocalSessionsUnavailable);
}

/// The story: a node belonged for ever to the first account that opened a session there, long after it was deleted.
#[test]
fn an_operator_lets_another_account_in_once_nothing_of_the_first_runs() {
    let node = Node::start();
    let mut worker = node.serving();
    let first = worker.sh("exec sleep 1000");
    let file = node.state_dir().join("owner");
    let refused = |worker: &mut Worker| worker.try_spawn(owner(2), command(&["true"])).err().unwrap();
    let (code, message) = refused(&mut worker);
    assert!(
        code == ErrorCode::LocalSessionsUnavailable && message.contains("the file owner in PTYD_STATE_DIR")
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(refused(&mut worker).0, ErrorCode::LocalSessionsUnavailable, "it runs still");
    kill(first.pid, Signal::SIGKILL).unwrap();
    wait_until("another account is let in", || worker.try_spawn(owner(2), command(&["true"])).is_ok());
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), owner(2).to_string());
    let (code, _) = worker.try_spawn(owner(1), command(&["true"])).err().unwrap();
    assert_eq!(code, ErrorCode::LocalSessionsUnavailable);
}

#[test]
fn a_full_node_says_so_and_has_room_again_when_a_session_ends() {
    let node = Node::start_with(|command| {
        command.arg("--max-sessions").arg("2");
    });
    let mut worker = node.worker();
    let (welcome, _, _) = worker.take_over();
    assert_eq!(welcome.capacity, 2);
    let first = worker.sh("exec cat");
    worker.sh("exec cat");
    let (code, _) = worker.try_spawn(owner(1), command(&["true"])).err().unwrap();
    assert_eq!(code, ErrorCode::NodeFull);
    worker.say(&ToKeeper::Terminate { session_id: first.id });
    assert_eq!(worker.exit_of(first.id), ExitStatus::Signal(Signal::SIGHUP as i32));
    worker.sh("exec cat");
}

#[test]
fn a_fork_bomb_is_stopped_by_its_limits_and_disturbs_no_other_session() {
    let node = Node::start();
    let mut worker = node.serving();
    let bomb = worker.sh("trap '' HUP; bomb() { bomb | bomb & }; bomb; exec sleep 1000");
    if let Some(cgroups) = cgroups(&node) {
        let events = cgroups.join(bomb.id.to_string()).join("pids.events");
        wait_until("the limit is hit", || {
            fs::read_to_string(&events).is_ok_and(|text| text.trim() != "max 0")
        });
    } else {
        bomb.output_with("fork");
    }
    let other = worker.sh("echo $((6*7)); exec sleep 1000");
    other.output_with("42");
    worker.say(&ToKeeper::Terminate { session_id: bomb.id });
    // Its leader is gone at the first signal it cannot ignore; all the rest of it must be, too.
    worker.exit_of(bomb.id);
    if let Some(cgroups) = cgroups(&node) {
        wait_until("the bomb is gone", || directories(&cgroups) == 1);
    }
    assert_eq!(state_of(other.pid), Some('S'));
}

#[test]
fn the_foreground_gets_a_signal_and_the_shell_does_not() {
    let node = Node::start();
    let mut worker = node.serving();
    let shell = worker.spawn(command(&["bash", "--norc", "--noprofile", "-i"]));
    shell.type_text("sleep 1000; echo \"[ended by $?]\"\n");
    wait_until("sleep is in the foreground", || {
        foreground_of(&shell).is_some_and(|group| group != shell.pid.as_raw())
    });
    worker.signal(&shell, Signal::SIGTERM, Target::Foreground);
    shell.output_with("[ended by 143]");
    worker.signal(&shell, Signal::SIGSEGV, Target::Foreground);
    worker.signal(&shell, Signal::SIGKILL, Target::Session);
    assert_eq!(
        worker.exit_of(shell.id),
        ExitStatus::Signal(Signal::SIGKILL as i32),
        "SIGSEGV is not for sessions"
    );
}

#[test]
fn as_root_a_shell_is_nobody_of_importance() {
    if !is_root() {
        return;
    }
    let node = Node::start();
    let mut worker = node.serving();
    let keeper = node.pid();
    let output = worker
        .sh(&format!(
            "id -u; id -ru; id -G; ls -l $(tty); cat /proc/{keeper}/environ; ls /proc/{keeper}/fd; kill -0 {keeper}; \
             kill -0 {worker}; cat /proc/{worker}/environ; cat {state}/link_secrets; echo '[done]'",
            worker = worker.pid,
            state = node.state_dir().display(),
        ))
        .output_with("[done]");
    let user = shell_user();
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..3], [&*uid, &*uid, &*gid], "{output}");
    assert!(lines[3].starts_with("crw--w---- 1 devpocket-shell tty"), "{output}");
    assert_eq!(output.matches("Permission denied").count(), 4, "{output}");
    assert_eq!(output.matches("not permitted").count(), 2, "{output}");
    assert!(!output.contains("hunter2"));
}

fn split<'a>(lines: BTreeSet<&'a str>, prefix: &str) -> (Vec<&'a str>, BTreeSet<&'a str>) {
    let (with, without): (Vec<&str>, Vec<&str>) =
        lines.into_iter().partition(|line| line.starts_with(prefix));
    (with, without.into_iter().collect())
}

fn foreground_of(session: &crate::worker::Session) -> Option<i32> {
    nix::unistd::tcgetpgrp(session.master.as_ref()?).ok().map(nix::unistd::Pid::as_raw)
}

/// Where the keeper has the control groups of its sessions, if it has any.
fn cgroups(node: &Node) -> Option<std::path::PathBuf> {
    let node_id = fs::read_to_string(node.state_dir().join("node_id")).unwrap();
    let path = std::path::Path::new("/sys/fs/cgroup/pids").join(format!("devpocket-{}", node_id.trim()));
    path.exists().then_some(path)
}

fn directories(path: &std::path::Path) -> usize {
    fs::read_dir(path).unwrap().flatten().filter(|entry| entry.path().is_dir()).count()
}

/// How many descriptors the keeper has open; only root may look into what is not dumpable.
fn open_files(node: &Node) -> Option<usize> {
    fs::read_dir(format!("/proc/{}/fd", node.pid())).ok().map(Iterator::count)
}

/// The children of the keeper, its worker aside.
fn children(node: &Node) -> Vec<String> {
    let keeper = node.pid().to_string();
    let stats = fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let of_keeper = stats.filter(|stat| {
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        parent == Some(&*keeper) && !stat.contains("(stand_in")
    });
    of_keeper.collect()
}

/// A full disk is no fault of whoever asks, and they may ask again.
#[test]
fn an_owner_that_cannot_be_kept_is_the_nodes_trouble_for_now() {
    let node = Node::start();
    let mut worker = node.serving();
    let in_the_way = node.state_dir().join(".owner.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let (code, _) = worker.try_spawn(owner(1), command(&["true"])).err().unwrap();
    assert!(code == ErrorCode::NodeUnavailable && code.retryable());
    std::fs::remove_dir(&in_the_way).unwrap();
    worker.sh("exec cat");
}
