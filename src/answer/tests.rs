use super::{Answer, Edns, Outcome, answer, sample};
use crate::{
    dns::{Class, RecordType},
    zone::Snapshot,
};

/// Asks for `name` and compares response code, AA, what is in the sections and where the zone's apex begins.
#[track_caller]
fn check(name: &str, record_type: RecordType, expected: &str) {
    check_in(sample::snapshot(), name, record_type, expected);
}

#[track_caller]
fn check_in(snapshot: &Snapshot, name: &str, record_type: RecordType, expected: &str) {
    let mut question = Vec::new();
    let query = sample::query(name, record_type, &mut question);
    assert_eq!(text(&answer(snapshot, &query)), expected);
}

fn text(answer: &Answer<'_>) -> String {
    let outcome = &answer.outcome;
    let aa = if outcome.is_authoritative() {
        " aa"
    } else {
        ""
    };
    let content = match outcome {
        Outcome::Addresses(addresses) => format!(" {} records", addresses.count()),
        Outcome::NameServers { count, .. } => format!(" {count} records"),
        Outcome::Soa(_) => " soa".to_owned(),
        Outcome::Minimal(_) => " minimal".to_owned(),
        Outcome::Identity(text) => format!(" {text:?}"),
        Outcome::NoData(_) | Outcome::NoName(_) => " authority soa".to_owned(),
        _ => String::new(),
    };
    let apex = answer
        .apex_at
        .map_or(String::new(), |at| format!(" apex {at}"));
    let error = outcome
        .extended_error()
        .map_or(String::new(), |error| format!(" ede {}", error as u16));
    format!("{}{aa}{content}{apex}{error}", outcome.rcode())
}

#[test]
fn gives_the_addresses_of_a_host_in_any_case() {
    check(
        "svc1.internal.com",
        RecordType::A,
        "NOERROR aa 2 records apex 5",
    );
    check(
        "SVC1.Internal.COM",
        RecordType::AAAA,
        "NOERROR aa 1 records apex 5",
    );
    check("solo.test", RecordType::A, "NOERROR aa 1 records apex 0");
}

#[test]
fn says_no_data_where_the_name_exists() {
    let no_data = "NOERROR aa authority soa apex 5";
    check(
        "solo.test",
        RecordType::AAAA,
        "NOERROR aa authority soa apex 0",
    );
    check("none.internal.com", RecordType::A, no_data);
    check("svc1.internal.com", RecordType::TXT, no_data);
    check("svc1.internal.com", RecordType(1000), no_data);
    check("svc1.internal.com", RecordType::SOA, no_data);
    check("svc1.internal.com", RecordType::NS, no_data);
    check(
        "b.internal.com",
        RecordType::A,
        "NOERROR aa authority soa apex 2",
    );
    check("wild.internal.com", RecordType::A, no_data);
}

#[test]
fn denies_nothing_that_may_stand_where_nothing_can_be_read() {
    let unknown = [
        ("none.internal.com", RecordType::A, " apex 5"),
        ("none.internal.com", RecordType::ANY, " apex 5"),
        ("b.internal.com", RecordType::AAAA, " apex 2"),
        ("internal.com", RecordType::A, " apex 0"),
        ("other.internal.com", RecordType::A, " apex 6"),
        ("other.internal.com", RecordType::TXT, " apex 6"),
        ("elsewhere.test", RecordType::A, ""),
    ];
    for (name, record_type, apex) in unknown {
        let expected = format!("SERVFAIL{apex} ede 14");
        check_in(sample::in_part(), name, record_type, &expected);
    }
    // What stands stands, and what no host has it has neither.
    let known = [
        ("svc1.internal.com", RecordType::A),
        ("svc1.internal.com", RecordType::TXT),
        ("a.b.internal.com", RecordType::AAAA),
        ("none.internal.com", RecordType::TXT),
        ("b.internal.com", RecordType::HTTPS),
        ("internal.com", RecordType::SOA),
        ("internal.com", RecordType::NS),
        ("solo.test", RecordType::ANY),
    ];
    for (name, record_type) in known {
        let mut question = Vec::new();
        let query = sample::query(name, record_type, &mut question);
        let expected = text(&answer(sample::snapshot(), &query));
        check_in(sample::in_part(), name, record_type, &expected);
    }
}

#[test]
fn says_no_name_only_in_a_zone_of_ours() {
    check(
        "other.internal.com",
        RecordType::A,
        "NXDOMAIN aa authority soa apex 6",
    );
    check(
        "x.svc1.internal.com",
        RecordType::A,
        "NXDOMAIN aa authority soa apex 7",
    );
    check(
        "x.solo.test",
        RecordType::A,
        "NXDOMAIN aa authority soa apex 2",
    );
    check("other.test", RecordType::A, "REFUSED ede 20");
    check("com", RecordType::A, "REFUSED ede 20");
    check(".", RecordType::NS, "REFUSED ede 20");
}

