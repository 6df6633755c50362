//! Why a request gets no page: the same for people and for programs.

use std::time::Duration;

use axum::http::StatusCode;

/// What is said in place of a page.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// A stable word.
    pub(super) code: &'static str,
    pub(super) message: String,
    /// When to ask again.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The name in the request is not known to mean this server.
    pub(super) fn misdirected(host: &str) -> Self {
        let message = format!(
            "the host `{host}` is not known to mean this server: ask by an address or localhost, or name it in `ui.hosts` of the configuration"
        );
        Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", message)
    }

    /// The token is missing or wrong.
    pub(super) fn unauthorized() -> Self {
        let message =
            "the token of `ui.tokenFile` is needed: as a bearer's, or as the password of any user";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// A page changes nothing.
    pub(super) fn method() -> Self {
        let message = "the pages show, and change nothing: GET and HEAD alone";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "methodNotAllowed", message)
    }

    /// There is no such page.
    pub(super) fn no_page(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "notFound",
            format!("nothing is at {path}"),
        )
    }

    /// A parameter that the page has not.
    pub(super) fn unknown_parameter(name: &str, known: &[&str]) -> Self {
        let known = match known {
            [] => "this page has none".to_owned(),
            known => format!("known here: {}", known.join(", ")),
        };
        Self::new(
            StatusCode::BAD_REQUEST,
            "unknownParameter",
            format!("unknown parameter `{name}`; {known}"),
        )
    }

    /// A parameter that can't be read.
    pub(super) fn wrong_parameter(name: &str, value: &str, expected: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "wrongParameter",
            format!("parameter `{name}` is `{value}`: expected {expected}"),
        )
    }

    /// No mesh is loaded.
    pub(super) fn starting() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "starting",
                "the first load of the mesh is not done yet",
            )
        }
    }

    /// Who knows has other things to do.
    pub(super) fn busy(age: Duration) -> Self {
        let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
        Self {
            retry_after: Some(Duration::from_secs(2)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!(
                    "changes are being taken in, and nobody has time to answer; what is served was last looked at {age} ago"
                ),
            )
        }
    }
}
