//! Why an API server did not do as it was asked: one line that names the cluster, the verb and the resource, and says what to do.

use std::{error::Error as StdError, fmt, io, time::Duration};

use kube::{client::AuthError, error::Error};
use tokio_rustls::rustls::{self, CertificateError};

use super::{
    resource::{group, plural},
    said::Status,
};
use crate::diagnostic::{Cluster, Kind};

/// What was asked, of whom, and why nothing came of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{cluster}: {verb} {what}: {why}")]
pub struct Trouble {
    pub(super) cluster: Cluster,
    pub(super) verb: &'static str,
    pub(super) what: String,
    pub(super) why: Why,
}

/// What was asked did not end as it should.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: Why,
    /// How long the server wants not to be asked.
    pub(super) retry_after: Option<Duration>,
    /// Whether the server began to do as it was asked, and then said this.
    pub(super) in_stream: bool,
}

impl Failure {
    /// What a status says that was asked of `kind`.
    pub(super) fn of_status(code: u16, status: &Status, kind: Kind) -> Self {
        Self {
            why: Why::of_status(code, status, || rule(kind)),
            retry_after: status.retry_after(),
            in_stream: false,
        }
    }
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        Self {
            why,
            retry_after: None,
            in_stream: false,
        }
    }
}

impl Trouble {
    /// What kind of trouble it is, as metrics name it.
    pub fn reason(&self) -> Reason {
        self.why.reason()
    }
}

/// What is the matter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Why {
    #[error("forbidden: add {rule} to a ClusterRole of this user; the server says: {said}")]
    Forbidden { said: String, rule: String },
    #[error(
        "the server does not know this user: renew the token or the client certificate (it may have expired); it says: {0}"
    )]
    Unauthorized(String),
    #[error("get the credentials that the kubeconfig asks for: {0}")]
    Credentials(String),
    #[error(
        "the server's certificate is from an unknown authority: put the CA of the cluster into the kubeconfig (certificate-authority)"
    )]
    UnknownIssuer,
    #[error("the server's certificate has expired, or this machine's clock is wrong: renew it")]
    CertificateExpired,
    #[error(
        "the server's certificate is for another name: correct `server` in the kubeconfig, or set tls-server-name"
    )]
    CertificateName,
    #[error("greet the server over TLS: {0}")]
    Tls(String),
    #[error(
        "the server refuses the client certificate, which may have expired: renew it in the kubeconfig ({0})"
    )]
    ClientCertificate(String),
    #[error(
        "the name of the server can't be looked up: correct `server` in the kubeconfig, or the DNS of this machine ({0})"
    )]
    NoSuchHost(String),
    #[error(
        "connection refused: nothing listens there; start the API server, or correct `server` in the kubeconfig"
    )]
    Refused,
    #[error("the server can't be reached: {0}")]
    Unreachable(String),
    #[error("nothing came for {} s: the connection hangs", .0.as_secs())]
    Silent(Duration),
    #[error("the connection ended in the middle: {0}")]
    Cut(String),
    #[error("the server has too much to do (429): asking again later")]
    Throttled,
    #[error("the server failed ({code}): {said}")]
    Server { code: u16, said: String },
    #[error("the server does not have it (404): {0}")]
    NotServed(String),
    #[error("the server does not understand the question ({code}): {said}")]
    Refusal { code: u16, said: String },
    #[error("what the server sent can't be read: {0}")]
    Unreadable(String),
    #[error("what was listed is too old to go on from: listing again")]
    TooOld,
}

