//! `addresses`: the virtual IPs.

use std::net::IpAddr;

use super::super::{
    address::{self, Ip},
    findings::Findings,
    object::Resolution,
    value::{Fields, NodeId, quoted},
    workload::Stated,
};
use crate::diagnostic::code;

/// The addresses as stated, and those that can be answered.
#[derive(Default)]
pub(super) struct Addresses<'a> {
    pub(super) stated: Vec<Stated<'a>>,
    /// Single IPs, once each.
    pub(super) usable: Vec<IpAddr>,
}

/// Reads `addresses`.
pub(super) fn decode<'a>(
    findings: &mut Findings,
    spec: Fields<'a>,
    resolution: Option<Resolution>,
) -> Addresses<'a> {
    let mut addresses = Addresses::default();
    let Some(list) = spec.get("addresses") else {
        return addresses;
    };
    let Some(items) = findings.items(list, "`addresses`") else {
        return addresses;
    };
    findings.check_count(list.id, items.len(), 256, "`addresses`");
    let is_answer = matches!(resolution, Some(Resolution::None | Resolution::Static))
        && ["endpoints", "workloadSelector"]
            .into_iter()
            .all(|key| spec.get(key).is_none());
    // What is over the limit is an error already, and comparing it would take its square.
    for node in items.iter().take(256) {
        let Some(text) = findings.text(node, "an entry of `addresses`") else {
            continue;
        };
        addresses.stated.push(Stated { at: node.id, text });
        findings.check_length(node.id, text, 64, "an entry of `addresses`");
        let address = usable(findings, node.id, text);
        if address.is_some_and(|address| !is_routed(address)) {
            // Where there are endpoints, or the host is looked up, no address is asked for.
            if is_answer {
                let message = format!(
                    "the address {} is of class E (240.0.0.0/4), which nobody routes: it is a virtual one for proxies, and never an answer",
                    quoted(text)
                );
                findings.info(node.id, code::VIP_UNROUTED, message);
            }
        } else if let Some(address) = address
            && !addresses.usable.contains(&address)
        {
            addresses.usable.push(address);
        }
        if text.contains('/')
            && !matches!(
                resolution,
                None | Some(Resolution::None | Resolution::Static)
            )
        {
            let message = format!(
                "the block {} needs resolution NONE or STATIC: write a single address without `/`",
                quoted(text)
            );
            findings.error(node.id, code::VIP_BLOCK, message);
        }
    }
    addresses
}

/// Whether anyone routes packets to `address`: nobody does for class E (240.0.0.0/4, [RFC 1112 §4]), which Istio takes
/// virtual addresses from.
///
/// [RFC 1112 §4]: https://www.rfc-editor.org/rfc/rfc1112#section-4
fn is_routed(address: IpAddr) -> bool {
    !matches!(address, IpAddr::V4(v4) if v4.octets()[0] >= 240)
}

/// The single address that an entry states.
fn usable(findings: &mut Findings, at: NodeId, text: &str) -> Option<IpAddr> {
    if text.contains('/') {
        if let Some((address, length)) = address::block(text) {
            return (length == address::full_length(address)).then_some(address);
        }
    } else if let Some(ip) = address::ip(text) {
        match ip {
            Ip::Plain(address) => return Some(address),
            Ip::Zoned => {
                let message = format!(
                    "the address {} has a zone, which no DNS answer can hold: it is left out",
                    quoted(text)
                );
                findings.warning(at, code::ADDRESS_ZONE, message);
                return None;
            }
        }
    }
    let message = format!(
        "{} is neither an IP address nor a block such as `10.0.0.0/24`",
        quoted(text)
    );
    findings.error(at, code::VIP_SYNTAX, message);
    None
}
