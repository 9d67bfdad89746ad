//! The gRPC front: tonic services, protobuf to domain and back, the error table.
//!
//! Inbound frames become domain commands in [`decode`], which is where every field is checked: no transport goes round
//! it. What leaves becomes shared frames in [`encode`].

pub mod admin;
pub mod authorizer;
pub mod bodies;
pub mod call;
mod connections;
pub mod decode;
pub mod door;
mod due;
mod early;
pub mod edge;
pub mod encode;
pub mod errors;
pub mod execute;
mod frames;
pub mod health;
mod io;
pub mod local;
mod overview;
pub mod ports;
pub mod router;
pub mod server;
mod session_body;
mod session_inbound;
pub mod session_service;
mod streams;

#[cfg(test)]
mod fakes;
