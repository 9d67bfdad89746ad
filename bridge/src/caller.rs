//! Who calls: the token that came with a request, and where it came from.

use std::net::IpAddr;

use carillon_proto::port::{Call, Peer};
use http::{HeaderMap, Uri, header};

use crate::options::Options;
use crate::respond::REQUEST_ID;
use crate::trace::{TRACE_PARENT, trace_id};

/// The sub-protocol by which a page shows its token where it cannot send a header.
const BEARER: &str = "bearer.";
/// Longest user agent that is passed on, bytes.
const AGENT_BYTES: usize = 256;
/// Of a token that is longer so many bytes are passed on: one more than may be in one that is good, so that a hub refuses
/// it as it refuses every bad one.
const TOKEN_BYTES: usize = 8_193;

/// What a request's headers and address say.
pub(crate) fn call(headers: &HeaderMap, uri: &Uri, address: IpAddr, options: &Options) -> Call {
    Call {
        token: token(headers, uri, options),
        request_id: request_id(headers),
        peer: Peer {
            address: Some(address),
            agent: text(headers, header::USER_AGENT.as_str()).map(|agent| cut(agent, AGENT_BYTES)),
            origin: text(headers, header::ORIGIN.as_str()).map(|origin| cut(origin, AGENT_BYTES)),
            trace_parent: trace_parent(headers).map(str::to_owned),
        },
    }
}

/// In this order (row W4a; `hello`, which comes later, goes over all): the header, a sub-protocol, the address's ticket,
/// and its token where configuration allows that.
fn token(headers: &HeaderMap, uri: &Uri, options: &Options) -> Option<String> {
    let header = text(headers, header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_ascii().to_owned())
    });
    let found = header
        .or_else(|| protocols(headers).find_map(|entry| entry.strip_prefix(BEARER).map(str::to_owned)))
        .or_else(|| query(uri, "ticket"))
        .or_else(|| query(uri, "token").filter(|_| options.query_tokens));
    found.filter(|token| !token.is_empty()).map(|token| cut(&token, TOKEN_BYTES))
}

/// The sub-protocols that a request offers.
pub(crate) fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim_ascii)
}

/// The first value of a query parameter.
pub(crate) fn query(uri: &Uri, name: &str) -> Option<String> {
    queries(uri, name).next()
}

/// All values of a query parameter.
pub(crate) fn queries<'a>(uri: &'a Uri, name: &'a str) -> impl Iterator<Item = String> + 'a {
    raw_queries(uri, name).map(unescape)
}

/// The same as they stand in the address.
pub(crate) fn raw_queries<'a>(uri: &'a Uri, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

/// Percent-encoding, and `+` for a space.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match (*first, after) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push((hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0)) as u8);
                rest = after;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The beginning of a text, so many characters.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn trace_parent(headers: &HeaderMap) -> Option<&str> {
    let mut parents = headers.get_all(TRACE_PARENT).iter();
    // Two of them say nothing.
    let parent = parents.next().filter(|_| parents.next().is_none())?;
    parent.to_str().ok().filter(|parent| trace_id(parent).is_some())
}

/// The caller's own, else that of the trace that the request is a part of, else a new one: errors, answers, logs and the audit
/// log of the hub have it.
fn request_id(headers: &HeaderMap) -> String {
    let given = text(headers, REQUEST_ID).filter(|id| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:@|+=-".contains(&byte);
        (1..=64).contains(&id.len()) && id.bytes().all(fits)
    });
    let given = given.or_else(|| trace_parent(headers).and_then(trace_id));
    given.map_or_else(|| format!("{:016x}", getrandom::u64().unwrap_or_default()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::origins::Origins;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn options(query_tokens: bool) -> Options {
        let origins = Origins::new(&[], true).unwrap();
        Options { query_tokens, ..Options::new("127.0.0.1:0".parse().unwrap(), origins) }
    }

    fn token_of(pairs: &[(&'static str, &str)], uri: &str, query_tokens: bool) -> Option<String> {
        let address = "192.0.2.1".parse().unwrap();
        call(&headers(pairs), &uri.parse().unwrap(), address, &options(query_tokens)).token
    }

    #[test]
    fn tokens_are_taken_in_order() {
        let all =
            [("authorization", "Bearer a.b.c"), ("sec-websocket-protocol", "carillon.v1.json, bearer.d.e.f")];
        let uri = "/v1/session?ticket=ticket_1&token=g.h.i";
        assert_eq!(token_of(&all, uri, true).as_deref(), Some("a.b.c"));
        assert_eq!(token_of(&all[1..], uri, true).as_deref(), Some("d.e.f"));
        assert_eq!(token_of(&[], uri, true).as_deref(), Some("ticket_1"));
        assert_eq!(token_of(&[], "/v1/session?token=g.h.i", true).as_deref(), Some("g.h.i"));
        assert_eq!(token_of(&[], "/v1/session?token=g.h.i", false), None, "off unless configured");
        assert_eq!(token_of(&[("authorization", "Basic abc")], "/", false), None);
    }

    #[test]
    fn queries_are_unescaped() {
        let uri: Uri = "/v1/events?room=room%3Aa&room=b:c+d&room=%zz&x".parse().unwrap();
        assert_eq!(queries(&uri, "room").collect::<Vec<_>>(), ["room:a", "b:c d", "%zz"]);
        assert_eq!(query(&uri, "x").as_deref(), Some(""));
        assert_eq!(query(&uri, "y"), None);
    }

    #[test]
    fn request_ids_that_are_not_well_formed_are_replaced() {
        let id = |given: &str| request_id(&headers(&[("x-request-id", given)]));
        assert_eq!(id("trace-1"), "trace-1");
        assert_eq!(id("a b").len(), 16);
    }

    #[test]
    fn a_trace_gives_its_id_where_the_caller_gives_none() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        let of = |pairs: &[(&'static str, &str)]| {
            let called =
                call(&headers(pairs), &Uri::default(), IpAddr::from([192, 0, 2, 1]), &options(false));
            (called.request_id, called.peer.trace_parent)
        };
        assert_eq!(of(&[("traceparent", &parent)]), (trace.to_owned(), Some(parent.clone())));
        let both = [("x-request-id", "order-7"), ("traceparent", &*parent)];
        assert_eq!(of(&both), ("order-7".to_owned(), Some(parent.clone())));
        let (made, none) = of(&[("traceparent", "00-nothing-01")]);
        assert_eq!((made.len(), none), (16, None));
        let mut twice = headers(&[("traceparent", &parent)]);
        twice.append("traceparent", HeaderValue::from_str(&parent).unwrap());
        assert_eq!(trace_parent(&twice), None);
    }
}
