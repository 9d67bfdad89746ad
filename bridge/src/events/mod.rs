//! Server-sent events: a session that only listens, for what has no WebSocket. The frames are those of the JSON protocol;
//! `id:` says where the listener is, and coming back with it as `Last-Event-ID` misses nothing.

mod body;
mod joins;
mod positions;
mod refused;
mod wanted;

use std::convert::Infallible;
use std::future::poll_fn;

use bytes::Bytes;
use carillon_proto::port::{Call, End, HubPort};
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{self, SessionRequest, SessionResponse};
use carillon_proto::{Frame, WireRow};
use futures::StreamExt;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use prost::Message as _;

use crate::options::Options;
use crate::place::{Trial, says_nobody};
use crate::respond::{Body, refusal};
use body::EventBody;
use joins::Joins;
#[cfg(feature = "fuzzing")]
pub(crate) use positions::Positions;
pub(crate) use refused::{Refused, is_event_source, refuse};
pub(crate) use wanted::{Wanted, wanted};

/// Opens a stream. The answer waits for the session: where that is refused, so is the request.
pub(crate) async fn open(
    hub: &dyn HubPort,
    call: Call,
    trial: Trial,
    wanted: Result<Wanted, v1::Violation>,
    options: &Options,
) -> Result<Response<Body>, Refused> {
    let request_id = call.request_id.clone();
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(violation) => {
            trial.spared()?;
            let error = refusal("INVALID_ARGUMENT", &request_id);
            return Err(v1::Error { violations: vec![violation], ..error }.into());
        }
    };
    let mut stream = hub.open(call);
    let hello = v1::Hello {
        protocol: 1,
        client: "sse".to_owned(),
        instance: wanted.instance.clone(),
        resume: Some(wanted.resume()),
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
        None if opened(&first) => trial.succeeded(),
        end => {
            let error = why_not(end, &first, &request_id);
            if stream.caller_is_known() {
                trial.succeeded();
            } else if says_nobody(WireRow::of(&error.code)) {
                trial.failed()?;
            } else {
                trial.judge(refused::status(&error))?;
            }
            return Err(error.into());
        }
    }
    let joins = Joins::new(wanted.joins());
    let body = EventBody::new(stream, joins, wanted.positions, &first, options.event_heartbeat);
    Ok(event_stream(body.boxed_unsync()))
}

/// `AdminService.WatchOverview` as events.
pub(crate) async fn overview(hub: &dyn HubPort, call: Call, trial: Trial) -> Result<Response<Body>, Refused> {
    let request_id = call.request_id.clone();
    let mut figures = hub.watch_overview(call, v1::WatchOverviewRequest {});
    let first = figures.next().await.unwrap_or_else(|| Err(refusal("GOING_AWAY", &request_id)));
    let first = match first {
        Ok(first) => first,
        Err(error) => {
            trial.judge(refused::status(&error))?;
            return Err(error.into());
        }
    };
    trial.succeeded();
    let rest = figures.take_while(|next| std::future::ready(next.is_ok())).filter_map(async |next| next.ok());
    let events = futures::stream::iter([first]).chain(rest).map(|figures| {
        let data = serde_json::to_string(&figures).unwrap_or_default();
        Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(format!("data: {data}\n\n"))))
    });
    Ok(event_stream(StreamBody::new(events).boxed_unsync()))
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
fn why_not(end: Option<End>, frames: &[Frame], request_id: &str) -> v1::Error {
    for frame in frames {
        match decode(frame).kind {
            Some(Kind::Error(error)) => return in_words_of_the_address(error),
            Some(Kind::Disconnected(end)) => return refusal(&end.code, request_id),
            _ => {}
        }
    }
    let row = end.flatten().unwrap_or_else(|| WireRow::of("UNAVAILABLE"));
    refusal(row.name, request_id)
}

/// The same of what the request itself has: it knows of no `hello`.
fn in_words_of_the_address(mut error: v1::Error) -> v1::Error {
    for violation in &mut error.violations {
        if violation.field == "resume.rooms[].room" {
            "room".clone_into(&mut violation.field);
        }
    }
    error
}

/// One event: its data, which is made once for all listeners and sockets, and its id where the listener has moved.
fn event(text: &mut Vec<u8>, frame: &Frame, id: Option<&str>) {
    if let Some(id) = id {
        text.extend_from_slice(b"id: ");
        text.extend_from_slice(id.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(b"data: ");
    text.extend_from_slice(&frame.json());
    text.extend_from_slice(b"\n\n");
}
