//! Sessions through real gRPC: the protocol and how it is broken, tokens, recovery, slow and silent clients, drain.

mod heartbeat;
mod protocol;
mod several;
mod tokens;
