//! The client library of Carillon: one stream to a hub, kept open over failures.
//!
//! A [`Client`] sends commands, one async function each; [`Events`] is the stream of what the hub pushes. When the
//! connection breaks, the library opens a new session by itself: it waits a random time, asks the [`TokenProvider`] for
//! a token, and resumes each joined room after the last entry that came. So the caller gets each entry once and in
//! order, and each command completes once: commands without an answer are sent again with the same idempotency key.
//! Where the hub cannot hand over what was missed, [`Event::Truncated`] says so: drop the copy of the room, read history.
//!
//! That holds while the process lives. To hold it over restarts, store [`Client::positions`] with what was processed, and
//! give it to [`ClientOptions::resume`].
//!
//! ```no_run
//! use carillon_client::{Client, ClientOptions, Event};
//!
//! # async fn example(token: String) -> Result<(), Box<dyn std::error::Error>> {
//! let options = ClientOptions::new("http://127.0.0.1:7420").token(token);
//! let (client, mut events) = Client::connect(options).await?;
//! client.join("conversation:9f2c").await?;
//! let sent = client.send("conversation:9f2c", "good morning").await?;
//! println!("stored as entry {}", sent.position.unwrap_or_default().seq);
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => println!("{message:?}"),
//!         Event::Disconnected(how) => println!("{}, again in {:?}", how.reason, how.reconnect_after),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Requests without a session: [`Executor`] for users, [`AdminClient`] for services.
//!
//! Start reading at `driver.rs`, the task behind a client; `rooms.rs` decides what is a duplicate, `reconnect.rs` when to
//! try again, `pending.rs` keeps the commands under way, `late.rs` the rooms that `hello` had no place for.

mod admin;
mod client;
mod code;
mod commands;
mod driver;
mod error;
mod events;
mod execute;
mod handover;
mod late;
mod options;
mod pending;
mod positions;
mod reconnect;
mod reply;
mod rooms;
mod session;
mod token;
mod unary;

pub use admin::AdminClient;
pub use carillon_proto::v1;
pub use client::Client;
pub use code::Code;
pub use commands::text;
pub use error::{CommandError, ConnectError, Refusal, Violation};
pub use events::{Disconnected, Event};
pub use execute::Executor;
pub use handover::Events;
pub use options::{ClientOptions, shared_channel};
pub use positions::{Positions, RoomPlace};
pub use reply::Reply;
pub use token::{StaticToken, TokenError, TokenFuture, TokenProvider, TokenReason};
