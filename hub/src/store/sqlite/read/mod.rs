//! Reads: what is unsettled is copied first, then the database is read, in one snapshot (see
//! [`overlay`](super::overlay)).

mod entries;
mod inbox;
mod members;
mod memberships;
mod reactions;
mod rooms;
mod tenants;
