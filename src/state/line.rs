//! One line of the file.
//!
//! Every line is a `List` in JSON, so that the whole is a manifest; what it is to us stands in its metadata, and a CRC32C
//! ([RFC 3720 §12.1](https://www.rfc-editor.org/rfc/rfc3720#section-12.1)) of all that stands before it is its last field.

use std::{fmt::Write as _, time::SystemTime};

use serde::Deserialize;
use serde_json::Value;

use crate::diagnostic::{Kind, ObjectKey};

/// The format of the lines; a file of another one is not read.
const FORMAT: u32 = 1;

const START: &str = r#"{"apiVersion":"v1","kind":"List","metadata":"#;
const ITEMS: &str = r#","items":["#;
const CHECKSUM: &str = r#"],"crc32c":""#;
const END: &str = "\"}";

/// Eight hexadecimal digits.
const CHECKSUM_LEN: usize = 8;

/// What a line is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// The first of a file.
    Head,
    /// All objects of a mesh file: they take the place of those of an earlier line.
    Objects {
        /// The mesh file.
        file: String,
        /// When it could last be read, where that was not shortly before the line was written.
        read: Option<SystemTime>,
        /// Whether it has no object any more.
        is_empty: bool,
    },
    /// Objects of a cluster: each takes the place of what earlier lines say of it.
    ClusterObjects {
        /// The cluster.
        cluster: String,
        /// When it could last be read, where that was not shortly before the line was written.
        read: Option<SystemTime>,
        /// Objects that are gone.
        gone: Vec<ObjectKey>,
    },
    /// So many lines before it were written at that time, and are whole.
    Saved {
        /// How many.
        lines: usize,
        /// When.
        time: SystemTime,
    },
}

#[derive(Deserialize)]
struct Metadata {
    file: Option<String>,
    cluster: Option<String>,
    #[serde(default)]
    gone: Vec<String>,
    read: Option<String>,
    format: Option<u32>,
    saved: Option<String>,
    lines: Option<usize>,
}

/// Appends the first line of a file.
pub(super) fn push_head(out: &mut String) {
    let version = env!("CARGO_PKG_VERSION");
    push(out, |out| {
        let _ = write!(
            out,
            r#"{{"format":{FORMAT},"writer":"meshdns {version}"}}{ITEMS}"#
        );
    });
}

