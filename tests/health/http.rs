//! `httpGet`: which answers pass.

use std::{
    io::{Read as _, Write as _},
    sync::{Mutex, mpsc},
    time::Duration,
};

use meshdns::{
    health::{Failure, Observation, ProtocolFault},
    manifest::ProbeMethod,
};

use crate::{
    fleet::{PATIENCE, Vm, reset, wait_for_end},
    observe::{assert_passes, get, observe, observe_http},
};

const NO_ANSWER: Observation = Observation::Fail(Failure::Protocol(ProtocolFault::NoAnswer));
const MALFORMED: Observation = Observation::Fail(Failure::Protocol(ProtocolFault::Malformed));
const HALF_BODY: Observation = Observation::Fail(Failure::Protocol(ProtocolFault::HalfBody));

/// What a VM comes to that answers so and closes.
fn seen(reply: &str) -> Observation {
    observe_http(Vm::replying("127.8.0.1", reply).address)
}

fn status(status: u16) -> String {
    format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn statuses_from_200_to_399_pass() {
    for good in [200, 204, 301, 304, 399] {
        assert_passes(seen(&status(good)), good);
    }
    for bad in [101, 400, 404, 500, 503, 999] {
        let observation = seen(&status(bad));
        assert_eq!(observation, Observation::Fail(Failure::Status(bad)));
    }
}

#[test]
fn an_answer_that_says_only_that_more_follows_fails() {
    assert_eq!(seen("HTTP/1.1 199 Later\r\n\r\n"), NO_ANSWER);
}

#[test]
fn what_comes_before_the_answer_is_none() {
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    assert_passes(seen(&format!("{hints}{}", status(200))), 200);
    let observation = seen(&format!("{hints}{}", status(500)));
    assert_eq!(observation, Observation::Fail(Failure::Status(500)));
}

#[test]
fn bodies_of_every_form_pass_when_they_are_whole() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nok, and then it closes",
        "HTTP/1.0 200 OK\r\n\r\nok",
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    ] {
        assert_passes(seen(reply), 200);
    }
}

#[test]
fn a_body_that_breaks_off_fails() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ] {
        assert_eq!(seen(reply), HALF_BODY, "{reply}");
    }
}

#[test]
fn a_connection_that_ends_before_the_answer_fails_at_once() {
    assert_eq!(seen(""), NO_ANSWER);
    assert_eq!(seen("HTTP/1.1 200 OK\r\nContent-Le"), NO_ANSWER);
    let vm = Vm::at("127.8.0.1", |stream, _| reset(stream));
    let observation = observe_http(vm.address);
    assert_eq!(observation, Observation::Fail(Failure::Reset));
}

#[test]
fn what_is_no_http_fails() {
    for reply in ["SSH-2.0-OpenSSH_9.9\r\n", "\x15\x03\x01\x00\x02\x02\x50"] {
        assert_eq!(seen(reply), MALFORMED, "{reply}");
    }
    // A head without an end.
    let endless = Vm::at("127.8.0.1", |mut stream, seen| {
        seen.read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream
            .write_all(&[b"X-Filler: ", &[b'x'; 4096][..], b"\r\n"].concat())
            .is_ok()
        {}
    });
    assert_eq!(observe_http(endless.address), MALFORMED);
    endless.wait_for_ends();
}

#[test]
fn an_answer_that_is_not_whole_in_time_fails_wherever_it_stops() {
    for reply in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let vm = Vm::hanging_after(reply);
        let observation = observe(vm.address, ProbeMethod::Http(get(vm.port())), 1);
        assert_eq!(observation, Observation::Fail(Failure::Timeout), "{reply}");
        vm.wait_for_ends();
    }
}

#[test]
fn a_byte_at_a_time_buys_no_time() {
    let vm = Vm::at("127.8.0.1", |mut stream, seen| {
        seen.read_request(&mut stream);
        let reply = format!("HTTP/1.1 200 OK\r\nX-Slow: {}\r\n", "x".repeat(1000));
        let socket = socket2::SockRef::from(&stream);
        let limit = socket.set_read_timeout(Some(Duration::from_millis(100)));
        limit.expect("a socket can be told so");
        for byte in reply.bytes() {
            // The other side says nothing more: waiting for it is how time passes.
            let is_gone = stream.read(&mut [0]).is_ok();
            if is_gone || stream.write_all(&[byte]).is_err() {
                return;
            }
        }
    });
    let observation = observe(vm.address, ProbeMethod::Http(get(vm.port())), 1);
    assert_eq!(observation, Observation::Fail(Failure::Timeout));
}

#[test]
fn a_huge_body_passes_after_its_beginning_and_is_not_read() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let vm = Vm::at("127.8.0.1", move |mut stream, seen| {
        seen.read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        let mut written: u64 = 0;
        while stream.write_all(&[b'x'; 4096]).is_ok() {
            written += 4096;
        }
        let tell = tell.lock().expect("nobody panics with it");
        tell.send(written).expect("the test waits");
    });
    assert_passes(observe_http(vm.address), 200);
    let written = told.recv_timeout(PATIENCE).expect("it is closed");
    assert!(written < 1 << 28, "{written} bytes were taken");
}

#[test]
fn no_byte_of_a_body_is_in_a_message() {
    for reply in [
        "HTTP/1.1 500 secret\r\nSecret: secret\r\nContent-Length: 6\r\n\r\nsecret",
        "secret",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n",
        "HTTP/1.1 302 OK\r\nLocation: secret://secret/secret\r\n\r\n",
    ] {
        let Observation::Fail(failure) = seen(reply) else {
            panic!("{reply} fails");
        };
        let text = format!("{failure} {failure:?}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn an_endpoint_that_does_not_close_is_left_soon() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let vm = Vm::at("127.8.0.1", move |mut stream, seen| {
        seen.read_request(&mut stream);
        let _ = stream.write_all(reply.as_bytes());
        wait_for_end(stream);
    });
    assert_passes(observe_http(vm.address), 200);
    vm.wait_for_ends();
}
