//! Reads: each of one home is one script or command, and so a snapshot.

mod inbox;
mod members;
mod rooms;
mod tenants;

pub(super) use inbox::{inbox, inbox_head, inbox_summary};
pub(super) use members::{marks, marks_of, member, members, members_among};
pub(super) use rooms::{entries, entry, latest_events, room, room_names_of, rooms_of};
pub(super) use tenants::{known_users, rooms, tenant_figures};
