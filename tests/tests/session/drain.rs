//! A hub that stops: what it acknowledged is stored, all are told, and who comes back carries on.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_client::Event;
use carillon_client::v1::execute_request::Command;
use carillon_client::v1::execute_response::Kind as Answered;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, Position};
use carillon_tests::story::message;
use carillon_tests::wire::{framed, join, join_since, request, say};
use carillon_tests::{Person, Reader, TestHub, Wire, hub};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const ROOM: &str = "room:a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_while_the_hub_stopped_is_stored() {
    let hub = hub().start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    let mut listener = Wire::enters(&hub, "bob").await;
    let start = listener.joins(join(ROOM)).await.position.unwrap();
    alice.send(&(10..4_010).map(|id| request(id, say(ROOM, id.to_string()))).collect::<Vec<_>>());
    // The stop comes in the middle of it.
    let is_sent = |kind: &Kind| matches!(kind, Kind::MessageSent(_));
    for _ in 0..91 {
        while !alice.next().await.unwrap().kind.as_ref().is_some_and(is_sent) {}
    }
    let (plan, (frames, end)) = tokio::join!(hub.stops(), alice.ends());
    assert_eq!(end.reason, "GOING_AWAY");
    assert_eq!(frames.iter().filter(|kind| matches!(kind, Kind::GoingAway(_))).count(), 1);
    let Some(Kind::Disconnected(last)) = frames.last() else { panic!("{:?}", frames.last()) };
    assert!(last.reconnect && last.code == "GOING_AWAY");
    let acknowledged = frames.iter().filter(|kind| is_sent(kind)).count() as u64;
    assert!(acknowledged < 3_910, "it stopped in the middle");
    // What the listener got before the end is a beginning of what is stored.
    let mut heard = Reader::from(ROOM, start);
    let (frames, end) = listener.ends().await;
    assert_eq!(end.reason, "GOING_AWAY");
    for kind in &frames {
        heard.take(kind);
    }

    let hub = plan.start().await;
    let mut bob = Wire::enters(&hub, "bob").await;
    let head = bob.joins(join(ROOM)).await.position.unwrap();
    assert_eq!(head.epoch, start.epoch, "a restart is no new log");
    assert!(head.seq >= 91 + acknowledged, "{} of {acknowledged}", head.seq);
    let mut stored = Reader::from(ROOM, start);
    bob.joins(join_since(ROOM, start)).await;
    stored.reads_to(&mut bob, head.seq).await;
    let expected: Vec<_> = (10..10 + head.seq).map(|id| id.to_string()).collect();
    assert_eq!(stored.texts, expected, "in order, none twice");
    assert_eq!(heard.texts[..], stored.texts[..heard.texts.len()]);
}

