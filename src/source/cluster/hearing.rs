//! What an API server says of one kind, as events for the mesh: frames go in, events come out.
//!
//! Owns what was told, and which version it was. Never asks, and never waits.

use std::{mem, sync::Arc};

use super::{
    figures::Figures,
    frames::Frame,
    known::Known,
    progress::{Heard, Progress},
    resource::{Ask, api_version},
    said::{self, Event, Identity},
    trouble::{Failure, Why},
};
use crate::{
    chain::Chain,
    diagnostic::{Cluster, ObjectKey},
    manifest::ObjectReader,
    mesh::{ClusterEvent, ListScope},
};

/// One list after the other and what changes between them.
pub(super) struct Hearing {
    scope: ListScope,
    known: Known,
    reader: ObjectReader,
    figures: Arc<Figures>,
    pub(super) progress: Progress,
    /// What was heard and not told.
    events: Vec<ClusterEvent>,
    page: Page,
    in_list: bool,
    has_listed: bool,
    /// That of the last key.
    namespace: Arc<str>,
}

/// What a page says of itself.
#[derive(Debug, Default)]
struct Page {
    version: Option<Box<str>>,
    more: Option<Box<str>>,
}

impl Hearing {
    /// Nothing was heard of `scope`.
    pub(super) fn new(
        cluster: Cluster,
        scope: ListScope,
        progress: Progress,
        figures: Arc<Figures>,
    ) -> Self {
        Self {
            scope,
            known: Known::default(),
            reader: ObjectReader::new(cluster),
            figures,
            progress,
            events: Vec::new(),
            page: Page::default(),
            in_list: false,
            has_listed: false,
            namespace: Arc::default(),
        }
    }

    /// How many objects there are.
    pub(super) fn objects(&self) -> usize {
        self.known.len()
    }

    /// Whether a list was begun that has not ended.
    pub(super) fn is_in_list(&self) -> bool {
        self.in_list
    }

    /// What was heard since the last time.
    pub(super) fn take_events(&mut self) -> Vec<ClusterEvent> {
        mem::take(&mut self.events)
    }

    /// Notes what is asked.
    pub(super) fn begin(&mut self, ask: &Ask) {
        self.page = Page::default();
        if ask.begins_list() {
            if self.has_listed {
                self.figures.count_relist();
            }
            self.begin_list();
        }
    }

    /// The server has nothing of this kind.
    pub(super) fn hear_nothing(&mut self) {
        self.begin_list();
        self.end_list();
        self.progress.list_again();
    }

    /// Notes that nothing was heard for a while.
    pub(super) fn note_silence(&mut self) {
        if self.in_list {
            self.events
                .push(ClusterEvent::ListStalls(self.scope.clone()));
        }
    }

    /// Gives up a list that was begun.
    pub(super) fn fail_list(&mut self) {
        if mem::take(&mut self.in_list) {
            self.known.fail_list();
            self.events
                .push(ClusterEvent::ListFails(self.scope.clone()));
            self.progress.list_again();
        }
    }

    /// Forgets what was told: all of it is told again.
    pub(super) fn forget(&mut self) {
        self.known = Known::default();
        self.events.clear();
        self.progress.list_again();
    }

    /// Notes that the server said something.
    pub(super) fn note_heard(&self) {
        self.figures.note_heard();
    }

    /// Takes in one frame, of objects at this version of the API; tells whether it ends a list.
    pub(super) fn take_in(&mut self, version: &str, frame: Frame<'_>) -> Result<bool, Failure> {
        let unreadable = || Why::Unreadable("an object without a name or a version".to_owned());
        match frame {
            Frame::Item(bytes) => {
                let identity = said::identity(bytes).ok_or_else(unreadable)?;
                self.note(version, &identity, bytes)?;
            }
            Frame::Metadata(bytes) => {
                let (version, more) = said::list_metadata(bytes);
                self.page = Page {
                    version: version.map(Into::into),
                    more: more.map(Into::into),
                };
            }
            Frame::Event(bytes) => {
                let unreadable = || Why::Unreadable("an event that is none".to_owned());
                return self.take_in_event(version, said::event(bytes).ok_or_else(unreadable)?);
            }
        }
        Ok(false)
    }

