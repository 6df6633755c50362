//! What the YAML says.
//!
//! Owns the way from a file's text to checked objects: splitting it into documents, reading YAML and JSON, unfolding
//! lists, and every rule that Istio's CRDs and webhook have for `ServiceEntry`, `WorkloadEntry` and `WorkloadGroup`. What
//! passes is an [`Object`]; what does not is a [`Diagnostic`](crate::diagnostic::Diagnostic) with the exact place.
//!
//! ```text
//! file ─▶ raw ─▶ read ─▶ document ─▶ metadata, service_entry, workload_entry, workload_group, pod ─▶ object
//! bytes   cuts   values  lists, kinds                      rules ─▶ findings ─▶ locate ─▶ diagnostics
//! ```
//!
//! Whether a document that is no object is a mistake or belongs to a file of another kind is decided for the file as a
//! whole: a [`Draft`] holds what its documents say until then, within limits.
//!
//! An object of a cluster comes as JSON of its own ([`ObjectReader`]); the rules are the same.
//!
//! One bad document, list item or value never hides its neighbours. Never opens a file and never joins two objects.

mod address;
mod attributes;
mod cluster_object;
mod document;
mod draft;
mod file;
mod findings;
mod host;
mod kind;
mod label_map;
mod labels;
mod locate;
mod metadata;
mod notes;
mod object;
mod pod;
mod probe;
mod raw;
mod read;
mod service_entry;
mod status;
mod stray;
mod template;
mod timestamp;
mod traffic;
mod value;
mod workload;
mod workload_entry;
mod workload_group;

pub use attributes::Attributes;
pub use cluster_object::{ClusterObject, NotAnObject, ObjectReader};
pub use document::Decoder;
pub use draft::Draft;
pub use file::{
    MAX_DOCUMENTS, MAX_FILE_BYTES, parse, parse_bytes, text_of, too_large, too_many_documents,
    unreadable,
};
pub use label_map::LabelMap;
pub use notes::{NotedWeight, Notes, Order, OrderedState, ProbeNote};
pub use object::{
    Address, Contents, Document, DocumentOutcome, Endpoint, EndpointSource, Export, Metadata, Node,
    Object, ObjectContents, Pod, Resolution, ServiceEntry, ServicePort, Transport, WorkloadEntry,
    WorkloadGroup,
};
pub(crate) use pod::NODE_LABEL;
pub use probe::{HttpGet, Probe, ProbeMethod};
pub use raw::{RawDocument, Split, split};
#[cfg(fuzzing)]
pub use read::fuzzing::check_readers;
pub use timestamp::seconds as seconds_of;
pub use traffic::{
    AnswerMode, MaxAddresses, Percent, ShareBy, Shares, TrafficDistribution, TrafficNotes,
};
pub(crate) use workload_entry::STATING_LABELS;
