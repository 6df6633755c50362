//! What is noteworthy about the records that annotations ask for.

use std::sync::Arc;

use super::{Compiled, Settings, pointers};
use crate::{
    diagnostic::{Code, Diagnostic, Severity, code},
    dns::Name,
    manifest::TrafficNotes,
    mesh::Service,
};

/// Warnings where the ServiceEntries that answer for `host`, as `compiled` has it, ask for records that it does not have.
pub fn remarks(
    host: &Name,
    chosen: &[&Arc<Service>],
    compiled: &Compiled,
    settings: &Settings,
) -> Vec<Diagnostic> {
    let Compiled::Records(records) = compiled else {
        return Vec::new();
    };
    let asks = |asked: fn(&TrafficNotes) -> bool| {
        let mut asking = chosen.iter().copied();
        asking.find(|service| service.traffic.as_deref().is_some_and(asked))
    };
    let mut remarks = Vec::new();
    if let Some(service) = asks(|notes| !notes.https.is_empty()) {
        let services = records.services();
        let ports = services.ports.as_deref().unwrap_or_default();
        let has_https = services
            .texts
            .as_deref()
            .is_some_and(|texts| !texts.https.is_empty());
        let why = if host.is_wildcard() {
            Some("it is a wildcard: its names have none")
        } else if !ports.iter().any(|port| port.is_https) {
            Some(
                "it has no port of protocol HTTPS: a client that finds such a record asks with TLS",
            )
        } else if !has_https {
            Some("its endpoints have the port at different numbers, and one record can't say that")
        } else {
            None
        };
        remarks.extend(why.map(|why| {
            let message = format!(
                "host {host} has no HTTPS record, which `meshdns.io/https` asks for: {why}"
            );
            warning(service, code::HTTPS_NOT_GIVEN, message)
        }));
    }
    if let Some(service) = asks(|notes| notes.takes_pointers) {
        let mut addresses = records.rrsets().addresses().peekable();
        let zones = pointers::zones(settings);
        let why = if host.is_wildcard() {
            Some("it is a wildcard, and an address leads to one name")
        } else if !settings.has_pointers {
            Some("the configuration has `answers.ptr: off`")
        } else if addresses.peek().is_some()
            && !addresses.any(|address| pointers::is_in(&zones, address))
        {
            Some(
                "the names of its addresses are in no declared zone: declare one, such as `--zone 10.in-addr.arpa`",
            )
        } else {
            None
        };
        remarks.extend(why.map(|why| {
            let message =
                format!("no address leads to host {host}, for which `meshdns.io/ptr` asks: {why}");
            warning(service, code::NO_POINTER, message)
        }));
    }
    remarks
}

fn warning(service: &Service, code: Code, message: String) -> Diagnostic {
    Diagnostic {
        origin: service.origin(),
        severity: Severity::Warning,
        code,
        message,
        object: Some(service.key.clone()),
    }
}
