//! The vectors of `tests/vectors`: this client is held to each, before a hub in the same process that does what the vector
//! says. The folder's README has the format. Time stands still but where a vector lets it pass.

#![allow(missing_docs, unreachable_pub, reason = "test support")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod coverage;
mod files;
mod frames;
mod hub;
mod matching;
mod play;
mod sessions;
mod told;
