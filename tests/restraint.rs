//! Cookies, and what clients without one get where answers are limited.

mod serving;

use std::{net::UdpSocket, num::NonZeroU32, time::Duration};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::rdata::opt::EdnsCode,
};
use meshdns::serve::{AnswerLimits, CookieKeys, RateLimit, TcpLimits};
use serving::{Server, a_query, ask_tcp, ask_udp, connect, opt, query, udp_client};

/// The client's part of a cookie.
const OF_CLIENT: &[u8] = b"abcdefgh";

const KEY: [u8; 16] = *b"0123456789abcdef";

/// The type of IPv6 addresses.
const AAAA: u16 = 28;

/// Cookies by [`KEY`], and no limits.
fn cookies() -> AnswerLimits {
    AnswerLimits {
        cookie_keys: Some(CookieKeys::of(&[KEY])),
        ..AnswerLimits::default()
    }
}

/// A query for an address record with this cookie.
fn asking(name: &str, record_type: u16, cookie: &[u8]) -> Vec<u8> {
    let length = u16::try_from(cookie.len()).expect("a short cookie");
    let option = [b"\0\x0a", &length.to_be_bytes()[..], cookie].concat();
    query(0, name, record_type, 1, &opt(1232, 0, 0, &option))
}

fn read(answer: &[u8]) -> Message {
    Message::from_vec(answer).expect("a well-formed answer")
}

/// The cookie in an answer.
fn cookie(answer: &Message) -> Option<Vec<u8>> {
    let edns = answer.edns.as_ref()?;
    let option = edns.option(EdnsCode::Cookie)?;
    Some(Vec::try_from(option).expect("an option has bytes"))
}

/// The cookie that the server of `client` gives it.
fn learn(client: &UdpSocket) -> Vec<u8> {
    let answer = read(&ask_udp(client, &asking("solo.test", 1, OF_CLIENT)));
    cookie(&answer).expect("a cookie comes back")
}

#[test]
fn a_cookie_comes_back_over_udp_and_tcp_alike_and_is_kept() {
    let server = Server::limited(cookies());
    let client = udp_client(server.address());
    let learned = learn(&client);
    assert_eq!((learned.len(), &learned[..8]), (24, OF_CLIENT));
    let names = [
        ("solo.test", ResponseCode::NoError),
        ("none.internal.com", ResponseCode::NoError),
        ("nope.internal.com", ResponseCode::NXDomain),
        ("example.org", ResponseCode::Refused),
    ];
    for (name, rcode) in names {
        let question = asking(name, 1, &learned);
        let over_udp = ask_udp(&client, &question);
        let over_tcp = ask_tcp(&mut connect(server.address()), &question);
        assert_eq!(over_udp, over_tcp, "{name}");
        let answer = read(&over_udp);
        assert_eq!(answer.metadata.response_code, rcode);
        assert_eq!(cookie(&answer).as_deref(), Some(&*learned), "{name}");
    }
    server.stop();
}

#[test]
fn without_keys_and_without_a_cookie_there_is_none() {
    let server = Server::start();
    let client = udp_client(server.address());
    let answer = read(&ask_udp(&client, &asking("solo.test", 1, OF_CLIENT)));
    assert!(answer.edns.is_some() && cookie(&answer).is_none());
    server.stop();
    let server = Server::limited(cookies());
    let client = udp_client(server.address());
    let without = query(0, "solo.test", 1, 1, &opt(1232, 0, 0, &[]));
    assert_eq!(cookie(&read(&ask_udp(&client, &without))), None);
    assert!(
        read(&ask_udp(&client, &a_query("solo.test")))
            .edns
            .is_none()
    );
    server.stop();
}

/// A message without a question, with these flags, counts of records and OPT record.
fn asking_nothing(counts: [u16; 4], opt: &[u8]) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 1, 0];
    message.extend(counts.map(u16::to_be_bytes).as_flattened());
    message.extend(opt);
    message
}

/// [RFC 7873 §5.4](https://www.rfc-editor.org/rfc/rfc7873#section-5.4).
#[test]
fn a_cookie_can_be_asked_for_alone_and_tried() {
    let server = Server::limited(cookies());
    let client = udp_client(server.address());
    let with = |cookie: &[u8]| {
        let length = u16::try_from(cookie.len()).expect("a short cookie");
        let option = [b"\0\x0a", &length.to_be_bytes()[..], cookie].concat();
        asking_nothing([0, 0, 0, 1], &opt(1232, 0, 0, &option))
    };
    let learned = {
        let answer = read(&ask_udp(&client, &with(OF_CLIENT)));
        cookie(&answer).expect("a cookie comes back")
    };
    assert_eq!((learned.len(), &learned[..8]), (24, OF_CLIENT));
    let mut damaged = learned.clone();
    damaged[23] ^= 1;
    let table = [
        (OF_CLIENT, ResponseCode::NoError),
        (&learned, ResponseCode::NoError),
        (&damaged, ResponseCode::BADCOOKIE),
        (&[7; 40], ResponseCode::BADCOOKIE),
    ];
    for (sent, rcode) in table {
        let over_udp = ask_udp(&client, &with(sent));
        let over_tcp = ask_tcp(&mut connect(server.address()), &with(sent));
        assert_eq!(over_udp, over_tcp, "{sent:?}");
        assert_eq!(over_udp[..4], [0xab, 0xcd, 0x81, rcode.low()], "{sent:?}");
        let answer = read(&over_udp);
        assert_eq!(answer.metadata.response_code, rcode, "{sent:?}");
        assert!(answer.queries.is_empty() && answer.answers.is_empty());
        let given = cookie(&answer).expect("a cookie comes back");
        assert_eq!((given.len(), &given[..8]), (24, &sent[..8]));
    }
    // It is good for what follows.
    assert_eq!(
        cookie(&read(&ask_udp(&client, &asking("solo.test", 1, &learned)))),
        Some(learned)
    );
    server.stop();
}

