//! How targets, times and reasons are put into words.

use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use crate::manifest::{Probe, ProbeMethod};

/// What a probe does, as short as it can be told: `GET :8080/healthz`.
#[derive(Clone, Copy, Debug)]
pub struct Described<'p>(pub &'p Probe);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.method {
            ProbeMethod::Http(get) => {
                let scheme = if get.is_tls { "https " } else { "" };
                let slash = if get.path.starts_with('/') { "" } else { "/" };
                write!(f, "GET {scheme}:{}{slash}{}", get.port, get.path)
            }
            ProbeMethod::Tcp { port } => write!(f, "TCP :{port}"),
            ProbeMethod::Grpc { port, service } if service.is_empty() => write!(f, "gRPC :{port}"),
            ProbeMethod::Grpc { port, service } => write!(f, "gRPC :{port} {service}"),
            ProbeMethod::Exec => f.write_str("exec"),
        }
    }
}

/// A span of time in its largest unit: `3 ms`, `4 s`, `12 min`, `3 h`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            seconds @ ..120 => write!(f, "{seconds} s"),
            seconds @ ..7200 => write!(f, "{} min", seconds / 60),
            seconds => write!(f, "{} h", seconds / 3600),
        }
    }
}

/// A time of the wall clock, in seconds since 1970, as it is shown at `now`: `12:00:05`, with the date where it is another day.
pub(super) fn clock(at: u64, now: u64) -> String {
    const DAY: u64 = 86_400;
    let time = UNIX_EPOCH + Duration::from_secs(at);
    let full = humantime::format_rfc3339_seconds(time).to_string();
    let (date, time) = full.split_once('T').unwrap_or((full.as_str(), ""));
    let time = time.trim_end_matches('Z');
    if at / DAY == now / DAY {
        time.to_owned()
    } else {
        format!("{date} {time}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit() {
        let shown = |millis| Span(Duration::from_millis(millis)).to_string();
        assert_eq!(shown(3), "3 ms");
        assert_eq!(shown(4_900), "4 s");
        assert_eq!(shown(119_000), "119 s");
        assert_eq!(shown(600_000), "10 min");
        assert_eq!(shown(10_800_000), "3 h");
    }

    #[test]
    fn another_day_is_named() {
        assert_eq!(clock(43_205, 50_000), "12:00:05");
        assert_eq!(clock(43_205, 90_000), "1970-01-01 12:00:05");
    }
}
