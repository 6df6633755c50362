//! The Pods that ask for others.

use super::*;
use crate::manifest;

fn pods(file: &str, pods: &[(&str, &str, &str)]) -> FileChange {
    let file: Arc<str> = file.into();
    let text = pods.iter().map(|(label, status, address)| {
        let (namespace, name) = ("kube-system", address.replace(['.', ':'], "-"));
        format!(
            "---\napiVersion: v1\nkind: Pod\n\
             metadata: {{name: dns-{name}, namespace: {namespace}, labels: {{{label}}}}}\n\
             status: {{phase: Running, podIP: '{address}', conditions: [{{type: Ready, status: '{status}'}}]}}\n"
        )
    });
    FileChange {
        reading: Reading::Read(manifest::parse(&file, &text.collect::<String>())),
        file,
    }
}

fn told(mesh: &Mesh) -> Vec<String> {
    let forwarders = mesh.forwarders().into_iter();
    forwarders.map(|address| address.to_string()).collect()
}

#[test]
fn pods_of_coredns_and_its_caches_ask_for_others_while_they_are_in() {
    let mut mesh = Mesh::default();
    assert!(!mesh.take_forwarders_changed());
    let all = [
        ("k8s-app: kube-dns", "True", "10.0.0.9"),
        ("k8s-app: node-local-dns, a: b", "True", "10.0.0.5"),
        ("app.kubernetes.io/name: coredns", "True", "2001:db8::1"),
        ("k8s-app: kube-dns", "False", "10.0.0.1"),
        ("k8s-app: coredns", "True", "10.0.0.2"),
        ("app: kube-dns", "True", "10.0.0.3"),
    ];
    apply(&mut mesh, vec![pods("a.yaml", &all)], NOON);
    assert_eq!(told(&mesh), ["10.0.0.5", "10.0.0.9", "2001:db8::1"]);
    assert!(mesh.take_forwarders_changed());
    assert!(!mesh.take_forwarders_changed());
    let other = [("app: a", "True", "10.0.1.1")];
    apply(&mut mesh, vec![pods("b.yaml", &other)], NOON);
    apply(&mut mesh, vec![pods("a.yaml", &all)], NOON);
    assert!(!mesh.take_forwarders_changed(), "nothing of them changed");
    apply(&mut mesh, vec![pods("a.yaml", &all[..2])], NOON);
    assert!(mesh.take_forwarders_changed());
    let unready = [(all[0].0, "False", all[0].2), all[1]];
    apply(&mut mesh, vec![pods("a.yaml", &unready)], NOON);
    assert_eq!(told(&mesh), ["10.0.0.5"]);
    assert!(mesh.take_forwarders_changed());
    apply(&mut mesh, vec![pods("a.yaml", &all[..2])], NOON);
    apply(&mut mesh, vec![pods("a.yaml", &unready)], NOON);
    assert!(!mesh.take_forwarders_changed(), "it is as it was");
    let relabelled = [("app: x", "True", "10.0.0.5")];
    apply(&mut mesh, vec![pods("a.yaml", &relabelled)], NOON);
    assert_eq!(told(&mesh), [""; 0]);
}

#[test]
fn an_address_that_two_of_them_share_stays_until_both_are_gone() {
    let mut mesh = Mesh::default();
    let pod = |namespace: &str| {
        let file: Arc<str> = format!("{namespace}.yaml").into();
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: dns, namespace: {namespace}, labels: {{k8s-app: kube-dns}}}}\n\
             status: {{podIP: 10.0.0.1, conditions: [{{type: Ready, status: 'True'}}]}}\n"
        );
        FileChange {
            reading: Reading::Read(manifest::parse(&file, &text)),
            file,
        }
    };
    let gone = |namespace: &str| FileChange {
        file: format!("{namespace}.yaml").into(),
        reading: Reading::Gone,
    };
    apply(&mut mesh, vec![pod("a"), pod("b")], NOON);
    assert!(mesh.take_forwarders_changed());
    apply(&mut mesh, vec![gone("a")], NOON);
    assert_eq!(told(&mesh), ["10.0.0.1"]);
    assert!(!mesh.take_forwarders_changed());
    apply(&mut mesh, vec![gone("b")], NOON);
    assert_eq!(told(&mesh), [""; 0]);
    assert!(mesh.take_forwarders_changed());
}
