//! Log lines: text for a terminal, JSON for whatever collects them. Always to standard error, since standard output is
//! for what a command prints.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object per line (row LM1).
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// A level, or a filter of `tracing`, as `info,carillon_hub::store=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// Why logging did not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is none.
    #[error("not a log filter: {0}")]
    Filter(String),
    /// The process has a logger already.
    #[error("logging has begun already")]
    Begun,
}

/// Begins logging for the whole process. Once per process.
pub fn init_log(options: &LogOptions) -> Result<(), LogError> {
    let filter =
        EnvFilter::builder().parse(&options.filter).map_err(|_| LogError::Filter(options.filter.clone()))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let begun = match options.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    };
    begun.map_err(|_| LogError::Begun)
}

/// Whether a text is a filter that [`init_log`] takes.
pub fn is_log_filter(text: &str) -> bool {
    !text.trim().is_empty() && EnvFilter::builder().parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_modules_are_filters() {
        for filter in ["info", "warn", "info,carillon_hub::store=debug", "off"] {
            assert!(is_log_filter(filter), "{filter}");
        }
        for other in ["", " ", "info,=", "carillon_hub=loud"] {
            assert!(!is_log_filter(other), "{other}");
        }
    }
}
