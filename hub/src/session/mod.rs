//! Connections: a session from hello to drain.

pub mod executor;
