//! Composition: the only place that names concrete adapters.
//!
//! [`Hub::start`] opens the store, puts the services together and starts one runtime per worker, each with a listener,
//! a delivery shard and a sweep of its own; [`Hub::stop`] drains them. The process around it (signals, exit code) is
//! the command's.

mod audit;
mod error;
mod facts;
mod front;
mod grpc;
mod hub;
mod keys;
mod listeners;
mod nodes;
mod outage;
mod ports;
mod stopped;
mod stores;
mod traces;
mod worker;

pub use error::StartError;
pub use front::Front;
pub use hub::Hub;
pub use stopped::Stopped;
pub use stores::renew_epoch;

#[cfg(test)]
mod tests;
