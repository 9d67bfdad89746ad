//! Health and metrics over HTTP/1.1: `GET /health/live`, `/health/ready` and `/metrics`.
//!
//! A [`Service`] of its own beside the gRPC server, for orchestrators and scrapers inside the network. It knows nothing
//! of sessions: what it tells comes through [`Facts`]. Connections are bounded, closed after each answer, and cut off
//! after a time, so nobody holds it up.

mod answer;
mod facts;
mod service;

pub use facts::{Facts, Readiness};
pub use service::{Error, Handle, Options, Service};
