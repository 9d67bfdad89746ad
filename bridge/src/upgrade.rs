//! The WebSocket handshake: what a request must say, and what it is answered (RFC 6455, 4.2).

use carillon_proto::WebSocketForm;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::caller::protocols;
use crate::respond::{Body, full, plain};

/// Binary frames, each a protobuf message.
const PROTO: &str = "carillon.v1.proto";
/// Text frames, each a message's canonical JSON. Also what is spoken where no sub-protocol is asked for.
const JSON: &str = "carillon.v1.json";

/// What a good handshake agreed on.
pub(crate) struct Agreed {
    /// What frames carry.
    pub(crate) form: WebSocketForm,
    /// The answer that completes it.
    pub(crate) response: Response<Body>,
}

/// Checks a handshake. An error is the answer: 400 or 426, and 400 too where only unknown sub-protocols are offered.
pub(crate) fn agree<B>(request: &Request<B>) -> Result<Agreed, Box<Response<Body>>> {
    let headers = request.headers();
    let refuse = |status| Err(Box::new(plain(status)));
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return refuse(StatusCode::BAD_REQUEST);
    }
    if !lists(headers, header::CONNECTION.as_str(), "upgrade")
        || !lists(headers, header::UPGRADE.as_str(), "websocket")
    {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED);
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return Err(Box::new(response));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED);
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(Box::new(response));
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24) else {
        return refuse(StatusCode::BAD_REQUEST);
    };
    let Ok((form, named)) = choose(headers) else { return refuse(StatusCode::BAD_REQUEST) };
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(named) = named {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(named));
    }
    Ok(Agreed { form, response })
}

/// The first sub-protocol that is known; JSON where none is asked for.
fn choose(headers: &HeaderMap) -> Result<(WebSocketForm, Option<&'static str>), ()> {
    let mut asked = false;
    for entry in protocols(headers) {
        match entry {
            PROTO => return Ok((WebSocketForm::Binary, Some(PROTO))),
            JSON => return Ok((WebSocketForm::Json, Some(JSON))),
            // A token is no protocol.
            other => asked |= !other.is_empty() && !other.starts_with("bearer."),
        }
    }
    if asked { Err(()) } else { Ok((WebSocketForm::Json, None)) }
}

/// Whether a header's comma-separated list has this word, in any case.
fn lists(headers: &HeaderMap, name: &str, word: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|entry| entry.trim_ascii().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut Request<()>)) -> Request<()> {
        let mut request = Request::get("/v1/session").body(()).unwrap();
        let headers = request.headers_mut();
        headers.insert("connection", HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert("upgrade", HeaderValue::from_static("WebSocket"));
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        headers.insert("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        change(&mut request);
        request
    }

    fn offering(protocols: &'static str) -> Request<()> {
        request(|request| {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocols));
        })
    }

    #[test]
    fn a_good_handshake_is_answered_as_the_standard_says() {
        let agreed = agree(&offering("carillon.v1.proto, bearer.a.b.c")).ok().unwrap();
        assert_eq!(agreed.form, WebSocketForm::Binary);
        assert_eq!(agreed.response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let headers = agreed.response.headers();
        // The example of RFC 6455, 1.3.
        assert_eq!(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(headers["sec-websocket-protocol"], "carillon.v1.proto");
    }

    #[test]
    fn the_first_known_sub_protocol_is_spoken_and_json_without_one() {
        for (offered, form) in [
            ("carillon.v1.json", WebSocketForm::Json),
            ("something, carillon.v1.json, carillon.v1.proto", WebSocketForm::Json),
            ("bearer.a.b.c", WebSocketForm::Json),
        ] {
            assert_eq!(agree(&offering(offered)).ok().unwrap().form, form, "{offered}");
        }
        let without = agree(&request(|_| {})).ok().unwrap();
        assert_eq!(without.form, WebSocketForm::Json);
        assert!(!without.response.headers().contains_key("sec-websocket-protocol"));
        assert_eq!(agree(&offering("graphql-ws")).err().unwrap().status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn what_is_no_handshake_is_told_so() {
        let without = |name: &'static str| request(move |request| drop(request.headers_mut().remove(name)));
        for (request, status) in [
            (without("upgrade"), StatusCode::UPGRADE_REQUIRED),
            (without("connection"), StatusCode::UPGRADE_REQUIRED),
            (without("sec-websocket-version"), StatusCode::UPGRADE_REQUIRED),
            (without("sec-websocket-key"), StatusCode::BAD_REQUEST),
            (request(|request| *request.method_mut() = Method::POST), StatusCode::BAD_REQUEST),
            (request(|request| *request.version_mut() = Version::HTTP_10), StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(agree(&request).err().unwrap().status(), status);
        }
    }
}
