//! The link's certificates in disorder: no session may be lost by it, nor the way to it over the Unix socket.

use std::fs::{self, File, Permissions};
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use devpocket_shared::certificates::make_all;
use devpocket_shared::ids::{BootId, NodeId};
use nix::sys::signal::Signal;
use ptyd::handover::{Descriptor, MAX_PACKET_BYTES, ToKeeper, ToWorker, Welcome, socket};
use tempfile::TempDir;
use uuid::Uuid;

use crate::node::{Node, is_root, wait_readable};
use crate::worker::Worker;

const FILES: [&str; 3] = ["ca.pem", "ptyd.pem", "ptyd.key"];

#[test]
fn whatever_becomes_of_the_files_a_replacement_and_every_worker_go_on_with_the_last_good_ones() {
    let certificates = made();
    let node = Node::start_with(over_quic(Some(certificates.path())));
    let mut worker = node.serving();
    let shell = worker.sh("while read x; do echo \"<$x>\"; done");
    let good = FILES.map(|name| fs::read(certificates.path().join(name)).unwrap());
    let goes_on = |mut worker: Worker, what: &str| {
        let before = node.log().len();
        for replaced in [true, false] {
            if replaced {
                node.signal(Signal::SIGHUP);
                while !matches!(worker.next().0, ToWorker::Stop) {}
                worker.leave();
            } else {
                worker.kill();
            }
            worker = node.worker();
            let (welcome, descriptors, sessions) = worker.take_over();
            assert_eq!(given(&welcome, descriptors), good, "{what}");
            sessions[0].type_text(&format!("{what}\n"));
            sessions[0].output_with(&format!("<{what}>"));
            assert_eq!(sessions[0].pid, shell.pid);
        }
        assert_eq!(node.log()[before..].matches("the link's certificates are bad").count(), 2, "{what}");
        worker
    };
    for (name, good_content) in FILES.iter().zip(&good) {
        let path = certificates.path().join(name);
        for content in [None, Some(""), Some("garbage")] {
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            worker = goes_on(worker, name);
        }
        fs::write(&path, good_content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o606)).unwrap();
        worker = goes_on(worker, "everybody's");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    // New good ones count from the next worker on.
    let other = made();
    for name in FILES {
        fs::copy(other.path().join(name), certificates.path().join(name)).unwrap();
    }
    node.signal(Signal::SIGHUP);
    while !matches!(worker.next().0, ToWorker::Stop) {}
    worker.leave();
    let (welcome, descriptors, _) = node.worker().take_over();
    assert_eq!(
        given(&welcome, descriptors),
        FILES.map(|name| fs::read(other.path().join(name)).unwrap()).to_vec()
    );
}

/// A reload once made a new CA then, and every api was turned away from a ptyd that had good certificates in memory.
#[test]
fn a_reload_without_the_directory_makes_no_new_ca() {
    let node = Node::start_with(over_quic(None));
    let mut worker = node.worker();
    let (welcome, descriptors, _) = worker.take_over();
    let good = given(&welcome, descriptors);
    let link = node.state_dir().join("link");
    fs::remove_dir_all(&link).unwrap();
    for _ in 0..2 {
        node.signal(Signal::SIGHUP);
        while !matches!(worker.next().0, ToWorker::Stop) {}
        worker.leave();
        worker = node.worker();
        let (welcome, descriptors, _) = worker.take_over();
        assert_eq!(given(&welcome, descriptors), good);
        // Also where there is a directory again.
        let _there = fs::create_dir(&link);
    }
    assert_eq!(fs::read_dir(&link).unwrap().count(), 0);
    assert!(node.log().contains("a new CA would turn every api away"), "{}", node.log());
}

/// The keeper once waited for a writer for ever, and with it every shell that was to be started or ended.
#[test]
fn a_pipe_in_place_of_a_file_holds_nobody_up() {
    let node = Node::start_with(over_quic(None));
    let mut worker = node.serving();
    let pipe = |path: &Path| {
        fs::remove_file(path).unwrap();
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    };
    pipe(&node.state_dir().join("link/ca.key"));
    pipe(&node.state_dir().join("link_secrets"));
    worker.sh("exec cat");
    pipe(&node.state_dir().join("owner"));
    node.signal(Signal::SIGHUP);
    while !matches!(worker.next().0, ToWorker::Stop) {}
    worker.leave();
    node.serving().sh("exec cat");
}

/// The keeper has one thread: while it waited for the lock, no shell could be started and no worker be replaced.
#[test]
fn another_process_at_the_certificates_keeps_the_keeper_from_nothing() {
    let node = Node::start_with(over_quic(None));
    let mut worker = node.serving();
    let shell = worker.sh("exec cat");
    let directory = File::open(node.state_dir().join("link")).unwrap();
    directory.lock().unwrap();
    node.signal(Signal::SIGHUP);
    while !matches!(worker.next().0, ToWorker::Stop) {}
    worker.leave();
    assert_eq!(node.worker().take_over().2[0].pid, shell.pid);
    assert!(node.log().contains("in use by another process"));
}

