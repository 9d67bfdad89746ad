//! A session frame by frame: for what the client library would never do, as to send what is no frame, or not to read.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_client::{Refusal, v1};
use carillon_proto::v1::session_request::Command;
use carillon_proto::v1::session_response::Kind;
use h2::{RecvStream, SendStream};
use prost::Message as _;
use prost::bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::fault::{Fault, Outcome, within};
use super::world::PATIENCE;

/// What the hub may send before we read: HTTP/2's own default, so that a reader who stops is soon felt.
const WINDOW_BYTES: u32 = 65_535;
/// A gRPC message's prefix: a flag and four bytes of length.
pub(super) const PREFIX: usize = 5;
/// Largest frame that is taken: more than any that the hub sends here.
const FRAME_BYTES: usize = 4 << 20;

/// What came.
#[derive(Debug)]
pub(super) enum Heard {
    /// A reply or push; with 0 for a push.
    Frame(u32, Kind),
    /// The stream's end: the status, where it is not OK.
    End(Option<Refusal>),
}

/// One stream of `HubService.Session` on a connection of its own. Dropping it drops the connection without a word.
pub(super) struct Wire {
    outbound: SendStream<Bytes>,
    inbound: RecvStream,
    buffer: BytesMut,
    last_id: u32,
    ended: bool,
    _connection: JoinSet<()>,
}

impl Wire {
    /// Connects and opens the stream.
    pub(super) async fn open(hub: SocketAddr) -> Outcome<Self> {
        within(PATIENCE, "a stream opens", Self::connect(hub)).await
    }

