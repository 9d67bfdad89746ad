//! The bridge: browsers' way to a hub. Each WebSocket is one `HubService.Session`, each event stream one that only
//! listens, each posted command one `Execute`; the bridge adds nothing of its own to what they mean.
//!
//! A connection comes in at [`server`], which bounds it, and has a [`place`] among those of its address until somebody
//! known uses it, and gives way where there is no [`room`] while nobody known does; [`routes`] says what its request is for. An upgraded one becomes a [`socket`], a stream of server-sent events an [`events`] body. All reach the hub through the port of
//! `carillon_proto`: in the same process, or through [`remote`], gRPC to hubs elsewhere.
//!
//! Start with [`server`], then [`routes`], then `socket/mod.rs`.

mod assets;
mod caller;
mod commands;
mod events;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod heard;
mod json;
mod options;
mod origins;
mod page;
mod patient;
mod place;
pub mod remote;
mod respond;
mod room;
mod routes;
mod server;
mod socket;
mod told;
mod trace;
mod upgrade;

pub use carillon_net::addresses::AddressLimits;
pub use carillon_net::tls::{ClientTls, Protocol, ServerTls};
pub use options::{Options, Page};
pub use origins::{OriginError, Origins};
pub use server::{BindError, Bridge};
