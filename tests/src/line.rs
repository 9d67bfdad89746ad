//! A session without the library: what it does not do, nobody does, and dropping it is a connection that breaks.

#![expect(clippy::panic, reason = "what the harness finds wrong fails the test")]

use carillon_client::v1::hub_service_client::HubServiceClient;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, SessionRequest, SessionResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::hub::TestHub;
use crate::people::PATIENCE;

/// Requests that may wait to be sent.
const QUEUE: usize = 64;

/// One stream.
pub struct Line {
    requests: mpsc::Sender<SessionRequest>,
    responses: Streaming<SessionResponse>,
    last_id: u32,
    /// What the hub said when it opened.
    pub connected: v1::Connected,
    /// What came while a reply was waited for.
    pub pushes: Vec<Kind>,
}

impl Line {
    /// Opens a session of a user.
    pub async fn open(hub: &TestHub, user: &str) -> Self {
        Self::open_with(hub, user, None).await
    }

    /// Opens a session of a user that carries on from `resume`.
    pub async fn open_with(hub: &TestHub, user: &str, resume: Option<v1::Resume>) -> Self {
        let channel = carillon_client::shared_channel(&hub.url(), 1).expect("an address");
        let mut service = HubServiceClient::new(channel);
        let (requests, queue) = mpsc::channel(QUEUE);
        let hello = v1::Hello { token: hub.token(user), protocol: 1, resume, ..Default::default() };
        let hello =
            SessionRequest { command_id: 1, command: Some(Command::Hello(hello)), ..Default::default() };
        requests.send(hello).await.expect("the stream is open");
        let responses =
            service.session(ReceiverStream::new(queue)).await.expect("the stream opens").into_inner();
        let connected = v1::Connected::default();
        let mut line = Self { requests, responses, last_id: 1, connected, pushes: Vec::new() };
        match line.reply(1).await {
            Kind::Connected(connected) => line.connected = connected,
            other => panic!("{other:?}"),
        }
        line
    }

    /// Sends a command and gives its reply.
    pub async fn asks(&mut self, command: Command) -> Kind {
        self.last_id += 1;
        let command_id = self.last_id;
        let request = SessionRequest { command_id, command: Some(command), ..Default::default() };
        self.requests.send(request).await.expect("the stream is open");
        self.reply(command_id).await
    }

    /// Joins a room, with presence.
    pub async fn joins(&mut self, room: &str) -> v1::Joined {
        let join = v1::Join { room: room.to_owned(), presence: true, ..Default::default() };
        match self.asks(Command::Join(join)).await {
            Kind::Joined(joined) => joined,
            other => panic!("{other:?}"),
        }
    }

    /// The next response; `None` where the stream has ended.
    pub async fn next(&mut self) -> Option<SessionResponse> {
        let response = tokio::time::timeout(PATIENCE, self.responses.message()).await;
        response.expect("something comes").unwrap_or_default()
    }

    /// The next push that was not waited past.
    pub async fn push(&mut self) -> Kind {
        if !self.pushes.is_empty() {
            return self.pushes.remove(0);
        }
        self.next().await.and_then(|response| response.kind).expect("the stream goes on")
    }

    async fn reply(&mut self, id: u32) -> Kind {
        loop {
            let response = self.next().await.expect("the stream goes on");
            let kind = response.kind.expect("a kind that is known");
            if response.command_id == id {
                return kind;
            }
            self.pushes.push(kind);
        }
    }
}
