//! The hub: sessions, rooms with durable logs, receipts, presence and notifications behind one gRPC stream.
//!
//! A command's way: `grpc` parses the frame into a domain command, `session` asks `access` whether the caller may, an
//! area decides on an outcome, `store` commits it, and what was committed goes to `delivery`, which wakes the sessions
//! that follow it. Start reading at [`domain`], then [`store`], then [`delivery`]; `app` puts the parts together.

pub mod access;
pub mod administration;
pub mod app;
pub mod audit;
pub mod bus;
pub mod config;
pub mod conversations;
pub mod delivery;
pub mod domain;
pub mod events;
pub mod grpc;
pub mod http;
pub mod inbox;
pub mod presence;
pub mod redis;
pub mod session;
pub mod store;
pub mod telemetry;
