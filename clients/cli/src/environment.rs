//! Variables that stand in for options. What is typed beats them: an option that excludes another also excludes the
//! variable in its place, which `clap` by itself would call a conflict.

use std::env;
use std::path::PathBuf;

/// Which hub.
pub(crate) const ADDR: &str = "CARILLON_ADDR";
/// The authorities that sign the hub's certificate.
pub(crate) const CA: &str = "CARILLON_CA";
/// The token to show.
pub(crate) const TOKEN: &str = "CARILLON_TOKEN";
/// The configuration file.
pub(crate) const CONFIG: &str = "CARILLON_CONFIG";
/// The data folder of `serve --dev`.
pub(crate) const DATA: &str = "CARILLON_DATA";

/// What settings of a hub begin with, which stand over those of its file.
const SETTING: &str = "CARILLON__";

/// Where that folder is unless told otherwise.
const DATA_DEFAULT: &str = "./carillon-data";

/// A variable's text. An empty one is none.
pub(crate) fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// A variable's path.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The data folder: as typed, as the variable says, or the default.
pub(crate) fn data(typed: Option<&PathBuf>) -> PathBuf {
    typed.cloned().or_else(|| path(DATA)).unwrap_or_else(|| DATA_DEFAULT.into())
}

/// Whether there are settings of a hub.
pub(crate) fn has_settings() -> bool {
    env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with(SETTING))
}
