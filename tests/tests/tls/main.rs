//! TLS end to end, on both ports and between bridge and hub; where plain text is refused; and who is believed and counted
//! by address.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what helpers find wrong fails the test")]

mod addresses;
mod browsers;
mod command;
mod grpc;
mod peers;
mod plain;
mod renewal;
mod stalled;
