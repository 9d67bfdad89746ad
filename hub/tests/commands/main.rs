//! Commands on the embedded store, from a caller to an answer: what the deciders decide, held by a real home.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a step that fails, fails the test")]

mod administration;
mod counting;
mod events_and_inbox;
mod harness;
mod members;
mod messages;
mod retries;
mod rooms;
mod storage;
mod unread;
