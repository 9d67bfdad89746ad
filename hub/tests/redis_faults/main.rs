//! The store on Redis while Redis stalls, dies and fails over: what was acknowledged is there, once, in its place; what was
//! not is asked again with the same key and is there once too.
//!
//! Each test prints its figures.
#![allow(clippy::unwrap_used, clippy::panic, clippy::pedantic)] // A test that fails panics.

#[allow(dead_code)] // The suite needs more of it.
#[path = "../store_conformance/harness.rs"]
mod harness;

mod effects;
mod failover;
mod gone;
mod index;
mod lanes;
mod load;
mod loss;
mod nodes;
mod replacing;
mod replicas;
mod replicas_know;
mod resharding;
mod restart;
mod restored;
mod revoked;
mod rights;
mod settings;
mod stall;
mod upkeep;
mod versions;
mod writes;
