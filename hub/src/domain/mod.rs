//! The hub's words as types: names, positions, entries, receipts, presence, inbox, commands and what answers them.
//!
//! Everything here is plain synchronous data. Nothing reads a clock (callers pass `now`), nothing waits, and parsing is
//! the only way to make a value, so that whoever holds one holds a valid one. Start with [`names`] and [`entry`].

pub mod audit;
pub mod caller;
pub mod command;
pub mod content;
pub mod cursor;
pub mod derived;
pub mod entry;
pub mod error;
pub mod few;
mod html;
pub mod inbox;
pub mod limits;
pub mod marks;
pub mod media;
pub mod member;
pub mod names;
pub mod namespace;
pub mod peer;
pub mod position;
pub mod powers;
pub mod presence;
pub mod push;
pub mod rate;
pub mod reply;
pub mod revocation;
pub mod roles;
pub mod room;
pub mod seldom;
pub mod time;
