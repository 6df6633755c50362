//! Zones of the mesh in a catalog.

use std::sync::Arc;

use hickory_proto::rr::{LowerName, Name};
use hickory_server::zone_handler::{Catalog, ZoneHandler};
use meshdns::hickory::MeshZone;

use super::{Running, mesh, not_ready, other_zone};

fn serve(zones: Vec<Arc<dyn ZoneHandler>>) -> Running {
    let mut catalog = Catalog::new();
    let name = |text| LowerName::from(Name::from_ascii(text).expect("a valid name"));
    catalog.upsert(name("internal.com."), zones);
    let other = other_zone("other.test.", &["www.other.test."]);
    catalog.upsert(name("other.test."), vec![Arc::new(other)]);
    Running::start(catalog)
}

fn apex() -> meshdns::dns::Name {
    meshdns::dns::Name::from_text("internal.com").expect("a valid name")
}

const SVC1: &str = ";; NOERROR qr aa\nsvc1.internal.com. 5 IN AAAA 2001:db8::1\n";

#[test]
fn each_zone_answers_its_own_names() {
    let server = serve(vec![Arc::new(MeshZone::new(mesh(), apex()))]);
    assert_eq!(server.dig("svc1.internal.com AAAA"), SVC1);
    assert_eq!(
        server.dig("www.other.test A"),
        ";; NOERROR qr aa\nwww.other.test. 5 IN A 192.0.2.99\n"
    );
    assert_eq!(server.dig("solo.test A"), ";; REFUSED qr\n");
    assert_eq!(server.dig("left.internal.com A"), ";; REFUSED qr aa\n");
    // Transfers, and types that nobody can have.
    for record_type in [251, 252, 128, 253] {
        let said = server.dig(&format!("internal.com TYPE{record_type}"));
        assert!(said.starts_with(";; REFUSED"), "{record_type}: {said}");
    }
}

#[test]
fn in_a_chain_the_next_handler_has_what_the_mesh_leaves_to_others() {
    let next = other_zone(
        "internal.com.",
        &["left.internal.com.", "svc1.internal.com."],
    );
    let mesh = MeshZone::new(mesh(), apex()).in_chain();
    let server = serve(vec![Arc::new(mesh), Arc::new(next)]);
    assert_eq!(server.dig("svc1.internal.com AAAA"), SVC1);
    assert_eq!(
        server.dig("left.internal.com A"),
        ";; NOERROR qr aa\nleft.internal.com. 5 IN A 192.0.2.99\n"
    );
    assert!(
        server
            .dig("nobody.internal.com A")
            .starts_with(";; NXDOMAIN qr aa\n")
    );
}

#[test]
fn nothing_is_denied_before_the_first_load() {
    let alone = serve(vec![Arc::new(MeshZone::new(not_ready(), apex()))]);
    assert_eq!(alone.dig("svc1.internal.com A"), ";; SERVFAIL qr\n");
    let next = other_zone("internal.com.", &[]);
    let mesh = MeshZone::new(not_ready(), apex()).in_chain();
    let chained = serve(vec![Arc::new(mesh), Arc::new(next)]);
    assert_eq!(chained.dig("svc1.internal.com A"), ";; REFUSED qr aa\n");
}

#[test]
fn a_zone_that_is_declared_no_longer_is_refused() {
    let other = meshdns::dns::Name::from_text("com").expect("a valid name");
    let mut catalog = Catalog::new();
    let com = LowerName::from(Name::from_ascii("com.").expect("a valid name"));
    catalog.upsert(com, vec![Arc::new(MeshZone::new(mesh(), other))]);
    let server = Running::start(catalog);
    for name in ["svc1.internal.com", "com"] {
        let said = server.dig(&format!("{name} A"));
        assert_eq!(said, ";; REFUSED qr aa\n", "{name}");
    }
}
