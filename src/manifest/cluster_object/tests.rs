use proptest::prelude::*;

use super::*;
use crate::manifest;

fn reader() -> ObjectReader {
    ObjectReader::new(Cluster::only("prod"))
}

/// Compares each problem's field and code.
#[track_caller]
fn check(kind: Kind, json: &str, expected: &[(&str, code::Code)]) -> ClusterObject {
    let read = reader().read("networking.istio.io/v1", kind, json.as_bytes());
    let read = read.expect("an object");
    let fields: Vec<_> = read
        .contents
        .diagnostics
        .iter()
        .map(|said| match &said.origin {
            crate::diagnostic::Origin::Cluster(place) => (&*place.field, said.code),
            crate::diagnostic::Origin::File(place) => panic!("{place} is no field"),
        })
        .collect();
    assert_eq!(fields, expected);
    read
}

#[test]
fn problems_name_the_field() {
    let read = check(
        Kind::ServiceEntry,
        r#"{"metadata":{"name":"svc1","namespace":"ns1","resourceVersion":"77","labels":{"a b":"c"}},
            "spec":{"hosts":["good.test","no_such..host"],"resolution":"STATC","colour":"red"}}"#,
        &[
            ("metadata.labels[a b]", code::LABEL),
            ("spec.hosts[1]", code::HOST_LABEL),
            ("spec.resolution", code::UNKNOWN_ENUM),
            ("spec.colour", code::UNKNOWN_FIELD),
        ],
    );
    assert_eq!(read.contents.object, None);
    assert_eq!(read.key.to_string(), "ServiceEntry ns1/svc1");
    assert_eq!(&*read.resource_version, "77");
    let first = &read.contents.diagnostics[1];
    let place = "serviceentry.networking.istio.io/svc1 -n ns1, spec.hosts[1]: error [MDNS204]: ";
    assert!(first.to_string().starts_with(place), "{first}");
}

#[test]
fn managed_fields_are_passed_over() {
    // They would be a mistake: a key stands there twice.
    let read = check(
        Kind::WorkloadEntry,
        r#"{"apiVersion":"networking.istio.io/v1beta1","kind":"WorkloadEntry",
            "metadata":{"name":"vm1","managedFields":[{"a":1,"a":2}],"namespace":"ns1"},
            "spec":{"address":"192.0.2.1"}}"#,
        &[],
    );
    assert!(read.contents.object.is_some());
    assert_eq!(&*read.key.namespace, "ns1");
}

#[test]
fn what_is_no_such_object_is_an_error() {
    let mut reader = reader();
    let mut check = |json: &[u8], expected: &str| {
        let read = reader.read("v1", Kind::Pod, json);
        let error = read.expect_err("no object");
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check(br#"{"metadata":{"name":"a"#, "read an object");
    check(b"\xff", "read the text");
    check(b"[]", "the object is no Pod");
    check(br#"{"spec":{}}"#, "the object has no metadata.name");
    check(
        br#"{"apiVersion":"v1","kind":"Status","metadata":{"name":"a"}}"#,
        "the object is no Pod",
    );
}

#[test]
fn an_object_that_is_nested_too_deeply_is_refused_by_its_name() {
    let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
    let json = format!(r#"{{"metadata":{{"name":"a","namespace":"n"}},"spec":{{"x":{deep}}}}}"#);
    let read = check(Kind::Pod, &json, &[("", code::TOO_DEEP)]);
    assert_eq!(read.key.to_string(), "Pod n/a");
    assert_eq!(read.contents.object, None);
}

/// Whatever the examples hold: a cluster's object is taken or refused as it is in a file, for the same reasons.
#[test]
fn says_what_a_file_says() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validation");
    let mut count = 0;
    for folder in [folder.clone(), folder.join("valid")] {
        for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            for raw in manifest::split(&text) {
                // What YAML alone can say, no API server sends.
                let Ok(value) = serde_yaml::from_str::<serde_json::Value>(raw.text) else {
                    continue;
                };
                count += usize::from(compare(&value));
            }
        }
    }
    assert!(count > 100, "{count} objects were compared");
}

fn compare(value: &serde_json::Value) -> bool {
    let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return false;
    };
    let Some(kind) = Kind::ALL.into_iter().find(|known| known.as_str() == kind) else {
        return false;
    };
    let json = value.to_string();
    let Ok(read) = reader().read(api_version, kind, json.as_bytes()) else {
        return false;
    };
    let file = "a.json".into();
    let of_file = manifest::parse(&file, &json);
    let [document] = &*of_file.documents else {
        return false;
    };
    let object = match &document.outcome {
        manifest::DocumentOutcome::Object(object) => Some(object),
        _ => None,
    };
    // A place in a file that is to be filled in hides what else is wrong.
    if of_file
        .diagnostics
        .iter()
        .any(|said| said.code == code::TEMPLATE)
    {
        return false;
    }
    assert_eq!(read.contents.object.as_ref(), object, "{json}");
    let said = |all: &[Diagnostic]| {
        let mut said: Vec<_> = all
            .iter()
            .map(|said| (said.severity, said.code, said.message.clone()))
            .collect();
        said.sort_unstable();
        said
    };
    assert_eq!(
        said(&read.contents.diagnostics),
        said(&of_file.diagnostics),
        "{json}"
    );
    true
}

proptest! {
    /// Whatever bytes come: an error, or an object whose problems are of fields that can be shown in a line.
    #[test]
    fn any_bytes_are_taken_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        cut in 0..400_usize,
        edit in prop::collection::vec((0..400_usize, any::<u8>()), 0..6),
    ) {
        let mut json = br#"{"apiVersion":"networking.istio.io/v1","kind":"ServiceEntry","metadata":{"name":"a","namespace":"b",
            "labels":{"c/d":"e"}},"spec":{"hosts":["f.test"],"ports":[{"number":80,"name":"http","protocol":"HTTP"}],
            "resolution":"STATIC","endpoints":[{"address":"192.0.2.1"}]}}"#.to_vec();
        for (at, byte) in edit {
            let length = json.len();
            json[at % length] = byte;
        }
        let cut = json[..cut.min(json.len())].to_vec();
        for bytes in [bytes, json, cut] {
            for kind in Kind::ALL {
                let Ok(read) = reader().read("v1", kind, &bytes) else {
                    continue;
                };
                for said in read.contents.diagnostics {
                    prop_assert!(!said.to_string().contains('\n'), "{}", said);
                }
            }
        }
    }
}
