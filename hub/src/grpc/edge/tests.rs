//! Both services behind their edges, as a connection would call them.

use carillon_net::addresses::{AddressLimits, Addresses};
use carillon_proto::v1;
use carillon_proto::v1::execute_request::Command;
use http_body_util::{BodyExt, Full, StreamBody};
use prost::Message;
use tonic_types::StatusExt;

use super::*;
use crate::domain::limits;
use crate::grpc::door::Door;
use crate::grpc::fakes::{ALICE, CLINIC, FakeHub};
use crate::grpc::health::Health;
use crate::grpc::router::Router;
use crate::grpc::server::{Calls, Front, Http2};

const EXECUTE: &str = "/carillon.v1.HubService/Execute";
const GET_ROOM: &str = "/carillon.v1.AdminService/GetRoom";
const ERASE: &str = "/carillon.v1.AdminService/EraseUser";
const WATCH: &str = "/carillon.v1.AdminService/WatchOverview";

/// A path and a token that may call it.
const CALLS: [(&str, &str); 2] = [(EXECUTE, ALICE), (GET_ROOM, CLINIC)];

/// Nobody opens a session here.
#[derive(Clone)]
struct NoSessions;

impl Service<Request<Body>> for NoSessions {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Pending<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::pending()
    }
}

async fn router(hub: &Arc<FakeHub>) -> Router<NoSessions> {
    router_at(hub, Door::default()).await
}

async fn router_at(hub: &Arc<FakeHub>, door: Door) -> Router<NoSessions> {
    let front = Front {
        session: NoSessions,
        hub: Arc::new(hub.hub_api()),
        admin: hub.admin_api(),
        health: Health::starting().await,
        door,
        http2: Http2 {
            streams: limits::HTTP2_STREAMS,
            stream_window: limits::HTTP2_STREAM_WINDOW,
            connection_window: limits::HTTP2_CONNECTION_WINDOW,
            header_bytes: limits::HTTP2_HEADER_BYTES,
            keepalive_interval: limits::HTTP2_KEEPALIVE_INTERVAL,
            keepalive_timeout: limits::HTTP2_KEEPALIVE_TIMEOUT,
        },
        calls: Calls {
            frame_bytes: 20_000,
            timeout: limits::COMMAND_TIMEOUT,
            first_call: limits::HELLO_TIMEOUT,
        },
        in_flight: TaskTracker::new(),
        reflection: false,
    };
    front.router().unwrap()
}

fn request(path: &str, token: Option<&str>, body: Body, closer: &Closer) -> Request<Body> {
    let mut request = Request::post(format!("http://hub{path}")).header("content-type", "application/grpc");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.extension(closer.clone()).body(body).unwrap()
}

/// A body of which nothing comes.
fn unsent() -> Body {
    Body::new(StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Status>>()))
}

fn sent(message: &[u8]) -> Body {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    Body::new(Full::new(Bytes::from([&[0], &length[..], message].concat())))
}

fn reason(response: &Response<Body>) -> String {
    let status = Status::from_header_map(response.headers()).unwrap();
    status.get_error_details().error_info().unwrap().reason.clone()
}

