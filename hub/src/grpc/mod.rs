//! The gRPC front: tonic services, protobuf to domain and back, the error table.
//!
//! Inbound frames become domain commands in [`decode`], which is where every field is checked: no transport goes round
//! it. What leaves becomes shared frames in [`encode`].

pub mod decode;
pub mod encode;
