//! The manifests: what one names is what another one has, the arguments are right for the binary, and each ConfigMap holds
//! what the binary reads or prints.

use std::{collections::BTreeMap, fs, process::Command};

use serde::Deserialize as _;
use serde_json::Value;

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
    let mut objects = objects("kubernetes/meshdns.yaml");
    objects.retain(|object| object["kind"] == kind);
    assert_eq!(objects.len(), 1, "one {kind}");
    objects.remove(0)
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
    let objects = ["kubernetes/meshdns.yaml", "kubernetes/zones.yaml"].map(objects);
    for object in objects.concat() {
        if object["kind"] != "Namespace" {
            assert_eq!(
                object["metadata"]["namespace"], namespace,
                "{}",
                object["kind"]
            );
        }
    }
}

#[test]
fn the_pods_would_serve_the_config_map() {
    let config_map = objects("kubernetes/zones.yaml").remove(0);
    let deployment = the("Deployment");
    let volume = &deployment["spec"]["template"]["spec"]["volumes"][0];
    let mount = &container()["volumeMounts"][0];
    assert_eq!(volume["configMap"]["name"], config_map["metadata"]["name"]);
    assert_eq!(mount["name"], volume["name"]);
    assert_eq!(mount["mountPath"], "/zones");
    assert_eq!(mount["subPath"], Value::Null);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let zones = folder.path().join("zones");
    fs::create_dir(&zones).expect("a new folder");
    for (file, text) in config_map["data"].as_object().expect("files") {
        fs::write(zones.join(file), text.as_str().expect("text")).expect("a new file");
    }
    let container = container();
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
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array();
    let state = &volumes.expect("a list")[1];
    assert_eq!(container["volumeMounts"][1]["name"], state["name"]);
    assert_eq!(container["volumeMounts"][1]["mountPath"], "/state");
    assert!(state["emptyDir"].is_object(), "it may write there");
    let server = serve(folder.path(), &arguments);
    let port = format!("-p{}", server.dns.port());
    let asked = Command::new("dig")
        .args(["@127.0.0.1", &port, "svc1.internal.com", "+short"])
        .output()
        .expect("make test installs dig");
    assert_eq!(String::from_utf8_lossy(&asked.stdout).lines().count(), 2);
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