#[test]
fn what_ptyd_has_no_use_for_may_be_missing() {
    let node = Node::start_with(|command| {
        let link = Path::new(command.get_program()).with_file_name("state").join("link");
        make_all(&link).unwrap();
        for name in ["api.pem", "api.key", "ca.key"] {
            fs::remove_file(link.join(name)).unwrap();
        }
        fs::write(link.with_file_name("node_id"), Uuid::from_u128(1).to_string()).unwrap();
        over_quic(None)(command);
    });
    node.serving().sh("exec cat");
    assert!(node.log().contains("api.pem or its key is missing, and there is no ca.key"));
}

#[test]
fn what_ptyd_cannot_do_without_stops_it_at_its_start() {
    let check = |damage: &dyn Fn(&Path), expected: &str| {
        let (dir, certificates) = (tempfile::tempdir().unwrap(), made());
        damage(certificates.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_ptyd"));
        command.env_clear().env("PTYD_STATE_DIR", dir.path().join("state"));
        over_quic(Some(certificates.path()))(&mut command);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(expected), "{said}");
    };
    drop(Node::start());
    check(&|dir| fs::write(dir.join("ptyd.pem"), "garbage").unwrap(), "cannot be used");
    let foreign = |dir: &Path| {
        fs::copy(made().path().join("ca.pem"), dir.join("ca.pem")).unwrap();
    };
    check(&foreign, "cannot be used");
    let wrong_role = |dir: &Path| {
        fs::copy(dir.join("api.pem"), dir.join("ptyd.pem")).unwrap();
        fs::copy(dir.join("api.key"), dir.join("ptyd.key")).unwrap();
    };
    check(&wrong_role, "cannot be used");
    let open = |dir: &Path| fs::set_permissions(dir, Permissions::from_mode(0o777)).unwrap();
    check(&open, "others may write to");
    let mode = |file: &'static str, mode| {
        move |dir: &Path| fs::set_permissions(dir.join(file), Permissions::from_mode(mode)).unwrap()
    };
    check(&mode("ptyd.key", 0o644), "everybody may read it");
    check(&mode("ptyd.key", 0o660), "others may write to it");
    check(&mode("ca.pem", 0o666), "others may write to it");
    if is_root() {
        let nobodys = |dir: &Path| chown(dir.join("ptyd.key"), Some(65534), None).unwrap();
        check(&nobodys, "ptyd.key: it belongs to user 65534");
    }
}

/// A worker that could not set QUIC up once ended, and the Unix socket was served by nobody.
#[test]
fn a_worker_without_good_certificates_serves_the_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("link.sock")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (ours, theirs) = socket::pair().unwrap();
    let welcome = ToWorker::Welcome(Box::new(Welcome {
        node_id: NodeId::new(Uuid::from_u128(1)),
        boot_id: BootId::new(Uuid::from_u128(2)),
        sessions: 0,
        capacity: 1,
        ring_bytes: 1 << 20,
        link_uid: None,
        descriptors: vec![Descriptor::LinkListener, Descriptor::LinkUdp],
    }));
    socket::send(ours.as_fd(), &welcome, &[listener.as_fd(), udp.as_fd()]).unwrap();
    socket::send(ours.as_fd(), &ToWorker::AllAdopted, &[]).unwrap();
    let worker = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ptyd::worker::run(theirs))
    });
    wait_readable("the worker says something", &ours);
    let (said, _) = socket::receive::<ToKeeper>(ours.as_fd(), &mut vec![0; MAX_PACKET_BYTES]).unwrap();
    assert!(matches!(said, ToKeeper::Ready), "{said:?}");
    socket::send(ours.as_fd(), &ToWorker::Stop, &[]).unwrap();
    worker.join().unwrap().unwrap();
}

fn made() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    make_all(dir.path()).unwrap();
    dir
}

/// Has a keeper listen on QUIC with the certificates of a directory, or its own.
fn over_quic(certificates: Option<&Path>) -> impl FnOnce(&mut Command) {
    move |command| {
        command.args(["--link-listen", "127.0.0.1:0"]);
        if let Some(directory) = certificates {
            command.arg("--link-cert-dir").arg(directory);
        }
    }
}

/// The three files a worker was given.
fn given(welcome: &Welcome, descriptors: Vec<OwnedFd>) -> Vec<Vec<u8>> {
    let files = welcome.descriptors.iter().zip(descriptors).filter(|(kind, _)| {
        matches!(kind, Descriptor::LinkCa | Descriptor::LinkCertificate | Descriptor::LinkKey)
    });
    files.map(|(_, descriptor)| content(&File::from(descriptor))).collect()
}

pub fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
