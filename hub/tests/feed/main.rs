//! The feed: two nodes with a store on Redis and a bus on Redis, each telling what both commit.
#![allow(clippy::unwrap_used, clippy::panic, clippy::pedantic)] // A test that fails panics.

mod cluster;
mod faults;
mod load;
mod marks;
mod node;
mod replicas;
mod telling;
