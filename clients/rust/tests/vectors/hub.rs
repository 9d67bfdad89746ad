//! A hub that sends and receives the bytes of frames as they are, in the same process and without a socket.

use std::convert::Infallible;
use std::future::Ready;
use std::io;
use std::pin::Pin;

use bytes::{Buf, BufMut, Bytes};
use carillon_client::ClientOptions;
use carillon_proto::WireRow;
use futures::{Stream, StreamExt};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::duplex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, StreamingService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

pub struct Hub {
    channel: Channel,
    pub sessions: mpsc::Receiver<Peer>,
}

/// One session, seen from the hub.
pub struct Peer {
    inbound: Streaming<Bytes>,
    outbound: mpsc::Sender<Result<Bytes, Status>>,
}

impl Hub {
    pub fn start() -> Self {
        let (opened, sessions) = mpsc::channel(16);
        let dial = tower::service_fn(move |_| {
            let (here, there) = duplex(1 << 16);
            let opened = opened.clone();
            let serve = hyper::service::service_fn(move |request| {
                let sessions = Sessions(opened.clone());
                async move { Ok::<_, Infallible>(Grpc::new(Verbatim).streaming(sessions, request).await) }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(there), serve));
            async { Ok::<_, io::Error>(TokioIo::new(here)) }
        });
        let channel = Endpoint::from_static("http://hub").connect_with_connector_lazy(dial);
        Self { channel, sessions }
    }

    pub fn options(&self) -> ClientOptions {
        ClientOptions::over(self.channel.clone()).name("vectors/1").instance("tab").wait_for_hub()
    }
}

impl Peer {
    /// The next frame; `None` where the client has gone.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.inbound.message().await.ok().flatten()
    }

    pub async fn send(&mut self, frame: Vec<u8>) -> Result<(), String> {
        self.outbound.send(Ok(frame.into())).await.map_err(|_| "the client has ended the session".to_owned())
    }

    /// Ends the session with a code's status.
    pub async fn end(self, code: &str) {
        let row = WireRow::of(code);
        assert_eq!(row.name, code);
        let details = ErrorDetails::with_error_info(code, "carillon", []);
        // Where the client has gone already, it needs no status.
        let _ = self.outbound.send(Err(Status::with_error_details(row.grpc, row.message, details))).await;
    }
}

struct Sessions(mpsc::Sender<Peer>);

impl StreamingService<Bytes> for Sessions {
    type Response = Bytes;
    type ResponseStream = Frames;
    type Future = Ready<Result<Response<Frames>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (outbound, frames) = mpsc::channel(1);
        let peer = Peer { inbound: request.into_inner(), outbound };
        std::future::ready(match self.0.try_send(peer) {
            Ok(()) => Ok(Response::new(ReceiverStream::new(frames).boxed())),
            Err(_) => Err(Status::unavailable("nobody plays the hub")),
        })
    }
}

/// Passes messages on.
#[derive(Clone, Copy)]
struct Verbatim;

impl Codec for Verbatim {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
