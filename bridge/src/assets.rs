//! The page's files, embedded at build time from `bridge/assets`.

/// One file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    /// Its path within the page.
    path: &'static str,
    /// What browsers take it for.
    pub(crate) content_type: &'static str,
    /// What is in it.
    pub(crate) bytes: &'static [u8],
}

const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file at this path.
pub(crate) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}
