//! Sessions through real gRPC: the protocol and how it is broken, tokens, recovery, slow and silent clients, drain.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what helpers find wrong fails the test")]

mod ahead;
mod broken_off;
mod bursts;
mod crowd;
mod cursors;
mod drain;
mod full_speed;
mod half_closed;
mod health;
mod heartbeat;
mod idempotency;
mod in_order;
mod isolation;
mod keys;
mod leftovers;
mod lives;
mod many_rooms;
mod protocol;
mod recovery;
mod resting;
mod revocation;
mod several;
mod shut_window;
mod silent;
mod slow_reader;
mod starting;
mod tokens;
mod types;
