//! What each annotation may say, and what is told of what it may not.

use super::*;
use crate::manifest::{Object, parse};

/// What a ServiceEntry with these annotations asks, and what is told of them.
fn read(annotations: &[(&str, &str)]) -> (TrafficNotes, Vec<String>) {
    let annotations = annotations.iter().map(|(name, value)| {
        let name = match name.split_once('/') {
            Some(_) => (*name).to_owned(),
            None => format!("{PREFIX}{name}"),
        };
        (name, serde_json::Value::from(*value))
    });
    let object = serde_json::json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "a", "annotations": annotations.collect::<serde_json::Map<_, _>>()},
        "spec": {"hosts": ["a.test"], "resolution": "STATIC"},
    });
    let mut contents = parse(&"a.json".into(), &object.to_string());
    let told = contents.diagnostics.iter().map(|told| told.message.clone());
    // What is said of those that nothing is answered from is said of each, whatever its value.
    let told = told
        .filter(|told| !told.contains("changes no answer yet"))
        .collect();
    let document = contents.documents.pop().expect("a document");
    let crate::manifest::DocumentOutcome::Object(Object::ServiceEntry(entry)) = document.outcome
    else {
        panic!("the object is rejected: {:?}", contents.diagnostics);
    };
    (
        entry.traffic.map(|traffic| *traffic).unwrap_or_default(),
        told,
    )
}

/// The shares that are read of `share`, as they are written with all their digits.
#[track_caller]
fn check_shares(share: &str, by: &str, expected: &str) {
    let (traffic, told) = read(&[("share", share), ("share-by", by)]);
    assert!(told.is_empty(), "{told:?}");
    let shares = traffic.shares.expect("shares");
    let wanted = shares.wanted.iter();
    let wanted: Vec<_> = wanted
        .map(|(group, share)| format!("{group}={share}"))
        .collect();
    assert_eq!(wanted.join(" "), expected, "{share}");
}

/// Checks that one annotation can't be read, and what is told of it.
#[track_caller]
fn check_told(annotations: &[(&str, &str)], name: &str, expected: &str) {
    let (traffic, told) = read(annotations);
    assert_eq!(&*traffic.unreadable, [name]);
    let readable = TrafficNotes {
        unreadable: Box::default(),
        ..traffic
    };
    assert_eq!(readable, TrafficNotes::default(), "nothing of it is taken");
    let [told] = &*told else {
        panic!("{told:?}");
    };
    assert!(told.contains(expected), "{told}");
}

#[test]
fn shares_are_read_in_percent_with_two_decimals() {
    check_shares("pod=10", "kind", "pod=10");
    check_shares(" vm = 90 , pod=10.00 ", "kind", "pod=10 vm=90");
    check_shares("pod=0", "kind", "pod=0");
    check_shares("vm=100", "kind", "vm=100");
    check_shares(
        "v1=33.33, v2=10,other=0.5",
        "label:version",
        "other=0.5 v1=33.33 v2=10",
    );
    check_shares("pods=99.99", "label:app.kubernetes.io/name", "pods=99.99");
    let (traffic, _) = read(&[("share", "pod=1.05")]);
    let shares = traffic.shares.expect("shares");
    assert_eq!(
        (shares.by, shares.wanted[0].1.hundredths()),
        (ShareBy::Kind, 105)
    );
}

#[test]
fn a_share_that_cannot_be_read_is_told_with_what_was_meant() {
    for (share, expected) in [
        ("pods=10", "did you mean `pod`?"),
        ("vms=10", "did you mean `vm`?"),
        ("Pod=10", "did you mean `pod`?"),
        (
            "v1=10",
            "the values of a label with `meshdns.io/share-by: label:version`",
        ),
        ("pod=1O", "`1O` is no number; did you mean `10`?"),
        ("pod=l0%", "did you mean `10`?"),
        ("pod=10%", "did you mean `10`?"),
        ("pod=ten", "write one from 0 to 100"),
        ("pod=-1", "write one from 0 to 100"),
        ("pod=1.", "write one from 0 to 100"),
        ("pod=+1", "write one from 0 to 100"),
        ("pod=", "write one from 0 to 100"),
        ("pod=33.333", "more than two decimals"),
        ("pod=100.01", "more than 100 %"),
        ("pod=99999999999999999999", "more than 100 %"),
        (
            "pod=60,vm=60",
            "come to 120.00 %: write shares that come to exactly 100",
        ),
        (
            "pod=10,vm=89.99",
            "come to 99.99 %: write shares that come to exactly 100",
        ),
        ("pod=10,pod=10", "`pod` stands there twice"),
        ("pod=10,", "a share is missing"),
        ("", "a share is missing"),
        ("pod 10", "`pod 10` is no share: write such as `pod=10`"),
    ] {
        check_told(&[("share", share)], "share", expected);
    }
    let by_label = ("share-by", "label:version");
    check_told(
        &[("share", "a=60,b=40.01"), by_label],
        "share",
        "at most 100",
    );
    check_told(
        &[("share", "a b=60"), by_label],
        "share",
        "no value of a label",
    );
    check_told(
        &[("share", "=60"), by_label],
        "share",
        "no value of a label",
    );
    let many: Vec<_> = (0..=MAX_GROUPS)
        .map(|group| format!("v{group}=0"))
        .collect();
    check_told(
        &[("share", &many.join(",")), by_label],
        "share",
        "64 groups",
    );
    for by in ["label", "version", "label:", "label:a b", ""] {
        check_told(
            &[("share", "pod=10"), ("share-by", by)],
            "share-by",
            "write",
        );
    }
}

