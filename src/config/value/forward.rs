use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{DNS_PORT, HTTPS_PORT, TLS_PORT, ValueError};
use crate::forward::{AddressError, Endpoint, Policy, Source, Transport, socket_address};

/// An upstream server, or the word `system`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Upstream(pub Source);

impl FromStr for Upstream {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
        let (transport, address) = match scheme {
            _ if text == "system" => return Ok(Self(Source::System)),
            "udp" => (Transport::Udp, socket_address(rest, DNS_PORT)?),
            "tcp" => (Transport::Tcp, socket_address(rest, DNS_PORT)?),
            "tls" => {
                let (name, address) = rest.split_once('@').ok_or(ValueError::TlsUpstream)?;
                let name = server_name(name).ok_or(ValueError::TlsUpstream)?;
                (Transport::Tls(name), socket_address(address, TLS_PORT)?)
            }
            "https" => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let (name, address) = if let Some((name, address)) = authority.split_once('@') {
                    (server_name(name), socket_address(address, HTTPS_PORT)?)
                } else {
                    let address =
                        socket_address(authority, HTTPS_PORT).map_err(|error| match error {
                            AddressError::NoAddress => ValueError::HttpsUpstream,
                            error => error.into(),
                        })?;
                    (Some(address.ip().into()), address)
                };
                let path = if path.is_empty() { "/dns-query" } else { path };
                let is_path = path.bytes().all(|byte| byte.is_ascii_graphic());
                let name = name.filter(|_| is_path).ok_or(ValueError::HttpsUpstream)?;
                let path = path.into();
                (Transport::Https { name, path }, address)
            }
            _ => return Err(ValueError::Upstream),
        };
        Ok(Self(Source::At(Endpoint { transport, address })))
    }
}

/// The name in a certificate; an IP address may be one.
fn server_name(text: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(text.to_owned()).ok()
}

/// A network of clients, as a prefix or as one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let network = text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| ValueError::Network)
    }
}

/// Which upstream is asked first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ForwardPolicy(pub Policy);

impl FromStr for ForwardPolicy {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "sequential" => Ok(Self(Policy::Sequential)),
            "random" => Ok(Self(Policy::Random)),
            "fastest" => Ok(Self(Policy::Fastest)),
            _ => Err(ValueError::Word("sequential, random or fastest")),
        }
    }
}

/// An amount of memory: at least a mebibyte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Memory {
    /// How many bytes.
    pub bytes: u64,
}

impl FromStr for Memory {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
        let read = units.iter().find_map(|&(unit, shift)| {
            let count: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            count.checked_mul(1 << shift)
        });
        let bytes = read.filter(|bytes| (LEAST_MEMORY..=MOST_MEMORY).contains(bytes));
        bytes.map(|bytes| Self { bytes }).ok_or(ValueError::Memory)
    }
}

const LEAST_MEMORY: u64 = 1 << 20;
const MOST_MEMORY: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_upstream(text: &str, expected: &str) {
        let upstream = text
            .parse::<Upstream>()
            .map(|Upstream(source)| match source {
                Source::At(endpoint) => endpoint.to_string(),
                Source::System => "system".to_owned(),
            });
        assert_eq!(upstream.unwrap_or_default(), expected, "{text}");
    }

    #[test]
    fn reads_upstreams_in_every_form() {
        check_upstream("system", "system");
        check_upstream("10.0.0.2", "10.0.0.2:53");
        check_upstream("[::1]:5353", "[::1]:5353");
        check_upstream("::1", "[::1]:53");
        check_upstream("fe80::53%lo", "[fe80::53%1]:53");
        check_upstream(
            "tls://dns.test@fe80::53%2",
            "tls://dns.test@[fe80::53%2]:853",
        );
        check_upstream("udp://10.0.0.2", "10.0.0.2:53");
        check_upstream("tcp://10.0.0.2:5353", "tcp://10.0.0.2:5353");
        check_upstream("tls://dns.test@10.0.0.2", "tls://dns.test@10.0.0.2:853");
        check_upstream("tls://dns.test@[::1]:8853", "tls://dns.test@[::1]:8853");
        check_upstream(
            "https://10.0.0.2",
            "https://10.0.0.2@10.0.0.2:443/dns-query",
        );
        check_upstream(
            "https://dns.test@[::1]:8443/q",
            "https://dns.test@[::1]:8443/q",
        );
        for wrong in [
            "",
            "dns.test",
            "0.0.0.0",
            "10.0.0.2:0",
            "tls://10.0.0.2",
            "tls://@10.0.0.2",
            "tls://dns..test@10.0.0.2",
            "https://dns.test/dns-query",
            "https://10.0.0.2/dns query",
            "quic://10.0.0.2",
            "fe80::53",
            "fe80::53%none",
        ] {
            check_upstream(wrong, "");
        }
    }
}
