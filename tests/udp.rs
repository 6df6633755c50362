//! What a client and an operator see of the UDP side: where answers come from, which record is first, which ports are had.

mod needs;
mod serving;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    num::NonZeroUsize,
    sync::Arc,
};

use hickory_proto::{op::Message, rr::RData};
use meshdns::{
    dns::{Name, Serial},
    serve::{AnswerLimits, BindError, ServeSettings, Sockets, TcpLimits},
    zone::{Compiled, Editor, HostRecords, Settings},
};
use serving::{PATIENCE, Server, a_query, ask_udp, opt, query, sample_settings, udp_client};

#[test]
fn answers_come_from_the_address_that_was_asked() {
    let server = Server::on(&["0.0.0.0:0"], TcpLimits::default());
    let port = server.address().port();
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    for last in [1, 2, 77] {
        let asked = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
        client
            .send_to(&a_query("solo.test"), asked)
            .expect("a sent query");
        let (length, from) = client.recv_from(&mut [0; 512]).expect("an answer");
        assert!(length > 12);
        assert_eq!(from, asked);
    }
    server.stop();
}

#[test]
fn both_wildcard_addresses_share_a_port() {
    if !needs::met(&[needs::Need::Ipv6]) {
        return;
    }
    let v4 = Server::on(&["0.0.0.0:0"], TcpLimits::default());
    let both = format!("[::]:{}", v4.address().port());
    let v6 = Server::on(&[&both], TcpLimits::default());
    let to_v6 = SocketAddr::new("::1".parse().expect("an address"), v6.address().port());
    let client = udp_client(to_v6);
    assert!(ask_udp(&client, &a_query("solo.test")).len() > 12);
    let to_v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, v4.address().port()));
    assert!(ask_udp(&udp_client(to_v4), &a_query("solo.test")).len() > 12);
    v4.stop();
    v6.stop();
}

/// The last number of the first address in an answer.
fn first(answer: &[u8]) -> usize {
    let message = Message::from_vec(answer).expect("a well-formed answer");
    assert_eq!(message.answers.len(), 3);
    let last = match &message.answers[0].data {
        RData::A(address) => address.octets()[3],
        RData::AAAA(address) => address.octets()[15],
        other => panic!("not an address: {other}"),
    };
    usize::from(last)
}

#[test]
fn every_address_comes_first_equally_often() {
    let server = Server::start();
    let client = udp_client(server.address());
    let mut pairs = BTreeMap::<_, usize>::new();
    // As a stub resolver asks: A and AAAA by turns, from one port.
    for _ in 0..3600 {
        let a = first(&ask_udp(&client, &query(0, "svc1.internal.com", 1, 1, &[])));
        let aaaa = first(&ask_udp(
            &client,
            &query(0, "svc1.internal.com", 28, 1, &[]),
        ));
        *pairs.entry((a, aaaa)).or_default() += 1;
    }
    assert_eq!(pairs.len(), 9, "{pairs:?}");
    // 400 each, with a standard deviation of 19.
    assert!(
        pairs.values().all(|count| (270..530).contains(count)),
        "{pairs:?}"
    );
    server.stop();
}

#[test]
fn a_burst_is_answered_to_the_last_query() {
    let server = Server::start();
    let client = udp_client(server.address());
    let mut expected = std::collections::BTreeSet::new();
    for id in 0..200_u16 {
        let mut message = a_query("solo.test");
        message[..2].copy_from_slice(&id.to_be_bytes());
        client.send(&message).expect("a sent query");
        expected.insert(id);
    }
    while !expected.is_empty() {
        let mut answer = [0; 512];
        client.recv(&mut answer).expect("an answer");
        assert!(expected.remove(&u16::from_be_bytes([answer[0], answer[1]])));
    }
    server.stop();
}

fn bind(address: &str) -> Result<Sockets, BindError> {
    Sockets::bind(&ServeSettings {
        listen: vec![address.parse().expect("an address")],
        workers: NonZeroUsize::MIN,
        tcp: TcpLimits::default(),
        answers: AnswerLimits::default(),
        encrypted: None,
        presets: meshdns::serve::Presets::new(),
    })
}

