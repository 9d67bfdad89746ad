//! What nodes tell each other: the port, its adapters, and the order that is made of what comes in.
//!
//! A topic is a channel that a node hears while it wants to ([`Bus`]). What comes out of [`Events`] may be late, twice, in
//! another order or not at all; [`sequence`] makes of it what is told. Durable changes are published by the store's own
//! step, so each channel's order is that of the commits; here only what is in no log is published. What nodes keep beside
//! the channels, their leases and sessions, is the [`registry`]'s.

pub mod envelope;
mod events;
pub mod feed;
mod local;
mod port;
pub mod redis;
pub mod registry;
pub mod sequence;
pub mod sessions;

/// The byte forms of what nodes say to each other.
pub mod wire {
    pub use crate::redis::{Malformed, Reader, put_bytes16};
}

pub use events::{Events, EventsIn, queue};
pub use local::{Exchange, Local};
pub use port::{Bus, BusError, BusFigures, Calling, Event, Topic};
