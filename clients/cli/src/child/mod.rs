//! A hub's process of our own, for `bench --self` and `stress --self`: starts it, reads what it uses, and ends it.

mod server;
mod usage;

pub(crate) use server::{Server, ServerError};
pub(crate) use usage::{Process, UsageError};
