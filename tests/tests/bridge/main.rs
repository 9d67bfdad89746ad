//! Browsers' way in: WebSocket in both sub-protocols, event streams, posted commands, and what must not come through.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what helpers find wrong fails the test")]

mod apart;
mod broken;
mod crowded;
mod edge;
mod events;
mod full;
mod listening;
mod posted;
mod refusals;
mod resting;
mod revoked;
mod silent;
mod sockets;
mod traces;
mod unknown;
