//! What one piece of a list or a watch says, as far as following it takes: of an object, who it is and which version of it.
//!
//! Only looks at what it needs: the metadata, up to where they end.

use std::time::Duration;

use serde::Deserialize;

use super::scan::{Fields, text};

/// What marks the end of a list that comes as a stream
/// ([KEP-3157](https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/3157-watch-list)).
const LIST_END: &str = "k8s.io/initial-events-end";

/// Who an object is, and which version of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Identity<'b> {
    pub(super) namespace: &'b str,
    pub(super) name: &'b str,
    /// Of this object, not of others that had its name before.
    pub(super) uid: &'b str,
    pub(super) version: &'b str,
}

/// One event of a watch.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Event<'b> {
    /// An object is there, or is another one than before.
    Object(Identity<'b>, &'b [u8]),
    /// An object is gone.
    Gone(Identity<'b>),
    /// Everything up to this version was told, and maybe all that was there when the stream began.
    Bookmark { version: &'b str, ends_list: bool },
    /// The watch is over.
    Error(Status),
}

/// What an API server says where it does not do as it was asked.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) reason: String,
    pub(super) details: Option<Details>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Details {
    retry_after_seconds: u64,
}

impl Status {
    /// Reads the body of a reply; what is no status says nothing.
    pub(super) fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// How long the server wants not to be asked.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}

/// Reads one event; `None` where it is none.
pub(super) fn event(bytes: &[u8]) -> Option<Event<'_>> {
    let (kind, object) = kind_and_object(bytes)?;
    Some(match kind {
        "ADDED" | "MODIFIED" => Event::Object(identity(object)?, object),
        "DELETED" => Event::Gone(identity(object)?),
        "BOOKMARK" => {
            let metadata = Fields::of(object).value("metadata")?;
            let annotations = Fields::of(metadata).value("annotations");
            let end = annotations.and_then(|annotations| Fields::of(annotations).value(LIST_END));
            Event::Bookmark {
                version: Fields::of(metadata)
                    .value("resourceVersion")
                    .and_then(text)?,
                ends_list: end.and_then(text) == Some("true"),
            }
        }
        "ERROR" => Event::Error(Status::read(object)),
        _ => return None,
    })
}

/// What an event says, and of what.
fn kind_and_object(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let mut fields = Fields::of(bytes);
    // As API servers write it. An object is long: it is not looked through for its end, which is that of the event.
    if let Some((b"type", kind)) = fields.next()
        && let Some(object) = fields.rest("object")
    {
        return Some((text(kind)?, object));
    }
    let fields = Fields::of(bytes);
    let kind = fields.clone().value("type").and_then(text)?;
    Some((kind, fields.value("object")?))
}

/// Who an object is; `None` where it does not say.
pub(super) fn identity(object: &[u8]) -> Option<Identity<'_>> {
    let metadata = Fields::of(object).within("metadata")?;
    let (mut namespace, mut name, mut uid, mut version) = (None, None, None, None);
    for (key, value) in metadata {
        match key {
            b"namespace" => namespace = Some(text(value)?),
            b"name" => name = text(value),
            b"uid" => uid = Some(text(value)?),
            b"resourceVersion" => version = text(value),
            _ => continue,
        }
        if namespace.is_some() && name.is_some() && uid.is_some() && version.is_some() {
            // What else there is, as managedFields, is long.
            break;
        }
    }
    Some(Identity {
        namespace: namespace.unwrap_or_default(),
        name: name?,
        uid: uid.unwrap_or_default(),
        version: version?,
    })
}

/// What the metadata of a list say: its version, and how to ask for what is behind it, where there is more.
pub(super) fn list_metadata(metadata: &[u8]) -> (Option<&str>, Option<&str>) {
    let field = |key| Fields::of(metadata).value(key).and_then(text);
    let more = field("continue").filter(|token| !token.is_empty());
    (field("resourceVersion"), more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_object_and_version() {
        let object = br#"{"kind":"Pod","metadata":{"managedFields":[{"name":"x"}],"name":"a","namespace":"shop","uid":"u","resourceVersion":"7"},"spec":{}}"#;
        let who = Identity {
            namespace: "shop",
            name: "a",
            uid: "u",
            version: "7",
        };
        let event_of = |kind: &str| {
            let object = String::from_utf8_lossy(object);
            format!(r#"{{"type":"{kind}","object":{object}}}"#)
        };
        let added = event_of("ADDED");
        assert_eq!(event(added.as_bytes()), Some(Event::Object(who, object)));
        let deleted = event_of("DELETED");
        assert_eq!(event(deleted.as_bytes()), Some(Event::Gone(who)));
        let object_first = format!(
            r#"{{"object": {}, "type":"ADDED"}}"#,
            String::from_utf8_lossy(object)
        );
        let added = Some(Event::Object(who, &object[..]));
        assert_eq!(event(object_first.as_bytes()), added);
        assert_eq!(event(event_of("NEWS").as_bytes()), None);
        assert_eq!(event(br#"{"type":"ADDED","object":{"metadata":{}}}"#), None);
        assert_eq!(event(br#"{"type":"ADDED"}"#), None);
    }

    #[test]
    fn a_bookmark_may_end_a_list() {
        let bookmark = |metadata: &str| {
            format!(r#"{{"type":"BOOKMARK","object":{{"kind":"Pod","metadata":{{{metadata}}}}}}}"#)
        };
        let plain = bookmark(r#""resourceVersion":"9","creationTimestamp":null"#);
        let expected = |ends_list| {
            Some(Event::Bookmark {
                version: "9",
                ends_list,
            })
        };
        assert_eq!(event(plain.as_bytes()), expected(false));
        let last =
            bookmark(r#""resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}"#);
        assert_eq!(event(last.as_bytes()), expected(true));
    }

    #[test]
    fn an_error_tells_its_code_and_how_long_to_wait() {
        let Some(Event::Error(status)) = event(
            br#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old","details":{"retryAfterSeconds":3}}}"#,
        ) else {
            panic!("an error");
        };
        assert_eq!((status.code, &*status.message), (410, "too old"));
        assert_eq!(status.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(Status::read(b"404 page not found").code, 0);
    }

    #[test]
    fn a_list_tells_its_version_and_what_is_behind_it() {
        let metadata = br#"{"resourceVersion":"7","continue":"eyJ2Ijo"}"#;
        assert_eq!(list_metadata(metadata), (Some("7"), Some("eyJ2Ijo")));
        let last = br#"{"resourceVersion":"7","continue":""}"#;
        assert_eq!(list_metadata(last), (Some("7"), None));
    }
}
