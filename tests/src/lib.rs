//! A harness that reads like the story: start a hub, let alice and bob in, and see what each is told.
//!
//! [`hub()`] starts one inside the test's process, on free ports and with a data folder of its own. Everything goes
//! through the interfaces that users have. [`Wire`] is for what no library would send.

#![expect(clippy::panic, reason = "what the harness finds wrong fails the test")]

pub mod browser;
pub mod certificates;
pub mod command;
pub mod errors_page;
pub mod hub;
pub mod log;
pub mod people;
pub mod process;
pub mod story;
pub mod wire;

pub use carillon_test_redis::{Cluster, Keeps, Proxy, Server as Redis};
pub use certificates::Authority;
pub use hub::{Plan, TestHub, hub};
pub use log::Reader;
pub use people::{PATIENCE, Person, seq, words};
pub use wire::Wire;
