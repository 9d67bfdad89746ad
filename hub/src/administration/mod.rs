//! What services and administrators do: rooms, members, sessions, notifications, erasure.
