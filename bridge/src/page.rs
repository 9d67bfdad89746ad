//! The page with playground and overview, where it is served.

use std::net::IpAddr;

use http::{HeaderValue, Request, Response, StatusCode, header};

use crate::assets;
use crate::options::Options;
use crate::respond::{self, Body, with_type};

/// What the page may load and reach: itself, and the hub through this bridge.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self' ws: wss:; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Whether a request names this machine by an address or as localhost. Another name may be one that its owner has pointed
/// here, so that a page of theirs counts as one of ours (DNS rebinding).
fn names_an_address<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => host,
    };
    let bare = bare.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Whether a request comes from a page that this bridge serves itself: its origin is the address that it asks.
pub(crate) fn is_own<B>(request: &Request<B>, options: &Options) -> bool {
    if options.page.is_none() || !names_an_address(request) {
        return false;
    }
    let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else { return false };
    origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

/// A file of the page; 404 where there is none, or no page.
pub(crate) fn serve<B>(request: &Request<B>, options: &Options) -> Response<Body> {
    let path = request.uri().path();
    let Some(page) = &options.page else { return respond::plain(StatusCode::NOT_FOUND) };
    if path == "/dev/tokens" {
        return match &page.tokens {
            Some(_) if !names_an_address(request) => respond::plain(StatusCode::FORBIDDEN),
            Some((tenant, tokens)) => respond::json(&serde_json::json!({"tenant": tenant, "tokens": tokens})),
            None => respond::plain(StatusCode::NOT_FOUND),
        };
    }
    let wanted = if path == "/" || path == "/overview" { "index.html" } else { path.trim_start_matches('/') };
    let Some(asset) = assets::find(wanted) else { return respond::plain(StatusCode::NOT_FOUND) };
    let mut response = with_type(StatusCode::OK, asset.content_type, asset.bytes);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if wanted.starts_with("assets/") {
        // Their names change with their content.
        let always = HeaderValue::from_static("public, max-age=31536000, immutable");
        headers.insert(header::CACHE_CONTROL, always);
    }
    response
}
