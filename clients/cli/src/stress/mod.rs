//! `carillon stress`: scenarios that check themselves, side by side against one hub.
//!
//! Each scenario is a file in [`scenarios`]. It gets a [`world`]: a tenant of its own, tokens for as many users as it
//! wants, and random numbers that follow from the seed; so the same seed gives the same commands, whatever runs beside
//! it. It fails at the first broken invariant, and says which. [`person`] and [`copy`] are users of the client library
//! and what they have of a room, [`talk`] is what they say; [`wire`] is a session frame by frame, for what the library would never do; [`mod@line`]
//! is a connection that can be cut, and [`gateway`] the way over a bridge. When a scenario has ended, [`residue`] looks for what it left behind in the hub.
//!
//! [`target`] finds the hub, or starts one; [`report`] says what came of it, and how to run a failure again.

mod copy;
mod fault;
mod gateway;
mod line;
mod options;
mod person;
mod random;
mod report;
mod residue;
mod run;
mod scenarios;
mod talk;
mod target;
mod wire;
mod world;

pub(crate) use options::Options;
pub(crate) use run::{StressError, run};
