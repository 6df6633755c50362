use std::net::{SocketAddr, UdpSocket};

/// Where this server answers.
#[derive(Clone, Debug)]
pub(super) struct Own(pub(super) Vec<SocketAddr>);

impl Own {
    /// Whether a question to `address` would come to this server.
    pub(super) fn holds(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|own| {
            let is_same = own.ip() == address.ip();
            let is_any = own.ip().is_unspecified() && own.is_ipv4() == address.is_ipv4();
            own.port() == address.port() && (is_same || is_any && is_of_this_machine(address))
        })
    }
}

/// Only a machine's own address can be bound; a link-local one with its interface.
fn is_of_this_machine(mut address: SocketAddr) -> bool {
    address.set_port(0);
    UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_every_address_of_the_machine() {
        let address = |text: &str| text.parse().expect("an address");
        let own = Own(vec![address("0.0.0.0:53"), address("192.0.2.1:5300")]);
        assert!(own.holds(address("127.0.0.1:53")));
        assert!(!own.holds(address("127.0.0.1:54")));
        assert!(
            !own.holds(address("192.0.2.1:53")),
            "it is another machine's"
        );
        assert!(own.holds(address("192.0.2.1:5300")));
        assert!(!own.holds(address("[::1]:53")));
    }
}
