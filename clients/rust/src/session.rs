//! One stream: opening it, its two directions, and when it counts as dead.

use std::sync::Arc;
use std::time::Duration;

use carillon_proto::v1::hub_service_client::HubServiceClient;
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use carillon_proto::v1::{Connected, Disconnected, Goodbye, Hello, SessionRequest, SessionResponse};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use crate::error::{Refusal, millis};
use crate::options::{ClientOptions, endpoint, innermost};
use crate::pending::IN_FLIGHT;
use crate::reconnect::End;
use crate::rooms::Rooms;
use crate::token::{self, TokenReason};

/// The version of the protocol that this library speaks.
const PROTOCOL: u32 = 1;
/// The id of `hello`.
const HELLO_ID: u32 = 1;
/// Frames that may wait to be written: all commands in flight, and the library's own beside them.
const OUTBOUND: usize = IN_FLIGHT + 16;
/// Largest frame that every hub takes, bytes: the least that one can be set to.
const FRAME_BYTES_EVERYWHERE: usize = 16 * 1024;
/// By how much the lengths before the parts of a frame may grow when it gets a `resume`.
const LENGTHS: usize = 16;
/// Largest frame from the hub, bytes: a full page of the largest contents (200 of 64 KiB), and as much again.
pub(crate) const FRAME_BYTES: usize = 32 << 20;
/// Silence that counts as death where the hub does not say.
const SILENCE: Duration = Duration::from_mins(1);
/// How long a goodbye may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// An open session.
pub(crate) struct Session {
    pub(crate) connected: Arc<Connected>,
    pub(crate) inbound: Streaming<SessionResponse>,
    pub(crate) outbound: mpsc::Sender<SessionRequest>,
    pub(crate) opened: Instant,
    pub(crate) last_frame: Instant,
    /// What `going_away` said.
    pub(crate) going_away: Option<Duration>,
    /// Rooms to resume that `hello` had no place for.
    pub(crate) late: Vec<String>,
}

impl Session {
    /// Opens one: token, connection, `hello`, `connected`. `attempt` chooses the address, `last` is what the hub said
    /// when the last session opened.
    pub(crate) async fn open(
        options: &ClientOptions,
        attempt: usize,
        reason: TokenReason,
        (rooms, last): (&Rooms, Option<&Connected>),
    ) -> Result<Self, End> {
        let opening = Self::open_unlimited(options, attempt, reason, (rooms, last));
        match tokio::time::timeout(options.connect_timeout, opening).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(End::TimedOut(options.connect_timeout)),
        }
    }

    async fn open_unlimited(
        options: &ClientOptions,
        attempt: usize,
        reason: TokenReason,
        (rooms, last): (&Rooms, Option<&Connected>),
    ) -> Result<Self, End> {
        let token = options.token.token(reason).await.map_err(End::Token)?;
        let bearer = token::bearer(&token).map_err(End::Token)?;
        let channel = channel(options, attempt).await?;
        let (outbound, requests) = mpsc::channel(OUTBOUND);
        let hello = Hello {
            token,
            protocol: PROTOCOL,
            client: options.name.clone(),
            instance: options.instance.clone(),
            resume: None,
        };
        let (hello, late) = resuming(hello, rooms, frame_limit(last));
        // Before the call: a hub may wait for it before it answers at all.
        outbound.try_send(hello).map_err(|_| End::Broken("the stream closed".into()))?;
        let mut hub = HubServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES);
        let mut call = Request::new(ReceiverStream::new(requests));
        // Beside `hello`: where others at this address have tried too often, it is looked at before anything is read.
        call.metadata_mut().insert("authorization", bearer);
        let response = hub.session(call).await;
        let mut inbound = response.map_err(|status| end_of_status(&status))?.into_inner();
        let connected = await_connected(&mut inbound).await?;
        let now = Instant::now();
        let connected = Arc::new(connected);
        Ok(Self { connected, inbound, outbound, opened: now, last_frame: now, going_away: None, late })
    }

    /// Whether the hub takes this frame. It would end the session, and again each time it is sent.
    pub(crate) fn takes(&self, request: &SessionRequest) -> bool {
        request.encoded_len() <= frame_limit(Some(&self.connected))
    }

    /// When silence means that the connection is dead.
    pub(crate) fn dead_at(&self) -> Instant {
        let heartbeat = self.connected.heartbeat.unwrap_or_default();
        self.last_frame + millis(heartbeat.timeout_ms).unwrap_or(SILENCE)
    }

    /// What the stream's end means, where no `disconnected` came.
    pub(crate) fn end(&self, status: Option<&tonic::Status>) -> End {
        match (self.going_away, status) {
            (Some(after), _) => End::GoingAway(after),
            (None, Some(status)) => end_of_status(status),
            (None, None) => End::Broken("the hub ended the stream".into()),
        }
    }

    /// Leaves on purpose, so that others see it at once.
    pub(crate) async fn leave(mut self, id: u32) {
        let goodbye = SessionRequest {
            command_id: id,
            command: Some(Command::Goodbye(Goodbye {})),
            ..Default::default()
        };
        if self.outbound.try_send(goodbye).is_err() {
            return;
        }
        drop(self.outbound);
        // To drop the stream now would take the frame back out of the connection's queue.
        let drained = async { while let Ok(Some(_)) = self.inbound.message().await {} };
        let _ = tokio::time::timeout(GOODBYE, drained).await;
    }
}

