//! Single values as flags and variables have them. Knows no variable.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use lettre::message::Mailbox;
use secrecy::SecretString;

use super::{OnOff, PtydAddress};
use crate::domain::origins::Origin;

impl FromStr for PtydAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("quic", authority)) => match authority.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0) => {
                    Ok(Self::Quic(authority.to_owned()))
                }
                _ => Err("quic: needs host:port"),
            },
            _ => Err("must be unix:/path or quic:host:port"),
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the shape clap wants; it must not fail, since clap would print the value"
)]
pub(crate) fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text))
}

pub(crate) fn http_url(text: &str) -> Result<String, &'static str> {
    Origin::of_url(text).map(|_| text.to_owned()).ok_or("must be an http or https URL")
}

/// A network, or an address as one; none for the empty text, so that an empty variable is an empty list.
pub(crate) fn network(text: &str) -> Result<Option<IpNet>, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| address())
        .map(Some)
        .map_err(|_| "must be addresses and networks like 10.0.0.0/8")
}

/// An origin; none for the empty text, so that an empty variable is an empty list.
pub(crate) fn origin(text: &str) -> Result<Option<Origin>, &'static str> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let is_bare = |origin: &Origin| {
        let rest = text.trim().trim_end_matches('/').splitn(4, '/').count();
        rest == 3 && !text.contains(['?', '#']) && !origin.host().is_empty()
    };
    Origin::of_url(text.trim())
        .filter(is_bare)
        .map(Some)
        .ok_or("must be origins like https://app.example, without a wildcard")
}

/// A name for people: it stands in the subject of mails, where a control character would begin a header of its own.
pub fn project(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let is_name = (1..=100).contains(&text.chars().count()) && !text.contains(char::is_control);
    is_name
        .then(|| text.to_owned())
        .ok_or("must be a name of 1 to 100 characters, without control characters")
}

/// The base of the routes: the one that clients, the page and the OpenAPI document know.
pub(crate) fn api_base(text: &str) -> Result<String, &'static str> {
    (text == "/api").then(|| text.to_owned()).ok_or("is /api and nothing else: move it by a proxy in front")
}

/// Whom mails are from.
pub(crate) fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    text.parse().map_err(|_| "must be an address, or a name and one: `DevPocket <devpocket@example.com>`")
}

/// A switch that others write in other words.
pub(crate) fn switch(text: &str) -> Result<OnOff, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" | "yes" => Ok(OnOff::On),
        "off" | "false" | "0" | "no" | "" => Ok(OnOff::Off),
        _ => Err("must be on or off"),
    }
}
