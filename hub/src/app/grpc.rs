//! What serves gRPC, and who may come to it, as the settings say.

use std::net::SocketAddr;
use std::sync::Arc;

use carillon_net::addresses::Addresses;
use carillon_net::tls::Acceptor;
use tokio_util::task::TaskTracker;

use super::error::StartError;
use super::ports::Ports;
use super::worker;
use crate::audit::{Source, Trail};
use crate::config::Config;
use crate::grpc::admin::AdminApi;
use crate::grpc::bodies::Bodies;
use crate::grpc::door::{Door, WrongKeys};
use crate::grpc::execute::HubApi;
use crate::grpc::health::Health;
use crate::grpc::local::LocalHub;
use crate::grpc::server::{Calls, Front, Http2};
use crate::grpc::session_service::SessionService;
use crate::session::owners::{ConnectionLimits, Owners};
use crate::session::{Services, first_call};
use crate::telemetry::Metrics;

/// Reads the certificates, and says who is counted and believed. Who is turned away is written down in `audit`.
pub(super) fn door(config: &Config, audit: Trail, metrics: Metrics) -> Result<Door, StartError> {
    config.check_exposure()?;
    let tls = config.grpc_tls()?.map(|tls| Acceptor::new(&tls)).transpose()?;
    Ok(Door {
        tls,
        addresses: Addresses::new(config.grpc_addresses()),
        owners: Owners::new(ConnectionLimits {
            node: config.grpc.connections,
            user: config.grpc.connections_per_user,
        }),
        bodies: Bodies::default(),
        trusted_proxies: config.grpc.trusted_proxies.clone().into(),
        bridges: Arc::new(config.bridges()?),
        wrong_keys: WrongKeys::new(metrics),
        services_need_certificate: config.grpc.tls.services_need_certificate,
        audit,
    })
}

/// What serves gRPC on the runtime of one worker.
pub(super) fn front(
    config: &Config,
    door: &Door,
    (services, ports): (&Arc<Services>, &Arc<Ports>),
    (health, in_flight): (&Health, &TaskTracker),
    shard: usize,
) -> Front<SessionService> {
    Front {
        session: SessionService::new(Arc::clone(services), shard),
        hub: Arc::new(HubApi::new(
            ports.clone(),
            ports.clone(),
            services.audit.clone(),
            config.session.command_timeout,
        )),
        admin: AdminApi {
            authenticate: ports.clone(),
            execute: ports.clone(),
            sessions: ports.clone(),
            observe: ports.clone(),
            administer: ports.clone(),
            audit: services.audit.clone(),
            source: Source::default(),
            timeout: config.session.command_timeout,
        },
        health: health.clone(),
        door: door.clone(),
        http2: http2(config),
        calls: calls(config),
        in_flight: in_flight.clone(),
        reflection: config.reflection(),
    }
}

/// The hub on the runtime of one worker, for fronts beside gRPC.
pub(super) fn local(door: &Door, (services, ports): (&Arc<Services>, &Arc<Ports>), shard: usize) -> LocalHub {
    let takes_services = !door.services_need_certificate;
    let (services, bodies) = (Arc::clone(services), door.bodies.clone());
    LocalHub::new(services, shard, ports.clone(), ports.clone(), ports.clone(), takes_services, bodies)
}

/// A listener per worker, all on one address: with port 0 the first one's port is the others' too.
pub(super) fn listeners(
    address: SocketAddr,
    workers: usize,
) -> Result<Vec<(SocketAddr, std::net::TcpListener)>, StartError> {
    let mut address = address;
    let mut listeners = Vec::new();
    worker::is_free(address).map_err(|cause| StartError::Listen { address, cause })?;
    for _ in 0..workers {
        let listener = worker::listen(address).map_err(|cause| StartError::Listen { address, cause })?;
        address = listener.local_addr().map_err(|cause| StartError::Listen { address, cause })?;
        listeners.push((address, listener));
    }
    Ok(listeners)
}

fn http2(config: &Config) -> Http2 {
    let grpc = &config.grpc;
    let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Http2 {
        streams: bounded(grpc.streams_per_connection),
        stream_window: bounded(grpc.stream_window_bytes),
        connection_window: bounded(grpc.connection_window_bytes),
        header_bytes: bounded(grpc.header_bytes),
        keepalive_interval: grpc.keepalive_interval,
        keepalive_timeout: grpc.keepalive_timeout,
    }
}

fn calls(config: &Config) -> Calls {
    let session = &config.session;
    Calls {
        frame_bytes: session.frame_bytes,
        timeout: session.command_timeout,
        first_call: first_call(session.hello_timeout),
    }
}
