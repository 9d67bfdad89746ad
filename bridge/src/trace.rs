//! W3C Trace Context: the trace that a request is a part of, as its `traceparent` says. Source: the recommendation's "traceparent
//! header field values" and "Versioning of traceparent".

/// The header, and the metadata by which it goes on to a hub.
pub(crate) const TRACE_PARENT: &str = "traceparent";
/// Characters of the version that we know; later ones may have more after these.
const KNOWN: usize = 55;
/// Characters that are passed on of a later one.
pub(crate) const LONGEST: usize = 256;

/// The trace's id, 32 hexadecimal digits; `None` where the text is no `traceparent`, which is then as if there were none.
pub(crate) fn trace_id(parent: &str) -> Option<&str> {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id =
        |text: &&str, digits| text.len() == digits && is_hex(text) && text.bytes().any(|byte| byte != b'0');
    let (known, more) = parent.split_at_checked(KNOWN)?;
    let mut fields = known.split('-');
    let version =
        fields.next().filter(|version| version.len() == 2 && is_hex(version) && *version != "ff")?;
    let trace = fields.next().filter(|trace| is_id(trace, 32))?;
    fields.next().filter(|parent| is_id(parent, 16))?;
    fields.next().filter(|flags| flags.len() == 2 && is_hex(flags))?;
    let ends = more.is_empty() || (version != "00" && more.starts_with('-') && parent.len() <= LONGEST);
    (ends && fields.next().is_none()).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_is_known_by_its_id() {
        for good in [
            format!("00-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-00"),
            // A later version may say more.
            format!("cc-{TRACE}-00f067aa0ba902b7-01"),
            format!("cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-knows"),
        ] {
            assert_eq!(trace_id(&good), Some(TRACE), "{good}");
        }
    }

    #[test]
    fn what_is_none_says_nothing() {
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            TRACE.to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("cc-{TRACE}-00f067aa0ba902b7-01more"),
            format!("cc-{TRACE}-00f067aa0ba902b7-01-{}", "x".repeat(LONGEST)),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-00f067aa0ba902b7-0x"),
            format!("00_{TRACE}_00f067aa0ba902b7_01"),
            "é".repeat(40),
        ] {
            assert_eq!(trace_id(&bad), None, "{bad}");
        }
    }
}
