//! W3C Trace Context: the trace that a call is a part of. Source: the recommendation's "traceparent header field values" and
//! "Versioning of traceparent".

/// Whose step another is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace's id, not 0.
    pub trace: u128,
    /// The id of the step within it, not 0.
    pub span: u64,
    /// Whether whoever began the trace wants to see its steps.
    pub is_sampled: bool,
}

impl TraceContext {
    /// What a `traceparent` says; `None` where the text is none, which is then as if there were none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.splitn(5, '-');
        let mut field = |digits: usize| {
            let is_hex = |text: &&str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            fields.next().filter(|text| text.len() == digits).filter(is_hex)
        };
        let version = field(2).filter(|version| *version != "ff")?;
        let trace = u128::from_str_radix(field(32)?, 16).ok().filter(|trace| *trace != 0)?;
        let span = u64::from_str_radix(field(16)?, 16).ok().filter(|span| *span != 0)?;
        let flags = u8::from_str_radix(field(2)?, 16).ok()?;
        // Only later versions may say more.
        let ends = version != "00" || fields.next().is_none();
        ends.then_some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_as_the_standard_writes_it() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let expected = TraceContext {
            trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            span: 0x00f0_67aa_0ba9_02b7,
            is_sampled: true,
        };
        for good in
            [format!("00-{trace}-00f067aa0ba902b7-01"), format!("cc-{trace}-00f067aa0ba902b7-09-more")]
        {
            assert_eq!(TraceContext::parse(&good), Some(expected), "{good}");
        }
        let unsampled = TraceContext::parse(&format!("00-{trace}-00f067aa0ba902b7-00"));
        assert_eq!(unsampled, Some(TraceContext { is_sampled: false, ..expected }));
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            trace.to_owned(),
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("00-{trace}-00f067aa0ba902b7-01-more"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{trace}-+0f067aa0ba902b7-01"),
        ] {
            assert_eq!(TraceContext::parse(&bad), None, "{bad}");
        }
    }
}
