//! The link on one host: each connection to the Unix socket is one stream. Who may connect is said by the socket's mode and
//! owner, and checked again from the peer's credentials.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use devpocket_shared::wire::stream;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tracing::warn;

use super::LinkError;
use crate::worker::{Context, serve};

/// Wait after a failed accept (out of descriptors), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

pub(super) fn listen(
    listener: OwnedFd,
    context: &Arc<Context>,
    permits: &Arc<Semaphore>,
) -> Result<(), LinkError> {
    let listener = std::os::unix::net::UnixListener::from(listener);
    listener.set_nonblocking(true).map_err(LinkError::Socket)?;
    let listener = UnixListener::from_std(listener).map_err(LinkError::Socket)?;
    context.tasks.spawn(accept(listener, Arc::clone(context), Arc::clone(permits)));
    Ok(())
}

async fn accept(listener: UnixListener, context: Arc<Context>, permits: Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = context.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) if may_connect(&stream, context.link_uid) => {
                let Ok((reader, writer)) = stream::over_unix(stream) else { continue };
                let serving = serve::serve(Arc::clone(&context), reader, writer);
                context.tasks.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Ok(_) => warn!("a process of another user was turned away from the link's socket"),
            Err(err) => {
                warn!(%err, "accepting on the link's socket failed");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Root, the worker's own user, and the api's user.
fn may_connect(stream: &UnixStream, link_uid: Option<u32>) -> bool {
    let own = nix::unistd::getuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| [Some(0), Some(own), link_uid].contains(&Some(peer.uid())))
}
