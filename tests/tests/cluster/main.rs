//! Several nodes that share Redis are one hub.

#![expect(clippy::panic, reason = "what helpers find wrong fails the test")]

mod cut_off;
mod deaths;
mod faults;
mod load;
mod nodes;
mod presence;
mod rooms;
mod users;