/// A client that comes back soon.
fn options(hub: &TestHub, user: &str) -> carillon_client::ClientOptions {
    hub.options(user).backoff(Duration::from_millis(50), Duration::from_millis(200))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_carry_on_at_the_hub_that_comes_after() {
    const EACH: usize = 400;
    let hub = hub().start().await;
    let address = hub.hub.grpc_address();
    let mut listener = Person::connect("bob", options(&hub, "bob")).await;
    listener.joins(ROOM).await;
    let mut senders = Vec::new();
    for name in ["s1", "s2", "s3"] {
        let sender = Person::connect(name, options(&hub, name)).await;
        senders.push(tokio::spawn(async move {
            let mut sent = Vec::new();
            for n in 0..EACH {
                sent.push((
                    sender.says(ROOM, &format!("{} {n}", sender.name)).await,
                    format!("{} {n}", sender.name),
                ));
            }
            sent
        }));
    }
    // In the middle of it all the hub is replaced by another one at its place.
    let mut heard = Vec::new();
    let (mut away, mut plan) = (0, Some(hub));
    let mut next = None;
    while heard.len() < 3 * EACH {
        if heard.len() >= 300
            && let Some(hub) = plan.take()
        {
            next = Some(hub.stops().await.at(address).start().await);
        }
        match listener.next().await {
            Event::Message(message) => {
                heard.push((carillon_tests::seq(&message), carillon_tests::words(&message).to_owned()));
            }
            Event::GoingAway { .. } => away += 1,
            Event::Truncated { room } => panic!("{room} was lost"),
            _ => {}
        }
    }
    assert_eq!(away, 1);
    assert!(heard.iter().map(|(seq, _)| *seq).eq(1..=3 * EACH as u64), "every entry once and in order");
    let texts: HashSet<_> = heard.iter().map(|(_, text)| text).collect();
    assert_eq!(texts.len(), 3 * EACH, "no message was stored twice");
    for sender in senders {
        for (seq, text) in sender.await.unwrap() {
            assert_eq!(heard[seq as usize - 1], (seq, text), "at the place that its reply named");
        }
    }
    drop(next);
}

#[tokio::test]
async fn a_hub_that_stops_takes_no_new_sessions_and_waits_for_nobody_who_is_gone() {
    let hub = hub().start().await;
    // Streams without a session and idle ones hold nothing up.
    let _silent = Wire::open(hub.hub.grpc_address(), carillon_tests::wire::Opening::default()).await;
    let mut idle = Wire::enters(&hub, "alice").await;
    let services = std::sync::Arc::clone(hub.hub.services());
    let began = std::time::Instant::now();
    let (plan, frames) = tokio::join!(hub.stops(), idle.ends_with("GOING_AWAY"));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(frames.iter().any(|kind| matches!(kind, Kind::GoingAway(v1::GoingAway { .. }))));
    assert!(services.is_draining() && services.sessions.is_empty());
    drop(services);
    // The store was closed in order: the same folder opens again.
    let hub = plan.start().await;
    let mut alice = Wire::enters(&hub, "alice").await;
    assert_ne!(alice.joins(join(ROOM)).await.position, Some(Position::default()));
}

/// A command without a session whose message comes when `go` says so. Whether the hub answered that it was sent.
async fn executes(hub: SocketAddr, token: String, go: oneshot::Receiver<()>) -> bool {
    let socket = TcpStream::connect(hub).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = http::Request::post(format!("http://{hub}/carillon.v1.HubService/Execute"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"));
    let mut client = client.ready().await.unwrap();
    let (response, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
    go.await.unwrap();
    let command = Some(Command::MessageSend(message(ROOM, "late")));
    let request = v1::ExecuteRequest { command, ..Default::default() };
    body.send_data(framed(&request.encode_to_vec()), true).unwrap();
    let Ok(response) = response.await else { return false };
    let Some(Ok(mut answer)) = response.into_body().data().await else { return false };
    let answer = v1::ExecuteResponse::decode(answer.split_off(5)).unwrap();
    matches!(answer.kind, Some(Answered::MessageSent(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_answered_while_the_drain_has_time_and_streams_without_end_are_not_waited_for() {
    let hub = hub().start().await;
    let mut health = HealthClient::new(Endpoint::from_shared(hub.url()).unwrap().connect().await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    let (go, gone) = oneshot::channel();
    let call = tokio::spawn(executes(hub.hub.grpc_address(), hub.token("alice"), gone));
    while hub.hub.calls_in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    let began = std::time::Instant::now();
    let stopping = tokio::spawn(hub.stops());
    // The watcher learns of the stop as it begins; the call takes longer than the last calls' second.
    watch.message().await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_millis(1_500), watch.message()).await.expect_err("it goes on");
    go.send(()).unwrap();
    assert!(call.await.unwrap(), "it is answered");
    stopping.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_request_that_is_never_finished_does_not_hold_up_a_stop() {
    let hub = hub().start().await;
    let mut half = TcpStream::connect(hub.hub.http_address()).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.unwrap();
    // The hub has taken that connection when it answers a later one.
    let mut whole = TcpStream::connect(hub.hub.http_address()).await.unwrap();
    whole.write_all(b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n").await.unwrap();
    tokio::io::AsyncReadExt::read_to_end(&mut whole, &mut Vec::new()).await.unwrap();
    let began = std::time::Instant::now();
    hub.stops().await.start().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
