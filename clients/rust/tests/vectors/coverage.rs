//! The vectors leave nothing of the protocol out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use carillon_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use serde_json::Value;

use crate::files;

/// The protocol's messages by name.
struct Protocol(BTreeMap<String, DescriptorProto>);

impl Protocol {
    fn read() -> Self {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let messages = set.file.into_iter().flat_map(|file| file.message_type);
        Self(messages.map(|message| (message.name().to_owned(), message)).collect())
    }

    /// The message that a field holds; `None` for numbers, texts, and maps of them.
    fn within(&self, field: &FieldDescriptorProto) -> Option<&DescriptorProto> {
        self.0.get(field.type_name().rsplit('.').next()?)
    }

    /// All fields that a message leads to, as `Message.field`.
    fn fields(&self, of: &DescriptorProto, found: &mut BTreeSet<String>) {
        for field in &of.field {
            if found.insert(format!("{}.{}", of.name(), field.json_name()))
                && let Some(within) = self.within(field)
            {
                self.fields(within, found);
            }
        }
    }

    /// Takes away the fields that are set here.
    fn set_in(&self, json: &Value, of: &DescriptorProto, left: &mut BTreeSet<String>) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.set_in(item, of, left)),
            Value::Object(values) => {
                for field in of.field.iter().filter(|field| values.contains_key(field.json_name())) {
                    left.remove(&format!("{}.{}", of.name(), field.json_name()));
                    if let Some(within) = self.within(field) {
                        self.set_in(&values[field.json_name()], within, left);
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_field_of_every_frame_is_in_a_vector() {
    let protocol = Protocol::read();
    let mut left = BTreeSet::new();
    for frame in ["SessionRequest", "SessionResponse"] {
        protocol.fields(&protocol.0[frame], &mut left);
    }
    assert!(left.len() > 200, "{} fields", left.len());
    for vector in files::frames() {
        if let Some(json) = &vector.json {
            protocol.set_in(json, &protocol.0[&format!("{:?}", vector.of)], &mut left);
        }
    }
    assert!(left.is_empty(), "no vector has {left:?}");
}

#[test]
fn vectors_have_names_of_their_own() {
    let frames = files::frames();
    let scripts = files::scripts();
    let names = frames.iter().map(|vector| &vector.name).chain(scripts.iter().map(|(name, _)| name));
    let mut seen = HashSet::new();
    let twice: Vec<_> = names.filter(|name| !seen.insert(*name)).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