#[tokio::test(start_paused = true)]
async fn without_a_good_token_nothing_is_read() {
    let hub = FakeHub::answering(None);
    let mut router = router(&hub).await;
    for (path, _) in CALLS {
        for (token, code) in [(None, "AUTH_REQUIRED"), (Some("other"), "INVALID_TOKEN")] {
            let closer = Closer::default();
            let began = tokio::time::Instant::now();
            let response = router.call(request(path, token, unsent(), &closer)).await.unwrap();
            assert_eq!((reason(&response).as_str(), closer.is_settled()), (code, false), "{path}");
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
    }
    assert!(hub.was_asked_nothing());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_come_ends_in_time() {
    let hub = FakeHub::answering(None);
    let mut router = router(&hub).await;
    for (path, token, limit) in [
        (EXECUTE, ALICE, limits::COMMAND_TIMEOUT),
        (GET_ROOM, CLINIC, limits::COMMAND_TIMEOUT),
        (ERASE, CLINIC, limits::ERASURE_TIMEOUT),
        (WATCH, CLINIC, limits::COMMAND_TIMEOUT),
    ] {
        let closer = Closer::default();
        let began = tokio::time::Instant::now();
        let response = router.call(request(path, Some(token), unsent(), &closer)).await.unwrap();
        assert_eq!((reason(&response).as_str(), closer.is_settled()), ("DEADLINE_EXCEEDED", true), "{path}");
        assert!((limit..limit * 2).contains(&began.elapsed()), "{path}");
    }
    assert!(hub.was_asked_nothing());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_less_is_answered_by_then() {
    let hub = FakeHub::answering(None);
    let mut router = router(&hub).await;
    let limit = limits::COMMAND_TIMEOUT;
    for (asked, expected) in [
        ("100m", Duration::from_millis(100)),
        ("2S", Duration::from_secs(2)),
        ("90000u", Duration::from_millis(90)),
        ("99999999H", limit),
        ("100000000m", limit),
        ("-1S", limit),
        ("1s", limit),
        ("S", limit),
        ("", limit),
        ("1\u{fc}", limit),
    ] {
        let mut request = request(GET_ROOM, Some(CLINIC), unsent(), &Closer::default());
        let value = http::HeaderValue::from_bytes(asked.as_bytes()).unwrap();
        request.headers_mut().insert("grpc-timeout", value);
        let began = tokio::time::Instant::now();
        let response = router.call(request).await.unwrap();
        assert_eq!(reason(&response), "DEADLINE_EXCEEDED");
        assert!((expected..expected * 2).contains(&began.elapsed()), "{asked}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_message_may_be_as_large_as_is_configured() {
    let hub = FakeHub::answering(None);
    let mut router = router(&hub).await;
    for (path, token) in CALLS {
        for (bytes, code) in [(20_001, "MESSAGE_TOO_LARGE"), (20_000, "PROTOCOL_ERROR")] {
            let body = sent(&vec![0xff; bytes]);
            let response = router.call(request(path, Some(token), body, &Closer::default())).await.unwrap();
            assert_eq!(reason(&response), code, "{path}");
        }
    }
}

fn get_room() -> Vec<u8> {
    v1::GetRoomRequest { tenant: "acme".into(), room: "conversation:1".into() }.encode_to_vec()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_closes_the_connection() {
    let hub = FakeHub::answering(None);
    let mut router = router(&hub).await;
    let mut call = async |closer: &Closer| {
        let request = request(GET_ROOM, Some(CLINIC), sent(&get_room()), closer);
        router.call(request).await.unwrap()
    };
    let is_closed = |closer: &Closer| closer.is_closed(std::task::Waker::noop());
    let (taken, untaken) = (Closer::default(), Closer::default());
    let body = call(&taken).await.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    let held = call(&untaken).await;
    tokio::time::advance(limits::COMMAND_TIMEOUT / 2).await;
    assert!(!is_closed(&untaken));
    tokio::time::timeout(limits::COMMAND_TIMEOUT, std::future::pending::<()>()).await.unwrap_err();
    assert_eq!((is_closed(&taken), is_closed(&untaken)), (false, true));
    drop(held);
}

#[tokio::test]
async fn a_caller_is_looked_at_once() {
    let send = v1::MessageSend {
        room: "conversation:1".into(),
        content: Some(v1::Content {
            body: Some(v1::content::Body::Text("hello".into())),
            media_type: String::new(),
        }),
        ..Default::default()
    };
    let execute = v1::ExecuteRequest { command: Some(Command::MessageSend(send)), ..Default::default() };
    let hub = FakeHub::answering(Err(ErrorCode::Conflict.into()));
    let request = request(EXECUTE, Some(ALICE), sent(&execute.encode_to_vec()), &Closer::default());
    let response = router(&hub).await.call(request).await.unwrap();
    assert_eq!((reason(&response).as_str(), hub.tokens_seen()), ("CONFLICT", 1));
}

/// Calls with a ticket on a connection of its own; the code.
async fn shows(router: &mut Router<NoSessions>, door: &Door, path: &str, ticket: &str) -> String {
    let address = "192.0.2.1".parse().unwrap();
    let visitor = Visitor::new(door.clone(), address, door.arrival(address), None);
    let mut request = request(path, Some(ticket), sent(b""), &Closer::default());
    request.extensions_mut().insert(Arc::new(visitor));
    reason(&router.call(request).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn made_up_tickets_count_at_their_address_and_honest_ones_do_not() {
    let hub = FakeHub::answering(None);
    let limits = AddressLimits { unauthenticated: 100, attempts_per_minute: 4 };
    let door = Door { addresses: Addresses::new(Some(limits)), ..Door::default() };
    let mut router = router_at(&hub, door.clone()).await;
    // Whoever bears it is known: the command is wrong.
    for _ in 0..10 {
        assert_eq!(shows(&mut router, &door, EXECUTE, "ticket_of-alice").await, "INVALID_ARGUMENT");
    }
    assert_eq!((hub.tickets_seen(), hub.tickets_taken()), (10, 0), "they are good yet");
    for path in [EXECUTE, GET_ROOM, EXECUTE, GET_ROOM] {
        assert_eq!(shows(&mut router, &door, path, "ticket_made-up").await, "INVALID_TOKEN");
    }
    for path in [EXECUTE, GET_ROOM] {
        assert_eq!(shows(&mut router, &door, path, "ticket_made-up").await, "TOO_MANY_CONNECTIONS");
    }
    assert_eq!((hub.tickets_seen(), hub.tickets_taken()), (12, 2), "what comes too often is not looked for");
}

/// It is refused as the token that it is not, and stays good for what it is for.
#[tokio::test(start_paused = true)]
async fn a_ticket_buys_no_ticket() {
    let hub = FakeHub::answering(None);
    let door = Door::default();
    let mut router = router_at(&hub, door.clone()).await;
    let path = "/carillon.v1.HubService/CreateTicket";
    assert_eq!(shows(&mut router, &door, path, "ticket_of-alice").await, "INVALID_TOKEN");
    assert_eq!(hub.tickets_taken(), 0);
}

/// A body of which so much comes and no more, until it is dropped.
fn begun(bytes: usize) -> Body {
    let length = u32::try_from(2 * bytes).unwrap().to_be_bytes();
    let data = [&[0], &length[..], &vec![0; bytes]].concat();
    let first = futures::stream::once(std::future::ready(Ok(Frame::data(Bytes::from(data)))));
    Body::new(StreamBody::new(futures::StreamExt::chain(
        first,
        futures::stream::pending::<Result<_, Status>>(),
    )))
}

#[tokio::test(start_paused = true)]
async fn what_a_user_has_not_sent_to_its_end_is_bounded_on_however_many_connections() {
    const EACH: usize = 9_000;
    let hub = FakeHub::answering(Err(ErrorCode::Conflict.into()));
    let router = router(&hub).await;
    let door = Door::default();
    let begins = |token: &'static str, body: Body| {
        let (mut router, door) = (router.clone(), door.clone());
        let address = "192.0.2.1".parse().unwrap();
        let visitor = Visitor::new(door.clone(), address, door.arrival(address), None);
        let mut request = request(EXECUTE, Some(token), body, &Closer::default());
        request.extensions_mut().insert(Arc::new(visitor));
        tokio::spawn(async move { router.call(request).await.unwrap() })
    };
    let most = limits::UNFINISHED_BYTES / (EACH + 5);
    let held: Vec<_> = (0..most).map(|_| begins(ALICE, begun(EACH))).collect();
    tokio::task::yield_now().await;
    let refused = begins(ALICE, begun(EACH)).await.unwrap();
    assert_eq!(reason(&refused), "RATE_LIMITED");
    assert!(held.iter().all(|call| !call.is_finished()), "those that there are go on");
    // Those that end make room.
    held.iter().take(2).for_each(tokio::task::JoinHandle::abort);
    tokio::task::yield_now().await;
    let whole = sent(&v1::ExecuteRequest::default().encode_to_vec());
    assert_eq!(reason(&begins(ALICE, whole).await.unwrap()), "INVALID_ARGUMENT");
    let more = begins(ALICE, begun(EACH));
    tokio::task::yield_now().await;
    assert!(!more.is_finished());
}

#[tokio::test(start_paused = true)]
async fn what_anyone_may_ask_is_small_and_comes_in_time() {
    let hub = FakeHub::answering(None);
    let mut router = router(&hub).await;
    for path in ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"] {
        for (body, code) in [(unsent(), "DEADLINE_EXCEEDED"), (begun(100), "DEADLINE_EXCEEDED")] {
            let response = router.call(request(path, None, body, &Closer::default())).await.unwrap();
            assert_eq!(reason(&response), code, "{path}");
        }
        let large = begun(limits::OPEN_REQUEST_BYTES);
        let response = router.call(request(path, None, large, &Closer::default())).await.unwrap();
        assert_eq!(reason(&response), "MESSAGE_TOO_LARGE", "{path}");
    }
}
