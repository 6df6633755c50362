use std::{fmt, sync::atomic::Ordering::Relaxed, time::SystemTime};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::Certificates;
use crate::metrics::write::{counter, gauge};

impl Collector for Certificates {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut page;
        let until = self.validity().until;
        let until = until.duration_since(SystemTime::UNIX_EPOCH);
        gauge(
            page,
            "tls_certificate_expiry_timestamp_seconds",
            "When the certificate expires that clients are shown",
            until.unwrap_or_default().as_secs(),
        )?;
        counter(
            page,
            "tls_reload",
            "Times that another certificate was read and served",
            self.reloads.load(Relaxed),
        )?;
        counter(
            page,
            "tls_reload_failed",
            "Times that a certificate or its key could not be used, and the one before stayed",
            self.failures.load(Relaxed),
        )
    }
}
