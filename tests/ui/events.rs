//! Streams of events: a word that a page would be another one by now.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    time::Instant,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    harness::{Place, Shown},
    program::PATIENCE,
};

/// An open stream.
struct Stream(BufReader<TcpStream>);

/// What one event says.
#[derive(Debug)]
struct Event {
    id: String,
    word: String,
    data: String,
}

impl Stream {
    /// Opens it; the head, where it is refused.
    fn open(server: &Shown, query: &str, headers: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(server.ui).expect("pages are served");
        stream.set_read_timeout(Some(PATIENCE)).expect("above 0");
        let request = format!(
            "GET /api/v1/events?{query} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
            server.ui
        );
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut stream = Self(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = stream.0.read_line(&mut head).expect("an answer");
            assert_ne!(read, 0, "{head}");
        }
        if head.contains(" 200 ") {
            assert!(head.contains("text/event-stream"), "{head}");
            Ok(stream)
        } else {
            Err(head)
        }
    }

    /// The next line; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event; `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event {
            id: String::new(),
            word: String::new(),
            data: String::new(),
        };
        loop {
            let line = self.line()?;
            // The last chunk: the connection may be asked for more.
            if line == "0" {
                return None;
            }
            let field = |name: &str| line.strip_prefix(name).map(ToOwned::to_owned);
            if let Some(id) = field("id: ") {
                event.id = id;
            } else if let Some(word) = field("event: ") {
                event.word = word;
            } else if let Some(data) = field("data: ") {
                event.data = data;
                return Some(event);
            }
        }
    }
}

fn host(address: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s, namespace: ns1}}\nspec: {{hosts: [a.test], resolution: STATIC, ports: [{{number: 80, name: http}}], endpoints: [{{address: 10.0.{}.{}}}]}}\n",
        address / 250,
        address % 250 + 1
    )
}

fn generation(page: &Value) -> u64 {
    page["generation"].as_u64().expect("a number")
}

#[test]
fn many_changes_are_an_event_a_second_and_the_last_one_is_the_newest() {
    let place = Place::new();
    place.write("zones/a.yaml", &host(0));
    let server = place.serve(&[]);
    let mut stream = Stream::open(&server, "topic=status&topic=host:a.test", "").expect("a place");
    let mut other = Stream::open(&server, "topic=host:b.test", "").expect("a place");
    let start = Instant::now();
    let mut last = Value::Null;
    for number in 1..=40 {
        place.write("zones/a.yaml", &host(number));
        let address = format!("10.0.0.{}", number + 1);
        last = server.wait_for("/hosts", |page| {
            page["hosts"][0]["addresses"][0] == *address
        });
    }
    let end = format!("-{}", generation(&last));
    let mut events = Vec::new();
    // Both topics, until both have told of the newest.
    while events
        .iter()
        .filter(|event: &&Event| event.id.ends_with(&end))
        .count()
        < 2
    {
        let event = stream.next().expect("it goes on");
        assert_eq!(event.word, "change");
        events.push(event);
    }
    let seconds = usize::try_from(start.elapsed().as_secs()).expect("few") + 2;
    for topic in ["status", "host:a.test"] {
        let count = events.iter().filter(|event| event.data == topic).count();
        assert!(
            (1..=seconds).contains(&count),
            "{topic}: {count} in {seconds} s"
        );
    }
    // Who asks for another host hears nothing of this one.
    server.server.signal(Signal::TERM);
    assert!(other.next().is_none());
}

#[test]
fn who_was_told_by_another_process_is_told_to_begin_anew() {
    let place = Place::new();
    place.write("zones/a.yaml", &host(0));
    let server = place.serve(&[]);
    let known = "Last-Event-ID: 5f0000000000-1\r\n";
    let mut stream = Stream::open(&server, "topic=status", known).expect("a place");
    let reset = stream.next().expect("it is told at once");
    assert_eq!(reset.word, "reset");
    let known = format!("Last-Event-ID: {}\r\n", reset.id);
    let mut again = Stream::open(&server, "topic=status", &known).expect("a place");
    place.write("zones/a.yaml", &host(1));
    assert_eq!(again.next().expect("it changed").word, "change");
}

#[test]
fn sixteen_streams_are_served_and_probes_are_answered_beside_them() {
    let place = Place::new();
    place.write("zones/a.yaml", &host(0));
    let server = place.serve(&[]);
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        match Stream::open(&server, "topic=status", "") {
            Ok(stream) => open.push(stream),
            Err(head) => {
                assert!(head.contains(" 503 "), "{head}");
                assert!(head.to_ascii_lowercase().contains("retry-after"), "{head}");
                refused += 1;
            }
        }
    }
    assert_eq!((open.len(), refused), (16, 24));
    assert_eq!(server.server.metric::<u64>("meshdns_ui_streams"), 16);
    assert_eq!(
        server
            .server
            .metric::<u64>("meshdns_ui_streams_refused_total"),
        24
    );
    assert!(server.server.is_ready());
    assert_eq!(server.page("/").status, 200);
    drop(open);
    server.server.wait("the places are free", || {
        server.server.metric::<u64>("meshdns_ui_streams") == 0
    });
    assert!(Stream::open(&server, "topic=status", "").is_ok());
}

#[test]
fn streams_end_when_the_server_is_told_to_stop_and_queries_are_answered_on() {
    let place = Place::new();
    place.write("zones/a.yaml", &host(0));
    // Longer than anything here takes: the second signal ends it.
    let mut server = place.serve(&["--lameduck", "1h"]);
    let mut stream = Stream::open(&server, "topic=status", "").expect("a place");
    server.server.signal(Signal::TERM);
    assert!(stream.next().is_none());
    let query =
        b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";
    let reply = crate::program::ask(server.server.dns, query).expect("it still answers");
    assert_eq!(reply[..2], [0, 7]);
    server.server.signal(Signal::TERM);
    let status = server.server.wait_for_end();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn topics_that_nobody_knows_are_refused() {
    let place = Place::new();
    let server = place.serve(&[]);
    for query in [
        "",
        "topic=x",
        "topic=host:..",
        "foo=1",
        "topic=status&foo=1",
    ] {
        let refused = server.page(&format!("/api/v1/events?{query}"));
        assert_eq!(refused.status, 400, "{query}");
    }
}
