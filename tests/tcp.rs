//! What a TCP client may do to the server, and what it may not keep others from.

mod serving;

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use meshdns::serve::TcpLimits;
use serving::{PATIENCE, Server, a_query, ask_tcp, connect, framed, is_closed, query, read_framed};

/// Time-outs that a test can wait for, where it waits for them.
const SOON: Duration = Duration::from_millis(300);

/// How long a connection is idle before it makes room for another.
const IDLE_GRACE: Duration = Duration::from_secs(1);

fn serve(limits: TcpLimits) -> Server {
    Server::on(&["127.0.0.1:0"], limits)
}

/// Whether a connection is admitted: a refused one is closed instead of answered.
fn try_ask(stream: &mut TcpStream) -> bool {
    let mut length = [0; 2];
    stream.write_all(&framed(&a_query("solo.test"))).is_ok()
        && stream.read_exact(&mut length).is_ok()
}

#[test]
fn a_thousand_pipelined_queries_are_answered() {
    let server = serve(TcpLimits::default());
    let mut stream = connect(server.address());
    let mut writer = stream.try_clone().expect("a second handle");
    let sender = thread::spawn(move || {
        for id in 0..1000_u16 {
            let mut message = a_query("svc1.internal.com");
            message[..2].copy_from_slice(&id.to_be_bytes());
            writer.write_all(&framed(&message)).expect("a sent query");
        }
    });
    for id in 0..1000_u16 {
        assert_eq!(read_framed(&mut stream)[..2], id.to_be_bytes());
    }
    sender.join().expect("all are sent");
    server.stop();
}

#[test]
fn queries_may_come_in_pieces_and_together() {
    let server = serve(TcpLimits::default());
    let mut stream = connect(server.address());
    let two = [
        framed(&a_query("solo.test")),
        framed(&a_query("nope.internal.com")),
    ]
    .concat();
    for pieces in [1, 2, 3, 7, two.len() - 1, two.len()] {
        for piece in two.chunks(pieces) {
            stream.write_all(piece).expect("a sent piece");
        }
        assert_eq!(read_framed(&mut stream)[3] & 0xf, 0);
        assert_eq!(read_framed(&mut stream)[3] & 0xf, 3);
    }
    server.stop();
}

#[test]
fn a_client_may_end_its_side_before_it_reads() {
    let server = serve(TcpLimits::default());
    let mut stream = connect(server.address());
    let queries = framed(&a_query("huge.internal.com")).repeat(20);
    stream.write_all(&queries).expect("sent queries");
    stream.shutdown(Shutdown::Write).expect("an end");
    for _ in 0..20 {
        assert!(read_framed(&mut stream).len() > 60_000);
    }
    assert!(is_closed(&mut stream));
    server.stop();
}

#[test]
fn clients_that_leave_early_leave_nothing_behind() {
    let server = serve(TcpLimits::default());
    for round in 0..100 {
        let mut stream = connect(server.address());
        let queries = framed(&a_query("huge.internal.com")).repeat(3);
        let sent = &queries[..queries.len() - round % 7];
        stream.write_all(sent).expect("sent queries");
    }
    server.wait_until("every connection ends", |server| {
        server.traffic.open_connections() == 0
    });
    assert!(try_ask(&mut connect(server.address())));
    server.stop();
}

#[test]
fn a_length_too_short_for_a_message_ends_the_connection() {
    let server = serve(TcpLimits::default());
    for length in [0, 1, 11_u16] {
        let mut stream = connect(server.address());
        let good = framed(&a_query("solo.test"));
        let bytes = [&good, &length.to_be_bytes()[..], &[0; 20]].concat();
        stream.write_all(&bytes).expect("sent bytes");
        assert!(
            read_framed(&mut stream).len() > 12,
            "what came before is answered"
        );
        assert!(is_closed(&mut stream));
    }
    server.stop();
}

