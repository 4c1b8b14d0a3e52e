//! How the keeper starts, what it refuses, and what a worker is given.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use devpocket_shared::certificates::make_all;
use nix::unistd::User;
use ptyd::handover::{Descriptor, ToKeeper};

use crate::certificates::content;
use crate::node::{Node, SHELL_USER, as_shell_user, is_root, put, runs, shell_user, wait_until};
use crate::worker::Session;

/// A user that is on every host, and neither the shells' nor the worker's.
const LINK_USER: &str = "daemon";

#[test]
fn a_worker_is_given_sockets_keys_and_nothing_else() {
    let certificates = tempfile::tempdir().unwrap();
    make_all(certificates.path()).unwrap();
    let node = Node::start_with(|command| {
        command.args(["--link-listen", "127.0.0.1:0", "--link-cert-dir"]).arg(certificates.path());
    });
    let mut worker = node.worker();
    let (welcome, descriptors, sessions) = worker.take_over();
    assert!(sessions.is_empty() && welcome.sessions == 0 && welcome.capacity > 0);
    assert_eq!(welcome.ring_bytes, 1 << 20);
    assert_eq!(
        welcome.descriptors,
        [
            Descriptor::LinkListener,
            Descriptor::LinkUdp,
            Descriptor::LinkSecrets,
            Descriptor::LinkCa,
            Descriptor::LinkCertificate,
            Descriptor::LinkKey,
        ]
    );
    let mut descriptors = descriptors.into_iter();
    let listener = UnixListener::from(descriptors.next().unwrap());
    listener.set_nonblocking(false).unwrap();
    let _client = UnixStream::connect(node.state_dir().join("ptyd.sock")).unwrap();
    listener.accept().unwrap();
    assert_ne!(UdpSocket::from(descriptors.next().unwrap()).local_addr().unwrap().port(), 0);
    let files: Vec<Vec<u8>> = descriptors.map(|descriptor| content(&File::from(descriptor))).collect();
    assert_eq!(files[0], fs::read(node.state_dir().join("link_secrets")).unwrap());
    assert_eq!(files[0].len(), 64);
    let made =
        ["ca.pem", "ptyd.pem", "ptyd.key"].map(|name| fs::read(certificates.path().join(name)).unwrap());
    assert_eq!(files[1..], made);

    // The process itself: its standard descriptors and the one to the test, by which it lets go of the keeper's.
    let open = || fs::read_dir(format!("/proc/{}/fd", worker.pid)).unwrap().count();
    wait_until("its descriptors are its own four", || open() == 4);
    let environment = fs::read(format!("/proc/{}/environ", worker.pid)).unwrap();
    let environment: Vec<&[u8]> =
        environment.split(|byte| *byte == 0).filter(|text| !text.is_empty()).collect();
    assert_eq!(environment, [&b"PTYD_LOG=debug"[..], b"PATH=/usr/local/bin:/usr/bin:/bin"]);
    let owner = fs::metadata(format!("/proc/{}", worker.pid)).unwrap().uid();
    let expected =
        if is_root() { User::from_name("devpocket-worker") } else { User::from_uid(nix::unistd::geteuid()) };
    assert_eq!(owner, expected.unwrap().unwrap().uid.as_raw());
}

/// Each worker once bound it anew, and tried for ever, in silence, where somebody else listened.
#[test]
fn metrics_are_listened_for_from_the_start_and_a_place_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let mut command = Node::command(dir.path(), Path::new(env!("CARGO_BIN_EXE_ptyd")));
    assert!(!command.args(["--metrics-listen", &address]).status().unwrap().success());
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains(&format!("cannot listen on PTYD_METRICS_LISTEN {address}")), "{log}");
    drop(taken);

    let node = Node::start_with(|command| {
        command.args(["--metrics-listen", &address]);
    });
    let _scraper = TcpStream::connect(&address).expect("it waits for a worker that takes it");
    let mut worker = node.worker();
    let (welcome, descriptors, _) = worker.take_over();
    let mut given = welcome.descriptors.iter().zip(descriptors);
    let (_, listener) = given.find(|(kind, _)| **kind == Descriptor::Metrics).expect("a listener");
    let listener = TcpListener::from(listener);
    listener.set_nonblocking(false).unwrap();
    listener.accept().unwrap();
}