#[test]
fn a_message_without_a_question_that_asks_for_no_cookie_is_malformed() {
    let option = [b"\0\x0a\0\x08", OF_CLIENT].concat();
    let with_cookie = opt(1232, 0, 0, &option);
    let server = Server::limited(cookies());
    let client = udp_client(server.address());
    let table = [
        asking_nothing([0, 0, 0, 0], &[]),
        asking_nothing([0, 0, 0, 1], &opt(1232, 0, 0, &[])),
        asking_nothing([0, 0, 0, 1], &opt(1232, 1, 0, &option)),
        asking_nothing([0, 0, 0, 0], &with_cookie),
        asking_nothing([0, 0, 1, 1], &with_cookie),
        asking_nothing([0, 0, 0, 2], &with_cookie.repeat(2)),
        asking_nothing([0, 0, 0, 1], &with_cookie[..with_cookie.len() - 1]),
        asking_nothing([0, 0, 0, 1], &[&with_cookie[..], b"\0"].concat()),
    ];
    for message in table {
        let answer = ask_udp(&client, &message);
        assert_eq!(answer, b"\xab\xcd\x81\x01\0\0\0\0\0\0\0\0", "{message:?}");
    }
    server.stop();
    // So is one that does, where none is given.
    let server = Server::start();
    let client = udp_client(server.address());
    let answer = ask_udp(&client, &asking_nothing([0, 0, 0, 1], &with_cookie));
    assert_eq!(answer, b"\xab\xcd\x81\x01\0\0\0\0\0\0\0\0");
    server.stop();
}

#[test]
fn a_cookie_of_no_possible_length_is_malformed() {
    let server = Server::limited(cookies());
    let client = udp_client(server.address());
    for length in [0, 1, 7, 9, 15, 41] {
        let answer = read(&ask_udp(&client, &asking("solo.test", 1, &vec![1; length])));
        assert_eq!(
            answer.metadata.response_code,
            ResponseCode::FormErr,
            "{length}"
        );
    }
    for length in [8, 16, 24, 40] {
        let answer = read(&ask_udp(&client, &asking("solo.test", 1, &vec![1; length])));
        assert_eq!(
            answer.metadata.response_code,
            ResponseCode::NoError,
            "{length}"
        );
        assert_eq!(cookie(&answer).map(|cookie| cookie.len()), Some(24));
    }
    let page = server.metrics();
    assert!(
        page.contains("meshdns_dns_invalid_cookies_total 3\n"),
        "{page}"
    );
    server.stop();
}

#[test]
fn an_answer_with_a_cookie_is_no_longer_than_the_client_takes() {
    let server = Server::limited(cookies());
    let client = udp_client(server.address());
    let mut seen = [false; 2];
    for payload in 512..=1232_u16 {
        let option = [b"\0\x0a\0\x08", OF_CLIENT].concat();
        let message = query(0, "many.internal.com", 1, 1, &opt(payload, 0, 0, &option));
        let answer = ask_udp(&client, &message);
        assert!(answer.len() <= usize::from(payload));
        let answer = read(&answer);
        assert!(cookie(&answer).is_some());
        seen[usize::from(answer.metadata.truncation)] = true;
    }
    assert!(seen[1], "some are cut");
    server.stop();
}

/// Answers of at most 100 bytes to those without a valid cookie.
fn short(key: [u8; 16]) -> Server {
    Server::limited(AnswerLimits {
        cookie_keys: Some(CookieKeys::of(&[key])),
        udp_bytes_without_cookie: 100,
        rate: None,
    })
}

