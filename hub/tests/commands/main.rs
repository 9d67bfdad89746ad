//! Commands on the embedded store, from a caller to an answer: what the deciders decide, held by a real home.

mod administration;
mod counting;
mod events_and_inbox;
mod harness;
mod members;
mod messages;
mod retries;
mod rooms;
