//! The readiness probe of a `WorkloadGroup`: checked, and run by the agent on the VM.

use super::{
    findings::Findings,
    value::{Fields, Node, quoted},
    workload::is_port,
};
use crate::diagnostic::code;

const NUMBERS: &[&str] = &[
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
];

const METHODS: &[&str] = &["httpGet", "tcpSocket", "exec", "grpc"];

const FIELDS: &[&str] = &[
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
    "httpGet",
    "tcpSocket",
    "exec",
    "grpc",
];

/// Checks a probe. A `grpc` probe is taken: only Istio's webhook forgets it.
pub(super) fn check(findings: &mut Findings, probe: Fields<'_>) {
    findings.check_known(probe, FIELDS);
    for name in NUMBERS {
        if let Some(node) = probe.get(name)
            && let Some(number) = findings.integer(node, format_args!("`{name}`"))
            && i32::try_from(number).map_or(true, |number| number < 0)
        {
            let message = format!(
                "`{name}` is {}: use 0 (the default) to 2147483647",
                node.shown()
            );
            findings.error(node.id, code::PROBE_NUMBER, message);
        }
    }
    let mut methods = probe
        .entries
        .iter()
        .filter(|entry| METHODS.contains(&entry.key.text));
    match (methods.next(), methods.next()) {
        (None, _) => {
            let message = "the probe says not how to probe: write one of `httpGet`, `tcpSocket`, `exec` and `grpc`";
            findings.error(probe.id, code::PROBE_METHOD, message);
        }
        (Some(first), Some(second)) => {
            let message = format!(
                "the probe has both `{}` and `{}`: keep one",
                first.key.text, second.key.text
            );
            findings.error(second.key.id, code::PROBE_METHODS, message);
        }
        (Some(_), None) => {}
    }
    for (name, check_method) in [
        ("httpGet", check_http as fn(&mut Findings, Fields<'_>)),
        ("tcpSocket", check_tcp),
        ("exec", check_exec),
        ("grpc", check_grpc),
    ] {
        if let Some(node) = probe.get(name)
            && let Some(fields) = findings.fields(node, format_args!("`{name}`"))
        {
            check_method(findings, fields);
        }
    }
}

fn check_http(findings: &mut Findings, http: Fields<'_>) {
    findings.check_known(http, &["path", "port", "host", "scheme", "httpHeaders"]);
    check_texts(findings, http, &["path", "host"]);
    check_port(findings, http);
    if let Some(node) = http.get("scheme")
        && let Some(scheme) = findings.text(node, "`scheme`")
        && !matches!(scheme, "" | "HTTP" | "HTTPS")
    {
        let message = format!("`scheme` is {}: use `HTTP` or `HTTPS`", quoted(scheme));
        findings.error(node.id, code::PROBE_SCHEME, message);
    }
    if let Some(headers) = http
        .get("httpHeaders")
        .and_then(|node| findings.items(node, "`httpHeaders`"))
    {
        for node in headers {
            check_header(findings, node);
        }
    }
}

fn check_header(findings: &mut Findings, node: &Node<'_>) {
    let Some(header) = findings.fields(node, "a header in `httpHeaders`") else {
        return;
    };
    findings.check_known(header, &["name", "value"]);
    check_texts(findings, header, &["value"]);
    let name = match header.get("name") {
        Some(node) => findings
            .text(node, "a header's `name`")
            .map(|name| (node.id, name)),
        None => Some((header.id, "")),
    };
    if let Some((at, name)) = name
        && (name.is_empty()
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
    {
        let message = format!(
            "the header name {} is malformed: use letters, digits and `-`",
            quoted(name)
        );
        findings.error(at, code::PROBE_HEADER, message);
    }
}

fn check_tcp(findings: &mut Findings, tcp: Fields<'_>) {
    findings.check_known(tcp, &["host", "port"]);
    check_texts(findings, tcp, &["host"]);
    check_port(findings, tcp);
}

fn check_grpc(findings: &mut Findings, grpc: Fields<'_>) {
    findings.check_known(grpc, &["port", "service"]);
    check_texts(findings, grpc, &["service"]);
    check_port(findings, grpc);
}

fn check_exec(findings: &mut Findings, exec: Fields<'_>) {
    findings.check_known(exec, &["command"]);
    let empty = "`command` is empty: write the program and its arguments";
    let Some(node) = exec.get("command") else {
        return findings.error(exec.id, code::PROBE_COMMAND, empty);
    };
    let Some(words) = findings.items(node, "`command`") else {
        return;
    };
    if words.is_empty() {
        findings.error(node.id, code::PROBE_COMMAND, empty);
    }
    for word in words {
        if findings.text(word, "a word of `command`") == Some("") {
            findings.error(
                word.id,
                code::PROBE_COMMAND,
                "a word of `command` is empty: take it out",
            );
        }
    }
}

fn check_port(findings: &mut Findings, fields: Fields<'_>) {
    let Some(node) = fields.get("port") else {
        return findings.error(
            fields.id,
            code::PROBE_PORT,
            "the probe's `port` is missing: use 1 to 65535",
        );
    };
    if findings
        .integer(node, "the probe's `port`")
        .is_some_and(|number| !is_port(number))
    {
        let message = format!("the probe's `port` is {}: use 1 to 65535", node.shown());
        findings.error(node.id, code::PROBE_PORT, message);
    }
}

fn check_texts(findings: &mut Findings, fields: Fields<'_>, names: &[&str]) {
    for name in names {
        if let Some(node) = fields.get(name) {
            findings.text(node, format_args!("`{name}`"));
        }
    }
}
