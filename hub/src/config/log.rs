//! `[log]`: logging.

use super::check::{Broken, require};
use crate::telemetry::{LogFormat, is_log_filter};

/// The settings of logging.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// What is logged: a level, or levels per module as `tracing` filters have them (`info,carillon_hub::store=debug`).
    pub level: String,
    /// How; by mode where unset.
    pub format: Option<LogFormat>,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: None }
    }
}

impl LogSection {
    pub(super) fn check(&self) -> Result<(), Broken> {
        require(
            is_log_filter(&self.level),
            "log.level",
            "error, warn, info, debug or trace, or a filter such as \"info,carillon_hub::store=debug\"",
        )
    }
}
