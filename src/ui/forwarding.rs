//! `/forwarding`: who answers for names that are not ours.

use maud::html;
use serde::Serialize;

use super::{Shown, Stamp, Ui, html, refusal::Refusal, request::Asked};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForwardingPage {
    #[serde(flatten)]
    stamp: Stamp,
    routes: Vec<Route>,
    upstreams: Vec<Upstream>,
    cache: Option<Cache>,
}

#[derive(Serialize)]
struct Route {
    domain: String,
    upstreams: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Upstream {
    name: String,
    up: bool,
    asked: u64,
    unanswered: u64,
    reply_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Cache {
    entries: usize,
    bytes: u64,
    hits: u64,
    misses: u64,
    stale: u64,
}

impl Ui {
    pub(super) fn forwarding(&self, asked: &Asked) -> Result<Shown<ForwardingPage>, Refusal> {
        asked.take_only(&[])?;
        let forwarder = self.forwarding.load_full();
        let views = |forwarder: &crate::forward::Forwarder| {
            let routes = forwarder.route_views().into_iter();
            let upstreams = forwarder.upstream_views().into_iter();
            let routes = routes.map(|route| Route {
                domain: route.domain.to_host(),
                upstreams: route.upstreams,
            });
            let upstreams = upstreams.map(|upstream| Upstream {
                name: upstream.name,
                up: upstream.is_up,
                asked: upstream.asked,
                unanswered: upstream.unanswered,
                reply_seconds: upstream.takes.map(|takes| takes.as_secs_f64()),
            });
            (routes.collect(), upstreams.collect())
        };
        let (routes, upstreams): (Vec<Route>, Vec<Upstream>) =
            forwarder.as_deref().map(views).unwrap_or_default();
        let cache = forwarder.as_deref().map(|forwarder| {
            let view = forwarder.cache_view();
            Cache {
                entries: view.entries,
                bytes: view.bytes,
                hits: view.hits,
                misses: view.misses,
                stale: view.stale,
            }
        });
        let data = ForwardingPage {
            stamp: self.stamp(),
            routes,
            upstreams,
            cache,
        };
        let markup = html! {
            div id="forwarding" data-live="" {
                @if data.routes.is_empty() {
                    p { "Nothing is forwarded: names that are not of the mesh are refused." }
                } @else {
                    h2 id="routes" { "Routes" }
                    (html::facts(&data.routes.iter().map(|route| {
                        (route.domain.as_str(), html! { (route.upstreams.join(", ")) })
                    }).collect::<Vec<_>>()))
                    h2 id="upstreams" { "Upstreams" }
                    div.wide tabindex="0" role="region" aria-labelledby="upstreams" {
                        table aria-labelledby="upstreams" {
                            thead { tr { th scope="col" { "Upstream" } th scope="col" { "State" } th.number scope="col" { "Asked" } th.number scope="col" { "Unanswered" } th.number scope="col" { "Replies in" } } }
                            tbody {
                                @for upstream in &data.upstreams {
                                    tr {
                                        th scope="row" { (upstream.name) }
                                        td { @if upstream.up { span.in { "● up" } } @else { span.out { "✕ down" } } }
                                        td.number { (upstream.asked) }
                                        td.number { (upstream.unanswered) }
                                        td.number {
                                            @match upstream.reply_seconds {
                                                Some(seconds) => { (format!("{:.1} ms", seconds * 1000.0)) }
                                                None => "-",
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                    @if let Some(cache) = &data.cache {
                        h2 { "Kept answers" }
                        (html::facts(&[
                            ("Answers", html! { (cache.entries) ", " (cache.bytes / 1024) " KiB" }),
                            ("Given from there", html! { (cache.hits) }),
                            ("Asked for", html! { (cache.misses) }),
                            ("Given too old", html! { (cache.stale) }),
                        ]))
                    }
                }
            }
        };
        Ok(Shown {
            title: "Forwarding".to_owned(),
            version: None,
            data,
            markup,
        })
    }
}
