use std::sync::Arc;

use crate::diagnostic::{Cluster, ClusterPlace, FilePlace, ObjectKey, Origin};

/// What an object was read from. That with the object's key is the [`Origin`] that is shown.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ReadFrom {
    /// A file, in which it begins here.
    File(FilePlace),
    /// A cluster.
    Cluster(Cluster),
}

// A mesh has one for each of what may be a million workloads.
const _: () = assert!(size_of::<ReadFrom>() == size_of::<FilePlace>());

impl ReadFrom {
    /// Where the object `key` was read, as it is shown.
    pub fn origin_of(&self, key: &ObjectKey) -> Origin {
        match self {
            Self::File(place) => place.clone().into(),
            Self::Cluster(cluster) => ClusterPlace {
                cluster: cluster.clone(),
                object: key.clone(),
                field: Box::default(),
            }
            .into(),
        }
    }

    /// The cluster, where it is one.
    pub fn cluster(&self) -> Option<&Cluster> {
        match self {
            Self::File(_) => None,
            Self::Cluster(cluster) => Some(cluster),
        }
    }

    /// The file, where it is one.
    pub fn file(&self) -> Option<&FilePlace> {
        match self {
            Self::File(place) => Some(place),
            Self::Cluster(_) => None,
        }
    }

    pub(super) fn is_file(&self, file: &Arc<str>) -> bool {
        self.file().is_some_and(|place| place.file == *file)
    }
}
