//! What the server counts, and how it is told to Prometheus.

mod traffic;

pub use traffic::{Exchange, Protocol, Recorder, Traffic};
