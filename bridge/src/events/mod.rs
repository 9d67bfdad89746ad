//! Server-sent events: a session that only listens, for what has no WebSocket. The frames are those of the JSON protocol;
//! `id:` says where the listener is, and coming back with it as `Last-Event-ID` misses nothing.

mod body;
mod positions;

use std::convert::Infallible;
use std::future::poll_fn;

use bytes::Bytes;
use carillon_proto::frame::to_json;
use carillon_proto::port::{Call, End, HubPort};
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{self, SessionRequest, SessionResponse};
use carillon_proto::{Frame, WireRow};
use futures::StreamExt;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use prost::Message as _;

use crate::caller::{queries, query, raw_queries};
use crate::options::Options;
use crate::place::{Trial, says_nobody};
use crate::respond::{self, Body, refusal};
use body::EventBody;
pub(crate) use positions::Positions;

/// Rooms that one stream listens to at most.
const ROOMS: usize = 50;

/// Bytes of an address that asks for a stream, the id of an earlier event aside. That one must fit into a request too, in
/// which the listener comes back.
const ADDRESS_BYTES: usize = 16 * 1_024;

/// What a listener asks for.
pub(crate) struct Wanted {
    rooms: Vec<String>,
    rewind: u32,
    positions: Positions,
    /// Whether it takes nothing but a stream: an `EventSource`, which gives up for good where it gets none.
    is_event_source: bool,
}

/// Opens a stream. The answer waits for the session: where that is refused, so is the request, with the status of the
/// code, which an `EventSource` does not retry.
pub(crate) async fn open(
    hub: &dyn HubPort,
    call: Call,
    trial: Trial,
    wanted: Result<Wanted, v1::Violation>,
    options: &Options,
) -> Response<Body> {
    let request_id = call.request_id.clone();
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(violation) => {
            trial.spared();
            let error = refusal("INVALID_ARGUMENT", &request_id);
            return respond::error(&v1::Error { violations: vec![violation], ..error });
        }
    };
    let mut stream = hub.open(call);
    let hello = v1::Hello {
        protocol: 1,
        client: "sse".to_owned(),
        resume: Some(wanted.positions.resume()),
        ..v1::Hello::default()
    };
    let mut hello = Some(encode(1, Command::Hello(hello)));
    let mut first = Vec::new();
    let begun = poll_fn(|cx| {
        if hello.is_some() && stream.poll_ready(cx).is_ready() {
            hello.take().into_iter().for_each(|hello| stream.send(hello));
        }
        stream.poll_frames(cx, &mut |frame| first.push(frame))
    });
    match begun.await {
        None if opened(&first) => {}
        end => {
            let error = refused(end, &first, &request_id);
            let row = WireRow::of(&error.code);
            if stream.caller_is_known() {
                trial.succeeded();
            } else if says_nobody(row) {
                drop(trial);
            } else {
                trial.judge(StatusCode::from_u16(row.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
            }
            return if wanted.is_event_source && row.reconnect { later() } else { respond::error(&error) };
        }
    }
    trial.succeeded();
    let joins = wanted.rooms.iter().filter(|room| !wanted.positions.knows(room));
    let joins =
        joins.map(|room| v1::Join { room: room.clone(), rewind: wanted.rewind, ..v1::Join::default() });
    let requests = joins.zip(2..).map(|(join, id)| encode(id, Command::Join(join))).collect();
    let body = EventBody::new(stream, requests, wanted.positions, &first, options.event_heartbeat);
    event_stream(body.boxed_unsync())
}

/// `AdminService.WatchOverview` as events.
pub(crate) async fn overview(hub: &dyn HubPort, call: Call) -> Response<Body> {
    let request_id = call.request_id.clone();
    let mut figures = hub.watch_overview(call, v1::WatchOverviewRequest {});
    let first = match figures.next().await {
        Some(Ok(first)) => first,
        Some(Err(error)) => return respond::error(&error),
        None => return respond::error(&refusal("GOING_AWAY", &request_id)),
    };
    let rest = figures.take_while(|next| std::future::ready(next.is_ok())).filter_map(async |next| next.ok());
    let events = futures::stream::iter([first]).chain(rest).map(|figures| {
        let data = serde_json::to_string(&figures).unwrap_or_default();
        Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(format!("data: {data}\n\n"))))
    });
    event_stream(StreamBody::new(events).boxed_unsync())
}

/// A stream that ends at once, and says when to come back.
fn later() -> Response<Body> {
    let mut response = event_stream(respond::full("retry: 2000\n\n"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn event_stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would hold back what is meant for now.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    *response.status_mut() = StatusCode::OK;
    response
}

/// What a request asks for, or the field that breaks a rule.
pub(crate) fn wanted<B>(request: &Request<B>) -> Result<Wanted, v1::Violation> {
    let violation =
        |field: &str, rule: &str| v1::Violation { field: field.to_owned(), rule: rule.to_owned() };
    let uri = request.uri();
    let mut rooms: Vec<String> = queries(uri, "room").collect();
    rooms.sort();
    rooms.dedup();
    if rooms.len() > ROOMS {
        return Err(violation("room", "at most 50 rooms"));
    }
    let id_bytes: usize = raw_queries(uri, "lastEventId").map(str::len).sum();
    if uri.path_and_query().map_or(0, |all| all.as_str().len()) - id_bytes > ADDRESS_BYTES {
        return Err(violation("room", "names that make an address of at most 16 KiB"));
    }
    let rewind = match query(uri, "rewind") {
        Some(text) => text.parse().map_err(|_| violation("rewind", "a number of entries"))?,
        None => 0,
    };
    // What cannot set headers names it in the address.
    let header = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let last = header.or_else(|| query(uri, "lastEventId")).filter(|id| !id.is_empty());
    let positions = match last {
        Some(id) => {
            let parsed = Positions::parse(&id, &rooms);
            parsed.ok_or_else(|| violation("lastEventId", "the id of an earlier event"))?
        }
        None => Positions::none(&rooms),
    };
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_event_source = accept.is_some_and(|accept| accept.contains("text/event-stream"));
    Ok(Wanted { rooms, rewind, positions, is_event_source })
}

fn encode(command_id: u32, command: Command) -> Bytes {
    let request = SessionRequest { command_id, command: Some(command), ..SessionRequest::default() };
    request.encode_to_vec().into()
}

fn decode(frame: &Frame) -> SessionResponse {
    SessionResponse::decode(frame.message()).unwrap_or_default()
}

fn opened(frames: &[Frame]) -> bool {
    frames.first().is_some_and(|frame| matches!(decode(frame).kind, Some(Kind::Connected(_))))
}

/// Why a session did not open: the error that it answered, else its end's code.
fn refused(end: Option<End>, frames: &[Frame], request_id: &str) -> v1::Error {
    for frame in frames {
        match decode(frame).kind {
            Some(Kind::Error(error)) => return error,
            Some(Kind::Disconnected(end)) => return refusal(&end.code, request_id),
            _ => {}
        }
    }
    let row = end.flatten().unwrap_or_else(|| WireRow::of("UNAVAILABLE"));
    refusal(row.name, request_id)
}

/// One event: its data, and its id where the listener has moved.
fn event(text: &mut Vec<u8>, frame: &Frame, id: Option<&str>) {
    if let Some(id) = id {
        text.extend_from_slice(b"id: ");
        text.extend_from_slice(id.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(b"data: ");
    text.extend_from_slice(&to_json(&frame.message()));
    text.extend_from_slice(b"\n\n");
}
