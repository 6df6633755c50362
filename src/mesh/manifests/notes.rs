//! Writes what is noted on objects for us, and probes, as they are read.

use std::num::NonZeroU32;

use serde_json::{Map, Value, json};

use super::timestamp;
use crate::manifest::{HttpGet, Notes, Probe, ProbeMethod, ProbeNote, TrafficNotes};

/// What is written as the annotations of an object.
#[derive(Clone, Copy, Default)]
pub(super) struct Annotations<'a> {
    pub(super) notes: Option<&'a Notes>,
    pub(super) traffic: Option<&'a TrafficNotes>,
    /// Of a Pod.
    pub(super) weight: Option<NonZeroU32>,
    /// Whether a report is waited for.
    pub(super) health_checks: bool,
}

impl Annotations<'_> {
    /// Appends them behind another field, where there are any.
    pub(super) fn push(self, out: &mut String) {
        let mut annotations = Map::new();
        if self.health_checks {
            let name = "proxy.istio.io/health-checks-enabled";
            annotations.insert(name.to_owned(), "true".into());
        }
        if let Some(weight) = self.weight.filter(|weight| *weight != NonZeroU32::MIN) {
            annotations.insert("meshdns.io/weight".to_owned(), weight.to_string().into());
        }
        if let Some(notes) = self.notes {
            add(notes, &mut annotations);
        }
        if let Some(traffic) = self.traffic {
            let texts = traffic.annotations().into_iter();
            annotations.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
        }
        if !annotations.is_empty() {
            out.push_str(",\"annotations\":");
            out.push_str(&Value::Object(annotations).to_string());
        }
    }
}

fn add(notes: &Notes, annotations: &mut Map<String, Value>) {
    let mut add = |name: &str, value: String| {
        annotations.insert(name.to_owned(), value.into());
    };
    if let Some(order) = &notes.order {
        add("meshdns.io/state", order.state.as_str().to_owned());
        if let Some(until) = order.until {
            // What is older than 1970 is as long over as what ended then.
            let until = timestamp(until).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned());
            add("meshdns.io/state-until", until);
        }
        if let Some(reason) = &order.reason {
            add("meshdns.io/state-reason", reason.to_string());
        }
    }
    match &notes.probe {
        Some(ProbeNote::Never) => add("meshdns.io/probe", "none".to_owned()),
        Some(ProbeNote::Probe(probe)) => add("meshdns.io/probe", probe_json(probe).to_string()),
        None => {}
    }
    if let Some(group) = &notes.workload_group {
        add("meshdns.io/workload-group", group.to_string());
    }
    if let Some(group) = &notes.registration_group {
        add("istio.io/autoRegistrationGroup", group.to_string());
    }
    if let Some(seconds) = notes.heartbeat_seconds {
        add("meshdns.io/heartbeat", format!("{seconds}s"));
    }
}

/// A probe as a stanza.
pub(super) fn probe_json(probe: &Probe) -> Value {
    let (name, method) = match &probe.method {
        ProbeMethod::Tcp { port } => ("tcpSocket", json!({ "port": port })),
        ProbeMethod::Grpc { port, service } => {
            ("grpc", json!({ "port": port, "service": service }))
        }
        ProbeMethod::Exec => ("exec", json!({ "command": ["unknown"] })),
        ProbeMethod::Http(http) => ("httpGet", http_json(http)),
    };
    let mut stanza = json!({
        "initialDelaySeconds": probe.initial_delay_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "periodSeconds": probe.period_seconds,
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
    });
    stanza[name] = method;
    stanza
}

fn http_json(http: &HttpGet) -> Value {
    let mut fields = json!({
        "port": http.port,
        "path": http.path,
        "scheme": if http.is_tls { "HTTPS" } else { "HTTP" },
    });
    if let Some(host) = &http.host {
        fields["host"] = (&**host).into();
    }
    if !http.headers.is_empty() {
        let headers = http.headers.iter();
        let headers = headers.map(|(name, value)| json!({ "name": name, "value": value }));
        fields["httpHeaders"] = headers.collect();
    }
    fields
}
