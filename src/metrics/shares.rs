//! How questions are shared out.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::{dns::Name, select::GroupShare};

/// How many hosts are shown.
const MAX_HOSTS: usize = 1000;

pub(super) fn encode(
    page: &mut DescriptorEncoder<'_>,
    shares: &BTreeMap<Name, Vec<GroupShare>>,
) -> fmt::Result {
    let hosts: Vec<(String, &Vec<GroupShare>)> = shares
        .iter()
        .take(MAX_HOSTS)
        .map(|(host, groups)| (host.to_string().trim_end_matches('.').to_owned(), groups))
        .collect();
    let mut ratios = |name, help, value: fn(&GroupShare) -> f64| {
        let mut family = page.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (host, groups) in &hosts {
            for group in *groups {
                let labels = [("host", &**host), ("group", &*group.name)];
                ConstGauge::new(value(group)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    };
    ratios(
        "share_wanted_ratio",
        "The part of a host's questions that a group is to have. The first 1000 hosts.",
        |group| group.wanted,
    )?;
    ratios(
        "share_effective_ratio",
        "The part of a host's questions that a group has, by its health.",
        |group| group.effective,
    )?;
    let mut family = page.encode_descriptor(
        "share_endpoints",
        "Endpoints of a group that has a share: in, or only lacking health.",
        None,
        MetricType::Gauge,
    )?;
    for (host, groups) in &hosts {
        for group in *groups {
            for (state, count) in [("in", group.in_count), ("unready", group.unready_count)] {
                let labels = [("host", &**host), ("group", &*group.name), ("state", state)];
                ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}
