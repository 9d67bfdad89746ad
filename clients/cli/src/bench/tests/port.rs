//! The hub of a few lines, behind the real bridge.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use carillon_bridge::{Bridge, Options, Origins};
use carillon_proto::port::{Call, End, FrameStream, HubPort, Known, Peer, Pending, Refused, TurnedAway};
use carillon_proto::v1::{self, SessionRequest, SessionResponse};
use carillon_proto::{Frame, WireRow};
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::hub::{Fault, Hub, Incoming, Out};

/// Starts hub and bridge on a free port, for as long as the test's process lives.
pub(super) fn start(fault: Fault) -> SocketAddr {
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut options = Options::new(listen, Origins::new(&[], true).unwrap());
    options.addresses = None;
    let bridge = Arc::new(Bridge::bind(options, 1).unwrap());
    let address = bridge.address();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(bridge.serve(Arc::new(Port(Hub::new(fault))), CancellationToken::new()));
    });
    address
}

struct Port(Hub);

impl HubPort for Port {
    fn open(&self, _: Call) -> Box<dyn FrameStream> {
        let (out, frames) = mpsc::channel(1_024);
        Box::new(Session { hub: self.0.clone(), out: Some(out), frames })
    }

    fn execute(
        &self,
        _: Call,
        _: Pending,
        _: Known,
    ) -> BoxFuture<'static, Result<v1::ExecuteResponse, Refused>> {
        async { Err(Refused::default()) }.boxed()
    }

    fn create_ticket(
        &self,
        _: Call,
        _: v1::CreateTicketRequest,
    ) -> BoxFuture<'static, Result<v1::CreateTicketResponse, v1::Error>> {
        async { Err(v1::Error::default()) }.boxed()
    }

    fn watch_overview(
        &self,
        _: Call,
        _: v1::WatchOverviewRequest,
    ) -> BoxStream<'static, Result<v1::WatchOverviewResponse, v1::Error>> {
        futures::stream::empty().boxed()
    }

    fn turned_away(&self, _: &Peer, _: TurnedAway) {}

    fn is_ready(&self) -> bool {
        true
    }
}

struct Session {
    hub: Hub,
    /// `None` when the session has ended.
    out: Option<Out>,
    frames: Incoming,
}

impl FrameStream for Session {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn send(&mut self, request: Bytes) {
        let Some(out) = &self.out else { return };
        if !self.hub.take(SessionRequest::decode(request).unwrap(), out) {
            self.out = None;
        }
    }

    fn refuse(&mut self, _: u32, _: Frame) {
        unreachable!("what the tests send can be read");
    }

    fn fail(&mut self, _: &'static WireRow) {
        self.out = None;
    }

    fn finish(&mut self) {
        self.out = None;
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, take: &mut dyn FnMut(Frame)) -> Poll<Option<End>> {
        if self.out.is_none() && self.frames.is_empty() {
            return Poll::Ready(Some(None));
        }
        let response: Option<SessionResponse> = ready!(self.frames.poll_recv(cx)).and_then(Result::ok);
        match response {
            Some(response) => {
                take(Frame::encode(&response));
                Poll::Ready(None)
            }
            None => Poll::Ready(Some(None)),
        }
    }

    fn caller_is_known(&self) -> bool {
        true
    }

    fn poll_cut(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