#[test]
fn answers_arrive_although_the_client_sends_on_behind_what_ends_the_connection() {
    let server = serve(TcpLimits::default());
    for _ in 0..20 {
        let mut stream = connect(server.address());
        let mut writer = stream.try_clone().expect("a second handle");
        let good = framed(&a_query("solo.test")).repeat(10);
        let sender = thread::spawn(move || {
            writer.write_all(&[&good, &[0; 2][..]].concat())?;
            (0..100).try_for_each(|_| writer.write_all(&[0; 2048]))
        });
        let mut replies = Vec::new();
        let end = stream.read_to_end(&mut replies);
        assert!(end.is_ok(), "an end, not a reset: {end:?}");
        assert_eq!(replies.len() % 10, 0, "{} bytes", replies.len());
        assert!(replies.len() > 10 * 20, "{} bytes", replies.len());
        drop(stream);
        // What was sent after the end is lost, in one way or another.
        let _ = sender.join().expect("no panic");
    }
    server.stop();
}

#[test]
fn a_length_that_is_never_filled_gets_no_answer() {
    let server = serve(TcpLimits::default());
    let mut stream = connect(server.address());
    stream.write_all(&u16::MAX.to_be_bytes()).expect("a length");
    stream.write_all(&a_query("solo.test")).expect("less");
    stream.shutdown(Shutdown::Write).expect("an end");
    assert!(is_closed(&mut stream));

    let mut stream = connect(server.address());
    let mut longest = a_query("solo.test");
    longest.resize(usize::from(u16::MAX), 0);
    assert_eq!(
        ask_tcp(&mut stream, &longest)[3] & 0xf,
        1,
        "too much behind the question"
    );
    server.stop();
}

#[test]
fn a_message_that_trickles_in_is_not_waited_for() {
    let server = serve(TcpLimits {
        message_timeout: SOON,
        ..TcpLimits::default()
    });
    let mut stream = connect(server.address());
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a time-out");
    let start = Instant::now();
    let mut bytes = framed(&vec![0; 60_000]).into_iter();
    // One byte each time that nothing was to be read.
    while matches!(stream.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock) {
        let byte = bytes.next().expect("the connection ends long before");
        if stream.write_all(&[byte]).is_err() {
            break;
        }
    }
    assert!((SOON..PATIENCE).contains(&start.elapsed()));
    server.stop();
}

#[test]
fn an_idle_connection_is_kept_for_its_time_and_not_longer() {
    let server = serve(TcpLimits {
        idle_timeout: SOON,
        ..TcpLimits::default()
    });
    let start = Instant::now();
    let mut silent = connect(server.address());
    assert!(is_closed(&mut silent));
    assert!(start.elapsed() >= SOON);

    let start = Instant::now();
    let mut once = connect(server.address());
    ask_tcp(&mut once, &a_query("solo.test"));
    assert!(is_closed(&mut once));
    assert!(start.elapsed() >= SOON);
    server.stop();
}

