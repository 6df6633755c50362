//! How one kind is followed, as a pure function: what was heard goes in, what to ask next comes out.
//!
//! ```text
//!          ┌───────── 410, or what can't be read ──────────┐
//!          ▼                                               │
//! Stream ─▶ its end ─────────────▶ Watch(version) ◀─┐ ─────┤
//!    │ the server has no streams      │             │
//!    ▼                                └─ closed ────┘
//! Page(none) ─▶ Page(token) ─▶ … ─▶ Watch(version)
//! ```
//!
//! Never asks, waits or counts.

use super::resource::Ask;

/// How often a stream may end before its list does until lists are asked for instead.
const MOST_BROKEN_STREAMS: u32 = 2;

/// Where one kind is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Progress {
    ask: Ask,
    /// Whether the server has lists as streams, as far as is known.
    has_streams: bool,
    /// How many streams ended before their lists did, in a row.
    broken_streams: u32,
    /// Whether the last list was too old for a watch, and no watch has told anything since.
    was_too_old: bool,
}

/// What was heard that moves the progress; objects are told apart elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard<'b> {
    /// An object at this version.
    Object(&'b str),
    /// Everything up to this version was told.
    Bookmark { version: &'b str, ends_list: bool },
    /// A page is over.
    PageEnd {
        version: &'b str,
        more: Option<&'b str>,
    },
}

/// How what was asked ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// As it should: a page is over, or a watch as long as it was asked for.
    Closed,
    /// The version is too old to be watched from, or the token to go on with.
    TooOld,
    /// The server does not understand, or can't do, what was asked.
    Unsupported,
    /// What came can't be read.
    Unreadable,
    /// The connection ended, or nothing came.
    Cut,
    /// Something else failed.
    Failed,
}

/// When to ask again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    AtOnce,
    /// After a while, which grows.
    Later,
}

