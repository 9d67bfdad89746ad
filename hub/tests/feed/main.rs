//! The feed: two nodes with a store on Redis and a bus on Redis, each telling what both commit.
#![allow(clippy::unwrap_used, clippy::panic, clippy::pedantic)] // A test that fails panics.

#[path = "../bus/server.rs"]
#[allow(dead_code)] // The bus' own tests use more of it.
mod server;

#[path = "../bus/servers.rs"]
mod servers;

mod cluster;
mod faults;
mod node;
mod telling;
