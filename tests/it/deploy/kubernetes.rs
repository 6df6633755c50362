//! The manifests: what one names is what another one has, the arguments are right for the binary, and each ConfigMap holds
//! what the binary reads or prints. `tests/kubernetes` takes them to a real API server.

use std::{collections::BTreeMap, fs, process::Command};

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::shipped;
use crate::serve;

/// The objects of a file.
fn objects(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(shipped(name)).expect("a manifest");
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect()
}

/// The object of this kind in the main file.
fn the(kind: &str) -> Value {
    one(objects("kubernetes/meshdns.yaml"), kind)
}

/// The object of this kind among these.
#[track_caller]
fn one(mut objects: Vec<Value>, kind: &str) -> Value {
    objects.retain(|object| object["kind"] == kind);
    assert_eq!(objects.len(), 1, "one {kind}");
    objects.remove(0)
}

/// The main file as the overlay for folders changes it.
fn with_a_folder() -> Vec<Value> {
    let overlay = one(
        objects("kubernetes-folder/kustomization.yaml"),
        "Kustomization",
    );
    let mut made = objects("kubernetes/meshdns.yaml");
    for patch in overlay["patches"].as_array().expect("a list") {
        let target = &patch["target"];
        let place = made.iter().position(|object| {
            object["kind"] == target["kind"] && object["metadata"]["name"] == target["name"]
        });
        let place = place.unwrap_or_else(|| panic!("nothing is {target}"));
        let text = patch["patch"].as_str().expect("text");
        let patch: Value = serde_yaml::from_str(text).expect("YAML");
        if patch["$patch"] == "delete" {
            made.remove(place);
            continue;
        }
        for change in patch.as_array().expect("a list of changes") {
            apply(&mut made[place], change);
        }
    }
    made
}

/// Does what a JSON patch says (RFC 6902), as far as the overlay needs it.
fn apply(object: &mut Value, change: &Value) {
    let path = change["path"].as_str().expect("a path");
    let value = change["value"].clone();
    if let Some(list) = path.strip_suffix("/-") {
        let list = object.pointer_mut(list).and_then(Value::as_array_mut);
        list.unwrap_or_else(|| panic!("{path}")).push(value);
        return;
    }
    let field = object.pointer_mut(path);
    let field = field.unwrap_or_else(|| panic!("{path}"));
    match change["op"].as_str() {
        Some("replace") => *field = value,
        Some("test") => assert_eq!(*field, value, "{path}"),
        other => panic!("{other:?}"),
    }
}

fn container() -> Value {
    the("Deployment")["spec"]["template"]["spec"]["containers"][0].take()
}

/// The value of an argument of the container.
fn argument(flag: &str) -> String {
    let container = container();
    let arguments = container["args"].as_array().expect("a list").iter();
    let mut values = arguments.filter_map(|argument| argument.as_str()?.strip_prefix(flag));
    let value = values.next().unwrap_or_else(|| panic!("{flag}"));
    value.trim_start_matches('=').to_owned()
}

/// The protocol and number of each port of the container.
fn ports() -> BTreeMap<String, (String, u64)> {
    let container = container();
    let ports = container["ports"].as_array().expect("a list").iter();
    let port = |port: &Value| {
        let text = |key: &str| port[key].as_str().expect("text").to_owned();
        let number = port["containerPort"].as_u64().expect("a number");
        (text("name"), (text("protocol"), number))
    };
    ports.map(port).collect()
}

#[test]
fn every_selector_selects_the_pods() {
    let deployment = the("Deployment");
    let pod = &deployment["spec"]["template"];
    let labels = &pod["metadata"]["labels"];
    let mut selectors = vec![
        deployment["spec"]["selector"]["matchLabels"].clone(),
        the("Service")["spec"]["selector"].clone(),
        the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].clone(),
    ];
    let spread = pod["spec"]["topologySpreadConstraints"].as_array();
    for constraint in spread.expect("a list") {
        selectors.push(constraint["labelSelector"]["matchLabels"].clone());
    }
    for selector in selectors {
        let wanted = selector.as_object().expect("labels");
        assert!(!wanted.is_empty());
        for (key, value) in wanted {
            assert_eq!(&labels[key], value, "{key}");
        }
    }
}

