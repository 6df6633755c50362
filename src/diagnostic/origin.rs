//! Where something was read: a place in a file, or an object of a cluster and a field of it.

use std::{fmt, sync::Arc};

use super::object::{Kind, ObjectKey};

/// A place in a text: both counted from 1, the column in characters (not bytes).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// The line, counted from 1 over the whole file.
    pub line: u32,
    /// The column, counted from 1 in characters.
    pub column: u32,
}

impl Position {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A place in a file: document and position.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FilePlace {
    /// The file as the user would name it: the folder argument and the path below it.
    pub file: Arc<str>,
    /// The document in that file, counted from 1; 0 speaks of the file as a whole.
    pub document: u32,
    /// The offending value, or the document's first token.
    pub position: Position,
}

impl FilePlace {
    /// The file as a whole.
    pub fn whole(file: Arc<str>) -> Self {
        Self {
            file,
            document: 0,
            position: Position::START,
        }
    }
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            self.file, self.position.line, self.position.column
        )
    }
}

/// A Kubernetes cluster that objects are followed in, by its name. Cheap to clone: each of its objects has one.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Cluster(Arc<ClusterName>);

#[derive(Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct ClusterName {
    name: Box<str>,
    /// Whether it is the only one, so that a place says nothing of it.
    is_only: bool,
}

impl Cluster {
    /// The only cluster that is followed: places in it are named without it.
    pub fn only(name: &str) -> Self {
        Self::new(name, true)
    }

    /// One of several clusters. No other one may have the same name.
    pub fn one_of_several(name: &str) -> Self {
        Self::new(name, false)
    }

    /// Its name, as settings, metrics and the log have it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is the only one that is followed.
    pub fn is_only(&self) -> bool {
        self.0.is_only
    }

    fn new(name: &str, is_only: bool) -> Self {
        Self(Arc::new(ClusterName {
            name: name.into(),
            is_only,
        }))
    }
}

/// `cluster prod`.
impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {}", self.name())
    }
}

/// An object of a cluster, or a field of it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClusterPlace {
    /// The cluster.
    pub cluster: Cluster,
    /// The object.
    pub object: ObjectKey,
    /// The path to the offending field, such as `spec.hosts[0]`; empty speaks of the object as a whole.
    pub field: Box<str>,
}

/// As kubectl names it: `serviceentry.networking.istio.io/svc1 -n ns1, spec.hosts[0]`.
impl fmt::Display for ClusterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster,
            object:
                ObjectKey {
                    kind,
                    namespace,
                    name,
                },
            field,
        } = self;
        let resource = match kind {
            Kind::ServiceEntry => "serviceentry.networking.istio.io",
            Kind::WorkloadEntry => "workloadentry.networking.istio.io",
            Kind::WorkloadGroup => "workloadgroup.networking.istio.io",
            Kind::Pod => "pod",
            Kind::Node => "node",
        };
        write!(f, "{resource}/{name} -n {namespace}")?;
        if !cluster.0.is_only {
            write!(f, " ({cluster})")?;
        }
        if !field.is_empty() {
            write!(f, ", {field}")?;
        }
        Ok(())
    }
}

/// Where something was read.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Origin {
    /// In a file.
    File(FilePlace),
    /// In an object of a cluster.
    Cluster(Box<ClusterPlace>),
}

// A file with mistakes has many of them.
const _: () = assert!(size_of::<Origin>() == size_of::<FilePlace>());

impl Origin {
    /// What holds it.
    pub fn holder(&self) -> Holder {
        match self {
            Self::File(place) => Holder::File(place.file.clone()),
            Self::Cluster(place) => Holder::Cluster(place.cluster.clone()),
        }
    }

    /// The place in a file, where it is one.
    pub fn in_file(&self) -> Option<&FilePlace> {
        match self {
            Self::File(place) => Some(place),
            Self::Cluster(_) => None,
        }
    }
}

impl From<FilePlace> for Origin {
    fn from(place: FilePlace) -> Self {
        Self::File(place)
    }
}

impl From<ClusterPlace> for Origin {
    fn from(place: ClusterPlace) -> Self {
        Self::Cluster(Box::new(place))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => place.fmt(f),
            Self::Cluster(place) => place.fmt(f),
        }
    }
}

/// What holds objects: a file or a cluster.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Holder {
    /// A file by its name.
    File(Arc<str>),
    /// A cluster.
    Cluster(Cluster),
}

/// The file's name, or `cluster prod`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(file),
            Self::Cluster(cluster) => cluster.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cluster: Cluster, kind: Kind, field: &str, expected: &str) {
        let place = ClusterPlace {
            cluster,
            object: ObjectKey {
                kind,
                namespace: "ns1".into(),
                name: "svc1".into(),
            },
            field: field.into(),
        };
        assert_eq!(Origin::from(place).to_string(), expected);
    }

    #[test]
    fn names_objects_as_kubectl_does() {
        check(
            Cluster::only("prod"),
            Kind::ServiceEntry,
            "spec.hosts[0]",
            "serviceentry.networking.istio.io/svc1 -n ns1, spec.hosts[0]",
        );
        check(
            Cluster::one_of_several("prod"),
            Kind::Pod,
            "",
            "pod/svc1 -n ns1 (cluster prod)",
        );
    }
}