/// A kind of trouble.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// The user may not.
    Forbidden,
    /// The server does not know the user, or there are no credentials to be had.
    Unauthorized,
    /// The certificate of one of both.
    Certificate,
    /// A name that can't be looked up, or nobody there.
    Unreachable,
    /// Nothing comes.
    Silent,
    /// The connection ended.
    Cut,
    /// Too many requests.
    Throttled,
    /// The server failed, or does not understand.
    Server,
    /// No such resource.
    NotServed,
    /// What came can't be read.
    Unreadable,
    /// The version is gone.
    TooOld,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Forbidden,
        Self::Unauthorized,
        Self::Certificate,
        Self::Unreachable,
        Self::Silent,
        Self::Cut,
        Self::Throttled,
        Self::Server,
        Self::NotServed,
        Self::Unreadable,
        Self::TooOld,
    ];

    /// As metrics and `/ready` write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::Certificate => "certificate",
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::Cut => "cut",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::NotServed => "not-served",
            Self::Unreadable => "unreadable",
            Self::TooOld => "too-old",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Why {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Forbidden { .. } => Reason::Forbidden,
            Self::Unauthorized(_) | Self::Credentials(_) => Reason::Unauthorized,
            Self::UnknownIssuer
            | Self::CertificateExpired
            | Self::CertificateName
            | Self::Tls(_)
            | Self::ClientCertificate(_) => Reason::Certificate,
            Self::NoSuchHost(_) | Self::Refused | Self::Unreachable(_) => Reason::Unreachable,
            Self::Silent(_) => Reason::Silent,
            Self::Cut(_) => Reason::Cut,
            Self::Throttled => Reason::Throttled,
            Self::Server { .. } | Self::Refusal { .. } => Reason::Server,
            Self::NotServed(_) => Reason::NotServed,
            Self::Unreadable(_) => Reason::Unreadable,
            Self::TooOld => Reason::TooOld,
        }
    }

    /// Whether it may be otherwise in a moment.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self.reason(),
            Reason::Silent | Reason::Cut | Reason::Throttled | Reason::Server | Reason::TooOld
        )
    }

    /// Whether a connection that is made anew, with credentials that are read anew, may help.
    pub(super) fn is_of_connection(&self) -> bool {
        matches!(
            self.reason(),
            Reason::Unauthorized | Reason::Certificate | Reason::Unreachable | Reason::Silent
        )
    }

    /// What a status says; `rule` would allow what was asked.
    pub(super) fn of_status(code: u16, status: &Status, rule: impl FnOnce() -> String) -> Self {
        let said = one_line(&status.message);
        match code {
            401 => Self::Unauthorized(said),
            403 => Self::Forbidden { said, rule: rule() },
            404 => Self::NotServed(said),
            410 => Self::TooOld,
            429 => Self::Throttled,
            400..500 => Self::Refusal { code, said },
            _ => Self::Server { code, said },
        }
    }

    /// Why a request did not get a reply.
    pub(super) fn of_request(error: &Error) -> Self {
        match error {
            Error::Auth(error) => Self::Credentials(one_line(&error.to_string())),
            error => Self::of_transport(error, Self::Unreachable),
        }
    }

    /// Why a reply ended before its end.
    pub(super) fn of_body(error: &Error) -> Self {
        Self::of_transport(error, Self::Cut)
    }

    /// Looks for what is known among all that caused `error`.
    fn of_transport(error: &(dyn StdError + 'static), other: fn(String) -> Self) -> Self {
        let mut last = None;
        for cause in causes(error) {
            if let Some(error) = cause.downcast_ref::<AuthError>() {
                return Self::Credentials(one_line(&error.to_string()));
            }
            if let Some(error) = cause.downcast_ref::<rustls::Error>() {
                return Self::of_tls(error);
            }
            let text = cause.to_string();
            if text.starts_with("dns error") {
                let why = causes(cause).last().map(ToString::to_string);
                return Self::NoSuchHost(one_line(&why.unwrap_or(text)));
            }
            let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            if kind == Some(io::ErrorKind::ConnectionRefused) {
                return Self::Refused;
            }
            if kind == Some(io::ErrorKind::UnexpectedEof) {
                return other("the other end closed it".to_owned());
            }
            last = Some(text);
        }
        other(one_line(&last.unwrap_or_default()))
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            // Authorities of clusters have the same name everywhere: that of another one vouches with another key.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => Self::UnknownIssuer,
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => Self::CertificateExpired,
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Self::CertificateName,
            rustls::Error::AlertReceived(alert) => Self::ClientCertificate(format!("{alert:?}")),
            error => Self::Tls(one_line(&error.to_string())),
        }
    }
}

/// What a role has to hold so that a kind can be followed.
fn rule(kind: Kind) -> String {
    format!(
        r#"{{apiGroups: ["{}"], resources: ["{}"], verbs: ["get", "list", "watch"]}}"#,
        group(kind),
        plural(kind)
    )
}

/// An error and all that caused it. What is inside of an `io::Error` comes too, which its source passes over.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref());
        match inner {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

/// The first line of a text that others wrote, with a limit: fit for a line of the log.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 300;
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let plain = first.unwrap_or("nothing").chars().take(MOST);
    plain
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what is said where a list of Pods ends in `code`.
    #[track_caller]
    fn check(code: u16, message: &str, expected: &str, reason: Reason) {
        let status = Status {
            code,
            message: message.to_owned(),
            ..Status::default()
        };
        let trouble = Trouble {
            cluster: Cluster::only("prod"),
            verb: "list",
            what: "pods".to_owned(),
            why: Failure::of_status(code, &status, Kind::Pod).why,
        };
        assert_eq!(
            trouble.to_string(),
            format!("cluster prod: list pods: {expected}")
        );
        assert_eq!(trouble.reason(), reason);
    }

    #[test]
    fn every_status_is_one_line_that_says_what_to_do() {
        check(
            403,
            "pods is forbidden: User \"x\"\nand more",
            r#"forbidden: add {apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"]} to a ClusterRole of this user; the server says: pods is forbidden: User "x""#,
            Reason::Forbidden,
        );
        check(
            401,
            "Unauthorized",
            "the server does not know this user: renew the token or the client certificate (it may have expired); it says: Unauthorized",
            Reason::Unauthorized,
        );
        check(
            429,
            "",
            "the server has too much to do (429): asking again later",
            Reason::Throttled,
        );
        check(503, "", "the server failed (503): nothing", Reason::Server);
    }

    /// Checks what is found among the causes of `error`.
    #[track_caller]
    fn check_cause(error: impl StdError + Send + Sync + 'static, expected: &str) {
        // As connectors wrap it.
        let error = Error::Service(Box::new(io::Error::other(error)));
        assert!(
            Why::of_request(&error).to_string().starts_with(expected),
            "{error}"
        );
    }

    #[test]
    fn causes_are_told_apart() {
        check_cause(
            io::Error::from(io::ErrorKind::ConnectionRefused),
            "connection refused: nothing listens there",
        );
        let certificate = |error| rustls::Error::InvalidCertificate(error);
        check_cause(
            certificate(CertificateError::UnknownIssuer),
            "the server's certificate is from an unknown authority",
        );
        check_cause(
            certificate(CertificateError::Expired),
            "the server's certificate has expired",
        );
        check_cause(
            certificate(CertificateError::NotValidForName),
            "the server's certificate is for another name",
        );
        check_cause(
            rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired),
            "the server refuses the client certificate",
        );
        check_cause(AuthError::MissingCommand, "get the credentials");
        check_cause(io::Error::other("odd"), "the server can't be reached: odd");
    }
}
