//! What pages load besides themselves: compiled in, and named by what is in it, so that a browser keeps it for good.

use std::sync::LazyLock;

/// A file.
pub(super) struct Asset {
    pub(super) name: String,
    pub(super) content_type: &'static str,
    pub(super) content: &'static [u8],
}

impl Asset {
    fn new(stem: &str, end: &str, content_type: &'static str, content: &'static [u8]) -> Self {
        let hash = crc32c::crc32c(content);
        Self {
            name: format!("{stem}-{hash:08x}.{end}"),
            content_type,
            content,
        }
    }
}

pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_bytes!("assets/style.css");
    Asset::new("style", "css", "text/css; charset=utf-8", content)
});

pub(super) static MODULE: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_bytes!("assets/live.js");
    Asset::new("live", "js", "text/javascript; charset=utf-8", content)
});

pub(super) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    let content = include_bytes!("assets/icon.svg");
    Asset::new("icon", "svg", "image/svg+xml", content)
});

/// The file with this name.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    let all: [&Asset; 3] = [&STYLE, &MODULE, &ICON];
    all.into_iter().find(|asset| asset.name == name)
}
