//! `/about`: which program this is, and what it was told.

use maud::html;
use serde::Serialize;

use super::{Shown, Stamp, Ui, html, refusal::Refusal, request::Asked};

/// A setting in force.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// Its key in the configuration file.
    pub key: String,
    /// What it is.
    pub value: String,
    /// Where that is said.
    pub source: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AboutPage {
    #[serde(flatten)]
    stamp: Stamp,
    version: &'static str,
    started: String,
    settings: Vec<Setting>,
}

impl Ui {
    pub(super) fn about(&self, asked: &Asked) -> Result<Shown<AboutPage>, Refusal> {
        asked.take_only(&[])?;
        let started = html::time(self.started);
        let markup = html! {
            (html::facts(&[
                ("Version", html! { (env!("CARGO_PKG_VERSION")) }),
                ("Running since", started),
            ]))
            h2 id="settings" { "Settings in force" }
            div.wide tabindex="0" role="region" aria-labelledby="settings" {
                table aria-labelledby="settings" {
                    thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } th scope="col" { "Said by" } } }
                    tbody {
                        @for setting in &self.settings {
                            tr {
                                th scope="row" { code { (setting.key) } }
                                td { code { (setting.value) } }
                                td { (setting.source) }
                            }
                        }
                    }
                }
            }
        };
        Ok(Shown {
            title: "About".to_owned(),
            data: AboutPage {
                stamp: self.stamp(),
                version: env!("CARGO_PKG_VERSION"),
                started: html::rfc3339(self.started),
                settings: self.settings.clone(),
            },
            markup,
            version: None,
        })
    }
}
