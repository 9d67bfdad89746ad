//! A stream that its client does not let end is broken off, and others on its connection go on.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::{self, execute_request};
use carillon_tests::wire::{framed, greeting, join, request, say};
use carillon_tests::{PATIENCE, TestHub, Wire, hub};
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use prost::Message;
use tokio::net::TcpStream;

/// A connection whose streams' windows are never opened further: past them nothing but headers comes.
struct Shut {
    client: SendRequest<Bytes>,
    address: SocketAddr,
    token: String,
}

impl Shut {
    async fn connect(hub: &TestHub, window: u32) -> Self {
        let address = hub.hub.grpc_address();
        let socket = TcpStream::connect(address).await.unwrap();
        let (client, connection) =
            Builder::new().initial_window_size(window).handshake::<_, Bytes>(socket).await.unwrap();
        tokio::spawn(connection);
        Self { client, address, token: hub.token("alice") }
    }

    /// A call of `HubService` that asks this, if anything, and its answer's body.
    async fn call(&mut self, method: &str, asked: Option<&[u8]>) -> (SendStream<Bytes>, RecvStream) {
        let request = http::Request::post(format!("http://{}/carillon.v1.HubService/{method}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", self.token));
        let mut client = self.client.clone().ready().await.unwrap();
        let (answer, mut to_hub) = client.send_request(request.body(()).unwrap(), false).unwrap();
        if let Some(asked) = asked {
            to_hub.send_data(framed(asked), true).unwrap();
        }
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap();
        (to_hub, answer.into_body())
    }

    /// A call that is answered with headers alone: there is nothing in it to be done.
    async fn is_answered(&mut self) {
        let (_, mut answer) = self.call("Execute", Some(&[])).await;
        assert!(answer.data().await.is_none());
    }

    /// A session that has joined the room, which reads nothing.
    async fn joins(&mut self, room: &str) -> (SendStream<Bytes>, RecvStream) {
        let (mut to_hub, stream) = self.call("Session", None).await;
        let hello = v1::Hello { token: self.token.clone(), ..greeting() };
        for (id, command) in [(1, Command::Hello(hello)), (2, Command::Join(join(room)))] {
            to_hub.send_data(framed(&request(id, command).encode_to_vec()), false).unwrap();
        }
        (to_hub, stream)
    }

    /// Others go on until a stream, whose window is never opened, is broken off.
    async fn goes_on_until_broken_off(&mut self, stream: RecvStream) {
        let mut end = pin!(breaks(stream));
        let mut calls = tokio::time::interval(Duration::from_millis(20));
        let error = loop {
            tokio::select! {
                error = end.as_mut() => break error,
                _ = calls.tick() => self.is_answered().await,
            }
        };
        assert!(error.is_reset() && error.is_remote(), "{error}");
        assert_eq!(error.reason(), Some(Reason::CANCEL));
        self.is_answered().await;
    }
}

/// Takes what came of a stream, without asking for more, until it breaks.
async fn breaks(mut stream: RecvStream) -> h2::Error {
    loop {
        if let Err(error) = stream.data().await.expect("it is no end in order") {
            return error;
        }
    }
}

/// Says more in the room than goes out to who does not read.
async fn floods(hub: &TestHub, room: &str) {
    let mut bob = Wire::enters(hub, "bob").await;
    let words = "x".repeat(1_000);
    for _ in 0..200 {
        bob.asks(say(room, words.clone())).await;
    }
}

/// A hub that waits for slow readers no longer than it must.
async fn impatient() -> TestHub {
    hub().with(|config| config.session.slow_consumer_after = Duration::from_millis(200)).start().await
}

#[tokio::test]
async fn a_stream_without_hello_takes_no_others_with_it() {
    let hub = hub().with(|config| config.session.hello_timeout = Duration::from_millis(200)).start().await;
    let mut shut = Shut::connect(&hub, 0).await;
    let (_silent, stream) = shut.call("Session", None).await;
    shut.goes_on_until_broken_off(stream).await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_takes_no_others_with_it() {
    let hub = hub().with(|config| config.session.command_timeout = Duration::from_millis(300)).start().await;
    let mut shut = Shut::connect(&hub, 0).await;
    let command = Some(execute_request::Command::Rooms(v1::RoomsGet::default()));
    let rooms = v1::ExecuteRequest { command, ..v1::ExecuteRequest::default() };
    let (_asked, answer) = shut.call("Execute", Some(&rooms.encode_to_vec())).await;
    shut.goes_on_until_broken_off(answer).await;
    assert_eq!(hub.hub.calls_in_flight(), 0, "nothing of it is held");
}

#[tokio::test]
async fn a_session_that_does_not_take_its_end_takes_no_others_with_it() {
    let hub = impatient().await;
    let mut shut = Shut::connect(&hub, 16 * 1024).await;
    let (_slow, stream) = shut.joins("room:busy").await;
    floods(&hub, "room:busy").await;
    shut.goes_on_until_broken_off(stream).await;
    assert_eq!(hub.hub.services().metrics.counters().slow_consumers.total(), 1);
}

#[tokio::test]
async fn a_connection_on_which_nobody_takes_anything_is_closed() {
    let hub = impatient().await;
    let mut shut = Shut::connect(&hub, 16 * 1024).await;
    let (_slow, stream) = shut.joins("room:busy").await;
    floods(&hub, "room:busy").await;
    let error = tokio::time::timeout(PATIENCE, breaks(stream)).await.expect("the hub does not wait for ever");
    assert!(!error.is_reset(), "{error}");
}