#[test]
fn every_port_is_one_that_the_server_listens_at() {
    let ports = ports();
    let number = |flag: &str| argument(flag).trim_start_matches(':').parse::<u64>();
    let (dns, http) = (
        number("--listen").expect("a port"),
        number("--http").expect("a port"),
    );
    assert_eq!(ports["dns"], ("UDP".to_owned(), dns));
    assert_eq!(ports["dns-tcp"], ("TCP".to_owned(), dns));
    assert_eq!(ports["http"], ("TCP".to_owned(), http));
    let service = the("Service");
    for port in service["spec"]["ports"].as_array().expect("a list") {
        let (protocol, _) = &ports[port["targetPort"].as_str().expect("a name")];
        assert_eq!(port["protocol"], **protocol, "{port}");
    }
    let container = container();
    for (probe, path) in [("readinessProbe", "/ready"), ("livenessProbe", "/health")] {
        let get = &container[probe]["httpGet"];
        assert_eq!((&get["path"], &get["port"]), (&path.into(), &"http".into()));
    }
    let annotations = &the("Deployment")["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], http.to_string());
}

#[test]
fn a_pod_may_go_and_has_time_to() {
    let deployment = the("Deployment");
    assert!(deployment["spec"]["replicas"].as_u64() >= Some(2));
    assert_eq!(the("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    let pod = &deployment["spec"]["template"]["spec"];
    let grace = pod["terminationGracePeriodSeconds"].as_u64();
    let lameduck = argument("--lameduck");
    let lameduck: u64 = lameduck.trim_end_matches('s').parse().expect("seconds");
    assert!(grace > Some(2 * lameduck));
    assert_eq!(pod["dnsPolicy"], "Default");
    assert_eq!(
        pod["serviceAccountName"],
        the("ServiceAccount")["metadata"]["name"]
    );
}

#[test]
fn all_objects_are_in_one_namespace() {
    let namespace = the("Namespace")["metadata"]["name"].clone();
    let files = ["kubernetes/meshdns.yaml", "kubernetes-folder/zones.yaml"];
    for object in files.map(objects).concat() {
        let kind = object["kind"].as_str().expect("text");
        if kind != "Namespace" && !kind.starts_with("Cluster") {
            assert_eq!(
                object["metadata"]["namespace"], namespace,
                "{}",
                object["kind"]
            );
        }
    }
}

#[test]
fn the_account_may_look_at_four_kinds_alone() {
    let role = the("ClusterRole");
    let binding = the("ClusterRoleBinding");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let account = the("ServiceAccount");
    let subject = &binding["subjects"][0];
    assert_eq!(subject["name"], account["metadata"]["name"]);
    assert_eq!(subject["namespace"], account["metadata"]["namespace"]);
    let mut resources = Vec::new();
    for rule in role["rules"].as_array().expect("a list") {
        assert_eq!(rule["verbs"], json!(["get", "list", "watch"]));
        resources.extend(rule["resources"].as_array().expect("a list").clone());
    }
    let expected = [
        "serviceentries",
        "workloadentries",
        "workloadgroups",
        "pods",
    ];
    assert_eq!(resources, expected);
    let pod = &the("Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], true);
}

#[test]
fn with_a_folder_it_may_nothing() {
    let objects = with_a_folder();
    assert!(objects.iter().all(|object| {
        !object["kind"]
            .as_str()
            .expect("text")
            .starts_with("Cluster")
    }));
    let pod = &one(objects.clone(), "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(one(objects, "NetworkPolicy")["spec"]["egress"], json!([]));
}

#[test]
fn with_a_folder_the_pods_would_serve_the_config_map() {
    let config_map = objects("kubernetes-folder/zones.yaml").remove(0);
    let pod = one(with_a_folder(), "Deployment")["spec"]["template"]["spec"].take();
    let container = &pod["containers"][0];
    let volume = named(&pod["volumes"], "zones");
    let mount = named(&container["volumeMounts"], "zones");
    assert_eq!(volume["configMap"]["name"], config_map["metadata"]["name"]);
    assert_eq!(mount["mountPath"], "/zones");
    assert_eq!(mount["subPath"], Value::Null);
    let state = named(&pod["volumes"], "state");
    assert!(state["emptyDir"].is_object(), "it may write there");
    let mount = named(&container["volumeMounts"], "state");
    assert_eq!(mount["mountPath"], "/state");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let zones = folder.path().join("zones");
    fs::create_dir(&zones).expect("a new folder");
    for (file, text) in config_map["data"].as_object().expect("files") {
        fs::write(zones.join(file), text.as_str().expect("text")).expect("a new file");
    }
    let arguments = container["args"].as_array().expect("a list").iter();
    let arguments = arguments.map(|argument| argument.as_str().expect("text"));
    let is_ours = |argument: &&str| {
        let is_port = argument.starts_with("--listen") || argument.starts_with("--http");
        !is_port && !argument.starts_with("--log-format") && *argument != "serve"
    };
    // What is mounted there is a folder of the test's here.
    let here = arguments.filter(is_ours).map(|argument| match argument {
        "/zones" => "zones",
        "--state-dir=/state" => "--state-dir=state",
        other => other,
    });
    let arguments: Vec<&str> = here.collect();
    assert_eq!(arguments[0], "zones");
    let server = serve(folder.path(), &arguments);
    let port = format!("-p{}", server.dns.port());
    let asked = Command::new("dig")
        .args(["@127.0.0.1", &port, "svc1.internal.com", "+short"])
        .output()
        .expect("make test installs dig");
    assert_eq!(String::from_utf8_lossy(&asked.stdout).lines().count(), 2);
}

/// The one of a list with this name.
#[track_caller]
fn named<'l>(list: &'l Value, name: &str) -> &'l Value {
    let mut list = list.as_array().expect("a list").iter();
    list.find(|one| one["name"] == name)
        .expect("one of that name")
}

#[test]
fn core_dns_forwards_to_the_service() {
    let config_map = objects("kubernetes/coredns-custom.yaml").remove(0);
    let address = the("Service")["spec"]["clusterIP"].clone();
    let printed = Command::new(env!("CARGO_BIN_EXE_meshdns"))
        .args([
            "snippet",
            "coredns",
            "--zone",
            &argument("--zone"),
            "--server",
        ])
        .arg(address.as_str().expect("text"))
        .output()
        .expect("the binary runs");
    let printed = String::from_utf8(printed.stdout).expect("text");
    assert_eq!(config_map["data"]["meshdns.server"], *printed);
}
