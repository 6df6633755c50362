use super::*;

#[track_caller]
fn name(text: &str) -> Name {
    Name::from_text(text).expect("a valid name")
}

/// The table of who answers, row by row: for each place, without an upstream and with one, an address, a type that can
/// lead to addresses, and any other type.
#[test]
fn answers_by_place_and_type() {
    use Verdict::{Empty, Others, Ours};
    let rows = [
        (
            Place::Host(Zone::OfHost),
            [Ours, Ours, Ours],
            [Ours, Ours, Others],
        ),
        (
            Place::Host(Zone::Declared),
            [Ours, Ours, Ours],
            [Ours, Ours, Ours],
        ),
        (
            Place::Host(Zone::DeclaredPartial),
            [Ours, Ours, Ours],
            [Ours, Ours, Others],
        ),
        (Place::Zone(Zone::OfHost), [Empty; 3], [Others; 3]),
        (Place::Zone(Zone::Declared), [Empty; 3], [Empty; 3]),
        (Place::Zone(Zone::DeclaredPartial), [Others; 3], [Others; 3]),
        (Place::Outside, [Others; 3], [Others; 3]),
    ];
    let types = [RecordType::AAAA, RecordType::HTTPS, RecordType::TXT];
    for (place, alone, beside_an_upstream) in rows {
        for (has_upstream, expected) in [(false, alone), (true, beside_an_upstream)] {
            let verdicts = types.map(|record_type| place.verdict(record_type, has_upstream));
            assert_eq!(verdicts, expected, "{place:?}, upstream: {has_upstream}");
        }
    }
}

/// Compares who answers for the addresses of `asked`, where these hosts stand (`=` answers, `-` left to DNS).
#[track_caller]
fn check(settings: [&[&str]; 3], hosts: &str, asked: &str, expected: &str) {
    let [declared, partial, forwarded] =
        settings.map(|names| names.iter().map(|text| name(text)).collect::<Vec<_>>());
    let mut authority = Authority::new(&declared, &partial, &forwarded);
    let hosts: Vec<_> = hosts
        .split_whitespace()
        .map(|host| match host.split_at(1) {
            ("=", host) => (host.parse().expect("a valid host"), Standing::Answers),
            (_, host) => (host.parse().expect("a valid host"), Standing::Left),
        })
        .collect();
    authority.set_standings(hosts.iter().map(|(host, standing)| (host, *standing)));
    let holder = match authority.holder(&name(asked)) {
        Holder::Host(host) => host.to_string(),
        Holder::Zone(zone) => format!("{zone:?}"),
        Holder::Others => "others".to_owned(),
    };
    assert_eq!(holder, expected, "{asked}");
}

const ALONE: [&[&str]; 3] = [&[], &[], &[]];
const FORWARDING: [&[&str]; 3] = [&[], &[], &["."]];

#[test]
fn a_host_takes_one_name_where_an_upstream_answers_for_the_rest() {
    check(ALONE, "=git.test", "git.test", "git.test.");
    check(ALONE, "=git.test", "api.git.test", "OfHost");
    check(FORWARDING, "=git.test", "git.test", "git.test.");
    check(FORWARDING, "=git.test", "api.git.test", "others");
    check(
        [&[], &[], &["other.test"]],
        "=git.test",
        "api.git.test",
        "OfHost",
    );
}

#[test]
fn a_host_that_is_left_to_dns_is_left_below_a_wildcard_too() {
    check(
        ALONE,
        "=*.git.test -api.git.test",
        "x.git.test",
        "*.git.test.",
    );
    check(ALONE, "=*.git.test -api.git.test", "api.git.test", "others");
    check(
        ALONE,
        "=*.git.test -api.git.test",
        "x.api.git.test",
        "*.git.test.",
    );
    check(ALONE, "=*.test -*.git.test", "x.git.test", "others");
    check(ALONE, "=*.test -*.git.test", "git.test", "*.test.");
}

#[test]
fn a_whole_zone_has_no_data_for_what_is_left_to_dns_unless_an_upstream_has() {
    check([&["test"], &[], &[]], "-git.test", "git.test", "git.test.");
    check([&["test"], &[], &["."]], "-git.test", "git.test", "others");
    check(
        [&["test"], &["test"], &["."]],
        "-git.test",
        "git.test",
        "others",
    );
    check(
        [&["test"], &["test"], &["."]],
        "=git.test",
        "x.test",
        "others",
    );
    check([&["test"], &[], &["."]], "=git.test", "x.test", "Declared");
    check(
        [&["test", "in.test"], &["test"], &["."]],
        "",
        "x.in.test",
        "Declared",
    );
}

#[test]
fn tells_which_hosts_became_something_else() {
    let mut authority = Authority::new(&[], &[], &[]);
    let (one, two) = (name("one.test"), name("two.test"));
    let answers = [(&one, Standing::Answers), (&two, Standing::Left)];
    assert_eq!(authority.set_standings(answers.into_iter()), [&one, &two]);
    assert!(authority.set_standings(answers.into_iter()).is_empty());
    let moved = authority.set_standings([(&one, Standing::Left)].into_iter());
    assert_eq!(moved, [&one]);
    assert!(!authority.answers_below(&name("test")));
    authority.set_standings([(&one, Standing::Absent)].into_iter());
    let test = name("test");
    assert_eq!(authority.below(&test).collect::<Vec<_>>(), [&two]);
}
