//! Probes of WorkloadGroups, turned on and off while the server runs.

use rustix::process::Signal;

use crate::{
    mesh::{Place, get_every_second, named},
    vms,
};

const IPS: [&str; 3] = ["127.8.9.1", "127.8.9.2", "127.8.9.3"];

/// A WorkloadGroup that probes with `stanza`.
fn write_group(place: &Place, stanza: &str) {
    place.write(
        "zones/group.yaml",
        &format!(
            "apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {{name: orders, namespace: shop}}
spec: {{template: {{}}, probe: {stanza}}}
"
        ),
    );
}

/// A VM that Istio made from the group.
fn write_member(place: &Place, ip: &str, status: &str) {
    let name = named(ip);
    place.write(
        &format!("zones/vm-{name}.yaml"),
        &format!(
            "apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: {name}
  namespace: shop
  labels: {{app: orders}}
  annotations: {{istio.io/autoRegistrationGroup: orders}}
spec: {{address: {ip}}}
status: {{{status}}}
"
        ),
    );
}

#[test]
fn groups_that_are_turned_off_leave_vms_to_their_status_without_a_gap() {
    let (apps, port) = vms::start(IPS);
    let place = Place::new("startWithin: 1m, workloadGroups: all");
    write_group(&place, &get_every_second(port, "failureThreshold: 1"));
    write_member(&place, IPS[0], "");
    write_member(&place, IPS[1], "");
    let ill = "conditions: [{type: Healthy, status: 'False'}]";
    write_member(&place, IPS[2], ill);
    let mesh = place.serve();
    mesh.assert_answers(&IPS[..2]);
    assert_eq!(mesh.health_metric("targets{verdict=\"passing\"}"), 3);
    apps[0].say(500);
    mesh.wait_for(&IPS[1..2]);
    mesh.place.configure("startWithin: 1m, workloadGroups: off");
    mesh.server.signal(Signal::HUP);
    mesh.server.wait("both by their status alone", || {
        let addresses = mesh.addresses();
        assert!(addresses.contains(IPS[1]) && !addresses.contains(IPS[2]));
        addresses.contains(IPS[0])
    });
    mesh.wait_for_metric("targets{verdict=\"passing\"}", |count| count == 0);
    mesh.wait_for_metric("targets{verdict=\"failing\"}", |count| count == 0);
    assert_eq!(mesh.health_metric("in_flight"), 0);
    assert_eq!(mesh.threads_named("probe"), 1);
    // They are members again, each where it is until it fails.
    mesh.place.configure("startWithin: 1m, workloadGroups: all");
    mesh.server.signal(Signal::HUP);
    mesh.wait_for(&IPS[1..2]);
}