#[test]
fn what_answers_are_to_hold_is_read() {
    let (traffic, told) = read(&[
        ("answer", "mix"),
        ("max-addresses", "28"),
        ("https", "true"),
        ("txt", "[\"one\", \"two\", \"one\"]"),
        ("grpc-config", "[{\"serviceConfig\": {}}]"),
        ("ptr", "true"),
        ("networking.istio.io/traffic-distribution", "preferClose"),
    ]);
    assert!(told.is_empty(), "{told:?}");
    let expected = TrafficNotes {
        answer: Some(AnswerMode::Mix),
        max_addresses: NonZeroU16::new(28).map(MaxAddresses::Number),
        https: ["h2", "http/1.1"].map(Box::from).into(),
        texts: ["one", "two"].map(Box::from).into(),
        grpc_config: Some("[{\"serviceConfig\": {}}]".into()),
        takes_pointers: true,
        distribution: Some(TrafficDistribution::SameZone),
        ..TrafficNotes::default()
    };
    assert_eq!(traffic, expected);
}

#[test]
fn each_value_is_read_as_it_is_meant() {
    let one = |name, value| read(&[(name, value)]).0;
    assert_eq!(
        one("max-addresses", "0").max_addresses,
        Some(MaxAddresses::All)
    );
    assert_eq!(
        one("max-addresses", "auto").max_addresses,
        Some(MaxAddresses::Fitting)
    );
    assert_eq!(*one("https", "h3, h2").https, ["h3", "h2"].map(Box::from));
    assert_eq!(one("https", "false"), TrafficNotes::default());
    assert_eq!(
        *one("txt", "owner=team a").texts,
        ["owner=team a"].map(Box::from)
    );
    assert_eq!(one("txt", "[]"), TrafficNotes::default());
    let distribution = "networking.istio.io/traffic-distribution";
    for (text, expected) in [
        ("PreferSameZone", TrafficDistribution::SameZone),
        ("PREFERSAMENODE", TrafficDistribution::SameNode),
        ("Wherever", TrafficDistribution::Any),
    ] {
        let (traffic, told) = read(&[(distribution, text)]);
        assert_eq!(traffic.distribution, Some(expected), "{text}");
        assert!(told.is_empty(), "Istio says nothing of it either");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_what_to_write() {
    let long = format!("\"{}\"", "a".repeat(MAX_TEXT_BYTES));
    let long_list = format!("[{long}]");
    for (name, value, expected) in [
        ("answer", "sides", "did you mean `side`?"),
        ("answer", "none", "write `side`, `mix` or `all`"),
        ("max-addresses", "65536", "a number from 1 to 65535"),
        ("max-addresses", "-1", "write `auto`"),
        ("https", "h2,,h3", "no protocol of ALPN"),
        ("https", "h 2", "no protocol of ALPN"),
        ("txt", "[1]", "no JSON list of texts"),
        ("txt", "[\"a\"", "no JSON list of texts"),
        ("txt", "", "write a text"),
        ("txt", &long, "32768 are the most"),
        ("grpc-config", "{", "this is no JSON"),
        ("grpc-config", "{}", "the list of choices"),
        ("grpc-config", &long_list, "the list of choices"),
        ("ptr", "yes", "write `true` or `false`"),
    ] {
        check_told(&[(name, value)], name, expected);
    }
}

#[test]
fn what_belongs_elsewhere_is_told() {
    let (traffic, told) = read(&[("share-by", "kind"), ("weight", "3"), ("shares", "pod=1")]);
    assert_eq!(traffic, TrafficNotes::default());
    let expected = [
        "there is no `meshdns.io/share`",
        "`meshdns.io/weight` means nothing on a ServiceEntry: write it on the Pods",
        "did you mean `meshdns.io/share`?",
    ];
    for expected in expected {
        assert!(told.iter().any(|told| told.contains(expected)), "{told:?}");
    }
}

#[test]
fn a_value_that_is_to_be_filled_in_is_part_of_a_template() {
    let text = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
                metadata: {name: a, annotations: {meshdns.io/share: '{{ .Values.share }}'}}\n\
                spec: {hosts: [a.test], resolution: STATIC}\n";
    let contents = parse(&"a.yaml".into(), text);
    let codes = contents.diagnostics.iter().map(|told| told.code);
    assert_eq!(codes.collect::<Vec<_>>(), [code::TEMPLATE]);
}
