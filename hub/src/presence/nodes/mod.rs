//! Presence across nodes. Each node is the authority on its own sessions, tells the others of them, and has theirs on its own
//! boards while it has sessions of the same tenant, or is asked who of it is present.
//!
//! [`Mirror`] knows what came of the others, [`Telling`] what they were told, [`Lease`] who is there: plain data that takes
//! `now`. [`Service`] does what has to be waited for.

mod following;
mod lease;
mod mirror;
#[cfg(test)]
mod properties;
mod service;
mod telling;

pub(super) use following::Nodes;
use lease::Lease;
use mirror::{Mirror, Read};
pub use service::{Options, Service};
use telling::Telling;