    fn take_in_event(&mut self, version: &str, event: Event<'_>) -> Result<bool, Failure> {
        match event {
            Event::Object(identity, bytes) => {
                self.note(version, &identity, bytes)?;
                self.progress.hear(Heard::Object(identity.version));
            }
            Event::Gone(identity) => {
                self.figures.count_event();
                if self.known.forget(&identity) {
                    let gone = ClusterEvent::Gone(self.key(&identity));
                    self.events.push(gone);
                    self.note_objects();
                }
                self.progress.hear(Heard::Object(identity.version));
            }
            Event::Bookmark { version, ends_list } => {
                let is_end = self.progress.hear(Heard::Bookmark { version, ends_list });
                if is_end {
                    self.end_list();
                }
                return Ok(is_end);
            }
            Event::Error(status) => {
                return Err(Failure {
                    in_stream: true,
                    ..Failure::of_status(status.code, &status, self.scope.kind)
                });
            }
        }
        Ok(false)
    }

    /// Takes in that a page is over.
    pub(super) fn end_page(&mut self) -> Result<(), Why> {
        let Page { version, more } = mem::take(&mut self.page);
        let Some(version) = version else {
            return Err(Why::Unreadable("a list without a version".to_owned()));
        };
        let is_end = self.progress.hear(Heard::PageEnd {
            version: &version,
            more: more.as_deref(),
        });
        if is_end {
            self.end_list();
        }
        Ok(())
    }

    fn begin_list(&mut self) {
        self.in_list = true;
        self.known.begin_list();
        self.events
            .push(ClusterEvent::ListBegins(self.scope.clone()));
    }

    fn end_list(&mut self) {
        self.in_list = false;
        self.has_listed = true;
        self.known.end_list();
        self.figures.note_heard();
        self.note_objects();
        self.events.push(ClusterEvent::ListEnds(self.scope.clone()));
    }

    /// Reads an object, unless this version of it was told.
    fn note(&mut self, version: &str, identity: &Identity<'_>, bytes: &[u8]) -> Result<(), Why> {
        self.figures.count_event();
        if self.known.has(identity) {
            if self.in_list {
                let unchanged = ClusterEvent::Unchanged(self.key(identity));
                self.events.push(unchanged);
            }
            return Ok(());
        }
        let kind = self.scope.kind;
        let api_version = api_version(kind, version);
        let read = self.reader.read(&api_version, kind, bytes);
        let read = read.map_err(|error| {
            let Identity {
                namespace, name, ..
            } = identity;
            Why::Unreadable(format!("{namespace}/{name}: {}", Chain(&error)))
        })?;
        self.known.note(identity);
        self.events
            .push(ClusterEvent::Object(read.key, read.contents));
        self.note_objects();
        Ok(())
    }

    /// Tells how many objects there are, but not amidst a list, which forgets some of them.
    fn note_objects(&self) {
        if !self.in_list {
            self.figures.set_objects(self.known.len());
        }
    }

