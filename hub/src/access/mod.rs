//! Who may: authentication, and the one place that decides on every command.

pub mod authentication;
pub mod authorizer;
pub mod breaker;
pub mod bridges;
pub mod limits;
pub mod revocation;
pub mod rules;
pub mod storage;
pub mod tickets;
