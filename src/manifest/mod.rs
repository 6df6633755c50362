//! What the YAML says.
//!
//! Owns the way from a file's text to checked objects: splitting it into documents, reading YAML and JSON, unfolding
//! lists, and every rule that Istio's CRDs and webhook have for ServiceEntry, WorkloadEntry and WorkloadGroup. What
//! passes is an [`Object`]; what does not is a [`Diagnostic`](crate::diagnostic::Diagnostic) with the exact place.
//!
//! One bad document, list item or value never hides its neighbours. Never opens a file and never joins two objects.

mod object;

pub use object::{
    Address, Contents, Document, EndpointSource, LabelMap, Metadata, Object, Outcome, Pod,
    Resolution, ServiceEntry, WorkloadEntry,
};
