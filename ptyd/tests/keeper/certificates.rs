//! The link's certificates in disorder: no session may be lost by it, nor the way to it over the Unix socket.

use std::fs::{self, File, Permissions};
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use devpocket_shared::certificates::make_all;
use devpocket_shared::ids::{BootId, NodeId};
use nix::sys::signal::Signal;
use ptyd::handover::{Descriptor, MAX_PACKET_BYTES, ToKeeper, ToWorker, Welcome, socket};
use tempfile::TempDir;
use uuid::Uuid;

use crate::node::{Node, runs, wait_readable, wait_until};

const FILES: [&str; 3] = ["ca.pem", "ptyd.pem", "ptyd.key"];

#[test]
fn bad_files_stop_a_replacement_and_a_killed_worker_is_followed_by_one_with_the_last_good_ones() {
    let certificates = made();
    let node = Node::start_with(over_quic(Some(certificates.path())));
    let mut worker = node.serving();
    let shell = worker.sh("while read x; do echo \"<$x>\"; done");
    let good = FILES.map(|name| fs::read(certificates.path().join(name)).unwrap());
    for (name, good_content) in FILES.iter().zip(&good) {
        let path = certificates.path().join(name);
        for content in [None, Some(""), Some("garbage")] {
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let before = node.log().len();
            node.signal(Signal::SIGHUP);
            wait_until("the replacement is refused", || node.log()[before..].contains("refused the state"));
            assert!(runs(worker.pid), "the worker was left alone");
            worker.kill();
            worker = node.worker();
            let (welcome, descriptors, sessions) = worker.take_over();
            assert_eq!(given(&welcome, descriptors), good, "{name}");
            assert!(node.log()[before..].contains("the link's certificates are bad"));
            sessions[0].type_text(&format!("{name}\n"));
            sessions[0].output_with(&format!("<{name}>"));
            assert_eq!(sessions[0].pid, shell.pid);
        }
        fs::write(&path, good_content).unwrap();
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
        runtime.block_on(ptyd::worker::run(theirs, None))
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
