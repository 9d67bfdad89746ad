//! What a message, an event or a notification carries.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::error::{ErrorCode, Refusal, Violation};
use super::html;
use super::limits;
use super::media::essence;

/// A message's body: text of at most 10,000 characters or data of at most 65,536 bytes, with its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Text or data.
    pub body: Body,
    /// As `text/plain`; never empty.
    pub media_type: Arc<str>,
}

/// Text or data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Text; kept as `Bytes` so that it shares the buffer that it came in. Always valid UTF-8.
    Text(Text),
    /// Opaque bytes.
    Data(Bytes),
}

/// Shared UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(Arc<str>);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// Media types of text; the first is the default.
pub const TEXT_MEDIA_TYPES: [&str; 3] = ["text/plain", "text/markdown", "text/html"];

/// The one that is sanitised.
const HTML: &str = TEXT_MEDIA_TYPES[2];

/// Not too long, and without control characters.
fn check_text(text: &str) -> Result<(), Refusal> {
    if text.chars().nth(limits::CONTENT_CHARACTERS).is_some() {
        return Err(Refusal {
            violations: vec![Violation { field: "content.text", rule: "at most 10000 characters" }],
            ..ErrorCode::MessageTooLarge.into()
        });
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return Err(Refusal::invalid("content.text", "no control characters"));
    }
    Ok(())
}

impl Content {
    /// Checks a text: not empty, at most 10,000 characters, no control characters but tab, line feed and carriage
    /// return, media type one of [`TEXT_MEDIA_TYPES`] (empty is `text/plain`). HTML is sanitised, and what is left must
    /// keep to the same; other text is kept as it is.
    pub fn text(text: &str, media_type: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Err(Refusal::invalid("content", "required"));
        }
        check_text(text)?;
        let media_type = if media_type.is_empty() { TEXT_MEDIA_TYPES[0] } else { media_type };
        if !TEXT_MEDIA_TYPES.contains(&media_type) {
            return Err(Refusal::invalid(
                "content.media_type",
                "text/plain, text/markdown or text/html for text",
            ));
        }
        let body = if media_type == HTML {
            let sanitised = html::sanitise(text)?;
            // Escaping makes it longer, and references may stand for control characters.
            check_text(&sanitised)?;
            Text::from(&*sanitised)
        } else {
            text.into()
        };
        Ok(Self { body: Body::Text(body), media_type: media_type.into() })
    }

    /// Checks data: not empty, at most 65,536 bytes, with a media type of at most 128 bytes (see [`essence`]) that is
    /// not HTML's: HTML is text, and sanitised.
    pub fn data(data: Bytes, media_type: &str) -> Result<Self, Refusal> {
        if data.is_empty() {
            return Err(Refusal::invalid("content", "required"));
        }
        if data.len() > limits::CONTENT_BYTES {
            return Err(Refusal {
                violations: vec![Violation { field: "content.data", rule: "at most 65536 bytes" }],
                ..ErrorCode::MessageTooLarge.into()
            });
        }
        let media_type = if media_type.is_empty() { "application/octet-stream" } else { media_type };
        let short = media_type.len() <= limits::MEDIA_TYPE_BYTES;
        let Some(essence) = essence(media_type).filter(|_| short) else {
            return Err(Refusal::invalid("content.media_type", "type/subtype, at most 128 bytes"));
        };
        if html::is_html(essence) {
            return Err(Refusal::invalid("content.media_type", "HTML as text, which is sanitised"));
        }
        Ok(Self { body: Body::Data(data), media_type: media_type.into() })
    }

    /// Content that the store kept: it was checked when it came.
    pub fn stored(body: Body, media_type: &str) -> Self {
        Self { body, media_type: media_type.into() }
    }

    /// Bytes of it as it is sent, media type and all.
    pub fn size(&self) -> usize {
        self.as_bytes().len() + self.media_type.len()
    }

    /// The body's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.body {
            Body::Text(text) => text.as_str().as_bytes(),
            Body::Data(data) => data,
        }
    }
}

/// Bytes that frame a pair on the wire, at most: three tags and their lengths.
const PAIR_OVERHEAD: usize = 10;

/// A small map of texts, in key order: a message's attributes, a room's metadata, a notification's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(BTreeMap<String, String>);

/// How large a [`Pairs`] may be, and how a violation names it.
#[derive(Clone, Copy, Debug)]
pub struct PairsRule {
    /// The field.
    pub field: &'static str,
    /// Most pairs.
    pub most: usize,
    /// Longest value, bytes.
    pub value_bytes: usize,
    /// The rule as text.
    pub rule: &'static str,
}

/// A message's attributes.
pub const ATTRIBUTES: PairsRule = PairsRule {
    field: "attributes",
    most: limits::ATTRIBUTES,
    value_bytes: limits::ATTRIBUTE_VALUE_BYTES,
    rule: "at most 16 pairs, keys of 1 to 64 bytes without control characters, values of at most 256 bytes",
};

/// A room's metadata.
pub const METADATA: PairsRule = PairsRule {
    field: "metadata",
    most: limits::METADATA,
    value_bytes: limits::METADATA_VALUE_BYTES,
    rule: "at most 32 pairs, keys of 1 to 64 bytes without control characters, values of at most 1024 bytes",
};

/// A notification's data.
pub const NOTIFICATION_DATA: PairsRule = PairsRule { field: "data", ..METADATA };

impl Pairs {
    /// Checks the pairs against `rule`.
    pub fn parse(pairs: BTreeMap<String, String>, rule: PairsRule) -> Result<Self, Violation> {
        let well_formed = pairs.len() <= rule.most
            && pairs.iter().all(|(key, value)| {
                (1..=limits::KEY_BYTES).contains(&key.len())
                    && !key.chars().any(char::is_control)
                    && value.len() <= rule.value_bytes
            });
        if well_formed { Ok(Self(pairs)) } else { Err(Violation { field: rule.field, rule: rule.rule }) }
    }

    /// Pairs that the store kept.
    pub fn stored(pairs: BTreeMap<String, String>) -> Self {
        Self(pairs)
    }

    /// The pairs in key order.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Bytes of them as they are sent, with what frames each pair.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.len() + PAIR_OVERHEAD).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These pairs with `set` over them and without `remove`. The result is checked against `rule` too.
    pub fn updated(&self, set: &Self, remove: &[String], rule: PairsRule) -> Result<Self, Violation> {
        let mut pairs = self.0.clone();
        for key in remove {
            pairs.remove(key);
        }
        pairs.extend(set.0.iter().map(|(key, value)| (key.clone(), value.clone())));
        Self::parse(pairs, rule)
    }
}
