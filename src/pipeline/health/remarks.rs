//! What is noteworthy about how endpoints are checked: told once for the object, whichever hosts it serves.

use std::{fmt::Write as _, net::SocketAddr};

use super::{Health, for_each_subject};
use crate::{
    diagnostic::{Code, Diagnostic, Kind, Severity, code},
    health::{CheckPolicy, Subject},
    manifest::{HttpGet, Notes, Probe, ProbeMethod},
    mesh::{EndpointHolder, Mesh, Slot},
};

impl Health {
    /// What is to be said of an object's checks.
    pub(super) fn remarks(&self, mesh: &Mesh, slot: Slot) -> Vec<Diagnostic> {
        let mut remarks = Vec::new();
        let Some(holder) = mesh.holder(slot) else {
            return remarks;
        };
        let (origin, key) = match holder {
            EndpointHolder::Workload { workload, .. } => (workload.origin(), &workload.key),
            EndpointHolder::Service(service) => (service.origin(), &service.key),
        };
        let mut remark = |(severity, code, message): Remark| {
            remarks.push(Diagnostic {
                origin: origin.clone(),
                severity,
                code,
                message,
                object: Some(key.clone()),
            });
        };
        let Some(policy) = &self.policy else {
            let notes = match holder {
                EndpointHolder::Workload { workload, .. } => workload.notes(),
                EndpointHolder::Service(service) => service.notes.as_deref(),
            };
            notes.and_then(without_health).into_iter().for_each(remark);
            return remarks;
        };
        let is_named = match holder {
            EndpointHolder::Workload { workload, .. } => workload.name().is_some(),
            EndpointHolder::Service(_) => false,
        };
        let mut seen = Vec::new();
        for_each_subject(mesh, slot, |subject| {
            let (probe, _) = super::checks::probe_of(mesh, subject, policy);
            let said = probe.map(|probe| of_probe(&probe, subject, is_named, policy));
            for said in said.into_iter().flatten() {
                if !seen.contains(&said) {
                    seen.push(said.clone());
                    remark(said);
                }
            }
        });
        remarks
    }
}

type Remark = (Severity, Code, String);

/// Annotations that mean nothing where nobody is checked.
fn without_health(notes: &Notes) -> Option<Remark> {
    let mut names = String::new();
    for (is_there, name) in [
        (notes.probe.is_some(), "probe"),
        (notes.workload_group.is_some(), "workload-group"),
        (notes.heartbeat_seconds.is_some(), "heartbeat"),
    ] {
        if is_there {
            let separator = if names.is_empty() { "" } else { ", " };
            let _ = write!(names, "{separator}`meshdns.io/{name}`");
        }
    }
    let message = format!(
        "{names}: ignored, for the configuration has no section `health`; `health: {{}}` is enough"
    );
    (!names.is_empty()).then_some((Severity::Info, code::CHECK_IGNORED, message))
}

/// What is to be said of a probe that is meant for an endpoint.
fn of_probe(
    probe: &Probe,
    subject: &Subject<'_>,
    is_named: bool,
    policy: &CheckPolicy,
) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let not_checked = |why: &str| {
        let message = format!("not checked: {why}; its status alone counts");
        (Severity::Info, code::NOT_CHECKED, message)
    };
    if subject.key.kind == Kind::Pod {
        return remarks;
    }
    let Some(port) = probe.method.port() else {
        remarks.push(not_checked("`exec` runs on the VM only"));
        return remarks;
    };
    if is_named || subject.is_inline && subject.addresses.is_empty() {
        remarks.push(not_checked("it is a name, which is resolved anew instead"));
        return remarks;
    }
    let [address] = *subject.addresses else {
        return remarks;
    };
    if let Some(forbidden) = policy.reach.forbids(SocketAddr::new(address, port)) {
        remarks.push(not_checked(&format!(
            "{address} is out of reach ({forbidden})"
        )));
        return remarks;
    }
    if let ProbeMethod::Http(HttpGet {
        host: Some(host), ..
    }) = &probe.method
    {
        remarks.push(of_host(host));
    }
    remarks
}

/// What a probe's `host` comes to: nobody but the endpoint is connected to.
fn of_host(host: &str) -> Remark {
    let is_itself = host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    if is_itself {
        let message =
            format!("the probe's `host` is {host}: the endpoint itself is meant, and probed");
        return (Severity::Info, code::PROBE_HOST, message);
    }
    let message = format!(
        "the probe's `host` is {host}: the endpoint is probed, with this as its Host, and nobody else; set a header `Host` instead"
    );
    (Severity::Warning, code::PROBE_HOST, message)
}
