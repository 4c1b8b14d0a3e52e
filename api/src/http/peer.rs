//! The address a request came from: its socket's, unless that is a proxy of ours, which says whom it speaks for.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

use crate::state::AppState;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Address of the connection's other end, put into every request by the server.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The address failures and limits are counted by; `0.0.0.0` for a request that came by no socket.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub IpAddr);

/// Finds the client's address, before anything asks for it.
pub(super) async fn find(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let peer =
        request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let client = client(peer.to_canonical(), request.headers(), &state.trusted_proxies);
    request.extensions_mut().insert(PeerAddress(client));
    next.run(request).await
}

/// The address of a request that passed [`find`].
pub(super) fn address_of(request: &Request) -> IpAddr {
    request.extensions().get::<PeerAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
}

/// The last address of `X-Forwarded-For` that no trusted proxy has. What stands before it anybody may have written.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_proxy = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer;
    let values = headers.get_all(&X_FORWARDED_FOR).iter().rev();
    for value in values {
        for word in value.to_str().unwrap_or_default().rsplit(',') {
            if !is_proxy(client) {
                return client;
            }
            match named(word.trim()) {
                Some(address) => client = address.to_canonical(),
                // The proxy's own word is all there is.
                None => return client,
            }
        }
    }
    client
}

/// An address as proxies write it: some name the port too.
fn named(word: &str) -> Option<IpAddr> {
    let bare = || word.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || word.parse::<SocketAddr>().ok().map(|address| address.ip());
    word.parse().ok().or_else(with_port).or_else(bare)
}

impl<S: Sync> FromRequestParts<S> for PeerAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let found = parts.extensions.get::<Self>().copied();
        Ok(found.unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_address_counts_as_far_as_proxies_of_ours_vouch_for_it() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap()).to_vec();
        let check = |peer: &str, values: &[&str], expected: &str| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&X_FORWARDED_FOR, value.parse().unwrap());
            }
            let found = client(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {values:?}");
        };
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &["203.0.113.9"], "192.0.2.1");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["203.0.113.9"], "203.0.113.9");
        check("fd00::1", &["203.0.113.9"], "203.0.113.9");
        check("10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9");
        check("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9");
        check("10.0.0.1", &["1.1.1.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9");
        check("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9");
        check("10.0.0.1", &["2001:db8::1"], "2001:db8::1");
        check("10.0.0.1", &["10.0.0.3"], "10.0.0.3");
        check("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1");
        check("10.0.0.1", &["1.1.1.1:5555, 203.0.113.9:80"], "203.0.113.9");
        check("10.0.0.1", &["203.0.113.9:80, 10.0.0.2:81"], "203.0.113.9");
        check("10.0.0.1", &["[2001:db8::2]:443"], "2001:db8::2");
        check("10.0.0.1", &["[2001:db8::2]"], "2001:db8::2");
        check("10.0.0.1", &["203.0.113.9:port"], "10.0.0.1");
        check("10.0.0.1", &["[203.0.113.9]:80"], "10.0.0.1");
        check("10.0.0.1", &[""], "10.0.0.1");
    }
}
