//! The `carillon.v1` protocol: the types that travel, and the frames that carry them.
//!
//! `carillon/v1/*.proto` beside this crate is the protocol; `build.rs` compiles it into [`v1`]. A hub converts what
//! arrives into its own domain types at once, and encodes what leaves into a [`Frame`], which all receivers share.
//! [`port`] is how a front such as the bridge reaches a hub, be it in the same process or elsewhere; [`wire`] says how
//! each error looks on each transport; [`shortcut`] is how a hub in the same process writes past a front's task. The types' serde forms are the canonical JSON of protobuf.
//!
//! Start reading at `carillon/v1/session.proto`: its two messages name every command, reply and push.

pub mod frame;
mod open_enum;
mod place;
pub mod port;
pub mod shortcut;
pub mod wire;

pub use frame::{Frame, WebSocketForm};
pub use place::Place;
pub use wire::WireRow;

/// The generated types, clients and servers of package `carillon.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    rustdoc::all,
    reason = "generated code; the .proto files hold its documentation"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/carillon.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/carillon.v1.serde.rs"));
}

/// The protocol's encoded `google.protobuf.FileDescriptorSet`, without comments, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/carillon.v1.bin"));

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::{FileDescriptorSet, ServiceDescriptorProto};

    use super::FILE_DESCRIPTOR_SET;

    #[test]
    fn descriptors_name_the_services() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut services: Vec<&str> =
            set.file.iter().flat_map(|file| &file.service).map(ServiceDescriptorProto::name).collect();
        services.sort_unstable();
        assert_eq!(services, ["AdminService", "AuthorizerService", "HubService"]);
    }

    /// `Execute` is a part of `Session`: same names, same numbers, same types.
    #[test]
    fn execute_numbers_are_those_of_the_session() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let fields = |name: &str| {
            let message = set.file.iter().flat_map(|file| &file.message_type).find(|m| m.name() == name);
            let fields = message.unwrap().field.iter();
            fields.map(|f| (f.number(), f.name(), f.type_name())).collect::<Vec<_>>()
        };
        for (part, whole) in [("ExecuteRequest", "SessionRequest"), ("ExecuteResponse", "SessionResponse")] {
            let whole = fields(whole);
            for field in fields(part) {
                assert!(whole.contains(&field), "{part} differs from the session at {field:?}");
            }
        }
    }
}
