//! Several nodes that share Redis are one hub.

mod cut_off;
mod deaths;
mod faults;
mod limits;
mod marks;
mod nodes;
mod presence;
mod rooms;
mod users;
