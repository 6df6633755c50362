//! A readiness probe: the stanza of a `WorkloadGroup`, which annotations and the configuration have too.

use bumpalo::Bump;

use super::{
    findings::Findings,
    raw::RawDocument,
    read,
    value::{Fields, Node, is_port, quoted},
};
use crate::diagnostic::code;

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

const METHODS: &[&str] = &["httpGet", "tcpSocket", "exec", "grpc"];

/// How an endpoint is probed and what counts, with the defaults of a kubelet (`SetDefaults_Probe`) in the place of what the
/// stanza leaves out or sets to 0. Two stanzas that come to the same are equal.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Probe {
    /// What is done.
    pub method: ProbeMethod,
    /// How long a new endpoint is left alone; default 0.
    pub initial_delay_seconds: u32,
    /// How long one probe may take, redirects included; default 1.
    pub timeout_seconds: u32,
    /// From the start of one probe to that of the next; default 10.
    pub period_seconds: u32,
    /// How many passes in a row bring a failing endpoint back; default 1.
    pub success_threshold: u32,
    /// How many failures in a row take a passing endpoint out; default 3.
    pub failure_threshold: u32,
}

/// What a probe does.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ProbeMethod {
    /// `httpGet`: passes with a status from 200 to 399.
    Http(HttpGet),
    /// `tcpSocket`: passes when a connection is made.
    Tcp {
        /// The port.
        port: u16,
    },
    /// `grpc`: passes when `grpc.health.v1.Health/Check` says `SERVING`.
    Grpc {
        /// The port.
        port: u16,
        /// The service that is asked for; empty for the server as a whole.
        service: Box<str>,
    },
    /// `exec`: can't be run from here.
    Exec,
}

impl ProbeMethod {
    /// The port that is probed; `None` where nothing can be from here.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Http(HttpGet { port, .. }) | Self::Tcp { port } | Self::Grpc { port, .. } => {
                Some(*port)
            }
            Self::Exec => None,
        }
    }
}

/// The request of an `httpGet` probe.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HttpGet {
    /// The port.
    pub port: u16,
    /// Whether it is `HTTPS`; a certificate is not verified.
    pub is_tls: bool,
    /// Path and query, as written; `/` where there is none.
    pub path: Box<str>,
    /// The `Host` that the request names in place of the endpoint's address. It is never connected to.
    pub host: Option<Box<str>>,
    /// `httpHeaders`, in their order, with names as written.
    pub headers: Box<[(Box<str>, Box<str>)]>,
}

impl Probe {
    /// Reads a stanza that stands by itself, as YAML or JSON; what is wrong with it, where it can't be used.
    ///
    /// # Errors
    ///
    /// One message for each mistake, unknown fields included: nobody is there to be warned.
    pub fn from_text(text: &str) -> Result<Self, Vec<String>> {
        from_text(text)
    }
}

/// [`Probe::from_text`].
pub(super) fn from_text(text: &str) -> Result<Probe, Vec<String>> {
    let arena = Bump::new();
    let raw = RawDocument {
        text,
        number: 1,
        line: 1,
        indent: 0,
    };
    let tree = read::read(&arena, &raw, false).map_err(|unreadable| vec![unreadable.message])?;
    let faults = tree.faults.iter().map(|fault| fault.message.to_string());
    let mut problems: Vec<String> = faults.collect();
    let mut findings = Findings::default();
    let fields = findings.fields(&tree.root, "the probe");
    let probe = fields.and_then(|fields| decode(&mut findings, fields));
    let found = findings.into_problems().into_iter();
    problems.extend(found.map(|problem| problem.message));
    match probe {
        Some(probe) if problems.is_empty() => Ok(probe),
        _ => Err(problems),
    }
}

