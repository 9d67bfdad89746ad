//! From a committed entry to the sessions that follow its room: tails, cursors and wake-ups.

pub mod encoder;