/// It reads what anybody sends: whoever gets hold of it must not get further by a set-user-id program.
#[test]
fn a_worker_can_gain_no_rights_and_a_shell_can() {
    let node = Node::start();
    let mut worker = node.serving();
    let status = |pid| fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of_worker = status(worker.pid);
    assert!(of_worker.contains("NoNewPrivs:\t1\n"), "{of_worker}");
    assert!(!is_root() || of_worker.contains("CapBnd:\t0000000000000000\n"), "{of_worker}");
    let shell = worker.sh("exec cat");
    // Sudo is a shell's user's own affair.
    assert!(!status(shell.pid).contains("NoNewPrivs:\t1\n"));
}

#[test]
fn state_and_socket_are_for_the_owner_alone() {
    let node = Node::start();
    let mode = |path: &str| fs::metadata(node.state_dir().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("."), mode("ptyd.sock"), mode("link_secrets")), (0o700, 0o600, 0o600));
    assert_eq!((mode("keeper.pid"), mode("node_id")), (0o644, 0o600));
}

#[test]
fn a_second_keeper_on_the_same_state_is_refused() {
    let node = Node::start();
    let status = Node::command(node.dir(), &node.dir().join("ptyd")).status().unwrap();
    assert!(!status.success());
    assert!(node.log().contains("another keeper runs on"));
    node.serving().sh("exec cat");
}

/// A keeper on a copy of a state directory once killed every session of the first, whose control group it took for its own.
#[test]
fn a_second_keeper_on_a_copy_of_the_state_is_refused() {
    let node = Node::start();
    if !node.has_cgroups() {
        // Then neither can touch a session of the other.
        return;
    }
    let mut worker = node.serving();
    let shell = worker.sh("while read x; do echo \"<$x>\"; done");
    let refused = || {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("state")).unwrap();
        for name in ["node_id", "link_secrets"] {
            fs::copy(node.state_dir().join(name), copy.path().join("state").join(name)).unwrap();
        }
        let status = Node::command(copy.path(), &node.dir().join("ptyd")).status().unwrap();
        let log = fs::read_to_string(copy.path().join("log")).unwrap();
        assert!(!status.success() && log.contains("another keeper runs as node"), "{log}");
    };
    refused();
    // Over a replacement too.
    node.signal(nix::sys::signal::Signal::SIGHUP);
    while !matches!(worker.next().0, ptyd::handover::ToWorker::Stop) {}
    worker.leave();
    let _next = node.serving();
    refused();
    assert!(runs(shell.pid) && node.cgroups().len() == 1);
    shell.type_text("hello\n");
    shell.output_with("<hello>");
}

#[test]
fn a_control_group_that_somebody_removed_is_made_again() {
    let node = Node::start();
    if !node.has_cgroups() {
        return;
    }
    let mut worker = node.serving();
    fs::remove_dir(&node.cgroups()[0]).unwrap();
    let shell = worker.sh("exec cat");
    let groups = node.cgroups();
    assert_eq!(groups.len(), 1, "{}", node.log());
    let members = fs::read_to_string(groups[0].join(shell.id.to_string()).join("cgroup.procs")).unwrap();
    assert_eq!(members.trim(), shell.pid.to_string());
}

