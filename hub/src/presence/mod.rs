//! Presence and typing of live sessions: who is there, on how many devices, and what the others are told about it.
//!
//! [`Board`] is one tenant's presence as plain state: a command goes in with `now`, the [`Notice`]s that follow from it
//! come out. [`Typing`] is the same for typing indicators. [`Presence`] is the handle that the rest of the hub holds:
//! boards behind locks, and notices handed to a [`NoticeSink`] in the order in which they arose. [`nodes`] puts on them who is
//! on other nodes. Start with [`Board`].

mod board;
mod device;
mod handle;
#[cfg(test)]
mod model;
pub mod nodes;
mod notice;
mod options;
mod present;
#[cfg(test)]
mod properties;
mod room;
mod spare;
#[cfg(test)]
mod tests;
mod typing;
mod watchers;

pub use board::{Board, Page};
pub use handle::Presence;
pub use notice::{Audience, MergeKey, Notice, NoticeSink};
pub use options::Options;
pub use typing::Typing;
