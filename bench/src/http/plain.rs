//! A server of the api's libraries, axum on hyper on tokio, that answers from memory what it was given. Must not know what
//! that means.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// The server, on a runtime of its own; ends in `Drop`.
pub struct Plain {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Plain {
    /// Serves each path's body, on as many threads as an api has.
    pub fn start(answers: Vec<(&'static str, String)>) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        let runtime = Builder::new_multi_thread().worker_threads((cores / 2).max(1)).enable_all().build()?;
        let mut router = Router::new();
        for (path, body) in answers {
            router = router.route(
                path,
                get(move || async move { ([(CONTENT_TYPE, "application/json")], body.clone()) }),
            );
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        runtime.spawn(async move { axum::serve(TcpListener::from_std(listener)?, router).await });
        Ok(Self { address, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
