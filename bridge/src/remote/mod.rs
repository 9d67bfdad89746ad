//! A hub elsewhere: the port over gRPC. Each session is one `HubService.Session` stream, whose messages are passed on as
//! they are.
//!
//! A connection carries so many streams ([`STREAMS`]) and another is opened for more; its window holds all of its
//! streams' windows, so that one stopped socket stalls nobody. Of several hubs those are asked that say they serve.

mod codec;
mod endpoint;
mod notices;
mod posted;
mod status;
mod stream;
mod turned_away;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use carillon_net::tls::{ClientTls, TlsError};
use carillon_proto::port::{
    self, BRIDGE_KEY_BYTES, Call, FrameStream, HubPort, Known, Peer, Pending, Refused, TurnedAway,
};
use carillon_proto::v1;
use carillon_proto::v1::admin_service_client::AdminServiceClient;
use carillon_proto::v1::hub_service_client::HubServiceClient;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

use crate::respond::{REQUEST_ID, refusal};
use crate::trace::TRACE_PARENT;
use endpoint::Endpoint;
pub use notices::Notices;
use stream::RemoteStream;
use turned_away::Telling;

/// Streams of one connection at most; a hub allows 128.
const STREAMS: usize = 100;
/// A command without a session that is not answered by then has an unknown outcome.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the hubs are, and how a bridge proves itself to them.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// The hubs, as `http://10.0.0.1:7420` or `https://hub.internal:7420`.
    pub hubs: Vec<String>,
    /// Whom to trust at addresses of `https`, and what to show there.
    pub tls: ClientTls,
    /// Whether tokens and the key may go to other machines in plain text.
    pub insecure: bool,
    /// The key that hubs and bridge share; without it hubs do not believe what the bridge says of clients.
    pub key: Option<String>,
    /// What is said in the log of the hubs, and of browsers that were turned away, shared by all workers.
    pub notices: Notices,
}

/// Why the hubs cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// None was named.
    #[error("no hub was named")]
    NoHub,
    /// An address is none.
    #[error("\"{0}\" is no address of a hub: give one as http://127.0.0.1:7420 or https://hub.internal:7420")]
    Address(String),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There are certificates, and a hub that is spoken to in plain text.
    #[error("\"{0}\": certificates are for addresses that begin with https://")]
    PlainText(String),
    /// Others would hear what is said to it.
    #[error(
        "\"{0}\" is on another machine, and tokens would travel in plain text: give its address with https://, or say \
         --hub-insecure"
    )]
    Exposed(String),
    /// The key is none that a hub would take.
    #[error("the bridge's key: at least {BRIDGE_KEY_BYTES} bytes, visible ASCII characters alone")]
    Key,
}

/// Hubs elsewhere. A clone shares the connections.
#[derive(Clone)]
pub struct RemoteHub(Arc<Inner>);

struct Inner {
    endpoints: Vec<Arc<Endpoint>>,
    next: AtomicUsize,
    key: Option<MetadataValue<Ascii>>,
    drain: CancellationToken,
    turned_away: Arc<Telling>,
}

