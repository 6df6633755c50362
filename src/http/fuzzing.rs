//! One connection to the pages from bytes, for fuzz targets.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    join, runtime,
};

/// No request waits: all bytes are there before the first is read.
const LIMIT: Duration = Duration::from_secs(10);

/// What `router` sends to a client that sends `bytes`.
pub fn responses(bytes: &[u8], router: &Router) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LIMIT)
        .serve_connection(
            TokioIo::new(server),
            TowerToHyperService::new(router.clone()),
        );
    let runtime = runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let talk = async {
            let mut answers = Vec::new();
            // The server may end first.
            let _ = client.write_all(bytes).await;
            let _ = client.shutdown().await;
            let _ = client.read_to_end(&mut answers).await;
            answers
        };
        join!(connection, talk).1
    })
}
