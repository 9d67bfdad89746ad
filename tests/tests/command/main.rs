//! The `carillon` command, run as scripts run it: what it prints, as text and as JSON, where it prints it, and how it
//! exits. `cargo build -p carillon` builds it.

#![expect(clippy::unwrap_used, reason = "what helpers find wrong fails the test")]

mod administering;
mod auditing;
mod bridging;
mod chatting;
mod failing;
mod hostile;
mod listening;
mod measuring;
mod notifying;
mod page;
mod precedence;
mod secrets;
mod sending;
mod settings;
mod storage;
mod tokens;
