//! Calls as clients make them: by path over the router, and once over a real connection.
#![expect(clippy::unnecessary_wraps, reason = "what the calls take are options and results")]

use std::task::{Context, Poll};

use carillon_proto::v1;
use carillon_proto::v1::execute_request::Command;
use carillon_proto::v1::hub_service_client::HubServiceClient;
use http_body_util::{BodyExt, Full};
use prost::Message;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_types::StatusExt;

use super::*;
use crate::domain::command::Stateless;
use crate::domain::error::ErrorCode;
use crate::domain::position::Position;
use crate::domain::reply::Reply;
use crate::domain::time::Timestamp;
use crate::grpc::call::REQUEST_ID;
use crate::grpc::fakes::{ALICE, Asked, FakeHub};

const EXECUTE: &str = "/carillon.v1.HubService/Execute";

/// Answers every session with 418, so that a test sees who was asked.
#[derive(Clone)]
struct Teapot;

impl Service<Request<Body>> for Teapot {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let response = Response::builder().status(418).body(Body::empty()).unwrap();
        std::future::ready(Ok(response))
    }
}

async fn front(hub: &Arc<FakeHub>) -> Front<Teapot> {
    Front {
        session: Teapot,
        hub: Arc::new(hub.hub_api()),
        admin: hub.admin_api(),
        health: Health::starting().await,
        door: Door::default(),
        http2: Http2 {
            streams: limits::HTTP2_STREAMS,
            stream_window: limits::HTTP2_STREAM_WINDOW,
            connection_window: limits::HTTP2_CONNECTION_WINDOW,
            header_bytes: limits::HTTP2_HEADER_BYTES,
            keepalive_interval: limits::HTTP2_KEEPALIVE_INTERVAL,
            keepalive_timeout: limits::HTTP2_KEEPALIVE_TIMEOUT,
        },
        calls: Calls {
            frame_bytes: limits::FRAME_BYTES,
            timeout: limits::COMMAND_TIMEOUT,
            first_call: limits::HELLO_TIMEOUT,
        },
        in_flight: TaskTracker::new(),
        reflection: true,
    }
}

fn sent() -> Result<Reply, crate::domain::error::Refusal> {
    Ok(Reply::MessageSent { position: Position::default(), number: 5, time: Timestamp(1), duplicate: false })
}

fn send() -> v1::ExecuteRequest {
    let send = v1::MessageSend {
        room: "conversation:1".into(),
        content: Some(v1::Content {
            body: Some(v1::content::Body::Text("hello".into())),
            media_type: String::new(),
        }),
        ..Default::default()
    };
    v1::ExecuteRequest { idempotency_key: "attempt-1".into(), command: Some(Command::MessageSend(send)) }
}

/// A gRPC request that bears one frame, whatever is in it.
fn request(path: &str, message: &[u8], token: Option<&str>) -> Request<Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0], &length[..], message].concat();
    let mut request = Request::post(format!("http://hub{path}"))
        .header("content-type", "application/grpc")
        .header(REQUEST_ID, "test-1");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Body::new(Full::new(bytes::Bytes::from(frame)))).unwrap()
}

