use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use rustix::net::netdevice::name_to_index;

/// Why a text is not the address of a server.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// It is no address of one machine.
    #[error("expected IP, IP:PORT or [IPV6]:PORT, as in 10.0.0.2 or [2001:db8::2]:53")]
    NoAddress,
    /// The address means something on one link alone, and which is not said.
    #[error("expected a link-local address with its interface, as in fe80::53%eth0")]
    NoInterface,
    /// The interface is not there.
    #[error("this machine has no network interface named {0}")]
    UnknownInterface(String),
}

/// Reads the address of one machine, with this port where it names none. Behind `%`, a link-local address names its
/// interface ([RFC 4007 §11]) or the number of that, which is looked up once, here.
///
/// # Errors
///
/// [`AddressError`], for an unspecified address and port 0, too.
///
/// [RFC 4007 §11]: https://www.rfc-editor.org/rfc/rfc4007#section-11
pub fn socket_address(text: &str, port: u16) -> Result<SocketAddr, AddressError> {
    let (ip, zone, port) = parts(text, port).ok_or(AddressError::NoAddress)?;
    let is_one_machine = !ip.is_unspecified() && port > 0;
    match ip {
        _ if !is_one_machine => Err(AddressError::NoAddress),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            let scope_id = interface_index(zone.ok_or(AddressError::NoInterface)?)?;
            Ok(SocketAddrV6::new(ip, port, 0, scope_id).into())
        }
        _ if zone.is_some() => Err(AddressError::NoAddress),
        ip => Ok(SocketAddr::new(ip, port)),
    }
}

/// An address, its interface and its port.
fn parts(text: &str, port: u16) -> Option<(IpAddr, Option<&str>, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            let port = match behind {
                "" => port,
                behind => behind.strip_prefix(':')?.parse().ok()?,
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((v4, port)) if !port.contains(':') => {
                return Some((
                    v4.parse::<Ipv4Addr>().ok()?.into(),
                    None,
                    port.parse().ok()?,
                ));
            }
            _ => (text, port),
        },
    };
    match host.split_once('%') {
        Some((ip, zone)) => Some((ip.parse::<Ipv6Addr>().ok()?.into(), Some(zone), port)),
        None if text.starts_with('[') => Some((host.parse::<Ipv6Addr>().ok()?.into(), None, port)),
        None => Some((host.parse().ok()?, None, port)),
    }
}

/// The number of an interface, which may be given instead of its name.
fn interface_index(zone: &str) -> Result<u32, AddressError> {
    if let Ok(index @ 1..) = zone.parse() {
        return Ok(index);
    }
    let unknown = || AddressError::UnknownInterface(zone.to_owned());
    // The kernel takes the question by way of any socket.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|_| unknown())?;
    name_to_index(&socket, zone).map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let read = socket_address(text, 53).map(|address| address.to_string());
        assert_eq!(read.unwrap_or_else(|error| format!("{error:?}")), expected);
    }

    #[test]
    fn reads_addresses_in_every_form() {
        check("10.0.0.2", "10.0.0.2:53");
        check("10.0.0.2:5353", "10.0.0.2:5353");
        check("[::1]:5353", "[::1]:5353");
        check("::1", "[::1]:53");
        check("[2001:db8::1]", "[2001:db8::1]:53");
        for wrong in [
            "",
            "dns.test",
            "0.0.0.0",
            "::",
            "10.0.0.2:0",
            "10.0.0",
            "[10.0.0.2]:53",
        ] {
            check(wrong, "NoAddress");
        }
        for wrong in ["[::1", "[::1]53", "::1%lo", "10.0.0.2%lo", "10.0.0.2:x"] {
            check(wrong, "NoAddress");
        }
    }

    #[test]
    fn reads_the_interface_of_a_link_local_address() {
        check("fe80::53%2", "[fe80::53%2]:53");
        check("[fe80::53%2]:5353", "[fe80::53%2]:5353");
        // Every machine has a loopback interface, whose number is 1.
        check("fe80::53%lo", "[fe80::53%1]:53");
        check("fe80::53", "NoInterface");
        check("fe80::53%none", r#"UnknownInterface("none")"#);
        check("fe80::53%", r#"UnknownInterface("")"#);
    }
}
