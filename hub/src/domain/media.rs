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
        let is_type = |text: &String| {
            let parts = text.split_once('/');
            parts.is_some_and(|(kind, sub)| is_name(kind) && (sub == "*" || is_name(sub)))
        };
        list.iter()
            .all(is_type)
            .then(|| Self(list.iter().map(|text| text.to_ascii_lowercase().into_boxed_str()).collect()))
    }

    /// The list.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|text| &**text)
    }

    /// Whether data of this media type may be sent. Parameters, as `; charset=utf-8`, do not matter, but must be
    /// well formed: see [`essence`].
    pub fn allows(&self, media_type: &str) -> bool {
        let Some(essence) = essence(media_type).map(str::to_ascii_lowercase) else { return false };
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

/// The `type/subtype` of a media type: two names (RFC 6838, 4.2), each parameter `; name=value` after it, the value a
/// token or in quotes (RFC 9110, 5.6.6). `None` where it is anything else. A comma, which makes a list of media types of
/// it for whoever reads it as a header, is in no part, nor is a semicolon or a backslash in quotes: browsers take the
/// last of such a list.
pub(super) fn essence(media_type: &str) -> Option<&str> {
    let mut parts = media_type.split(';');
    let essence = parts.next()?;
    let mut follows = parts.clone();
    // Space is allowed before a parameter, and not at the end.
    let essence = if follows.next().is_some() { essence.trim_end_matches(' ') } else { essence };
    let (kind, sub) = essence.split_once('/')?;
    (is_name(kind) && is_name(sub)).then_some(())?;
    let last = parts.clone().count();
    let is_good = |(place, part): (usize, &str)| {
        let part = part.trim_start_matches(' ');
        is_parameter(if place + 1 < last { part.trim_end_matches(' ') } else { part })
    };
    parts.enumerate().all(is_good).then_some(essence)
}

/// A type's or subtype's name.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

/// A parameter, as `charset=utf-8` or `codecs="opus"`.
fn is_parameter(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let is_quotable = |b: u8| (b.is_ascii_graphic() || b == b' ') && !b"\",\\".contains(&b);
    text.split_once('=').is_some_and(|(name, value)| {
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        is_token(name) && quoted.map_or_else(|| is_token(value), |inner| inner.bytes().all(is_quotable))
    })
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
    fn what_browsers_read_as_another_type_is_no_media_type() {
        for (good, its) in [
            ("image/png", "image/png"),
            ("application/vnd.acme+json", "application/vnd.acme+json"),
            ("text/plain;charset=utf-8", "text/plain"),
            ("video/webm ; codecs=\"vp8 opus\" ; x=y", "video/webm"),
            ("audio/ogg; codecs=\"\"", "audio/ogg"),
        ] {
            assert_eq!(essence(good), Some(its), "{good}");
        }
        let all = MediaTypes::parse(&["video/*".to_owned(), "image/png".to_owned()]).unwrap();
        for bad in [
            "image/png;,text/html",
            "image/png; ,text/html",
            "image/png,text/html",
            "image/png;a=b,text/html",
            "image/png;a=\",text/html\"",
            "image/png;a=\"b\\\"\"",
            "image/png;a=\"b;text/html\"",
            "image/png;a=\"b",
            "image/png;a=\"",
            "image/png;",
            "image/png;;a=b",
            "image/png;a",
            "image/png;=b",
            "image/png;a=",
            "image/png;a =b",
            "image/png;a= b",
            "image/png ",
            " image/png",
            "image/png;a=b ",
            "image/png;\ta=b",
            "image/png\n",
            "video/x,text/html",
            "video/../text/html",
            "video/..",
            "video/",
            "video/*",
            "video/<script>",
            "/png",
            "video",
            "",
            "video/\u{e4}",
        ] {
            assert_eq!(essence(bad), None, "{bad}");
            assert!(!all.allows(bad), "{bad}");
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