impl Progress {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self {
            ask: Ask::Stream,
            has_streams: true,
            broken_streams: 0,
            was_too_old: false,
        }
    }

    /// The same where a list is all that is wanted.
    pub(super) fn of_pages() -> Self {
        Self {
            ask: Ask::Page(None),
            has_streams: false,
            ..Self::new()
        }
    }

    /// What to ask.
    pub(super) fn ask(&self) -> &Ask {
        &self.ask
    }

    /// Begins with the list again.
    pub(super) fn list_again(&mut self) {
        self.ask = if self.has_streams {
            Ask::Stream
        } else {
            Ask::Page(None)
        };
    }

    /// Takes in what was heard; tells whether it ends the list.
    pub(super) fn hear(&mut self, heard: Heard<'_>) -> bool {
        match (&mut self.ask, heard) {
            (Ask::Watch(from), Heard::Object(version) | Heard::Bookmark { version, .. }) => {
                if **from != *version {
                    *from = version.into();
                }
                self.was_too_old = false;
                false
            }
            (
                Ask::Stream,
                Heard::Bookmark {
                    version,
                    ends_list: true,
                },
            ) => {
                self.broken_streams = 0;
                self.ask = Ask::Watch(version.into());
                true
            }
            (
                Ask::Page(token),
                Heard::PageEnd {
                    more: Some(more), ..
                },
            ) => {
                *token = Some(more.into());
                false
            }
            (
                Ask::Page(_),
                Heard::PageEnd {
                    version,
                    more: None,
                },
            ) => {
                self.ask = Ask::Watch(version.into());
                true
            }
            _ => false,
        }
    }

    /// Takes in how what was asked ended; `was_of_use` where it told something, or lasted.
    pub(super) fn end(&mut self, end: End, was_of_use: bool) -> Next {
        match (&self.ask, end) {
            (Ask::Stream, End::Unsupported) => {
                self.has_streams = false;
                self.list_again();
                Next::AtOnce
            }
            (Ask::Stream, End::Closed | End::TooOld | End::Unreadable | End::Cut) => {
                self.broken_streams += 1;
                self.has_streams = self.broken_streams < MOST_BROKEN_STREAMS;
                self.list_again();
                Next::Later
            }
            (Ask::Page(_), End::Closed) => Next::AtOnce,
            (Ask::Page(token), End::TooOld) => {
                let was_first = token.is_none();
                self.list_again();
                if was_first { Next::Later } else { Next::AtOnce }
            }
            (Ask::Watch(_), End::TooOld) => {
                self.list_again();
                if std::mem::replace(&mut self.was_too_old, true) {
                    Next::Later
                } else {
                    Next::AtOnce
                }
            }
            (Ask::Watch(_), End::Closed | End::Cut) if was_of_use => Next::AtOnce,
            (_, End::Unsupported | End::Unreadable) => {
                self.list_again();
                Next::Later
            }
            (Ask::Watch(_), End::Closed) | (_, End::Cut | End::Failed) => Next::Later,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `steps` and compares what is asked after each, and when: `:` at once, `~` later, `!` where a list is complete.
    ///
    /// A step is `b9` (bookmark 9), `B9` (the one that ends a list), `o9` (an object at version 9), `p9` (a page is over, and
    /// more is behind it), `P9` (the last page), or how it ended: `closed`, `old`, `unsupported`, `unreadable`, `cut`,
    /// `failed`, with `+` where it was of use.
    #[track_caller]
    fn check(mut progress: Progress, steps: &str, expected: &str) {
        let mut asked = Vec::new();
        for step in steps.split_whitespace() {
            let (letter, version) = step.split_at(1);
            let heard = match letter {
                _ if step.len() > 3 || step == "old" || step == "cut" => None,
                "o" => Some(Heard::Object(version)),
                "b" | "B" => Some(Heard::Bookmark {
                    version,
                    ends_list: letter == "B",
                }),
                "p" | "P" => Some(Heard::PageEnd {
                    version,
                    more: (letter == "p").then_some("more"),
                }),
                _ => None,
            };
            let mark = if let Some(heard) = heard {
                if progress.hear(heard) { "!" } else { "" }
            } else {
                let end = match step.trim_end_matches('+') {
                    "closed" => End::Closed,
                    "old" => End::TooOld,
                    "unsupported" => End::Unsupported,
                    "unreadable" => End::Unreadable,
                    "cut" => End::Cut,
                    "failed" => End::Failed,
                    step => panic!("no step {step}"),
                };
                match progress.end(end, step.ends_with('+')) {
                    Next::AtOnce => ":",
                    Next::Later => "~",
                }
            };
            let ask = match progress.ask() {
                Ask::Stream => "stream".to_owned(),
                Ask::Page(None) => "page".to_owned(),
                Ask::Page(Some(token)) => token.to_string(),
                Ask::Watch(version) => version.to_string(),
            };
            asked.push(format!("{mark}{ask}"));
        }
        assert_eq!(asked.join(" "), expected, "{steps}");
    }

    #[test]
    fn a_stream_ends_in_a_watch_that_goes_on_where_it_was() {
        check(
            Progress::new(),
            "o5 B7 closed+ o8 b9 closed+ closed failed closed+",
            "stream !7 :7 8 9 :9 ~9 ~9 :9",
        );
    }

    #[test]
    fn a_server_without_streams_is_asked_for_pages() {
        check(
            Progress::new(),
            "unsupported p7 closed p7 cut closed P7 closed+ old P8",
            ":page more :more more ~more :more !7 :7 :page !8",
        );
        check(Progress::new(), "closed cut+ P7", "~stream ~page !7");
        check(Progress::new(), "failed failed B7", "~stream ~stream !7");
    }

    #[test]
    fn what_is_too_old_is_listed_again_at_once_unless_it_is_so_again() {
        check(
            Progress::new(),
            "B7 old B8 old B9 o10 old",
            "!7 :stream !8 ~stream !9 10 :stream",
        );
        check(Progress::of_pages(), "p7 old old", "more :page ~page");
    }

    #[test]
    fn a_watch_that_is_cut_goes_on_at_once_where_it_told_something() {
        check(Progress::new(), "B7 o8 cut+ cut cut", "!7 8 :8 ~8 ~8");
    }

    #[test]
    fn what_can_not_be_read_is_listed_again() {
        check(
            Progress::new(),
            "B7 unreadable B8 unsupported",
            "!7 ~stream !8 ~stream",
        );
    }
}
