//! The answer to each request.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::facts::Facts;
use crate::domain::time::Timestamp;

/// Of which content type metrics are.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// 200 with what was asked for; 503 from `/health/ready` while the hub is not; 404 elsewhere; 405 for other methods
/// than GET and HEAD.
pub(super) fn answer(facts: &dyn Facts, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let known = matches!(path, "/health/live" | "/health/ready" | "/metrics");
    if known && method != Method::GET && method != Method::HEAD {
        let mut refusal =
            json_answer(StatusCode::METHOD_NOT_ALLOWED, &json!({"status": "method_not_allowed"}));
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        // The process answers: that is all there is to being alive.
        "/health/live" => json_answer(StatusCode::OK, &json!({"status": "alive"})),
        "/health/ready" => ready(facts),
        "/metrics" => with_body(StatusCode::OK, METRICS, facts.metrics()),
        _ => json_answer(StatusCode::NOT_FOUND, &json!({"status": "not_found"})),
    }
}

fn ready(facts: &dyn Facts) -> Response<Full<Bytes>> {
    let readiness = facts.readiness();
    let store = readiness.store;
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": readiness.status(),
        "sessions": readiness.sessions,
        "store": {
            "healthy": store.healthy,
            "writable": store.writable,
            "away_since_ms": store.away_since.map(Timestamp::millis),
            "committed": store.committed,
            "duplicates": store.duplicates,
            "groups": store.groups,
            "queued": store.queued,
            "idempotency_keys": store.keys,
            "log_bytes": store.log_bytes,
        },
    });
    json_answer(status, &body)
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    with_body(status, JSON, body.to_string())
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