/// A full disk once kept it from starting.
#[test]
fn a_keeper_that_cannot_tell_of_itself_serves_all_the_same() {
    let node = Node::start_waiting_for("keeping sessions as node", |command| {
        let state = Path::new(command.get_program()).with_file_name("state");
        // In the way of what is to be written.
        fs::create_dir_all(state.join(".keeper.pid.new")).unwrap();
        fs::create_dir(state.join(".keeper.settings.new")).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(state.join("node_id"), uuid::Uuid::new_v4().to_string()).unwrap();
    });
    node.serving().sh("exec cat");
    assert_eq!(node.log().matches("others are not told of this keeper").count(), 2);
}

#[test]
fn its_settings_are_told_to_its_owner_alone_and_go_with_it() {
    let mut node = Node::start_with(|command| {
        command.env("PTYD_MAX_SESSIONS", "7");
    });
    let mut worker = node.serving();
    let path = node.state_dir().join("keeper.settings");
    let told = || {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        (fs::read(&path).unwrap(), mode & 0o777)
    };
    assert_eq!(told(), (b"PTYD_LOG=debug\0PTYD_MAX_SESSIONS=7\0".to_vec(), 0o600));
    // One that was replaced tells of them as well, which a program before may not have.
    fs::remove_file(&path).unwrap();
    node.signal(nix::sys::signal::Signal::SIGHUP);
    while !matches!(worker.next().0, ptyd::handover::ToWorker::Stop) {}
    worker.leave();
    let worker = node.serving();
    assert_eq!(told().1, 0o600);
    node.signal(nix::sys::signal::Signal::SIGTERM);
    drop(worker);
    node.ended();
    assert!(!path.exists());
}

#[test]
fn after_a_killed_keeper_the_next_one_starts() {
    let mut node = Node::start();
    let _held = node.serving();
    node.signal(nix::sys::signal::Signal::SIGKILL);
    node.ended();
    let mut next = Node::command(node.dir(), &node.dir().join("ptyd")).spawn().unwrap();
    node.serving().sh("exec cat");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(next.id()).unwrap());
    wait_until("the next one ends", || {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        next.try_wait().unwrap().is_some()
    });
}

#[test]
fn what_a_killed_keepers_sessions_left_running_is_ended_by_the_next_one() {
    let mut node = Node::start();
    if !node.has_cgroups() {
        // Nobody can tell then whose they were.
        return;
    }
    let mut worker = node.serving();
    let shell = worker.sh("trap '' HUP; setsid sleep 1000 & echo \"left=$!=\"; exec cat");
    let output = shell.output_with("=\r");
    let left = output.split('=').nth(1).unwrap().parse().unwrap();
    let left = nix::unistd::Pid::from_raw(left);
    node.signal(nix::sys::signal::Signal::SIGKILL);
    node.ended();
    assert!(runs(left));
    let mut next = Node::command(node.dir(), &node.dir().join("ptyd")).spawn().unwrap();
    wait_until("it is ended", || !runs(left));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(next.id()).unwrap());
    wait_until("the next one ends", || {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        next.try_wait().unwrap().is_some()
    });
}

#[test]
fn bad_settings_stop_it_before_anything_is_opened_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let check = |settings: &[(&str, &str)], expected: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ptyd"));
        command.env_clear().env("PTYD_STATE_DIR", dir.path().join("state")).envs(settings.iter().copied());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!dir.path().join("state/ptyd.sock").exists());
    };
    let mut workable = vec![("PTYD_LINK_LISTEN", "127.0.0.1:0")];
    if is_root() {
        // Users are looked up first; these are there since any other test ran, or are made by it.
        drop(Node::start());
        check(&[("PTYD_SHELL_USER", "root")], "PTYD_SHELL_USER names root, which is root");
        check(&[("PTYD_SHELL_USER", "no-such-user")], "useradd --create-home --shell /bin/bash no-such-user");
        check(&[("PTYD_WORKER_USER", "no-such-user")], "useradd --system");
        check(&[("PTYD_LINK_USER", LINK_USER)], "PTYD_SOCKET must be outside of PTYD_STATE_DIR");
        // Shells could signal the worker, or speak to it as an api.
        check(
            &[("PTYD_LINK_USER", SHELL_USER)],
            "PTYD_LINK_USER names devpocket-shell, as whom the shells run",
        );
        check(&[("PTYD_WORKER_USER", SHELL_USER)], "PTYD_WORKER_USER names devpocket-shell");
        check(&[("PTYD_SHELL_USER", "devpocket-worker")], "PTYD_WORKER_USER names devpocket-worker");
    } else {
        check(&[("PTYD_SHELL_USER", "root")], "only root can use another user");
    }
    workable.push(("PTYD_LINK_CERT_DIR", "/no/such/directory"));
    check(&workable, "/no/such/directory/ca.pem: `devpocket admin make-link-certificates DIR`");
    check(&[("PTYD_RING_BYTES", "1")], "--ring-bytes");
    check(&[("PTYD_STATE_DIR", "/proc/nothing")], "/proc/nothing");
}