/// The status that `Execute` answers to a frame.
async fn refused(hub: &Arc<FakeHub>, message: &[u8], token: Option<&str>) -> Status {
    let mut router = front(hub).await.router().unwrap();
    let response = router.call(request(EXECUTE, message, token)).await.unwrap();
    assert_eq!(response.headers()[REQUEST_ID], "test-1");
    Status::from_header_map(response.headers()).unwrap()
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

#[tokio::test]
async fn sessions_go_to_their_own_service_and_unknown_services_nowhere() {
    let mut router = front(&FakeHub::answering(None)).await.router().unwrap();
    let session = router.call(request("/carillon.v1.HubService/Session", b"", None)).await.unwrap();
    assert_eq!(session.status(), 418);
    for path in ["/", "/carillon.v1.HubService", "/carillon.v2.HubService/Session", "/a/b/c"] {
        let response = router.call(request(path, b"", None)).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn a_command_is_executed_as_its_caller() {
    let hub = FakeHub::answering(sent());
    let mut router = front(&hub).await.router().unwrap();
    let response = router.call(request(EXECUTE, &send().encode_to_vec(), Some(ALICE))).await.unwrap();
    assert_eq!(response.headers()[REQUEST_ID], "test-1");
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    let answer = v1::ExecuteResponse::decode(&body.to_bytes()[5..]).unwrap();
    assert!(matches!(answer.kind, Some(v1::execute_response::Kind::MessageSent(sent)) if sent.number == 5));
    let Asked::Execute(user, Some(idempotency), Stateless::MessageSend { .. }) = hub.asked() else {
        panic!()
    };
    assert_eq!((&*user, idempotency.key.as_bytes()), ("alice", &b"attempt-1"[..]));
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_or_is_too_large_is_ours_to_refuse() {
    let hub = FakeHub::answering(None);
    let mut invalid_utf8 = send().encode_to_vec();
    let place = invalid_utf8.windows(5).position(|window| window == b"hello").unwrap();
    invalid_utf8[place] = 0xff;
    for (message, code, name) in [
        (invalid_utf8, Code::InvalidArgument, "PROTOCOL_ERROR"),
        (vec![0xff; 3], Code::InvalidArgument, "PROTOCOL_ERROR"),
        (vec![0; limits::FRAME_BYTES + 1], Code::OutOfRange, "MESSAGE_TOO_LARGE"),
    ] {
        let status = refused(&hub, &message, Some(ALICE)).await;
        assert_eq!((status.code(), &*reason(&status)), (code, name));
    }
    assert!(hub.was_asked_nothing());
}

#[tokio::test]
async fn a_caller_must_be_known_and_a_command_right() {
    let hub = FakeHub::answering(None);
    let right = send().encode_to_vec();
    for (message, token, name) in [
        (&right[..], None, "AUTH_REQUIRED"),
        (&right, Some("other"), "INVALID_TOKEN"),
        (&[], None, "AUTH_REQUIRED"),
        (&[], Some(ALICE), "INVALID_ARGUMENT"),
    ] {
        assert_eq!(reason(&refused(&hub, message, token).await), name);
    }
    assert!(hub.was_asked_nothing());
}

#[tokio::test]
async fn what_the_hub_refuses_is_told() {
    let hub = FakeHub::answering(Err(ErrorCode::Conflict.into()));
    let status = refused(&hub, &send().encode_to_vec(), Some(ALICE)).await;
    assert_eq!((status.code(), &*reason(&status)), (Code::Aborted, "CONFLICT"));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_too_long_is_answered() {
    let hub = FakeHub::answering(None);
    let status = refused(&hub, &send().encode_to_vec(), Some(ALICE)).await;
    assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
}

async fn health_of(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn over_a_real_connection() {
    let hub = FakeHub::answering(sent());
    let front = front(&hub).await;
    let health = front.health.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(front.serve(listener, async move {
        let _ = stopped.await;
    }));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();

    let services = ["", "carillon.v1.HubService", "carillon.v1.AdminService"];
    for service in services {
        assert_eq!(health_of(&channel, service).await, ServingStatus::NotServing);
    }
    health.serving().await;
    for service in services {
        assert_eq!(health_of(&channel, service).await, ServingStatus::Serving);
    }
    health.not_serving().await;
    assert_eq!(health_of(&channel, "").await, ServingStatus::NotServing);

    let mut request = tonic::Request::new(send());
    request.metadata_mut().insert("authorization", format!("Bearer {ALICE}").parse().unwrap());
    let response = HubServiceClient::new(channel.clone()).execute(request).await.unwrap();
    assert!(response.metadata().contains_key(REQUEST_ID));

    drop(channel);
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
