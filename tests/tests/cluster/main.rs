//! Several nodes that share Redis are one hub.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what helpers find wrong fails the test")]

mod away;
mod clocks;
mod cut_off;
mod deaths;
mod entering;
mod failover;
mod faults;
mod figures;
mod limits;
mod load;
mod lost;
mod marks;
mod nodes;
mod presence;
mod revoked;
mod rooms;
mod tickets;
mod transports;
mod users;
mod ways;
