//! A stream that its client does not let end is broken off, and others on its connection go on.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use carillon_client::v1::{self, execute_request};
use carillon_tests::wire::framed;
use carillon_tests::{PATIENCE, TestHub, hub};
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use prost::Message;
use tokio::net::TcpStream;

/// A connection on which no stream's window is open, so that nothing but headers comes.
struct Shut {
    client: SendRequest<Bytes>,
    address: SocketAddr,
    token: String,
}

impl Shut {
    async fn connect(hub: &TestHub) -> Self {
        let address = hub.hub.grpc_address();
        let socket = TcpStream::connect(address).await.unwrap();
        let (client, connection) =
            Builder::new().initial_window_size(0).handshake::<_, Bytes>(socket).await.unwrap();
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

    /// Others go on until a stream, on which nothing has come, is broken off.
    async fn goes_on_until_broken_off(&mut self, mut stream: RecvStream) {
        let mut end = pin!(stream.data());
        let mut calls = tokio::time::interval(Duration::from_millis(20));
        let end = loop {
            tokio::select! {
                end = end.as_mut() => break end,
                _ = calls.tick() => self.is_answered().await,
            }
        };
        let error = end.expect("it is no end in order").unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error}");
        assert_eq!(error.reason(), Some(Reason::CANCEL));
        self.is_answered().await;
    }
}

#[tokio::test]
async fn a_stream_without_hello_takes_no_others_with_it() {
    let hub = hub().with(|config| config.session.hello_timeout = Duration::from_millis(200)).start().await;
    let mut shut = Shut::connect(&hub).await;
    let (_silent, stream) = shut.call("Session", None).await;
    shut.goes_on_until_broken_off(stream).await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_takes_no_others_with_it() {
    let hub = hub().with(|config| config.session.command_timeout = Duration::from_millis(300)).start().await;
    let mut shut = Shut::connect(&hub).await;
    let command = Some(execute_request::Command::Rooms(v1::RoomsGet::default()));
    let rooms = v1::ExecuteRequest { command, ..v1::ExecuteRequest::default() };
    let (_asked, answer) = shut.call("Execute", Some(&rooms.encode_to_vec())).await;
    shut.goes_on_until_broken_off(answer).await;
    assert_eq!(hub.hub.calls_in_flight(), 0, "nothing of it is held");
}
