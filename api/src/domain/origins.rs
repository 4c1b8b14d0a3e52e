//! Which web pages may open a socket here (PROTOCOL section 1), and which host names reach a loopback listener. Knows no
//! HTTP types.

use std::net::SocketAddr;

/// An origin as browsers send it: scheme, host and, unless it is the scheme's own, port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin(String);

impl Origin {
    /// The origin of an `http` or `https` URL; none if it is no such URL.
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let own_port = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
        let authority = authority.strip_suffix(own_port).unwrap_or(&authority);
        let good = !authority.is_empty()
            && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
            && host_of(authority).is_some();
        good.then(|| Self(format!("{scheme}://{authority}")))
    }

    /// As browsers send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its host, without the port.
    pub fn host(&self) -> &str {
        host_of(self.authority()).unwrap_or_default()
    }

    fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
}

/// Names a browser on this machine uses for it.
pub const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The allowed origins of one listener.
#[derive(Clone, Debug)]
pub struct Origins {
    named: Vec<Origin>,
    /// The port, when the listener is on loopback.
    loopback_port: Option<u16>,
}

impl Origins {
    /// Those of a listener at `listen`, with the origins of `PUBLIC_URL` and `CORS_ORIGINS` in `named`.
    pub fn new(listen: SocketAddr, named: Vec<Origin>) -> Self {
        Self { named, loopback_port: listen.ip().is_loopback().then(|| listen.port()) }
    }

    /// Whether a socket may be opened by what sent this `Origin` header, over this `Host`.
    ///
    /// No origin is a native client. On a loopback listener a page of this machine counts when its port is ours, or the
    /// one it reached us by (a forwarded port): `Host` is not for a page to choose.
    pub fn allows(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        if self.named.iter().any(|named| named.as_str() == origin) {
            return true;
        }
        let (Some(own_port), Some(page)) = (self.loopback_port, origin.strip_prefix("http://")) else {
            return false;
        };
        let Some((page_host, page_port)) = host_of(page).map(|host| (host, port_of(page))) else {
            return false;
        };
        let reached_by = host.filter(|host| self.reaches(host)).map(port_of);
        LOOPBACK_HOSTS.contains(&page_host) && (page_port == own_port || Some(page_port) == reached_by)
    }

    /// Whether a request with this `Host` may be meant for us.
    ///
    /// On loopback only names of this machine and of `named` are: else a page whose name was pointed at 127.0.0.1 could
    /// make itself the first account (DNS rebinding). Elsewhere every name is.
    pub fn reaches(&self, host: &str) -> bool {
        let Some(name) = host_of(host).map(str::to_ascii_lowercase) else { return false };
        self.loopback_port.is_none()
            || LOOPBACK_HOSTS.contains(&name.as_str())
            || self.named.iter().any(|named| host_of(named.authority()) == Some(&name))
    }
}

/// The host of `host[:port]`; none if that is not what it is.
fn host_of(authority: &str) -> Option<&str> {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let good_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (!host.is_empty() && good_port).then_some(host)
}

/// The port of `host[:port]` over http.
fn port_of(authority: &str) -> u16 {
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    port.and_then(|port| port.parse().ok()).unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Origins {
        let named = vec![Origin::of_url("https://Term.example/app?x").unwrap()];
        Origins::new("127.0.0.1:8000".parse().unwrap(), named)
    }

    #[test]
    fn an_origin_is_read_from_an_http_url_only() {
        let check = |url: &str, origin: Option<&str>| {
            assert_eq!(Origin::of_url(url).as_ref().map(Origin::as_str), origin, "{url}");
        };
        check("https://A.example:443/x", Some("https://a.example"));
        check("http://a.example:80", Some("http://a.example"));
        check("http://[::1]:8000/", Some("http://[::1]:8000"));
        for bad in
            ["", "a.example", "ftp://a.example", "http://", "http:///x", "http://a:b:c", "http://u@h", "*"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn pages_of_this_machine_and_named_ones_may_open_a_socket() {
        let check = |origin: Option<&str>, host: &str, allowed: bool| {
            assert_eq!(loopback().allows(origin, Some(host)), allowed, "{origin:?} over {host}");
        };
        let own = "127.0.0.1:8000";
        check(None, own, true);
        check(Some("http://localhost:8000"), own, true);
        check(Some("http://127.0.0.1:8000"), own, true);
        check(Some("http://[::1]:8000"), own, true);
        check(Some("https://term.example"), own, true);
        check(Some("http://localhost:9000"), "localhost:9000", true);
        check(Some("http://localhost:9000"), own, false);
        check(Some("http://evil.example:8000"), own, false);
        check(Some("http://evil.example:9000"), "evil.example:9000", false);
        check(Some("http://localhost:9000"), "evil.example:9000", false);
        check(Some("https://localhost:8000"), own, false);
        check(Some("https://term.example.evil"), own, false);
        check(Some("http://localhost:8000.evil"), own, false);
        check(Some("http://localhost"), own, false);
        check(Some("null"), own, false);
        check(Some(""), own, false);
    }

    #[test]
    fn a_public_listener_has_no_pages_of_its_own_machine() {
        let public = Origins::new("0.0.0.0:8000".parse().unwrap(), Vec::new());
        assert!(!public.allows(Some("http://localhost:8000"), Some("localhost:8000")));
        assert!(public.allows(None, None));
        assert!(public.reaches("anything.example"));
    }

    #[test]
    fn a_rebound_name_does_not_reach_a_loopback_listener() {
        for good in ["localhost:8000", "LOCALHOST", "127.0.0.1:1", "[::1]:8000", "term.example"] {
            assert!(loopback().reaches(good), "{good}");
        }
        for bad in ["evil.example:8000", "", ":8000", "localhost:x", "localhost.evil", "[::1"] {
            assert!(!loopback().reaches(bad), "{bad}");
        }
    }
}
