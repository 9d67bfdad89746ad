//! Logs, and the metrics that `/metrics` shows.

mod log;

pub use log::{LogError, LogFormat, LogOptions, init_log, is_log_filter};
