//! Redis servers of a test's own, alone or as a cluster: child processes in folders that go with them.
//!
//! They come and go, stand still and lose what they kept as a test says, and the network before one fails as a test says. What cannot be done panics: these are tests.

#![expect(clippy::panic, reason = "what the harness finds wrong fails the test")]

mod cluster;
mod proxy;
mod server;

pub use cluster::{Cluster, LAST};
pub use proxy::Proxy;
pub use server::{Backup, Keeps, Server};
