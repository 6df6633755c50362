//! An error with all that caused it, in one line: how every edge prints errors.

use std::{error::Error, fmt};

/// Prints an error and its sources, joined by `: `.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain<'e>(pub(crate) &'e dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        config::{FileError, value::ValueError},
        control, dns, forward, http,
        serve::{BindError, CertificateError},
        source::LoadError,
    };

    const ADDRESS: std::net::SocketAddr =
        std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 53);

    /// Checks that an error is told once with its source, what failed first.
    #[track_caller]
    fn check(error: &dyn Error, expected: &str) {
        assert_eq!(Chain(error).to_string(), expected);
    }

    #[test]
    fn every_error_is_told_with_its_source_once() {
        let source = || io::Error::other("the cause");
        let path = || "a.yaml".into();
        check(
            &FileError::Read {
                path: path(),
                source: source(),
            },
            "read configuration file a.yaml: the cause",
        );
        check(
            &ValueError::Domain(dns::NameError::EmptyLabel),
            &format!(
                "expected a domain such as internal.com: {}",
                dns::NameError::EmptyLabel
            ),
        );
        check(
            &LoadError::List {
                path: path(),
                source: source(),
            },
            "list mesh folder a.yaml: give this user the right to read it: the cause",
        );
        check(
            &control::StartError::Load(LoadError::Open {
                path: path(),
                source: source(),
            }),
            "open mesh folder a.yaml: give the path of a folder with ServiceEntry, WorkloadEntry or Pod manifests: the cause",
        );
        check(
            &control::StartError::Thread(source()),
            "start the thread that reads the mesh folders: the cause",
        );
        check(
            &CertificateError::Read {
                file: path(),
                source: source(),
            },
            "read a.yaml: the cause",
        );
        check(
            &BindError::Listen {
                address: ADDRESS,
                protocol: "UDP",
                source: source(),
            },
            "listen on 127.0.0.1:53 (UDP): the cause",
        );
        check(
            &BindError::Start {
                address: ADDRESS,
                source: source(),
            },
            "start serving 127.0.0.1:53: the cause",
        );
        check(
            &http::BindError {
                address: ADDRESS,
                source: source(),
            },
            "listen for HTTP at 127.0.0.1:53: the cause",
        );
        check(
            &forward::StartError::Random(getrandom::Error::UNSUPPORTED),
            &format!(
                "get random numbers to ask upstreams with: {}",
                getrandom::Error::UNSUPPORTED
            ),
        );
    }
}
