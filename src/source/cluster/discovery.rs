//! Which kinds a server has, and at which version.
//!
//! That a kind is absent is believed only where the server lists its groups without it: a 404 may come from anybody on the way.

use std::collections::BTreeMap;

use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;

use super::{
    connect::Connection,
    resource::{GROUP, VERSIONS, plural},
    said::Status,
    trouble::Why,
};
use crate::diagnostic::Kind;

/// The longest reply, in bytes.
const MAX_BYTES: usize = 8 << 20;

/// The newest version at which each kind is served that is read; those that are not served are not there.
pub(super) type Served = BTreeMap<Kind, &'static str>;

#[derive(Deserialize)]
struct Groups {
    kind: String,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct Resources {
    kind: String,
    resources: Vec<ApiResource>,
}

#[derive(Deserialize)]
struct ApiResource {
    name: String,
    #[serde(default)]
    verbs: Vec<String>,
}

/// Asks the server.
pub(super) async fn discover(connection: &Connection) -> Result<Served, Why> {
    let groups: Groups = get(connection, "/apis").await?;
    if groups.kind != "APIGroupList" {
        return Err(Why::Unreadable(format!("{} at /apis", groups.kind)));
    }
    let mut served = Served::from([(Kind::Pod, "v1")]);
    let group = groups.groups.iter().find(|group| group.name == GROUP);
    let has = |version: &str| {
        let mut versions = group.iter().flat_map(|group| &group.versions);
        versions.any(|listed| listed.version == version)
    };
    for version in VERSIONS.into_iter().filter(|version| has(version)) {
        let path = format!("/apis/{GROUP}/{version}");
        let resources: Resources = match get(connection, &path).await {
            Ok(resources) => resources,
            // It went since.
            Err(Why::NotServed(_)) => continue,
            Err(why) => return Err(why),
        };
        if resources.kind != "APIResourceList" {
            return Err(Why::Unreadable(format!("{} at {path}", resources.kind)));
        }
        for kind in Kind::OF_CLUSTERS
            .into_iter()
            .filter(|kind| *kind != Kind::Pod)
        {
            if resources.has(kind) {
                served.entry(kind).or_insert(version);
            }
        }
    }
    Ok(served)
}

impl Resources {
    /// Whether the kind can be followed.
    fn has(&self, kind: Kind) -> bool {
        let can = |resource: &ApiResource, verb: &str| resource.verbs.iter().any(|it| it == verb);
        self.resources.iter().any(|resource| {
            resource.name == plural(kind) && can(resource, "list") && can(resource, "watch")
        })
    }
}

/// Asks for a small document.
async fn get<T: for<'de> Deserialize<'de>>(connection: &Connection, path: &str) -> Result<T, Why> {
    let response = connection.get(path).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_BYTES).collect();
    let body = match tokio::time::timeout(super::connect::SILENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => return Err(Why::Cut(error.to_string())),
        Err(_) => return Err(Why::Silent(super::connect::SILENCE)),
    };
    if status != 200 {
        let rule = || r#"{nonResourceURLs: ["/apis", "/apis/*"], verbs: ["get"]}"#.to_owned();
        return Err(Why::of_status(status, &Status::read(&body), rule));
    }
    serde_json::from_slice(&body).map_err(|error| Why::Unreadable(format!("{path}: {error}")))
}