/// Reads a probe. A `grpc` probe is taken: only Istio's webhook forgets it. What is missing is in `findings`.
pub(super) fn decode(findings: &mut Findings, probe: Fields<'_>) -> Option<Probe> {
    findings.check_known(probe, FIELDS);
    let mut seconds = |name: &str, default: u32| {
        number(findings, probe, name)
            .filter(|number| *number > 0)
            .unwrap_or(default)
    };
    let initial_delay_seconds = seconds("initialDelaySeconds", 0);
    let timeout_seconds = seconds("timeoutSeconds", 1);
    let period_seconds = seconds("periodSeconds", 10);
    let success_threshold = seconds("successThreshold", 1);
    let failure_threshold = seconds("failureThreshold", 3);
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
    let mut found = None;
    for (name, decode_method) in [
        (
            "httpGet",
            http as fn(&mut Findings, Fields<'_>) -> Option<ProbeMethod>,
        ),
        ("tcpSocket", tcp),
        ("exec", exec),
        ("grpc", grpc),
    ] {
        if let Some(node) = probe.get(name)
            && let Some(fields) = findings.fields(node, format_args!("`{name}`"))
        {
            found = found.or(decode_method(findings, fields));
        }
    }
    Some(Probe {
        method: found?,
        initial_delay_seconds,
        timeout_seconds,
        period_seconds,
        success_threshold,
        failure_threshold,
    })
}

fn number(findings: &mut Findings, probe: Fields<'_>, name: &str) -> Option<u32> {
    let node = probe.get(name)?;
    let number = findings.integer(node, format_args!("`{name}`"))?;
    if i32::try_from(number).map_or(true, |number| number < 0) {
        let message = format!(
            "`{name}` is {}: use 0 (the default) to 2147483647",
            node.shown()
        );
        findings.error(node.id, code::PROBE_NUMBER, message);
    }
    u32::try_from(number).ok()
}

fn http(findings: &mut Findings, http: Fields<'_>) -> Option<ProbeMethod> {
    findings.check_known(http, &["path", "port", "host", "scheme", "httpHeaders"]);
    let path = text(findings, http, "path").filter(|path| !path.is_empty());
    let host = text(findings, http, "host").filter(|host| !host.is_empty());
    let port = port(findings, http);
    let scheme = http
        .get("scheme")
        .and_then(|node| Some((node.id, findings.text(node, "`scheme`")?)));
    if let Some((at, scheme)) = scheme
        && !matches!(scheme, "" | "HTTP" | "HTTPS")
    {
        let message = format!("`scheme` is {}: use `HTTP` or `HTTPS`", quoted(scheme));
        findings.error(at, code::PROBE_SCHEME, message);
    }
    let headers = http
        .get("httpHeaders")
        .and_then(|node| findings.items(node, "`httpHeaders`"))
        .unwrap_or_default();
    let headers = headers.iter().filter_map(|node| header(findings, node));
    let headers = headers.collect();
    Some(ProbeMethod::Http(HttpGet {
        port: port?,
        is_tls: scheme.is_some_and(|(_, scheme)| scheme == "HTTPS"),
        path: path.unwrap_or("/").into(),
        host: host.map(Into::into),
        headers,
    }))
}

fn header(findings: &mut Findings, node: &Node<'_>) -> Option<(Box<str>, Box<str>)> {
    let header = findings.fields(node, "a header in `httpHeaders`")?;
    findings.check_known(header, &["name", "value"]);
    let value = text(findings, header, "value").unwrap_or_default();
    let (at, name) = match header.get("name") {
        Some(node) => (node.id, findings.text(node, "a header's `name`")?),
        None => (header.id, ""),
    };
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        let message = format!(
            "the header name {} is malformed: use letters, digits and `-`",
            quoted(name)
        );
        findings.error(at, code::PROBE_HEADER, message);
    }
    Some((name.into(), value.into()))
}

fn tcp(findings: &mut Findings, tcp: Fields<'_>) -> Option<ProbeMethod> {
    findings.check_known(tcp, &["host", "port"]);
    text(findings, tcp, "host");
    Some(ProbeMethod::Tcp {
        port: port(findings, tcp)?,
    })
}

fn grpc(findings: &mut Findings, grpc: Fields<'_>) -> Option<ProbeMethod> {
    findings.check_known(grpc, &["port", "service"]);
    let service = text(findings, grpc, "service").unwrap_or_default();
    Some(ProbeMethod::Grpc {
        port: port(findings, grpc)?,
        service: service.into(),
    })
}

fn exec(findings: &mut Findings, exec: Fields<'_>) -> Option<ProbeMethod> {
    findings.check_known(exec, &["command"]);
    let empty = "`command` is empty: write the program and its arguments";
    let Some(node) = exec.get("command") else {
        findings.error(exec.id, code::PROBE_COMMAND, empty);
        return None;
    };
    let words = findings.items(node, "`command`")?;
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
    Some(ProbeMethod::Exec)
}

fn port(findings: &mut Findings, fields: Fields<'_>) -> Option<u16> {
    let Some(node) = fields.get("port") else {
        findings.error(
            fields.id,
            code::PROBE_PORT,
            "the probe's `port` is missing: use 1 to 65535",
        );
        return None;
    };
    let number = findings.integer(node, "the probe's `port`")?;
    if !is_port(number) {
        let message = format!("the probe's `port` is {}: use 1 to 65535", node.shown());
        findings.error(node.id, code::PROBE_PORT, message);
    }
    u16::try_from(number).ok()
}

fn text<'a>(findings: &mut Findings, fields: Fields<'a>, name: &str) -> Option<&'a str> {
    let node = fields.get(name)?;
    findings.text(node, format_args!("`{name}`"))
}
