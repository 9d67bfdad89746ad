//! What a browser's page can do, without a browser: WebSockets, event streams and requests, exact to the byte.

mod events;
mod request;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;

use carillon_bridge::remote::{Notices, RemoteHub, RemoteOptions};
use carillon_bridge::{Bridge, ClientTls, Options, Origins};
use carillon_hub::app::Front;
use carillon_proto::port::HubPort;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

pub use events::Events;
pub use request::{Answer, request, request_over};
pub use socket::{
    Closed, Speaks, WebSocket, hears_all_until_another_is_ended, message, narrow, reads_late_and_hears_all,
};

/// The bridge beside a hub in the test's process.
pub struct Beside(Arc<Bridge>);

impl Beside {
    /// On a free port, with the development's origins unless `change` says otherwise.
    pub fn bind(change: impl FnOnce(Options) -> Options) -> Self {
        let origins = Origins::new(&["https://app.example.org".to_owned()], true).expect("origins");
        let options = Options { addresses: None, ..Options::new(([127, 0, 0, 1], 0).into(), origins) };
        Self(Arc::new(Bridge::bind(change(options), 2).expect("a free port")))
    }

    /// In front of these hubs, over gRPC, as a process of its own would be; it stops with `drain`.
    pub fn apart(hubs: &[String], drain: &CancellationToken) -> Self {
        Self::apart_with(hubs, drain, |options| options)
    }

    /// The same, with other options.
    pub fn apart_with(
        hubs: &[String],
        drain: &CancellationToken,
        change: impl FnOnce(Options) -> Options,
    ) -> Self {
        let options = RemoteOptions {
            hubs: hubs.to_vec(),
            tls: ClientTls::default(),
            insecure: false,
            key: None,
            notices: Notices::default(),
        };
        Self::apart_as(&options, drain, change)
    }

    /// The same, as the hubs are to see it.
    pub fn apart_as(
        options: &RemoteOptions,
        drain: &CancellationToken,
        change: impl FnOnce(Options) -> Options,
    ) -> Self {
        let beside = Self::bind(change);
        for _ in 0..2 {
            let hub = RemoteHub::new(options, drain.clone()).expect("the hubs' addresses are good");
            tokio::spawn(Arc::clone(&beside.0).serve(Arc::new(hub), drain.clone()));
        }
        beside
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// As the hub wants it.
    pub fn front(&self) -> Arc<dyn Front> {
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

impl Front for Beside {
    fn serve(&self, hub: Arc<dyn HubPort>, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Arc::clone(&self.0).serve(hub, stop).boxed()
    }
}
