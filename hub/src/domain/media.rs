//! Which data may be sent: media types by allow-list, so that nothing which a page would run passes as an attachment.

use super::content::{Body, Content};
use super::error::Refusal;

/// What a namespace takes where it says nothing else: images, sound, films, documents and plain data. No HTML, SVG, XML or
/// script.
pub const DATA_MEDIA_TYPES: [&str; 15] = [
    "application/cbor",
    "application/json",
    "application/msgpack",
    "application/octet-stream",
    "application/pdf",
    "application/protobuf",
    "application/x-protobuf",
    "audio/*",
    "image/avif",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/*",
];

/// Media types of data that may be sent: `type/subtype`, or `type/*`. In lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTypes(Vec<Box<str>>);

impl Default for MediaTypes {
    fn default() -> Self {
        Self(DATA_MEDIA_TYPES.map(Box::from).to_vec())
    }
}

impl MediaTypes {
    /// Reads a list; `None` where one is no media type, or everything.
    pub fn parse(list: &[String]) -> Option<Self> {
        let is_token = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let is_type = |text: &String| {
            let parts = text.split_once('/');
            parts.is_some_and(|(kind, sub)| is_token(kind) && (sub == "*" || is_token(sub)))
        };
        list.iter()
            .all(is_type)
            .then(|| Self(list.iter().map(|text| text.to_ascii_lowercase().into_boxed_str()).collect()))
    }

    /// The list.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|text| &**text)
    }

    /// Whether data of this media type may be sent. Parameters, as `; charset=utf-8`, do not matter.
    pub fn allows(&self, media_type: &str) -> bool {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.0.iter().any(|allowed| match allowed.strip_suffix('*') {
            Some(kind) => essence.starts_with(kind),
            None => **allowed == *essence,
        })
    }

    /// `INVALID_ARGUMENT` for `field` where the content is data of another media type.
    pub fn check(&self, content: &Content, field: &'static str) -> Result<(), Refusal> {
        match content.body {
            Body::Data(_) if !self.allows(&content.media_type) => {
                Err(Refusal::invalid(field, "one that is allowed here: namespace.data_types"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_would_run_is_not_among_the_usual_ones() {
        let usual = MediaTypes::default();
        for good in ["image/png", "IMAGE/PNG", "application/json; charset=utf-8", "video/mp4", "audio/ogg"] {
            assert!(usual.allows(good), "{good}");
        }
        for bad in [
            "image/svg+xml",
            "text/html",
            "text/xml",
            "application/xml",
            "application/javascript",
            "application/xhtml+xml; charset=utf-8",
            "image/png/html",
            "image/",
            "video",
            "",
        ] {
            assert!(!usual.allows(bad), "{bad}");
        }
    }

    #[test]
    fn lists_are_of_media_types() {
        let own = MediaTypes::parse(&["application/vnd.Acme+json".to_owned(), "image/*".to_owned()]).unwrap();
        assert!(own.allows("application/vnd.acme+json") && own.allows("image/svg+xml"));
        assert!(!own.allows("application/json"));
        for bad in ["", "image", "*/*", "*", "image/", "image/p ng", "image/*png", "a/b;c=d"] {
            assert_eq!(MediaTypes::parse(&[bad.to_owned()]), None, "{bad}");
        }
    }
}
