//! The gRPC front: tonic services, protobuf to domain and back, the error table.
