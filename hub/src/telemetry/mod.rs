//! Logs, and the metrics that `/metrics` shows.
//!
//! [`Metrics`] is what others hold. What happens per delivery or per command is counted in [`Counters`] and
//! [`Commands`], atomics that are read when somebody asks; what is rare goes through the `metrics` crate's macros into
//! a recorder. [`Metrics::render`] writes both as one text in Prometheus' format. Every name is in [`names`].

mod commands;
mod connections;
mod counters;
mod exposition;
mod histogram;
mod log;
mod memory;
mod metrics;
pub mod names;
mod nodes;
mod seldom_each;
mod snapshot;
pub mod traces;

pub use commands::Commands;
pub use connections::ConnectionsFigures;
pub use counters::{Counter, Counters, Level};
pub use histogram::Histogram;
pub use log::{LogError, LogFormat, LogOptions, init_log, is_log_filter};
pub use memory::resident_bytes;
pub use metrics::{Figures, InstallError, Metrics, OpenSession};
pub use nodes::NodesFigures;
pub use seldom_each::SeldomEach;
pub use snapshot::{Rates, Snapshot};