/// Appends a line with the objects of `file`, which `push_objects` appends.
pub(super) fn push_objects(
    file: &str,
    read: Option<SystemTime>,
    push_objects: impl FnOnce(&mut String),
    out: &mut String,
) {
    push(out, |out| {
        let _ = write!(out, r#"{{"file":{}"#, Value::from(file));
        if let Some(read) = read {
            let _ = write!(out, r#","read":"{}""#, text_of(read));
        }
        let _ = write!(out, "}}{ITEMS}");
        push_objects(out);
    });
}

/// Appends a line with objects of `cluster`, which `push_objects` appends, and those that are `gone`.
pub(super) fn push_cluster<T>(
    cluster: &str,
    read: Option<SystemTime>,
    gone: &[&ObjectKey],
    push_objects: impl FnOnce(&mut String) -> T,
    out: &mut String,
) -> T {
    push(out, |out| {
        let _ = write!(out, r#"{{"cluster":{}"#, Value::from(cluster));
        if let Some(read) = read {
            let _ = write!(out, r#","read":"{}""#, text_of(read));
        }
        if !gone.is_empty() {
            let gone: Vec<Value> = gone.iter().map(|key| key.to_string().into()).collect();
            let _ = write!(out, r#","gone":{}"#, Value::from(gone));
        }
        let _ = write!(out, "}}{ITEMS}");
        push_objects(out)
    })
}

/// Appends the line that makes the `lines` before it count.
pub(super) fn push_saved(lines: usize, time: SystemTime, out: &mut String) {
    push(out, |out| {
        let time = text_of(time);
        let _ = write!(out, r#"{{"saved":"{time}","lines":{lines}}}{ITEMS}"#);
    });
}

fn push<T>(out: &mut String, push_rest: impl FnOnce(&mut String) -> T) -> T {
    let start = out.len();
    out.push_str(START);
    let told = push_rest(out);
    let checksum = crc32c::crc32c(&out.as_bytes()[start..]);
    let _ = writeln!(out, "{CHECKSUM}{checksum:08x}{END}");
    told
}

/// The key of an object as it is written: `Pod ns1/name`.
fn key_of(text: &str) -> Option<ObjectKey> {
    let (kind, name) = text.split_once(' ')?;
    let (namespace, name) = name.split_once('/')?;
    Some(ObjectKey {
        kind: Kind::ALL.into_iter().find(|known| known.as_str() == kind)?,
        namespace: namespace.into(),
        name: name.into(),
    })
}

impl Line {
    /// Reads a line, without its end; `None` where it is not as it was written.
    pub(super) fn read(text: &str) -> Option<Self> {
        let rest = text.strip_suffix(END)?;
        let digits = rest.get(rest.len().checked_sub(CHECKSUM_LEN)?..)?;
        let body = rest[..rest.len() - CHECKSUM_LEN].strip_suffix(CHECKSUM)?;
        let checksum = u32::from_str_radix(digits, 16).ok()?;
        if crc32c::crc32c(body.as_bytes()) != checksum {
            return None;
        }
        let rest = body.strip_prefix(START)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Metadata>();
        let metadata = values.next()?.ok()?;
        let items = rest[values.byte_offset()..].strip_prefix(ITEMS)?;
        let time = |text: &str| humantime::parse_rfc3339(text).ok();
        match metadata {
            Metadata {
                file: Some(file),
                read,
                ..
            } => Some(Self::Objects {
                file,
                read: read.as_deref().and_then(time),
                is_empty: items.is_empty(),
            }),
            Metadata {
                cluster: Some(cluster),
                gone,
                read,
                ..
            } => Some(Self::ClusterObjects {
                cluster,
                read: read.as_deref().and_then(time),
                gone: gone.iter().map(|key| key_of(key)).collect::<Option<_>>()?,
            }),
            Metadata {
                saved: Some(saved),
                lines: Some(lines),
                ..
            } => Some(Self::Saved {
                lines,
                time: time(&saved)?,
            }),
            Metadata {
                format: Some(FORMAT),
                ..
            } => Some(Self::Head),
            _ => None,
        }
    }
}

fn text_of(time: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(time)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn gone() -> ObjectKey {
        ObjectKey {
            kind: Kind::Pod,
            namespace: "ns1".into(),
            name: "a".into(),
        }
    }

    fn lines() -> String {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut text = String::new();
        push_head(&mut text);
        push_objects(
            "zones/\"ä\\xff.yaml",
            Some(time),
            |out| out.push_str("{}"),
            &mut text,
        );
        push_objects("b.yaml", None, |_| {}, &mut text);
        push_cluster("prod \"1\"", Some(time), &[&gone()], |_| {}, &mut text);
        push_saved(4, time, &mut text);
        text
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let text = lines();
        let read: Vec<_> = text.lines().map(Line::read).collect();
        let objects = |file: &str, read, is_empty| {
            Some(Line::Objects {
                file: file.to_owned(),
                read,
                is_empty,
            })
        };
        let expected = [
            Some(Line::Head),
            objects("zones/\"ä\\xff.yaml", Some(time), false),
            objects("b.yaml", None, true),
            Some(Line::ClusterObjects {
                cluster: "prod \"1\"".to_owned(),
                read: Some(time),
                gone: vec![gone()],
            }),
            Some(Line::Saved { lines: 4, time }),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_line_that_was_cut_or_changed_is_none() {
        for line in lines().lines() {
            for end in 0..line.len() {
                if let Some(cut) = line.get(..end) {
                    assert_eq!(Line::read(cut), None, "{cut}");
                }
            }
            for at in 0..line.len() {
                let mut bytes = line.as_bytes().to_vec();
                bytes[at] ^= 1;
                if let Ok(changed) = String::from_utf8(bytes) {
                    assert_eq!(Line::read(&changed), None, "{changed}");
                }
            }
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(&[0xff; 32]), 0x62a8_ab43);
    }
}
