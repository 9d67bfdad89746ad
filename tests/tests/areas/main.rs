//! The areas end to end: each command and push, through gRPC as users and services have it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what helpers find wrong fails the test")]

mod administration;
mod audit;
mod audit_bounds;
mod audit_names;
mod audit_openings;
mod audit_tickets;
mod authorizer;
mod broadcasts;
mod content;
mod conversations;
mod edits;
mod erasure;
mod events;
mod execute;
mod grants;
mod history;
mod html;
mod inbox;
mod joining_again;
mod keyed;
mod large_rooms;
mod limits;
mod marks;
mod members;
mod openings;
mod presence;
mod random_mix;
mod rates;
mod removal;
mod resumed;
mod role_actions;
mod roles;
mod service_rates;
mod services;
mod sessions;
mod storage;
mod too_long;
mod typing;
mod unread;
