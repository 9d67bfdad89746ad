//! Frames of entries that were changed after they were made.

use carillon_proto::v1::session_response::Kind;
use carillon_proto::{Frame, v1};
use prost::Message as _;

use super::parts;
use crate::domain::entry::{Entry, EntryBody};

/// What a frame says after `change`, which is about the same message: as the store gives it from then on.
pub(super) fn revised(frame: &Frame, change: &Entry) -> Option<v1::SessionResponse> {
    let mut response = v1::SessionResponse::decode(frame.message()).ok()?;
    match (&mut response.kind, &change.body) {
        (Some(Kind::Message(message)), EntryBody::Edit { content, version, .. }) => {
            message.content = content.as_ref().map(parts::content);
            message.version = *version;
            message.edited_time_ms = change.time.millis();
        }
        (Some(Kind::Message(message)), EntryBody::Deletion { .. }) => {
            message.content = None;
            message.attributes.clear();
            message.deleted = true;
        }
        (Some(Kind::MessageEdited(edited)), EntryBody::Deletion { .. }) => edited.content = None,
        _ => return None,
    }
    Some(response)
}
