//! A TCP relay that counts. Must not know what it relays.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// A relay for one connection; its threads end with that.
pub struct Relay {
    address: SocketAddr,
    to_client: Arc<AtomicU64>,
}

impl Relay {
    /// Waits for a connection and passes it on to `server`.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let to_client = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&to_client);
        thread::spawn(move || -> io::Result<()> {
            let (client, _) = listener.accept()?;
            let server = TcpStream::connect(server)?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (from_client, from_server) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || pass(from_client, server, &AtomicU64::new(0)));
            pass(from_server, client, &count)
        });
        Ok(Self { address, to_client })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes passed on to the client.
    pub fn to_client(&self) -> u64 {
        self.to_client.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) -> io::Result<()> {
    let mut chunk = [0; 64 << 10];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return to.shutdown(std::net::Shutdown::Write);
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
        to.write_all(&chunk[..read])?;
    }
}
