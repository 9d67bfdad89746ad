//! Spans as a collector takes them. Source: OTLP 1.x, "JSON Protobuf Encoding" of `ExportTraceServiceRequest`.

use serde_json::{Value, json};

use super::Ended;

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;
/// `SPAN_KIND_SERVER`.
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The document that tells of these.
pub fn document(spans: &[Ended]) -> Value {
    let spans: Vec<_> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "carillon"}}]},
        "scopeSpans": [{
            "scope": {"name": "carillon-hub", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans,
        }],
    }]})
}

fn span(ended: &Ended) -> Value {
    let over = u128::from(ended.began) + ended.took.as_nanos();
    let mut span = json!({
        "traceId": format!("{:032x}", ended.context.trace),
        "spanId": format!("{:016x}", ended.context.span),
        "parentSpanId": format!("{:016x}", ended.parent),
        "name": ended.name,
        "kind": if ended.is_entry { SERVER } else { INTERNAL },
        "startTimeUnixNano": ended.began.to_string(),
        "endTimeUnixNano": over.to_string(),
    });
    if let Some(code) = ended.failed {
        span["status"] = json!({"code": ERROR, "message": code});
    }
    span
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::traces::TraceContext;

    #[test]
    fn a_span_is_written_as_collectors_read_it() {
        let context = TraceContext { trace: 0xab, span: 0xcd, is_sampled: true };
        let (began, took) = (1_700_000_000_000_000_000, Duration::from_micros(20));
        let failed = Some("NOT_FOUND");
        let ended = Ended { name: "join", context, parent: 0xef, is_entry: true, began, took, failed };
        let document = document(&[ended]);
        let scope = &document["resourceSpans"][0]["scopeSpans"][0];
        let expected = json!({
            "traceId": "000000000000000000000000000000ab",
            "spanId": "00000000000000cd",
            "parentSpanId": "00000000000000ef",
            "name": "join",
            "kind": 2,
            "startTimeUnixNano": "1700000000000000000",
            "endTimeUnixNano": "1700000000000020000",
            "status": {"code": 2, "message": "NOT_FOUND"},
        });
        assert_eq!((&scope["spans"][0], &scope["scope"]["name"]), (&expected, &json!("carillon-hub")));
    }
}
