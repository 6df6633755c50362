use std::{fmt, sync::Arc};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use crate::metrics::{Crowding, write::counter};

/// What `/metrics` shows of the connections to the pages.
#[derive(Debug)]
pub struct Figures(pub Arc<Crowding>);

impl Collector for Figures {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
        counter(
            &mut page,
            "http_connections_displaced",
            "Connections to the pages that were closed in favour of others because the limit was reached.",
            self.0.displaced(),
        )
    }
}