#[track_caller]
fn check_busy(address: &str, protocol: &str) {
    let error = bind(address).expect_err("a busy port");
    assert!(matches!(error, BindError::AddressInUse { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(address) && text.contains(protocol) && text.contains("--listen"),
        "{text}"
    );
}

#[test]
fn a_busy_port_is_told_before_anything_is_served() {
    let server = Server::on(&["127.0.0.1:0"], TcpLimits::default());
    check_busy(&server.address().to_string(), "UDP");
    server.stop();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    check_busy(&udp.local_addr().expect("an address").to_string(), "UDP");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    check_busy(&tcp.local_addr().expect("an address").to_string(), "TCP");
}

#[test]
fn a_foreign_address_is_told() {
    // TEST-NET-1 is on no machine.
    let error = bind("192.0.2.1:0").expect_err("a foreign address");
    assert!(
        matches!(error, BindError::AddressNotAvailable { .. }),
        "{error:?}"
    );
}

#[test]
fn a_stopped_server_leaves_its_ports() {
    let server = Server::on(&["127.0.0.1:0"], TcpLimits::default());
    let address = server.address();
    let mut stream = serving::connect(address);
    serving::ask_tcp(&mut stream, &a_query("solo.test"));
    server.stop();
    let again = Server::on(&[&address.to_string()], TcpLimits::default());
    assert_eq!(again.address(), address);
    assert!(ask_udp(&udp_client(address), &a_query("solo.test")).len() > 12);
    again.stop();
}

#[test]
fn an_address_given_twice_is_served_once() {
    let free = bind("127.0.0.1:0").expect("a port").addresses()[0].to_string();
    let server = Server::on(&[&free, &free], TcpLimits::default());
    assert_eq!(server.addresses.len(), 1);
    server.stop();
}

#[test]
fn a_query_that_panics_takes_no_other_with_it() {
    let server = Server::start();
    // No configuration makes this: more NS records than a message can count.
    let broken = Settings {
        name_servers: vec![Name::root(); 70_000],
        ..sample_settings()
    };
    let host = Compiled::Records(HostRecords::encode(
        &[Ipv4Addr::LOCALHOST.into()],
        broken.ttl,
    ));
    let solo = Name::from_text("solo.test").expect("a name");
    let mut editor = Editor::new(Arc::new(broken));
    let change = editor.apply(BTreeMap::from([(solo, Some(host))]), Serial(1));
    server.snapshots.store(change.snapshot);

    let client = udp_client(server.address());
    for _ in 0..3 {
        client
            .send(&query(0, "solo.test", 2, 1, &[]))
            .expect("a sent query");
    }
    let answer = ask_udp(&client, &a_query("solo.test"));
    assert_eq!(answer[7], 1, "the address");
    let mut stream = serving::connect(server.address());
    let panicking = serving::framed(&query(0, "solo.test", 2, 1, &[]));
    std::io::Write::write_all(&mut stream, &panicking).expect("a sent query");
    assert!(serving::is_closed(&mut stream));
    assert!(
        server.metrics().contains("meshdns_panics_total 4"),
        "{}",
        server.metrics()
    );
    server.stop();
}

#[test]
fn traffic_is_counted_as_coredns_counts_it() {
    let server = Server::on(&["127.0.0.1:0"], TcpLimits::default());
    let client = udp_client(server.address());
    let mut stream = serving::connect(server.address());
    let dnssec_ok = opt(1232, 0, 0x8000, &[]);
    for (name, record_type, edns) in [
        ("svc1.internal.com", 1, &[][..]),
        ("Svc1.Internal.com", 28, &dnssec_ok),
        ("nope.internal.com", 1, &[]),
        ("many.internal.com", 1, &[]),
        ("solo.test", 1000, &[]),
        ("a-random-name.example", 1, &[]),
    ] {
        ask_udp(&client, &query(0, name, record_type, 1, edns));
    }
    serving::ask_tcp(&mut stream, &a_query("svc1.internal.com"));
    ask_udp(&client, &[0; 12]);

    let page = server.metrics();
    let at = format!("server=\"dns://{}\"", server.address());
    for line in [
        format!(
            "meshdns_dns_requests_total{{{at},zone=\"internal.com.\",view=\"\",proto=\"udp\",family=\"1\",type=\"A\"}} 3"
        ),
        format!(
            "meshdns_dns_requests_total{{{at},zone=\"internal.com.\",view=\"\",proto=\"udp\",family=\"1\",type=\"AAAA\"}} 1"
        ),
        format!(
            "meshdns_dns_requests_total{{{at},zone=\"internal.com.\",view=\"\",proto=\"tcp\",family=\"1\",type=\"A\"}} 1"
        ),
        format!(
            "meshdns_dns_requests_total{{{at},zone=\".\",view=\"\",proto=\"udp\",family=\"1\",type=\"other\"}} 1"
        ),
        format!(
            "meshdns_dns_requests_total{{{at},zone=\"dropped\",view=\"\",proto=\"udp\",family=\"1\",type=\"A\"}} 1"
        ),
        format!(
            "meshdns_dns_requests_total{{{at},zone=\"dropped\",view=\"\",proto=\"udp\",family=\"1\",type=\"other\"}} 1"
        ),
        format!(
            "meshdns_dns_responses_total{{{at},zone=\"internal.com.\",view=\"\",rcode=\"NOERROR\",plugin=\"\"}} 4"
        ),
        format!(
            "meshdns_dns_responses_total{{{at},zone=\"internal.com.\",view=\"\",rcode=\"NXDOMAIN\",plugin=\"\"}} 1"
        ),
        format!(
            "meshdns_dns_responses_total{{{at},zone=\"dropped\",view=\"\",rcode=\"REFUSED\",plugin=\"\"}} 1"
        ),
        format!(
            "meshdns_dns_responses_total{{{at},zone=\"dropped\",view=\"\",rcode=\"FORMERR\",plugin=\"\"}} 1"
        ),
        format!("meshdns_dns_do_requests_total{{{at},zone=\"internal.com.\",view=\"\"}} 1"),
        format!("meshdns_dns_truncated_responses_total{{{at},zone=\"internal.com.\",view=\"\"}} 1"),
        format!(
            "meshdns_dns_request_size_bytes_bucket{{le=\"100.0\",{at},zone=\"internal.com.\",view=\"\",proto=\"udp\"}} 4"
        ),
        format!(
            "meshdns_dns_response_size_bytes_count{{{at},zone=\"internal.com.\",view=\"\",proto=\"udp\"}} 4"
        ),
        "meshdns_tcp_connections_open 1".to_owned(),
        "meshdns_panics_total 0".to_owned(),
    ] {
        assert!(
            page.lines().any(|held| held == line),
            "{line} is missing in\n{page}"
        );
    }
    let durations = format!(
        "meshdns_dns_request_duration_seconds_count{{{at},zone=\"internal.com.\",view=\"\"}} 5"
    );
    server.wait_until("the last batch is counted", |server| {
        server.metrics().lines().any(|held| held == durations)
    });
    assert!(!page.contains("random"), "no name that a client chose");
    server.stop();
}
