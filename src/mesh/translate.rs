//! From manifests to what answers are made from.

use std::sync::Arc;

use super::{
    addresses::Addresses,
    entry::{Entry, Group, Node, Place},
    index::Index,
    read_from::ReadFrom,
    service::{Endpoints, Service},
    statement::Statement,
    workload::Workload,
};
use crate::{
    diagnostic::ObjectKey,
    manifest::{Attributes, EndpointSource, Metadata, Object},
};

/// Translates a manifest. Its labels are acquired: the entry has to be [released](Index::release).
pub(super) fn translate(object: Object, read_from: ReadFrom, index: &mut Index) -> Entry {
    let kind = object.kind();
    let key = |metadata: Metadata, index: &mut Index| ObjectKey {
        kind,
        namespace: index.share(&metadata.namespace),
        // The reader's own: texts of this size are nearly all kept, and so none of them keeps a page in use for little.
        name: metadata.name,
    };
    match object {
        Object::ServiceEntry(entry) => {
            let mut hosts = entry.hosts;
            hosts.sort_unstable();
            hosts.dedup();
            let created = entry.metadata.created;
            let key = key(entry.metadata, index);
            let (endpoints, details) = match entry.endpoints {
                EndpointSource::Neither => (Endpoints::Neither, Box::default()),
                EndpointSource::Inline(endpoints) => Endpoints::inline(endpoints, index.alike()),
                EndpointSource::Selector(labels) => {
                    let labels = index.acquire(&key.namespace, &labels);
                    (Endpoints::Selector(labels), Box::default())
                }
            };
            Entry::Service(Arc::new(Service {
                key,
                hosts: hosts.into(),
                addresses: entry.addresses.into(),
                resolution: entry.resolution,
                ports: index.alike().ports(entry.ports),
                endpoints,
                details,
                export: entry.export,
                notes: entry.notes,
                traffic: entry.traffic,
                created,
                read_from,
            }))
        }
        Object::WorkloadEntry(mut entry) => {
            // Who is checked may have a delay, which counts from then.
            let keeps_age = index.unjudged().follows_all();
            let said = Statement::of_workload_entry(&mut entry, keeps_age);
            let statement = index.alike().statement(said, &entry.attributes);
            let key = key(entry.metadata, index);
            Entry::Workload(Arc::new(Workload {
                labels: index.acquire(&key.namespace, &entry.labels),
                key,
                statement,
                addresses: Addresses::from(&entry.address),
                read_from,
            }))
        }
        Object::Pod(mut pod) => {
            let said = Statement::of_pod(&mut pod);
            let attributes = Attributes::of_weight(pod.weight);
            let statement = index.alike().statement(said, &attributes);
            let key = key(pod.metadata, index);
            Entry::Workload(Arc::new(Workload {
                labels: index.acquire(&key.namespace, &pod.labels),
                key,
                statement,
                addresses: pod.addresses.into(),
                read_from,
            }))
        }
        Object::WorkloadGroup(group) => Entry::Group(Arc::new(Group {
            key: key(group.metadata, index),
            read_from,
            labels: group.labels,
            probe: group.probe,
        })),
        Object::Node(node) => Entry::Node(Arc::new(Node {
            place: Place::of_node(&node.labels),
            key: key(node.metadata, index),
            read_from,
        })),
    }
}
