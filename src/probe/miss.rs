//! Why a probe did not pass.

use std::{error::Error, io};

use tokio_rustls::rustls;

use crate::health::{Failure, Nothing, Observation, ProtocolFault};

/// Why a probe did not pass: for the endpoint's sake, or for ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Miss {
    Failure(Failure),
    Nothing(Nothing),
}

impl Miss {
    /// What `error` of a socket says: that of a peer is a failure, that of this machine is nothing.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => Failure::Refused.into(),
            Some(libc::ECONNRESET | libc::ECONNABORTED | libc::EPIPE | libc::ENOTCONN) => {
                Failure::Reset.into()
            }
            Some(libc::ETIMEDOUT) => Failure::Timeout.into(),
            Some(libc::EHOSTUNREACH | libc::EHOSTDOWN) => Failure::Unreachable.into(),
            Some(errno) => Nothing::Local(errno).into(),
            None if is_of_tls(error) => Failure::Tls.into(),
            None => Failure::Protocol(ProtocolFault::NoAnswer).into(),
        }
    }

    /// What `error` of hyper says; `otherwise` where it is no socket's.
    pub(super) fn of_hyper(error: &hyper::Error, otherwise: Failure) -> Self {
        let mut cause = error.source();
        while let Some(error) = cause {
            match error.downcast_ref::<io::Error>() {
                Some(error) if error.raw_os_error().is_some() || is_of_tls(error) => {
                    return Self::of(error);
                }
                _ => cause = error.source(),
            }
        }
        otherwise.into()
    }
}

fn is_of_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}

impl From<Failure> for Miss {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Nothing> for Miss {
    fn from(nothing: Nothing) -> Self {
        Self::Nothing(nothing)
    }
}

impl From<Miss> for Observation {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Failure(failure) => Self::Fail(failure),
            Miss::Nothing(nothing) => Self::Nothing(nothing),
        }
    }
}
