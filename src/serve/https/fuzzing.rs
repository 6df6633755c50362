//! One connection of HTTP from bytes, for fuzz targets.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    join, runtime,
};

use super::{MAX_HEAD_BYTES, request, response};
use crate::admission::{Admission, Client, Limits};

/// No request waits: all bytes are there before the first is read.
const LIMIT: Duration = Duration::from_secs(10);

/// The queries in `bytes`, which is all that a client of HTTP/1.1 sends for this path.
pub fn queries(bytes: &[u8], path: &str) -> Vec<Vec<u8>> {
    let found = Mutex::new(Vec::new());
    let limits = Limits {
        places: 1,
        places_per_client: 1,
        bytes: 1 << 20,
        newcomers_win: false,
    };
    let admission = Arc::new(Admission::new(limits, Arc::default()));
    let client = Client::from(IpAddr::from([127, 0, 0, 1]));
    let place = admission.admit(client).expect("the only one");
    let handler = service_fn(|request: Request<Incoming>| async {
        let response = match request::query(request, path, LIMIT, &mut place.nothing_held()).await {
            Ok(query) => {
                let mut found = found.lock().expect("no holder panics");
                found.push(query.to_vec());
                response::answer(query.to_vec(), place.nothing_held())
            }
            Err(refused) => response::refusal(refused),
        };
        Ok::<Response<_>, Infallible>(response)
    });
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LIMIT)
        .max_buf_size(MAX_HEAD_BYTES as usize)
        .serve_connection(TokioIo::new(server), handler);
    let runtime = runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let talk = async {
            let mut answers = Vec::new();
            // The server may end first.
            let _ = client.write_all(bytes).await;
            let _ = client.shutdown().await;
            let _ = client.read_to_end(&mut answers).await;
        };
        let _ = join!(connection, talk);
    });
    found.into_inner().expect("no holder panics")
}
