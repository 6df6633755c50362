//! `/`: whether all is well, in words.

use maud::html;
use serde::Serialize;

use super::{Shown, Stamp, Ui, refusal::Refusal, request::Asked};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OverviewPage {
    #[serde(flatten)]
    stamp: Stamp,
    hosts: usize,
}

impl Ui {
    pub(super) fn overview(&self, asked: &Asked) -> Result<Shown<OverviewPage>, Refusal> {
        asked.take_only(&[])?;
        let status = self.status.load_full();
        Ok(Shown {
            title: "Overview".to_owned(),
            data: OverviewPage {
                stamp: self.stamp(),
                hosts: status.hosts,
            },
            markup: html! { p { (status.hosts) " hosts are answered." } },
            version: None,
        })
    }
}
