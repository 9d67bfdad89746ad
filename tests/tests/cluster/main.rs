//! Several nodes that share Redis are one hub.
#![expect(clippy::panic, reason = "a test that fails panics")]

mod faults;
mod nodes;
mod rooms;
mod users;
