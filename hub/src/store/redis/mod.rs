//! The store on Redis, for many nodes.
//!
//! One script commits an outcome at its home: it checks the conditions, finds retries, assigns seq, writes, and puts
//! effects on other homes into the outbox of the home's partition, all or nothing. Effects are applied after, in order,
//! each once ([`outbox`]); whoever finds some that wait applies them, so a node that dies leaves none behind.
//!
//! Outcomes go through lanes ([`lane`]), one for each server, where partitions take turns and the order of a home's commits
//! is the order in which they were asked for. What waits in a lane goes out in one piece ([`batch`]); it does not wait for
//! one's answers before it sends the next. A thread of its own carries lanes, outbox, upkeep and [`heartbeat`], and tells the sink. Reads go straight to the connection that all share; where
//! replicas are waited for ([`barrier`]) commits have another one, and reads show what is [`durable`].
//!
//! Start with `lua/room.lua` (what a commit does), then [`commit`] and [`lane`]. `lua/common.lua` lists the keys.

mod answer;
mod arguments;
mod asked;
mod audit;
mod barrier;
mod batch;
mod broadcasts;
mod call;
mod commit;
mod durable;
mod epochs;
mod erase;
mod handle;
mod heartbeat;
mod held;
mod idempotency;
mod identity;
mod inbox;
mod lane;
mod limits;
mod lives;
mod options;
mod outbox;
mod partitions;
mod pass;
mod policy;
mod publish;
mod queue;
mod random;
mod read;
mod reindex;
mod revocations;
mod revoked;
mod routes;
mod script;
mod shared;
mod state;
mod stored;
mod survival;
mod trim;
mod upkeep;
mod worker;

pub use handle::RedisStore;
pub use options::{OpenError, Options};
