//! How the process ends where the server can't start.

use std::io;

use super::super::{Exit, Failure};
use crate::{
    control::StartError,
    forward, http, probe,
    serve::{BindError, CertificateError, CookieKeyError},
};

impl From<CertificateError> for Failure {
    fn from(error: CertificateError) -> Self {
        let exit = match &error {
            CertificateError::Read { .. } => Exit::NoInput,
            _ => Exit::Config,
        };
        Self::new(exit, error)
    }
}

impl From<CookieKeyError> for Failure {
    fn from(error: CookieKeyError) -> Self {
        let exit = match &error {
            CookieKeyError::Read { .. } => Exit::NoInput,
            CookieKeyError::NoKey { .. } | CookieKeyError::Count { .. } => Exit::Config,
            CookieKeyError::Random(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let exit = match &error {
            BindError::AddressInUse { .. }
            | BindError::AddressNotAvailable { .. }
            | BindError::NoFreePort { .. } => Exit::Unavailable,
            BindError::PermissionDenied { .. } => Exit::NoPermission,
            BindError::Listen { .. } | BindError::Start { .. } => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<probe::StartError> for Failure {
    fn from(error: probe::StartError) -> Self {
        Self::new(Exit::Failed, error)
    }
}

impl From<http::BindError> for Failure {
    fn from(error: http::BindError) -> Self {
        no_address(error, "--http")
    }
}

/// The pages of `flag` can't be where they are to be.
pub(super) fn no_address(error: http::BindError, flag: &str) -> Failure {
    let (exit, advice) = match error.source.kind() {
        io::ErrorKind::AddrInUse => (
            Exit::Unavailable,
            format!("another program uses it; choose another address with {flag}, or {flag} off"),
        ),
        io::ErrorKind::PermissionDenied => (
            Exit::NoPermission,
            format!(
                "a port below 1024 needs root or CAP_NET_BIND_SERVICE; or choose a higher port with {flag}"
            ),
        ),
        io::ErrorKind::AddrNotAvailable => (
            Exit::Unavailable,
            "this machine does not have the address".to_owned(),
        ),
        _ => return Failure::new(Exit::Failed, error),
    };
    Failure::new(exit, anyhow::anyhow!("{error}: {advice}"))
}

impl From<forward::StartError> for Failure {
    fn from(error: forward::StartError) -> Self {
        let exit = match &error {
            forward::StartError::Itself { .. } | forward::StartError::NoAuthorities => Exit::Config,
            forward::StartError::Random(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Load(error) => error.into(),
            StartError::Thread(_) => Self::new(Exit::Failed, error),
        }
    }
}
