//! `grpc`: what a server says of its health.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response,
    body::{Body, Bytes, Incoming},
    http,
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use meshdns::{
    health::{Failure, GrpcFault, Observation},
    manifest::ProbeMethod,
};
use tokio::runtime;

use crate::{
    fleet::{Seen, Vm, closed_port, wait_for_end},
    observe::{LONG, assert_passes, observe},
};

/// What a server answers.
#[derive(Clone, Copy)]
struct Reply {
    body: &'static [u8],
    kind: &'static str,
    status: u16,
    /// In the trailers, or in the headers where there is no body.
    code: Option<&'static str>,
}

/// `SERVING`.
const WELL: Reply = Reply {
    body: &[0, 0, 0, 0, 2, 0x08, 1],
    kind: "application/grpc+proto",
    status: 200,
    code: Some("0"),
};

const MALFORMED: Observation = Observation::Fail(Failure::Grpc(GrpcFault::Malformed));

/// Answers every call so, and notes what it was.
fn serving(reply: Reply) -> Vm {
    Vm::at("127.8.0.1", move |stream, seen| {
        stream
            .set_nonblocking(true)
            .expect("a socket can be told so");
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let seen = Arc::clone(seen);
        let call = move |request| answer(request, reply, seen.clone());
        runtime.expect("a runtime").block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
            // It ends when the other side is gone.
            let _ = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(call))
                .await;
        });
    })
}

async fn answer(
    request: Request<Incoming>,
    reply: Reply,
    seen: Arc<Seen>,
) -> http::Result<Response<impl Body<Data = Bytes, Error = Infallible>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole message").to_bytes();
    seen.note(format!("{} {} {body:?}", head.method, head.uri.path()));
    let mut response = Response::builder()
        .status(reply.status)
        .header("content-type", reply.kind);
    let mut trailers = HeaderMap::new();
    if let Some(code) = reply.code {
        if reply.body.is_empty() {
            response = response.header("grpc-status", code);
        } else {
            trailers.insert("grpc-status", code.parse().expect("a number"));
        }
    }
    let body = Full::new(Bytes::from_static(reply.body));
    let body = body.with_trailers(async { Some(Ok::<_, Infallible>(trailers)) });
    response.body(body)
}

fn ask(to: SocketAddr, service: &str, timeout_seconds: u32) -> Observation {
    let method = ProbeMethod::Grpc {
        port: to.port(),
        service: service.into(),
    };
    observe(to, method, timeout_seconds)
}

fn seen(reply: Reply) -> Observation {
    let vm = serving(reply);
    let observation = ask(vm.address, "", LONG);
    vm.wait_for_ends();
    observation
}

#[test]
fn a_server_that_serves_passes_and_its_connection_ends() {
    let vm = serving(WELL);
    assert_passes(ask(vm.address, "", LONG), 0);
    vm.wait_for_ends();
    assert_passes(ask(vm.address, "shop.Orders", LONG), 0);
    vm.wait_for_ends();
    let path = "POST /grpc.health.v1.Health/Check";
    assert_eq!(
        vm.requests(),
        [
            format!(r#"{path} b"\0\0\0\0\0""#),
            format!(r#"{path} b"\0\0\0\0\r\n\x0bshop.Orders""#),
        ]
    );
}

#[test]
fn every_other_health_fails() {
    for (body, health) in [
        (&[0, 0, 0, 0, 0][..], 0),
        (&[0, 0, 0, 0, 2, 0x08, 2], 2),
        (&[0, 0, 0, 0, 2, 0x08, 3], 3),
    ] {
        let observation = seen(Reply { body, ..WELL });
        let fault = GrpcFault::Health(health);
        assert_eq!(observation, Observation::Fail(Failure::Grpc(fault)));
    }
}

#[test]
fn a_call_that_fails_fails_whatever_the_message_says() {
    for (code, number) in [("5", 5), ("12", 12), ("14", 14)] {
        for body in [WELL.body, &[]] {
            let code = Some(code);
            let observation = seen(Reply { body, code, ..WELL });
            let fault = GrpcFault::Code(number);
            assert_eq!(observation, Observation::Fail(Failure::Grpc(fault)));
        }
    }
}

#[test]
fn what_is_no_answer_of_the_health_service_fails() {
    for reply in [
        Reply { code: None, ..WELL },
        Reply {
            kind: "text/html",
            ..WELL
        },
        Reply {
            status: 404,
            ..WELL
        },
        Reply {
            body: &[0, 0, 0, 0, 9, 0x08, 1],
            ..WELL
        },
        Reply {
            body: &[b'x'; 16_384],
            ..WELL
        },
        Reply {
            code: Some("well"),
            ..WELL
        },
    ] {
        assert_eq!(seen(reply), MALFORMED);
    }
}

#[test]
fn a_server_of_another_protocol_fails() {
    let vm = Vm::at("127.8.0.1", |mut stream, _| {
        use std::io::Write as _;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        wait_for_end(stream);
    });
    assert_eq!(ask(vm.address, "", LONG), MALFORMED);
    let closed = closed_port("127.8.0.1");
    let refused = Observation::Fail(Failure::Refused);
    assert_eq!(ask(closed, "", LONG), refused);
}

#[test]
fn a_server_that_hangs_fails_in_time_and_its_connection_ends() {
    let vm = Vm::at("127.8.0.1", |stream, _| wait_for_end(stream));
    let observation = ask(vm.address, "", 1);
    assert_eq!(observation, Observation::Fail(Failure::Timeout));
    vm.wait_for_ends();
}
