//! Contents and events.

use carillon_proto::v1;
use carillon_proto::v1::content::Body;

use crate::domain::command::Stateless;
use crate::domain::content::Content;
use crate::domain::entry::{Event, EventKey, EventName};
use crate::domain::error::Refusal;
use crate::domain::names::RoomName;

/// How a violation names a content and its fields: by where the content stands in the command.
#[derive(Clone, Copy)]
pub(crate) struct ContentPaths {
    whole: &'static str,
    text: &'static str,
    data: &'static str,
    media_type: &'static str,
}

impl ContentPaths {
    /// A message's content.
    pub(crate) const CONTENT: Self = Self {
        whole: "content",
        text: "content.text",
        data: "content.data",
        media_type: "content.media_type",
    };
    /// An event's payload.
    pub(crate) const PAYLOAD: Self = Self {
        whole: "payload",
        text: "payload.text",
        data: "payload.data",
        media_type: "payload.media_type",
    };
    /// A notification's body.
    pub(crate) const BODY: Self =
        Self { whole: "body", text: "body.text", data: "body.data", media_type: "body.media_type" };

    /// The path here of a field that the domain names as a message's.
    fn path(self, field: &'static str) -> &'static str {
        match field {
            "content.text" => self.text,
            "content.data" => self.data,
            "content.media_type" => self.media_type,
            _ => self.whole,
        }
    }
}

/// A content that must be there and not be empty.
pub(crate) fn content(content: Option<v1::Content>, paths: ContentPaths) -> Result<Content, Refusal> {
    optional_content(content, paths)?.ok_or_else(|| Refusal::invalid(paths.whole, "required"))
}

/// A content that may be left out; an empty one is as good as none.
pub(crate) fn optional_content(
    content: Option<v1::Content>,
    paths: ContentPaths,
) -> Result<Option<Content>, Refusal> {
    let Some(v1::Content { media_type, body: Some(body) }) = content else { return Ok(None) };
    let parsed = match body {
        Body::Text(text) if text.is_empty() => return Ok(None),
        Body::Data(data) if data.is_empty() => return Ok(None),
        Body::Text(text) => Content::text(&text, &media_type),
        Body::Data(data) => Content::data(data, &media_type),
    };
    parsed.map(Some).map_err(|mut refusal| {
        for violation in &mut refusal.violations {
            violation.field = paths.path(violation.field);
        }
        refusal
    })
}

impl TryFrom<v1::EventPublish> for Stateless {
    type Error = Refusal;

    fn try_from(publish: v1::EventPublish) -> Result<Self, Refusal> {
        Ok(Self::EventPublish {
            room: RoomName::parse(&publish.room)?,
            event: event(&publish.name, &publish.key, publish.payload)?,
            exclude_self: publish.exclude_self,
        })
    }
}

/// An event; an empty key is none.
pub(crate) fn event(name: &str, key: &str, payload: Option<v1::Content>) -> Result<Event, Refusal> {
    Ok(Event {
        // Whoever publishes it says so.
        by_service: false,
        name: EventName::parse(name)?,
        key: if key.is_empty() { None } else { Some(EventKey::parse(key)?) },
        payload: optional_content(payload, ContentPaths::PAYLOAD)?,
    })
}