/// Bytes of one frame that the hub takes.
fn frame_limit(connected: Option<&Connected>) -> usize {
    let limits = connected.and_then(|connected| connected.limits);
    match limits.map_or(0, |limits| limits.frame_bytes) {
        0 => FRAME_BYTES_EVERYWHERE,
        bytes => bytes as usize,
    }
}

/// The frame of this `hello` with all rooms that have a place in it, and the others.
fn resuming(hello: Hello, rooms: &Rooms, limit: usize) -> (SessionRequest, Vec<String>) {
    let frame = |hello| SessionRequest {
        command_id: HELLO_ID,
        command: Some(Command::Hello(hello)),
        ..Default::default()
    };
    let bare = frame(hello.clone()).encoded_len();
    let (resume, late) = rooms.resume(limit.saturating_sub(bare + LENGTHS));
    (frame(Hello { resume, ..hello }), late)
}

async fn channel(options: &ClientOptions, attempt: usize) -> Result<Channel, End> {
    if let Some(channel) = &options.channel {
        return Ok(channel.clone());
    }
    let address = options.addresses.get(attempt % options.addresses.len().max(1));
    let address = address.map_or("", String::as_str);
    let endpoint = endpoint(address).map_err(|error| End::Options(error.to_string()))?;
    let connector = options.tls.connector(&endpoint).map_err(|error| End::Options(error.to_string()))?;
    let connected = match connector {
        Some(connector) => endpoint.connect_with_connector(connector).await,
        None => endpoint.connect().await,
    };
    connected.map_err(|error| End::Unreachable { address: address.to_owned(), reason: innermost(&error) })
}

async fn await_connected(inbound: &mut Streaming<SessionResponse>) -> Result<Connected, End> {
    loop {
        match inbound.message().await {
            Ok(Some(SessionResponse { kind, .. })) => match kind {
                Some(Kind::Connected(connected)) => return Ok(connected),
                Some(Kind::Disconnected(disconnected)) => {
                    return Err(end_of_disconnected(disconnected, None));
                }
                Some(Kind::Error(error)) => {
                    return Err(End::Refused { refusal: error.into(), reconnect: None });
                }
                _ => {}
            },
            Ok(None) => return Err(End::Broken("the hub ended the stream".into())),
            Err(status) => return Err(end_of_status(&status)),
        }
    }
}

/// The hub's own account of the end. What `going_away` asked for before holds, too.
pub(crate) fn end_of_disconnected(disconnected: Disconnected, going_away: Option<Duration>) -> End {
    let refusal = Refusal {
        code: crate::Code::of(&disconnected.code),
        message: disconnected.message,
        request_id: String::new(),
        retryable: disconnected.reconnect,
        retry_after: millis(disconnected.retry_after_ms).max(going_away),
        violations: Vec::new(),
    };
    End::Refused { refusal, reconnect: Some(disconnected.reconnect) }
}

fn end_of_status(status: &tonic::Status) -> End {
    // A status with a source was made by this side's transport, not by a hub.
    if let Some(source) = std::error::Error::source(status) {
        return End::Broken(format!("the connection broke: {}", innermost(source)).into());
    }
    End::Refused { refusal: Refusal::from_status(status), reconnect: None }
}