#[test]
fn a_wildcard_covers_any_depth_and_other_types_with_no_data() {
    check(
        "x.wild.internal.com",
        RecordType::A,
        "NOERROR aa 1 records apex 7",
    );
    check(
        "x.y.wild.internal.com",
        RecordType::A,
        "NOERROR aa 1 records apex 9",
    );
    check(
        "x.wild.internal.com",
        RecordType::AAAA,
        "NOERROR aa authority soa apex 7",
    );
    check(
        "x.open.test",
        RecordType::AAAA,
        "NOERROR aa 1 records apex 2",
    );
    check(
        "open.test",
        RecordType::AAAA,
        "NOERROR aa authority soa apex 0",
    );
}

#[test]
fn an_apex_has_soa_and_ns() {
    check("internal.com", RecordType::SOA, "NOERROR aa soa apex 0");
    check(
        "internal.com",
        RecordType::NS,
        "NOERROR aa 1 records apex 0",
    );
    check("solo.test", RecordType::SOA, "NOERROR aa soa apex 0");
    check(
        "internal.com",
        RecordType::A,
        "NOERROR aa authority soa apex 0",
    );
}

#[test]
fn any_is_answered_minimally_where_there_is_something() {
    check(
        "svc1.internal.com",
        RecordType::ANY,
        "NOERROR aa minimal apex 5",
    );
    check("internal.com", RecordType::ANY, "NOERROR aa minimal apex 0");
    check(
        "b.internal.com",
        RecordType::ANY,
        "NOERROR aa authority soa apex 2",
    );
    check(
        "other.internal.com",
        RecordType::ANY,
        "NXDOMAIN aa authority soa apex 6",
    );
}

#[test]
fn refuses_transfers_and_types_that_are_no_data() {
    check("internal.com", RecordType::AXFR, "REFUSED ede 21");
    check("internal.com", RecordType::IXFR, "REFUSED ede 21");
    check("internal.com", RecordType(254), "NOTIMP ede 21");
    check("internal.com", RecordType::OPT, "FORMERR");
    check("internal.com", RecordType(250), "FORMERR");
}

#[track_caller]
fn check_class(name: &str, class: Class, expected: &str) {
    let snapshot = sample::snapshot();
    let mut question = Vec::new();
    let mut query = sample::query(name, RecordType::TXT, &mut question);
    query.class = class;
    assert_eq!(text(&answer(snapshot, &query)), expected);
}

#[test]
fn says_who_it_is_in_chaos_where_it_may() {
    check_class("version.bind", Class::CH, "NOERROR aa \"meshdns 0\"");
    check_class("VERSION.server", Class::CH, "NOERROR aa \"meshdns 0\"");
    check_class("id.server", Class::CH, "REFUSED ede 21");
    check_class("hostname.bind", Class::CH, "REFUSED ede 21");
    check_class("svc1.internal.com", Class::CH, "REFUSED ede 21");
    check_class("svc1.internal.com", Class::ANY, "REFUSED ede 21");
    check_class("version.bind", Class::IN, "REFUSED ede 20");
}

#[test]
fn knows_nothing_before_the_first_load() {
    let snapshot = &*sample::not_ready();
    let mut question = Vec::new();
    let query = sample::query("svc1.internal.com", RecordType::A, &mut question);
    assert_eq!(text(&answer(snapshot, &query)), "SERVFAIL ede 14");
}

#[test]
fn gives_its_identifier_to_those_who_ask() {
    let snapshot = sample::snapshot();
    let mut question = Vec::new();
    let mut query = sample::query("svc1.internal.com", RecordType::A, &mut question);
    for (nsid, expected) in [(true, Some(&b"one"[..])), (false, None)] {
        query.edns = Some(Edns {
            nsid,
            ..Edns::default()
        });
        assert_eq!(answer(snapshot, &query).nsid, expected);
    }
}

#[test]
fn the_turn_chooses_the_first_record() {
    let snapshot = sample::snapshot();
    let mut question = Vec::new();
    let mut query = sample::query("svc1.internal.com", RecordType::A, &mut question);
    let mut first = |turn| {
        query.turn = turn;
        let Outcome::Addresses(addresses) = answer(snapshot, &query).outcome else {
            panic!("the host has addresses");
        };
        let mut records = Vec::new();
        addresses.write(&mut records);
        records[15]
    };
    assert_eq!([first(0), first(u32::MAX)], [1, 2]);
}
