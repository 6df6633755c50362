//! What a meshdns under test tells over HTTP.

use std::{
    error::Error,
    io::{Read, Write},
    iter::{self, Sum},
    net::{SocketAddr, TcpStream},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, Result};

/// How long a page may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// The response for a page, with its status line and header fields.
pub(crate) fn get(server: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: meshdns\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

/// The value of a metric; the sum of all its values where it has labels.
pub(crate) fn metric<T>(server: SocketAddr, name: &str) -> Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static> + Sum,
{
    let page = get(server, "/metrics")?;
    let mut values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let is_whole_name = rest.starts_with([' ', '{']);
        is_whole_name.then(|| rest.rsplit(' ').next()).flatten()
    });
    let first = values.next();
    let first = first.with_context(|| format!("there is no metric {name}"))?;
    let sum: Result<T, _> = iter::once(first).chain(values).map(T::from_str).sum();
    Ok(sum?)
}