#[test]
fn large_answers_over_udp_take_a_cookie_of_this_server_or_a_replica() {
    let (server, replica, stranger) = (short(KEY), short(KEY), short(*b"another key 1234"));
    let client = udp_client(server.address());
    let is_cut = |message: &[u8]| read(&ask_udp(&client, message)).metadata.truncation;
    let plain = query(0, "svc1.internal.com", AAAA, 1, &opt(1232, 0, 0, &[]));
    assert!(is_cut(&plain) && is_cut(&query(0, "svc1.internal.com", AAAA, 1, &[])));
    assert!(!is_cut(&a_query("solo.test")), "it is short");
    assert!(is_cut(&asking("svc1.internal.com", AAAA, OF_CLIENT)));
    for (from, expected) in [(&server, false), (&replica, false), (&stranger, true)] {
        let learned = learn(&udp_client(from.address()));
        let question = asking("svc1.internal.com", AAAA, &learned);
        assert_eq!(is_cut(&question), expected);
    }
    let over_tcp = read(&ask_tcp(&mut connect(server.address()), &plain));
    assert_eq!(over_tcp.answers.len(), 3);
    for server in [server, replica, stranger] {
        server.stop();
    }
}

/// One answer a second to each network.
fn rarely(slip: u32, exempt: &str) -> AnswerLimits {
    AnswerLimits {
        rate: Some(RateLimit {
            answers_per_second: NonZeroU32::MIN,
            slip,
            exempt: vec![exempt.parse().expect("a network")],
        }),
        ..cookies()
    }
}

#[test]
fn a_network_that_asks_too_much_is_told_to_ask_over_tcp() {
    let server = Server::limited(rarely(1, "192.0.2.0/24"));
    let client = udp_client(server.address());
    let first = read(&ask_udp(&client, &a_query("solo.test")));
    assert_eq!(first.answers.len(), 1);
    let learned = std::iter::repeat_with(|| learn(&client))
        .take(100)
        .last()
        .expect("answers that were cut have one, too");
    let cut = std::iter::repeat_with(|| read(&ask_udp(&client, &a_query("solo.test"))))
        .find(|answer| answer.answers.is_empty())
        .expect("there is no end");
    assert!(cut.metadata.truncation && cut.metadata.response_code == ResponseCode::NoError);
    for _ in 0..100 {
        let answer = read(&ask_udp(&client, &asking("solo.test", 1, &learned)));
        assert_eq!(answer.answers.len(), 1, "a valid cookie has no limit");
    }
    let mut stream = connect(server.address());
    for _ in 0..100 {
        let answer = read(&ask_tcp(&mut stream, &a_query("solo.test")));
        assert_eq!(answer.answers.len(), 1, "nor has TCP");
    }
    let page = server.metrics();
    assert!(
        !page.contains("meshdns_dns_rate_limit_truncated_total 0\n"),
        "{page}"
    );
    assert!(
        page.contains("meshdns_dns_rate_limit_dropped_total 0\n"),
        "{page}"
    );
    server.stop();
}

#[test]
fn without_slip_it_gets_nothing() {
    let server = Server::limited(rarely(0, "192.0.2.0/24"));
    let client = udp_client(server.address());
    for message in [a_query("solo.test"), a_query("solo.test")[..20].to_vec()] {
        let dropped = |server: &Server| {
            let page = server.metrics();
            let line = page.lines().find_map(|line| {
                line.strip_prefix("meshdns_dns_rate_limit_dropped_total ")?
                    .parse::<u64>()
                    .ok()
            });
            line.expect("the metric is there")
        };
        let before = dropped(&server);
        server.wait_until("an answer to be dropped", |server| {
            client.send(&message).expect("a sent query");
            dropped(server) > before
        });
    }
    client
        .set_read_timeout(Some(Duration::from_millis(1)))
        .expect("a time-out");
    let mut answer = [0; 512];
    while let Ok(length) = client.recv(&mut answer) {
        assert!(!read(&answer[..length]).metadata.truncation);
    }
    server.stop();
}

#[test]
fn an_exempt_network_gets_every_answer() {
    let server = Server::limited(rarely(1, "127.0.0.0/8"));
    let client = udp_client(server.address());
    for _ in 0..200 {
        let answer = read(&ask_udp(&client, &a_query("solo.test")));
        assert_eq!(answer.answers.len(), 1);
    }
    server.stop();
}

#[test]
fn responses_and_what_was_cut_on_the_way_get_no_answer() {
    let server = Server::with(
        &["127.0.0.1:0"],
        TcpLimits::default(),
        AnswerLimits::default(),
    );
    let client = udp_client(server.address());
    let mut response = a_query("solo.test");
    response[2] |= 0x80;
    let too_long = [a_query("solo.test"), vec![0; 5000]].concat();
    let padded = opt(1232, 0, 0, &[&[0, 12, 0x10, 0][..], &[0; 4096]].concat());
    let messages = [
        response,
        a_query("solo.test")[..11].to_vec(),
        too_long,
        query(0, "solo.test", 1, 1, &padded),
    ];
    for message in &messages {
        client.send(message).expect("a sent message");
    }
    // What comes first is the answer to what was sent last.
    let mut last = a_query("solo.test");
    last[..2].copy_from_slice(&[0x12, 0x34]);
    assert_eq!(ask_udp(&client, &last)[..2], [0x12, 0x34]);
    let page = server.metrics();
    assert!(
        page.contains("meshdns_dns_ignored_messages_total 4\n"),
        "{page}"
    );
    server.stop();
}
