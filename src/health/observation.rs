//! What one probe came to.

use std::{fmt, io, time::Duration};

use super::Forbidden;

/// What one probe came to. It holds nothing of what the endpoint said but numbers: bodies may be secret, and messages are not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Observation {
    /// The endpoint does what the probe asks for.
    Pass(Pass),
    /// It does not.
    Fail(Failure),
    /// Nothing was learned of the endpoint: no verdict may follow.
    Nothing(Nothing),
}

/// A probe that passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pass {
    /// From the start of the probe to its verdict.
    pub latency: Duration,
    /// The last status over HTTP; 0 where there is none.
    pub status: u16,
}

/// Why an endpoint failed a probe.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Failure {
    /// Nobody listens on the port.
    Refused,
    /// There was no whole answer in time.
    Timeout,
    /// The connection was reset.
    Reset,
    /// A router says that there is no way to the address.
    Unreachable,
    /// The last status over HTTP.
    Status(u16),
    /// There is no TLS on the port.
    Tls,
    /// What was said over gRPC is not that the service is there to serve.
    Grpc(GrpcFault),
    /// What was said over HTTP can't be understood.
    Protocol(ProtocolFault),
}

/// Why an endpoint failed a probe over gRPC.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum GrpcFault {
    /// The call ended with this code, 0 to 16 where the server keeps to gRPC.
    Code(u32),
    /// The call succeeded, and the health is this number instead of 1, `SERVING`.
    Health(u32),
    /// The answer is none of the health service.
    Malformed,
}

/// What is wrong with an answer over HTTP.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ProtocolFault {
    /// The connection ended before the status and the headers were there.
    NoAnswer,
    /// What came is no answer over HTTP.
    Malformed,
    /// The connection ended before the body did.
    HalfBody,
    /// It redirects to what is no address over HTTP.
    Redirect,
    /// It redirects again and again.
    Redirects,
}

/// Why nothing was learned of an endpoint.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Nothing {
    /// The operating system here gave this error: the fault is ours.
    Local(i32),
    /// This process was late: the answer may have been in time.
    Late,
    /// The endpoint is where no probe goes.
    Forbidden(Forbidden),
    /// The probe asks for what can't be sent.
    Request,
    /// The probe can't be run from here.
    Exec,
}

impl Failure {
    /// As the metrics name it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::Status(_) => "status",
            Self::Tls => "tls",
            Self::Grpc(_) => "grpc",
            Self::Protocol(_) => "protocol",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused | Self::Timeout | Self::Reset | Self::Unreachable => {
                f.write_str(self.reason())
            }
            Self::Status(status) => write!(f, "{status}"),
            Self::Tls => f.write_str("no TLS there"),
            Self::Grpc(fault) => fault.fmt(f),
            Self::Protocol(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for GrpcFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(5) => f.write_str("NOT_FOUND"),
            Self::Code(12) => f.write_str("UNIMPLEMENTED"),
            Self::Code(14) => f.write_str("UNAVAILABLE"),
            Self::Code(code) => write!(f, "gRPC status {code}"),
            Self::Health(0) => f.write_str("UNKNOWN"),
            Self::Health(2) => f.write_str("NOT_SERVING"),
            Self::Health(3) => f.write_str("SERVICE_UNKNOWN"),
            Self::Health(health) => write!(f, "health {health}"),
            Self::Malformed => f.write_str("no gRPC there"),
        }
    }
}

impl fmt::Display for ProtocolFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "closed without an answer",
            Self::Malformed => "no HTTP there",
            Self::HalfBody => "closed within the body",
            Self::Redirect => "redirected to no HTTP address",
            Self::Redirects => "redirected 10 times",
        })
    }
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(errno) => io::Error::from_raw_os_error(*errno).fmt(f),
            Self::Late => f.write_str("this server was too busy to tell"),
            Self::Forbidden(why) => why.fmt(f),
            Self::Request => f.write_str("a header or the path can't be sent"),
            Self::Exec => f.write_str("exec runs on the VM only"),
        }
    }
}
