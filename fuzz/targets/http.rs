#![no_main]
//! Any request for the pages gets a response, or an end.

use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use libfuzzer_sys::fuzz_target;
use meshdns::{
    http::{Lifecycle, Pages, fuzzing::responses, router},
    metrics::{ConfigReloads, MetricsPage},
    status::Status,
};

static PAGES: LazyLock<Arc<Pages>> = LazyLock::new(|| {
    let status = Arc::new(ArcSwap::from_pointee(Status::default()));
    let snapshots = Arc::new(ArcSwap::new(meshdns_fuzz::snapshot()));
    Arc::new(Pages {
        lifecycle: Arc::new(Lifecycle::default()),
        status: status.clone(),
        metrics: MetricsPage::new(
            status,
            snapshots,
            Arc::new(ConfigReloads::default()),
            Vec::new(),
        ),
        probing: None,
    })
});

fuzz_target!(|bytes: &[u8]| {
    let sent = responses(bytes, &router(PAGES.clone()));
    assert!(sent.is_empty() || sent.starts_with(b"HTTP/1."));
});
