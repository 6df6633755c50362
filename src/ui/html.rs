//! What pages have in common. Whatever is not ours is escaped by `maud`.

use std::time::SystemTime;

use maud::{DOCTYPE, Markup, html};

use super::{
    Stamp,
    assets::{ICON, MODULE, STYLE},
    refusal::Refusal,
    request::Asked,
};
use crate::dns::Name;

/// The pages by their names, in the order of the navigation.
const PAGES: [(&str, &str); 7] = [
    ("", "Overview"),
    ("hosts", "Hosts"),
    ("changes", "Changes"),
    ("migration", "Migration"),
    ("problems", "Problems"),
    ("forwarding", "Forwarding"),
    ("about", "About"),
];

/// A whole page around its content.
pub(super) fn page(asked: &Asked, title: &str, stamp: &Stamp, content: &Markup) -> Markup {
    let current = asked.path.first().map_or("", String::as_str);
    let refresh = asked.refresh().ok().flatten();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh {
                    meta http-equiv="refresh" content=(seconds);
                }
                title { (title) " · meshdns" }
                link rel="icon" href=(asked.link(&[&ICON.name], &[]));
                link rel="stylesheet" href=(asked.link(&[&STYLE.name], &[]));
                script type="module" src=(asked.link(&[&MODULE.name], &[])) {}
            }
            body data-events=[topic(asked).filter(|_| refresh.is_none()).map(|topic| asked.link(&["api", "v1", "events"], &[("topic", &topic)]))] {
                a.skip href="#content" { "Skip to the content" }
                header {
                    p.brand { a href=(asked.link(&[], &[])) { "meshdns" } }
                    nav aria-label="Pages" {
                        ul {
                            @for (path, name) in PAGES {
                                li {
                                    @let parts: &[&str] = if path.is_empty() { &[] } else { &[path] };
                                    a href=(asked.link(parts, &[])) aria-current=[(path == current).then_some("page")] { (name) }
                                }
                            }
                        }
                    }
                }
                main id="content" tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                footer id="stamp" data-live="" {
                    p {
                        "Generation " (stamp.generation) ", serial " (stamp.serial) ", as of "
                        time datetime=(stamp.time) { (stamp.time) }
                        ". "
                        @if refresh.is_some() { "Fetched anew by itself." }
                        @else { a href=(asked.link_with(&asked.path.iter().map(String::as_str).collect::<Vec<_>>(), "refresh", "10")) { "Fetch anew every 10 s" } }
                    }
                }
            }
        }
    }
}

/// What a page changes with; `None` where it never does.
fn topic(asked: &Asked) -> Option<String> {
    match asked.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["about"] => None,
        ["hosts", host] => Some(format!("host:{host}")),
        _ => Some("status".to_owned()),
    }
}

/// A link to the page of a host.
pub(super) fn host_link(asked: &Asked, host: &Name) -> Markup {
    let host = host.to_host();
    html! { a href=(asked.link(&["hosts", &host], &[])) { (host) } }
}

/// Why there is no page.
pub(super) fn refusal(refusal: &Refusal) -> Markup {
    html! {
        p.refusal role="alert" { (refusal.status.as_u16()) ": " (refusal.message) }
    }
}

/// A time as it is written everywhere.
pub(super) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// A time for people; the module adds how long ago that is.
pub(super) fn time(time: SystemTime) -> Markup {
    let text = rfc3339(time);
    html! { time datetime=(text) { (text) } }
}

/// A definition list.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}
