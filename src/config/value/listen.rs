use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use super::{DNS_PORT, HTTPS_PORT, TLS_PORT, ValueError, bare_ip};
use crate::{
    serve::{Listener, Transport},
    zone::AskerPreset,
};

/// The path of queries over HTTPS where none is said, as in [RFC 8484 §4.1.1].
///
/// [RFC 8484 §4.1.1]: https://www.rfc-editor.org/rfc/rfc8484#section-4.1.1
const QUERY_PATH: &str = "/dns-query";

/// Where to listen: one socket address, or the wildcard addresses of both families.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen(Vec<SocketAddr>);

impl Listen {
    /// The socket addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }

    /// Whether every address of the machine is meant.
    pub fn is_everywhere(&self) -> bool {
        self.0.len() > 1
    }

    /// Reads an address, with this port where it is one without.
    fn parse(text: &str, default_port: u16) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(address.into());
        }
        if let Some(ip) = bare_ip(text) {
            return Some(SocketAddr::new(ip, default_port).into());
        }
        let port: u16 = text.strip_prefix(':').unwrap_or(text).parse().ok()?;
        let every: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        Some(Self(every.map(|ip| (ip, port).into()).into()))
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self(vec![address])
    }
}

impl FromStr for Listen {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text, DNS_PORT).ok_or(ValueError::Listen)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            [address] => address.fmt(f),
            several => write!(f, ":{}", several.first().map_or(0, SocketAddr::port)),
        }
    }
}

/// The listeners that one value of `listen` asks for: where, and for what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listeners {
    /// Where.
    pub at: Listen,
    /// What is spoken there; `None` for plain DNS over UDP and TCP.
    pub transport: Option<Transport>,
    /// What is known of everybody who asks there.
    pub preset: AskerPreset,
}

impl Listeners {
    /// Its addresses, where it is a plain one.
    pub(in crate::config) fn plain(&self) -> &[SocketAddr] {
        match self.transport {
            None => self.at.addresses(),
            Some(_) => &[],
        }
    }

    /// What is known of those who ask there, for each of its addresses.
    pub(in crate::config) fn presets(
        &self,
    ) -> impl Iterator<Item = ((SocketAddr, bool), AskerPreset)> {
        let is_quic = self.transport == Some(Transport::Quic);
        let addresses = self.at.addresses().iter();
        addresses.map(move |address| ((*address, is_quic), self.preset))
    }

    /// Its addresses, where it is an encrypted one.
    pub(in crate::config) fn encrypted(&self) -> impl Iterator<Item = Listener> {
        let transport = self.transport.iter();
        transport.flat_map(|transport| {
            let addresses = self.at.addresses().iter();
            addresses.map(|&address| Listener {
                transport: transport.clone(),
                address,
            })
        })
    }
}

impl FromStr for Listeners {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (transport, address, port) = match text.split_once("://") {
            None => (None, text, DNS_PORT),
            Some(("tls", address)) => (Some(Transport::Tls), address, TLS_PORT),
            Some(("quic", address)) => (Some(Transport::Quic), address, TLS_PORT),
            Some(("https", url)) => {
                let (address, path) = url.split_at(url.find('/').unwrap_or(url.len()));
                let path: Arc<str> = match path {
                    "" | "/" => QUERY_PATH.into(),
                    path if path.bytes().all(is_path_character) => path.into(),
                    _ => return Err(ValueError::QueryPath),
                };
                (Some(Transport::Https { path }), address, HTTPS_PORT)
            }
            Some(_) => return Err(ValueError::Listeners),
        };
        let at = Listen::parse(address, port).ok_or(ValueError::Listeners)?;
        Ok(Self {
            at,
            transport,
            preset: AskerPreset::default(),
        })
    }
}

/// What a path is written with that is the same in every request: no query, no fragment and nothing escaped.
fn is_path_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_listen(text: &str, expected: &[&str]) {
        let addresses = text
            .parse::<Listen>()
            .map(|listen| listen.0)
            .unwrap_or_default();
        let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected, "{text}");
    }

    #[test]
    fn reads_addresses_in_every_form() {
        check_listen("127.0.0.1:5300", &["127.0.0.1:5300"]);
        check_listen("127.0.0.1", &["127.0.0.1:53"]);
        check_listen("[::1]:5300", &["[::1]:5300"]);
        check_listen("::1", &["[::1]:53"]);
        check_listen("[::1]", &["[::1]:53"]);
        check_listen(":53", &["0.0.0.0:53", "[::]:53"]);
        check_listen("5300", &["0.0.0.0:5300", "[::]:5300"]);
        for wrong in [
            "",
            ":",
            "localhost:53",
            "1.2.3:53",
            "127.0.0.1:",
            ":65536",
            "[::1",
            "tls://127.0.0.1",
        ] {
            check_listen(wrong, &[]);
        }
    }

    #[track_caller]
    fn check_listeners(text: &str, expected: &[&str]) {
        let parsed = text.parse::<Listeners>();
        let texts = parsed.iter().flat_map(|listeners| {
            let plain = listeners.plain().iter().map(ToString::to_string);
            plain.chain(listeners.encrypted().map(|listener| listener.to_string()))
        });
        assert_eq!(texts.collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn reads_what_is_spoken_at_an_address() {
        check_listeners("127.0.0.1:5300", &["127.0.0.1:5300"]);
        check_listeners("10.0.0.53", &["10.0.0.53:53"]);
        check_listeners("tls://10.0.0.53", &["tls://10.0.0.53:853"]);
        check_listeners("tls://[::1]:8853", &["tls://[::1]:8853"]);
        check_listeners("tls://:853", &["tls://0.0.0.0:853", "tls://[::]:853"]);
        check_listeners("quic://::1", &["quic://[::1]:853"]);
        check_listeners("https://10.0.0.53", &["https://10.0.0.53:443/dns-query"]);
        check_listeners("https://10.0.0.53/", &["https://10.0.0.53:443/dns-query"]);
        check_listeners("https://[::1]:8443/q", &["https://[::1]:8443/q"]);
        for wrong in [
            "tls://",
            "tls://dns.test",
            "tls://dns.test@10.0.0.53",
            "tls://10.0.0.53/dns-query",
            "https://10.0.0.53/dns-query?x",
            "https://10.0.0.53/dns query",
            "udp://10.0.0.53",
            "TLS://10.0.0.53",
        ] {
            check_listeners(wrong, &[]);
        }
    }
}
