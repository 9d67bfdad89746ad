//! A harness that reads like the story: start a hub, let alice and bob in, and see what each is told.
//!
//! [`hub()`] starts one inside the test's process, on free ports and with a data folder of its own. Everything goes
//! through the interfaces that users have.

pub mod hub;
pub mod line;
pub mod people;
pub mod story;

pub use hub::{TestHub, hub};
pub use line::Line;
pub use people::{Person, seq, words};
