//! Several nodes that share Redis are one hub.

mod cut_off;
mod deaths;
mod faults;
mod nodes;
mod rooms;
mod users;