    async fn connect(hub: SocketAddr) -> Outcome<Self> {
        let socket = TcpStream::connect(hub).await.map_err(Fault::wire("connect"))?;
        socket.set_nodelay(true).map_err(Fault::wire("connect"))?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        let (client, connection) = builder.handshake(socket).await.map_err(Fault::wire("handshake"))?;
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            // Its end shows at the stream.
            let _ = connection.await;
        });
        let mut client = client.ready().await.map_err(Fault::wire("handshake"))?;
        let request = http::Request::post(format!("http://{hub}/carillon.v1.HubService/Session"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(Fault::wire("call"))?;
        let (response, outbound) = client.send_request(request, false).map_err(Fault::wire("call"))?;
        let response = response.await.map_err(Fault::wire("call"))?;
        Ok(Self {
            outbound,
            inbound: response.into_body(),
            buffer: BytesMut::new(),
            last_id: 0,
            ended: false,
            _connection: connections,
        })
    }

    /// Says hello and waits for `connected`.
    pub(super) async fn hello(&mut self, token: String) -> Outcome<v1::Connected> {
        self.hello_with(v1::Hello { token, protocol: 1, ..v1::Hello::default() }).await
    }

    /// The same with more to say.
    pub(super) async fn hello_with(&mut self, hello: v1::Hello) -> Outcome<v1::Connected> {
        let id = self.command(Command::Hello(hello))?;
        match self.reply(id).await? {
            Kind::Connected(connected) => Ok(connected),
            other => Err(Fault::Broken(format!("hello was answered with {other:?}"))),
        }
    }

    /// Shows a token: the session, or the code that the stream ends with.
    pub(super) async fn shows(&mut self, token: String) -> Outcome<Result<v1::Connected, String>> {
        self.command(Command::Hello(v1::Hello { token, protocol: 1, ..v1::Hello::default() }))?;
        let wait = async {
            loop {
                match self.next().await? {
                    Heard::Frame(_, Kind::Connected(connected)) => return Ok(Ok(connected)),
                    Heard::Frame(_, Kind::Disconnected(end)) => return Ok(Err(end.code)),
                    Heard::Frame(..) => {}
                    Heard::End(Some(end)) => return Ok(Err(end.code.name().to_owned())),
                    Heard::End(None) => return Err(Fault::broken("a stream ended well before it began")),
                }
            }
        };
        within(PATIENCE, "hello is answered", wait).await
    }

    /// Sends a command under the next id, and gives the id.
    pub(super) fn command(&mut self, command: Command) -> Outcome<u32> {
        self.last_id += 1;
        let request =
            v1::SessionRequest { command_id: self.last_id, command: Some(command), ..Default::default() };
        self.request(&request)?;
        Ok(self.last_id)
    }

    /// Sends a frame with the prefix.
    pub(super) fn request(&mut self, request: &v1::SessionRequest) -> Outcome<()> {
        self.bytes(prefixed(&request.encode_to_vec()))
    }

    /// Sends bytes as they are.
    pub(super) fn bytes(&mut self, bytes: impl Into<Bytes>) -> Outcome<()> {
        self.outbound.send_data(bytes.into(), false).map_err(Fault::wire("send"))
    }

    /// Says that nothing more will be sent.
    pub(super) fn finish(&mut self) -> Outcome<()> {
        self.outbound.send_data(Bytes::new(), true).map_err(Fault::wire("send"))
    }

    /// The next frame, or the end. Bytes count as read only when this is called.
    pub(super) async fn next(&mut self) -> Outcome<Heard> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(frame);
            }
            if self.ended {
                return Ok(Heard::End(None));
            }
            match self.inbound.data().await {
                Some(Ok(data)) => {
                    let credit = self.inbound.flow_control().release_capacity(data.len());
                    credit.map_err(Fault::wire("receive"))?;
                    self.buffer.extend_from_slice(&data);
                }
                Some(Err(error)) => return Err(Fault::wire("receive")(error)),
                None => return self.end().await,
            }
        }
    }

    async fn end(&mut self) -> Outcome<Heard> {
        self.ended = true;
        let trailers = self.inbound.trailers().await.map_err(Fault::wire("receive"))?;
        let status = trailers.as_ref().and_then(tonic::Status::from_header_map);
        let status = status.ok_or_else(|| Fault::Broken("a stream ended without a status".to_owned()))?;
        let ok = status.code() == tonic::Code::Ok;
        Ok(Heard::End((!ok).then(|| Refusal::from_status(&status))))
    }

    fn buffered(&mut self) -> Outcome<Option<Heard>> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let [_, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES {
            return Err(Fault::Broken(format!("the hub sent a frame of {length} bytes")));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        let frame = v1::SessionResponse::decode(self.buffer.split_to(length)).map_err(Fault::broken)?;
        let kind = frame.kind.ok_or_else(|| Fault::Broken("the hub sent an unknown frame".to_owned()))?;
        Ok(Some(Heard::Frame(frame.command_id, kind)))
    }

    /// The reply to a command. Pushes before it are passed over.
    pub(super) async fn reply(&mut self, id: u32) -> Outcome<Kind> {
        self.waits_for(&format!("command {id} is answered"), |heard, kind| (heard == id).then_some(kind))
            .await
    }

    /// The next frame that `pick` picks; the others are passed over.
    pub(super) async fn waits_for<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(u32, Kind) -> Option<T>,
    ) -> Outcome<T> {
        let wait = async {
            loop {
                match self.next().await? {
                    Heard::Frame(id, kind) => {
                        if let Some(picked) = pick(id, kind) {
                            return Ok(picked);
                        }
                    }
                    Heard::End(end) => {
                        return Err(Fault::Broken(format!("{what}: the stream ended: {end:?}")));
                    }
                }
            }
        };
        within(PATIENCE, what, wait).await
    }

    /// The code that the stream ends with, empty for OK; frames before it are passed over. `limit`: how long that may
    /// take.
    pub(super) async fn end_code(&mut self, limit: Duration) -> Outcome<String> {
        let wait = async {
            let mut told = None;
            loop {
                match self.next().await? {
                    Heard::Frame(_, Kind::Disconnected(disconnected)) => told = Some(disconnected.code),
                    Heard::Frame(..) => {}
                    Heard::End(end) => {
                        let code = end.map_or(String::new(), |refusal| refusal.code.name().to_owned());
                        if told.as_ref().is_some_and(|told| *told != code) {
                            let text = format!("disconnected says {told:?}, the status {code}");
                            return Err(Fault::Broken(text));
                        }
                        return Ok(code);
                    }
                }
            }
        };
        within(limit, "a stream ends", wait).await
    }

    /// Leaves in good order.
    pub(super) async fn goodbye(mut self) -> Outcome<()> {
        self.command(Command::Goodbye(v1::Goodbye {}))?;
        let code = self.end_code(PATIENCE).await?;
        super::fault::same("the status of a stream after goodbye", code.as_str(), "")
    }
}

/// A gRPC message of these bytes.
pub(super) fn prefixed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREFIX + message.len());
    bytes.push(0);
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}