    /// As the reader makes it of the whole object.
    fn key(&mut self, identity: &Identity<'_>) -> ObjectKey {
        // Objects of a namespace often follow each other.
        if *self.namespace != *identity.namespace {
            self.namespace = identity.namespace.into();
        }
        ObjectKey {
            kind: self.scope.kind,
            namespace: self.namespace.clone(),
            name: identity.name.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Kind;

    /// What is told of Pods where these frames come after each other, one line of text for each.
    fn told(hearing: &mut Hearing, ask: &Ask, frames: &[Frame<'_>]) -> Vec<String> {
        hearing.begin(ask);
        for frame in frames {
            hearing.take_in("v1", *frame).expect("frames of Kubernetes");
        }
        let events = hearing.take_events().into_iter();
        events
            .map(|event| match event {
                ClusterEvent::Object(key, contents) => {
                    assert!(contents.object.is_some(), "{:?}", contents.diagnostics);
                    format!("object {}", key.name)
                }
                ClusterEvent::Unchanged(key) => format!("unchanged {}", key.name),
                ClusterEvent::Gone(key) => format!("gone {}", key.name),
                ClusterEvent::ListBegins(scope) => format!("list of {scope}"),
                ClusterEvent::ListEnds(_) => "end".to_owned(),
                ClusterEvent::ListStalls(_) => "stalls".to_owned(),
                ClusterEvent::ListFails(_) => "failed".to_owned(),
            })
            .collect()
    }

    fn pod(name: &str, version: &str) -> String {
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"shop","uid":"{name}","resourceVersion":"{version}"}},"spec":{{}},"status":{{"phase":"Running","podIP":"10.0.0.1"}}}}"#
        )
    }

    fn event(kind: &str, object: &str) -> String {
        format!(r#"{{"type":"{kind}","object":{object}}}"#)
    }

    const END: &str = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;

    fn hearing() -> Hearing {
        let cluster = Cluster::only("test");
        let scope = ListScope {
            kind: Kind::Pod,
            namespace: None,
        };
        let figures = Arc::new(Figures::new(cluster.clone(), Kind::Pod));
        Hearing::new(cluster, scope, Progress::new(), figures)
    }

    #[test]
    fn a_list_that_is_read_again_tells_only_what_differs() {
        let mut hearing = hearing();
        let [a, b, c] = ["a", "b", "c"].map(|name| event("ADDED", &pod(name, "7")));
        let frames = [&*a, &b, &c, END].map(|text| Frame::Event(text.as_bytes()));
        let first = told(&mut hearing, &Ask::Stream, &frames);
        assert_eq!(
            first,
            ["list of Pod", "object a", "object b", "object c", "end"]
        );
        hearing.progress.list_again();
        let changed = event("ADDED", &pod("b", "8"));
        let frames = [&*a, &changed, END].map(|text| Frame::Event(text.as_bytes()));
        let again = told(&mut hearing, &Ask::Stream, &frames);
        assert_eq!(again, ["list of Pod", "unchanged a", "object b", "end"]);
        assert_eq!(hearing.objects(), 2);
        // What a watch tells again is no news.
        let gone = event("DELETED", &pod("a", "9"));
        let frames = [&*changed, &gone, &gone].map(|text| Frame::Event(text.as_bytes()));
        let watched = told(&mut hearing, &Ask::Watch("9".into()), &frames);
        assert_eq!(watched, ["gone a"]);
    }

    #[test]
    fn a_list_in_pages_ends_with_the_last() {
        let mut hearing = hearing();
        hearing.progress = Progress::of_pages();
        let [a, b] = ["a", "b"].map(|name| pod(name, "7"));
        let more = br#"{"resourceVersion":"8","continue":"token"}"#;
        let frames = [Frame::Item(a.as_bytes()), Frame::Metadata(more)];
        let first = told(&mut hearing, &Ask::Page(None), &frames);
        assert_eq!(first, ["list of Pod", "object a"]);
        hearing.end_page().expect("a version");
        let ask = hearing.progress.ask().clone();
        assert_eq!(ask, Ask::Page(Some("token".into())));
        let last = br#"{"resourceVersion":"8"}"#;
        let frames = [Frame::Item(b.as_bytes()), Frame::Metadata(last)];
        assert_eq!(told(&mut hearing, &ask, &frames), ["object b"]);
        hearing.end_page().expect("a version");
        let ask = hearing.progress.ask().clone();
        assert_eq!(ask, Ask::Watch("8".into()));
        assert_eq!(told(&mut hearing, &ask, &[]), ["end"]);
    }

    #[test]
    fn a_list_that_fails_counts_for_nothing() {
        let mut hearing = hearing();
        let a = event("ADDED", &pod("a", "7"));
        let frames = [Frame::Event(a.as_bytes())];
        told(&mut hearing, &Ask::Stream, &frames);
        hearing.fail_list();
        let again = told(&mut hearing, &Ask::Stream, &frames);
        assert_eq!(again, ["failed", "list of Pod", "object a"]);
    }

    #[test]
    fn what_can_not_be_read_is_a_failure() {
        let mut hearing = hearing();
        for text in ["{}", r#"{"type":"ADDED","object":{"metadata":{}}}"#] {
            let failed = hearing.take_in("v1", Frame::Event(text.as_bytes()));
            let failure = failed.expect_err("no event");
            assert!(matches!(failure.why, Why::Unreadable(_)), "{text}");
        }
    }
}
