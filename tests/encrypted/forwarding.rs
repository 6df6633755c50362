//! Names that are not ours, asked for where nobody else can read it.

use crate::{
    harness::{Server, ask_for, exchange, receive, send},
    serving::opt,
    upstream::{Reply, Upstream},
};

/// How an answer of the upstream's ends: its only record's data.
const ADDRESS: [u8; 4] = [192, 0, 2, 1];

fn serve(upstream: &Upstream, configuration: &str) -> Server {
    Server::with(configuration, &["--upstream", &upstream.flag()])
}

#[test]
fn names_are_looked_up_through_each_transport() {
    let upstream = Upstream::with_address(1);
    let server = serve(&upstream, "");
    let (mut tls, mut https, quic) = (server.tls(), server.https(true), server.quic());
    for answer in [
        exchange(&mut tls, &ask_for("a.test", &[])),
        https.get(&ask_for("b.test", &[])).body,
        quic.ask(&ask_for("c.test", &[])),
    ] {
        assert!(answer.ends_with(&ADDRESS), "{answer:?}");
    }
    assert_eq!(upstream.count(), 3);
    // From the cache.
    let response = https.get(&ask_for("a.test", &[]));
    assert!(response.body.ends_with(&ADDRESS));
    assert!(quic.ask(&ask_for("b.test", &[])).ends_with(&ADDRESS));
    assert_eq!(upstream.count(), 3);
    let seconds = response.header("cache-control").strip_prefix("max-age=");
    let seconds: u32 = seconds.and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=300).contains(&seconds), "{seconds}");
}

#[test]
fn answers_of_upstreams_are_padded_too() {
    let upstream = Upstream::with_address(1);
    let server = serve(&upstream, "");
    let padded = opt(1232, 0, 0, b"\0\x0c\0\x02\0\0");
    let quic = server.quic();
    for name in ["late.test", "late.test"] {
        assert_eq!(quic.ask(&ask_for(name, &padded)).len(), 468);
    }
    assert_eq!(
        exchange(&mut server.tls(), &ask_for("x.test", &padded)).len(),
        468
    );
    assert!(exchange(&mut server.tls(), &ask_for("x.test", &[])).len() < 100);
}

#[test]
fn a_slow_upstream_does_not_hold_up_what_comes_behind() {
    let upstream = Upstream::sending(|asked| match &*asked.name() {
        "slow.test." => Vec::new(),
        _ => vec![Reply::to(asked).a(300, ADDRESS).bytes()],
    });
    let server = serve(&upstream, "forward: {timeout: 2s}\n");
    let mut tls = server.tls();
    let mut slow = ask_for("slow.test", &[]);
    slow[1] = 7;
    send(&mut tls, &slow);
    let fast = exchange(&mut tls, &ask_for("fast.test", &[]));
    assert_eq!(fast[..2], [0, 0], "the fast one comes first");
    let slow = receive(&mut tls).expect("an answer");
    assert_eq!((slow[1], slow[3] & 0xf), (7, 2), "SERVFAIL in the end");
}

#[test]
fn clients_that_are_not_served_are_refused() {
    let upstream = Upstream::with_address(1);
    let server = serve(&upstream, "forward: {clients: 192.0.2.0/24}\n");
    let query = ask_for("a.test", &[]);
    for answer in [
        exchange(&mut server.tls(), &query),
        server.https(false).post(&query).body,
        server.quic().ask(&query),
    ] {
        assert_eq!(answer[3] & 0xf, 5, "REFUSED");
    }
}