impl RemoteHub {
    /// Begins to watch the hubs; to be called on the runtime that is to carry the connections. From `drain` on sessions
    /// end with GOING_AWAY.
    pub fn new(options: &RemoteOptions, drain: CancellationToken) -> Result<Self, RemoteError> {
        let hubs = options.hubs.iter();
        let endpoints = hubs.map(|hub| Endpoint::new(hub, &options.tls, options.insecure));
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            return Err(RemoteError::NoHub);
        }
        let fits =
            |key: &&str| key.len() >= BRIDGE_KEY_BYTES && key.bytes().all(|byte| byte.is_ascii_graphic());
        let key =
            options.key.as_deref().map(|key| Some(key).filter(fits).ok_or(RemoteError::Key)).transpose()?;
        let key = key.map(MetadataValue::try_from).transpose();
        let mut key: Option<MetadataValue<Ascii>> = key.map_err(|_| RemoteError::Key)?;
        if let Some(key) = &mut key {
            key.set_sensitive(true);
        }
        for endpoint in &endpoints {
            let notices = options.notices.clone();
            tokio::spawn(Arc::clone(endpoint).watch(key.clone(), notices, drain.clone()));
        }
        let turned_away = Arc::clone(&options.notices.turned_away);
        Ok(Self(Arc::new(Inner { endpoints, next: AtomicUsize::new(0), key, drain, turned_away })))
    }

    /// The hubs in the order in which to try them: those that serve first, each in its turn.
    fn candidates(&self) -> Vec<Arc<Endpoint>> {
        let endpoints = &self.0.endpoints;
        let first = self.0.next.fetch_add(1, Ordering::Relaxed) % endpoints.len();
        let (before, after) = endpoints.split_at(first);
        let mut candidates: Vec<_> = after.iter().chain(before).cloned().collect();
        candidates.sort_by_key(|endpoint| !endpoint.serves());
        candidates
    }

    fn first(&self) -> Arc<Endpoint> {
        let mut candidates = self.candidates();
        // There is one at least.
        candidates.swap_remove(0)
    }

    /// What a request bears besides its message.
    fn request<T>(&self, call: &Call, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        let mut insert = |name: &'static str, value: Option<&str>| {
            if let Some(value) = value.and_then(|value| MetadataValue::try_from(value).ok()) {
                metadata.insert(name, value);
            }
        };
        insert("authorization", call.token.as_ref().map(|token| format!("Bearer {token}")).as_deref());
        insert(REQUEST_ID, Some(&call.request_id));
        insert(TRACE_PARENT, call.peer.trace_parent.as_deref());
        insert(port::CLIENT_ADDRESS, call.peer.address.map(|address| address.to_string()).as_deref());
        insert(port::CLIENT_AGENT, call.peer.agent.as_deref());
        insert(port::CLIENT_ORIGIN, call.peer.origin.as_deref());
        if let Some(key) = &self.0.key {
            request.metadata_mut().insert(port::BRIDGE_KEY, key.clone());
        }
        request
    }
}

impl HubPort for RemoteHub {
    fn open(&self, call: Call) -> Box<dyn FrameStream> {
        Box::new(RemoteStream::new(self.clone(), call, self.0.drain.clone()))
    }

    fn execute(
        &self,
        call: Call,
        request: Pending,
        known: Known,
    ) -> BoxFuture<'static, Result<v1::ExecuteResponse, Refused>> {
        let lease = self.first().lease();
        let (hand_over, message) = posted::later();
        let mut asked = self.request(&call, message);
        posted::ask_to_be_known(asked.metadata_mut());
        let id = call.request_id;
        async move {
            let carried_out = posted::carry_out(lease, asked, request, hand_over, known, &id);
            tokio::time::timeout(COMMAND_TIMEOUT, carried_out).await.unwrap_or_else(|_| {
                Err(Refused { error: refusal("DEADLINE_EXCEEDED", &id), caller_is_known: false })
            })
        }
        .boxed()
    }

    fn create_ticket(
        &self,
        call: Call,
        request: v1::CreateTicketRequest,
    ) -> BoxFuture<'static, Result<v1::CreateTicketResponse, v1::Error>> {
        let (lease, request) = (self.first().lease(), self.request(&call, request));
        async move {
            let mut client = HubServiceClient::new(lease.channel());
            match tokio::time::timeout(COMMAND_TIMEOUT, client.create_ticket(request)).await {
                Ok(Ok(response)) => Ok(response.into_inner()),
                Ok(Err(status)) => Err(status::error(&status, &call.request_id)),
                Err(_) => Err(refusal("DEADLINE_EXCEEDED", &call.request_id)),
            }
        }
        .boxed()
    }

    fn watch_overview(
        &self,
        call: Call,
        request: v1::WatchOverviewRequest,
    ) -> BoxStream<'static, Result<v1::WatchOverviewResponse, v1::Error>> {
        let (lease, request) = (self.first().lease(), self.request(&call, request));
        let id = call.request_id;
        let open = async move {
            let mut client = AdminServiceClient::new(lease.channel());
            match client.watch_overview(request).await {
                // The lease lasts as long as the stream.
                Ok(response) => response
                    .into_inner()
                    .map(move |next| {
                        let _ = &lease;
                        next.map_err(|status| status::error(&status, &id))
                    })
                    .boxed(),
                Err(status) => {
                    futures::stream::once(std::future::ready(Err(status::error(&status, &id)))).boxed()
                }
            }
        };
        let drained = self.0.drain.clone().cancelled_owned();
        futures::stream::once(open).flatten().take_until(drained).boxed()
    }

    fn turned_away(&self, _: &Peer, why: TurnedAway) {
        self.0.turned_away.tell(why);
    }

    fn is_ready(&self) -> bool {
        !self.0.drain.is_cancelled() && self.0.endpoints.iter().any(|endpoint| endpoint.serves())
    }
}
