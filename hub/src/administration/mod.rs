//! What services and administrators do: rooms, members, sessions, notifications, erasure.

pub mod commands;