#[test]
fn as_root_only_the_links_user_may_connect() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("link.sock");
    let node = Node::start_with(|command| {
        command.env("PTYD_SOCKET", &path).env("PTYD_LINK_USER", LINK_USER);
    });
    node.serving();
    let metadata = fs::metadata(&path).unwrap();
    let link_user = User::from_name(LINK_USER).unwrap().unwrap();
    assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o777), (link_user.uid.as_raw(), 0o600));
}

#[test]
fn started_by_root_as_somebody_all_of_it_runs_as_them() {
    if !is_root() {
        return;
    }
    // The tests run as root already: this is the other of the two ways.
    drop(Node::start());
    let user = shell_user();
    let node = Node::start_with(as_shell_user);
    let mut worker = node.serving();
    assert_eq!(fs::metadata(format!("/proc/{}", worker.pid)).unwrap().uid(), user.uid.as_raw());
    let shell = worker.spawn(crate::worker::command(&[]));
    shell.type_text("echo \"[$(id -u) $(ulimit -u)]\"\n");
    let output = shell.output_with(&format!("[{} ", user.uid));
    assert!(!output.contains("unlimited"), "without a control group the process limit stands: {output}");
    // And its program can be replaced, although nobody may look into it.
    node.signal(nix::sys::signal::Signal::SIGHUP);
    while !matches!(worker.next().0, ptyd::handover::ToWorker::Stop) {}
    worker.leave();
    let (_, _, sessions) = node.worker().take_over();
    assert_eq!(sessions[0].pid, shell.pid);
}

#[test]
fn without_control_groups_the_process_limit_stops_a_fork_bomb() {
    if !is_root() {
        // Then there are none in any test, and the one in `sessions` shows it.
        return;
    }
    drop(Node::start());
    let node = Node::start_with(as_shell_user);
    assert!(!node.has_cgroups());
    let mut worker = node.serving();
    let bomb = worker.sh("trap '' HUP; bomb() { bomb | bomb & }; bomb; exec sleep 1000");
    bomb.output_with("ork");
    let other = worker.sh("echo $((6*7)); exec sleep 1000");
    other.output_with("42");
    worker.say(&ToKeeper::Terminate { session_id: bomb.id });
    worker.exit_of(bomb.id);
    wait_until("the bomb is gone", || {
        fs::read_dir("/proc").unwrap().flatten().all(|entry| !is_of_session(&entry, &bomb))
    });
}

fn is_of_session(process: &fs::DirEntry, session: &Session) -> bool {
    let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
    let of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(3));
    of == Some(&*session.pid.to_string())
}

#[test]
fn a_worker_that_cannot_be_started_is_tried_again() {
    let node = Node::start_with(|command| {
        fs::remove_file(Path::new(command.get_program()).with_file_name("worker")).unwrap();
    });
    wait_until("it was tried several times", || {
        node.log().matches("the worker cannot be started").count() >= 4
    });
    put(Path::new("/bin/true"), &node.dir().join("worker"));
    wait_until("it is tried again", || node.log().contains("the worker ended"));
}
