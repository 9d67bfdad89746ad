//! Reads: each of one home is one script or command, and so a snapshot.

mod inbox;
mod rooms;
mod tenants;

pub(super) use inbox::{inbox, inbox_summary};
pub(super) use rooms::{entries, entry, latest_events, marks, member, members, room, rooms_of};
pub(super) use tenants::{known_users, rooms, tenant_figures};
