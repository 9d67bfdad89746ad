//! The bus: a suite that every adapter passes as it is, and what a real Redis does to the one on it. A new adapter
//! implements [`harness::Fixture`] and names it in `conformance!`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::pedantic)] // A test that fails panics.

mod harness;

mod conformance;

mod cluster;
mod faults;
mod leases;
mod local;
mod redis;
mod registered;
mod shared_limits;
mod shared_tickets;
