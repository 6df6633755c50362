//! Where a request over HTTP goes: the endpoint's address always, under whatever name.

use std::net::IpAddr;

use url::{Host, Position, Url};

use super::miss::Miss;
use crate::{
    health::{Failure, Nothing, ProtocolFault},
    manifest::HttpGet,
};

/// The URL of a request, and the `Host` that it names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Request {
    url: Url,
    /// What `httpHeaders` says for `Host`.
    authority: Option<Box<str>>,
}

/// What follows from the answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Another request, to the same address.
    Request(Request),
    /// Nothing: it leads away from the endpoint, or nowhere.
    Stay,
}

impl Request {
    /// The first request of a probe of `address`.
    pub(super) fn first(get: &HttpGet, address: IpAddr) -> Result<Self, Miss> {
        let scheme = if get.is_tls { "https" } else { "http" };
        let (port, path) = (get.port, &*get.path);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let host = match get.host.as_deref().filter(|host| !is_own_name(host)) {
            Some(host) => host.to_owned(),
            None => bracketed(address),
        };
        let url = Url::parse(&format!("{scheme}://{host}:{port}{slash}{path}"));
        let is_host = |(name, _): &&(Box<str>, Box<str>)| name.eq_ignore_ascii_case("host");
        let named = get.headers.iter().find(is_host).map(|(_, host)| host);
        Ok(Self {
            url: url.map_err(|_| Nothing::Request)?,
            authority: named.filter(|host| !host.is_empty()).cloned(),
        })
    }

    pub(super) fn port(&self) -> u16 {
        let port = self.url.port_or_known_default();
        port.expect("both schemes have a port")
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Path and query, as they are sent.
    pub(super) fn path(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }

    /// What is sent as `Host`.
    pub(super) fn authority(&self) -> &str {
        let of_url = &self.url[Position::BeforeHost..Position::AfterPort];
        self.authority.as_deref().unwrap_or(of_url)
    }

    /// The name that is greeted with over TLS, where it is one.
    pub(super) fn server_name(&self) -> &str {
        let authority = self.authority();
        let host = authority.rsplit_once(':').filter(|(_, port)| is_port(port));
        host.map_or(authority, |(host, _)| host)
    }

    /// What follows from an answer with this status, which redirects to `location`.
    pub(super) fn next(&self, status: u16, location: Option<&[u8]>) -> Result<Next, Miss> {
        let Some(location) = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308))
        else {
            return Ok(Next::Stay);
        };
        let malformed = Failure::Protocol(ProtocolFault::Redirect);
        let location = str::from_utf8(location).map_err(|_| malformed)?;
        let is_relative = Url::parse(location) == Err(url::ParseError::RelativeUrlWithoutBase);
        let url = self.url.join(location).map_err(|_| malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(malformed.into());
        }
        if !is_same_host(&self.url, &url) {
            return Ok(Next::Stay);
        }
        let authority = self.authority.clone().filter(|_| is_relative);
        Ok(Next::Request(Self { url, authority }))
    }
}

/// A kubelet compares the hosts alone: port and scheme may be others.
fn is_same_host(one: &Url, other: &Url) -> bool {
    one.host() == other.host()
}

/// Whether `host` means the machine that is probed, as it does to the agent on a VM.
fn is_own_name(host: &str) -> bool {
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host.eq_ignore_ascii_case("localhost")
        || ip.is_some_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => Host::<&str>::Ipv4(ip).to_string(),
        IpAddr::V6(ip) => Host::<&str>::Ipv6(ip).to_string(),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
