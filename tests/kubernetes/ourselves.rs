//! What the other tests lean on does what they take it for: without that they would show nothing.

use serde_json::Value;

use crate::rig::{
    api::Api,
    cluster::{ADMIN_TOKEN, Cluster},
    objects::{namespace, pod},
    proxy::{Fault, Proxy},
};

const NAMESPACES: &str = "/api/v1/namespaces";

#[test]
fn the_proxy_does_what_it_is_told() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let proxy = Proxy::start(cluster.address, cluster.certificate());
    let api = Api::new(proxy.address, cluster.certificate().clone(), ADMIN_TOKEN);
    let list = || api.send("GET", NAMESPACES, "", &Value::Null);
    assert_eq!(list().expect("an answer").body["kind"], "NamespaceList");
    proxy.fail(&["namespaces"], Fault::Answer(429, Some(1)), 1);
    assert_eq!(list().expect("an answer").status, 429);
    proxy.fail(&["namespaces"], Fault::Truncate(50), 1);
    let half = list().expect("an answer that ends well");
    assert!(matches!(half.body, Value::String(_)), "{half:?}");
    proxy.fail(&["namespaces"], Fault::Cut(50), 1);
    assert!(list().is_err(), "the connection ends in the middle");
    proxy.fail(&["pods"], Fault::Answer(500, None), 1);
    assert_eq!(list().expect("an answer").status, 200, "another path");
    proxy.close();
    assert!(list().is_err(), "nobody is there");
    proxy.mend();
    assert_eq!(list().expect("an answer").status, 200);
    assert!(proxy.requests(&["namespaces"]).len() >= 6);
}

/// After that a server which starts again can't say what changed since.
#[test]
fn a_compacted_etcd_forgets() {
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    let version = |reply: &Value| {
        reply["metadata"]["resourceVersion"]
            .as_str()
            .map(str::to_owned)
    };
    let list = cluster.api.must("GET", NAMESPACES, "", &Value::Null);
    let old = version(&list).expect("a version");
    cluster.api.create(&namespace("later"));
    let labels = serde_json::json!({"app": "foo"});
    let made = pod("later", "pod", &labels, "10.0.0.1", true);
    cluster.api.create(&made);
    let path = "/api/v1/namespaces/later/pods/pod";
    let read = cluster.api.must("GET", path, "", &Value::Null);
    assert_eq!(read["status"]["podIP"], "10.0.0.1", "a status is written");
    cluster.compact();
    cluster.stop_server();
    cluster.start_server();
    let watch = format!("{NAMESPACES}?watch=true&timeoutSeconds=1&resourceVersion={old}");
    let reply = cluster.api.send("GET", &watch, "", &Value::Null);
    let reply = reply.expect("an answer");
    let is_gone = reply.status == 410 || reply.body["object"]["code"] == 410;
    assert!(is_gone, "{reply:?}");
    cluster.api.delete_namespace("later");
    let gone = cluster.api.send("GET", path, "", &Value::Null);
    assert_eq!(gone.expect("an answer").status, 404);
}
