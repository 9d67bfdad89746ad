//! Several nodes that share Redis are one hub.

mod deaths;
mod faults;
mod nodes;
mod rooms;
mod users;
