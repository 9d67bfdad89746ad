//! The bridge's options from the configuration, and its place beside gRPC where it is in the hub's own process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use carillon_bridge::{Bridge, Options, Origins, Page};
use carillon_hub::app::{Front, Hub};
use carillon_hub::config::{Config, Mode};
use carillon_proto::port::HubPort;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::dev_tokens::DevTokens;

/// The bridge, bound and ready to serve.
pub(crate) struct Browsers(Arc<Bridge>);

impl Browsers {
    /// Binds it where the configuration says; `None` where it says nothing. `tokens` are for the page.
    pub(crate) fn bind(config: &Config, tokens: Option<&DevTokens>) -> anyhow::Result<Option<Self>> {
        let Some(listen) = config.bridge.listen else { return Ok(None) };
        let options = options(config, listen, tokens)?;
        Ok(Some(Self(Arc::new(Bridge::bind(options, Hub::workers(config))?))))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// As the hub wants it.
    pub(crate) fn front(&self) -> Arc<dyn Front> {
        Arc::new(Self(Arc::clone(&self.0)))
    }
}

impl Front for Browsers {
    fn serve(&self, hub: Arc<dyn HubPort>, stop: CancellationToken) -> BoxFuture<'static, ()> {
        Arc::clone(&self.0).serve(hub, stop).boxed()
    }
}

/// What a bridge is told, in the hub's process or in one of its own. `tokens` are for the page.
pub(crate) fn options(
    config: &Config,
    listen: SocketAddr,
    tokens: Option<&DevTokens>,
) -> anyhow::Result<Options> {
    let origins = Origins::new(&config.bridge.origins, config.mode == Mode::Development);
    let origins = origins.context("bridge.origins")?;
    let page = config
        .page()
        .then(|| Page { tokens: tokens.map(|tokens| (tokens.tenant.clone(), tokens.tokens.clone())) });
    Ok(Options {
        tls: config.bridge_tls()?,
        insecure: config.bridge.insecure,
        query_tokens: config.bridge.query_tokens,
        handshake_timeout: config.bridge.handshake_timeout,
        frame_bytes: config.session.frame_bytes,
        connections: config.bridge.connections,
        addresses: config.bridge_addresses(),
        trusted_proxies: config.bridge.trusted_proxies.clone(),
        event_heartbeat: config.session.heartbeat_interval,
        page,
        ..Options::new(listen, origins)
    })
}