#[test]
fn the_limit_for_messages_does_not_end_idle_connections() {
    let server = serve(TcpLimits {
        message_timeout: Duration::from_millis(50),
        ..TcpLimits::default()
    });
    let mut stream = connect(server.address());
    ask_tcp(&mut stream, &a_query("solo.test"));
    stream.set_read_timeout(Some(SOON)).expect("a time-out");
    let quiet = stream.read(&mut [0; 1]).expect_err("nothing to read");
    assert_eq!(quiet.kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    ask_tcp(&mut stream, &a_query("solo.test"));
    server.stop();
}

#[test]
fn a_client_that_does_not_read_is_left() {
    let server = serve(TcpLimits {
        write_timeout: SOON,
        ..TcpLimits::default()
    });
    let mut greedy = connect(server.address());
    greedy.set_write_timeout(Some(SOON)).expect("a time-out");
    let query = framed(&a_query("huge.internal.com"));
    // The server stops reading when nobody takes its answers, so that sending stops too.
    let mut sent = 0;
    while greedy.write_all(&query).is_ok() {
        sent += query.len();
        assert!(sent < 64 << 20, "the server takes queries without end");
    }
    assert!(try_ask(&mut connect(server.address())), "others are served");
    server.wait_until("the greedy connection ends", |server| {
        server.traffic.open_connections() <= 1
    });
    server.stop();
}

#[test]
fn one_client_has_no_more_than_its_share() {
    let server = serve(TcpLimits {
        connections_per_client: 2,
        ..TcpLimits::default()
    });
    let mut first = connect(server.address());
    let mut second = connect(server.address());
    assert!(try_ask(&mut first) && try_ask(&mut second));
    assert!(!try_ask(&mut connect(server.address())));
    assert!(try_ask(&mut connect_from("127.0.0.2:0", server.address())));
    assert!(
        server
            .metrics()
            .contains("meshdns_tcp_connections_refused_total 1")
    );

    drop(first);
    server.wait_until("the place is free", |server| {
        try_ask(&mut connect(server.address()))
    });
    server.stop();
}

/// A connection from an address of the client's choice.
fn connect_from(local: &str, server: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let local: SocketAddr = local.parse().expect("an address");
    socket.bind(&local.into()).expect("a bound socket");
    socket.connect(&server.into()).expect("a connection");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

#[test]
fn the_longest_idle_connection_makes_room() {
    let server = serve(TcpLimits {
        connections: 2,
        ..TcpLimits::default()
    });
    let before = Instant::now();
    let mut oldest = connect(server.address());
    ask_tcp(&mut oldest, &a_query("solo.test"));
    let mut newer = connect(server.address());
    let start = Instant::now();
    // On a busy machine a second may have passed already.
    assert!(
        !try_ask(&mut connect(server.address())) || before.elapsed() >= IDLE_GRACE,
        "nobody is idle long enough"
    );
    while start.elapsed() < IDLE_GRACE * 3 / 2 {
        ask_tcp(&mut newer, &a_query("solo.test"));
    }
    // A busy machine may be too late for the first.
    assert!(
        (0..3).any(|_| try_ask(&mut connect(server.address()))),
        "room is made although the client keeps its side open"
    );
    assert!(is_closed(&mut oldest));
    server.stop();
}

/// Half a message: the connection is not idle.
fn half_a_message(local: &str, server: SocketAddr) -> TcpStream {
    let mut stream = connect_from(local, server);
    stream.write_all(&[0, 100, 0]).expect("sent bytes");
    stream
}

#[test]
fn the_client_with_the_most_makes_room_for_others_and_not_for_itself() {
    let server = serve(TcpLimits {
        connections: 4,
        ..TcpLimits::default()
    });
    let at = server.address();
    let mut crowd: Vec<_> = (0..4).map(|_| half_a_message("127.0.0.1:0", at)).collect();
    server.wait_until("all are served", |server| {
        server.traffic.open_connections() == 4
    });
    assert!(!try_ask(&mut connect_from("127.0.0.1:0", at)));
    let mut others = [2, 3].map(|client| connect_from(&format!("127.0.0.{client}:0"), at));
    assert!(others.iter_mut().all(try_ask), "each at once");
    assert!(is_closed(&mut crowd[0]) && is_closed(&mut crowd[1]));
    let metrics = server.metrics();
    assert!(metrics.contains("meshdns_tcp_connections_displaced_total 2"));
    server.stop();
}

#[test]
fn clients_at_their_limits_keep_nobody_out() {
    let server = serve(TcpLimits {
        connections: 40,
        connections_per_client: 10,
        ..TcpLimits::default()
    });
    let at = server.address();
    let attackers: Vec<_> = (1..=5)
        .map(|client| {
            thread::spawn(move || {
                // Each opens ever more, as long as others come.
                let mut held = Vec::new();
                for _ in 0..60 {
                    held.push(half_a_message(&format!("127.0.0.{client}:0"), at));
                }
                held
            })
        })
        .collect();
    let answered = (1..=100)
        .filter(|client| try_ask(&mut connect_from(&format!("127.0.1.{client}:0"), at)))
        .count();
    assert_eq!(answered, 100);
    for attacker in attackers {
        attacker.join().expect("no panic");
    }
    server.stop();
}

#[test]
fn half_messages_take_no_more_memory_than_allowed() {
    const LIMIT: usize = 1 << 20;
    let server = serve(TcpLimits {
        buffered_bytes: LIMIT,
        ..TcpLimits::default()
    });
    let half = [&u16::MAX.to_be_bytes()[..], &vec![0; 60_000]].concat();
    let send_half = |client: usize| {
        let mut stream = connect_from(&format!("127.0.0.{client}:0"), server.address());
        // The server may end the connection before it has read all.
        let _ = stream.write_all(&half);
        stream
    };
    let mut crowd: Vec<_> = (0..60).map(|number| send_half(1 + number % 3)).collect();
    server.wait_until("too much is sent", |server| {
        server.traffic.crowding().unbuffered() + server.traffic.crowding().displaced() > 0
    });
    let buffered = server.traffic.crowding().buffered_bytes();
    assert!(buffered <= LIMIT, "{buffered}");
    // Whoever holds nothing comes before those who hold most.
    let mut longest = a_query("solo.test");
    longest.resize(usize::from(u16::MAX), 0);
    let mut other = connect_from("127.0.0.9:0", server.address());
    assert_eq!(ask_tcp(&mut other, &longest)[3] & 0xf, 1);
    assert!(
        try_ask(&mut connect(server.address())),
        "short ones need none"
    );
    crowd.clear();
    server.wait_until("all is given back", |server| {
        server.traffic.crowding().buffered_bytes() == 0
    });
    server.stop();
}

#[test]
fn answers_that_nobody_reads_take_no_more_memory_than_allowed() {
    const LIMIT: usize = 1 << 20;
    let server = serve(TcpLimits {
        buffered_bytes: LIMIT,
        write_timeout: Duration::from_mins(10),
        ..TcpLimits::default()
    });
    let query = framed(&a_query("huge.internal.com"));
    let mut crowd: Vec<_> = (0..20).map(|_| connect(server.address())).collect();
    for greedy in &mut crowd {
        // As much as any socket takes; the answers are more than that.
        greedy.write_all(&query.repeat(500)).expect("sent queries");
    }
    server.wait_until("someone is left", |server| {
        server.traffic.crowding().unbuffered() > 0
    });
    assert!(server.traffic.crowding().buffered_bytes() <= LIMIT);
    assert!(try_ask(&mut connect(server.address())));
    server.stop();
}

#[test]
fn without_a_file_descriptor_the_server_waits_and_then_goes_on() {
    let this_program = std::env::current_exe().expect("this test program");
    let mut child = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 40; exec \"$0\" --exact --nocapture --ignored serves_for_another_test",
        ])
        .arg(this_program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let address: SocketAddr = lines
        .find_map(|line| line.ok()?.strip_prefix("at ")?.parse().ok())
        .expect("the server's address");

    let mut crowd: Vec<_> = (0..60).map(|_| connect(address)).collect();
    let admitted = crowd.iter_mut().take(10).all(try_ask);
    assert!(admitted, "the first are served");
    let before = cpu_ticks(child.id());
    let late = &mut crowd[59];
    // Served as soon as idle connections have made room, one each time that accepting fails.
    assert!(try_ask(late));
    let spent = cpu_ticks(child.id()) - before;
    assert!(spent < 100, "{spent} ticks of a hundredth of a second");
    drop(crowd);
    assert!(try_ask(&mut connect(address)));

    drop(child.stdin.take());
    assert!(child.wait().expect("an end").success());
}

/// How many hundredths of a second a process computed.
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let fields: Vec<_> = stat
        .rsplit_once(')')
        .expect("a command in brackets")
        .1
        .split_whitespace()
        .collect();
    let tick = |at: usize| fields[at].parse::<u64>().expect("a number");
    tick(11) + tick(12)
}

#[test]
#[ignore = "not a test: the server of the test above, which sets a limit on file descriptors"]
fn serves_for_another_test() {
    let server = serve(TcpLimits::default());
    writeln!(std::io::stdout(), "at {}", server.address()).expect("someone who reads");
    let ended = std::io::stdin().read(&mut [0; 1]);
    assert_eq!(ended.expect("an end"), 0);
    server.stop();
}

#[test]
fn a_query_over_tcp_is_not_cut_to_what_edns_offers() {
    let server = serve(TcpLimits::default());
    let mut stream = connect(server.address());
    let edns = serving::opt(512, 0, 0, &[]);
    let answer = ask_tcp(&mut stream, &query(0, "many.internal.com", 1, 1, &edns));
    assert_eq!((answer[2] & 2, answer[7]), (0, 100));
    server.stop();
}
