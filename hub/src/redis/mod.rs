//! What the adapters on Redis share: the connection, the names of keys and channels, and the byte forms of domain values.
//!
//! Every key bears the hash tag of its home's [`Partition`], so that a script reaches all of a home's keys on whichever
//! server of a cluster holds them.

mod back_off;
mod error;
mod keeper;
pub mod link;
pub mod message;
pub mod names;
pub mod notice;
pub mod options;
pub mod record;
mod seeds;
pub mod server;
pub mod slots;
mod traffic;
mod wire;

pub use error::{LinkError, is_moving};
pub use keeper::{connect, keep};
pub use link::Link;
pub use names::{Names, Partition};
pub use options::{Durability, Options};
pub use server::{Server, Way};
pub use traffic::{LinkFigures, Traffic};
pub use wire::{Malformed, Reader, put_bytes16, put_bytes32};
