//! Where sessions are from, and who is believed about it.

use std::net::IpAddr;

use carillon_bridge::remote::{Notices, RemoteOptions};
use carillon_bridge::{ClientTls, Options};
use carillon_client::{AdminClient, ClientOptions, v1};
use carillon_hub::config::Demand;
use carillon_tests::browser::{Beside, Speaks, WebSocket};
use carillon_tests::certificates::Authority;
use carillon_tests::hub::TENANT;
use carillon_tests::wire::{Opening, greeting};
use carillon_tests::{TestHub, Wire, hub};
use tokio_util::sync::CancellationToken;

const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Of a client behind a bridge.
const CLIENT: &str = "192.0.2.77";
const ORIGIN: &str = "https://app.example.org";

/// Address, agent and origin of alice's one session.
async fn seen(admin: &AdminClient) -> (String, String, String) {
    let list = v1::ListSessionsRequest { user: "alice".to_owned(), ..Default::default() };
    let mut sessions = admin.list_sessions(list).await.unwrap().sessions;
    assert_eq!(sessions.len(), 1);
    let session = sessions.pop().unwrap();
    (session.address, session.agent, session.origin)
}

fn told() -> (String, String, String) {
    (CLIENT.to_owned(), "browser/1".to_owned(), ORIGIN.to_owned())
}

/// As a page behind a proxy that the bridge trusts.
fn headers() -> [(&'static str, &'static str); 3] {
    [("x-forwarded-for", CLIENT), ("user-agent", "browser/1"), ("origin", ORIGIN)]
}

fn trusts_the_proxy(options: Options) -> Options {
    let here: IpAddr = "127.0.0.1".parse().unwrap();
    Options { trusted_proxies: vec![here], ..options }
}

async fn enters(bridge: &Beside, hub: &TestHub) -> WebSocket {
    let mut socket = WebSocket::try_open(bridge.address(), Speaks::Json, &headers()).await.unwrap();
    socket.greets(v1::Hello { token: hub.token("alice"), protocol: 1, ..v1::Hello::default() }).await;
    socket
}

fn with_key(hub: carillon_tests::hub::Plan) -> carillon_tests::hub::Plan {
    hub.with(|config| config.grpc.bridge_key = Some(KEY.to_owned().into()))
}

#[tokio::test]
async fn what_a_grpc_client_says_of_its_address_is_not_believed() {
    let hub = with_key(hub().without_grace()).start().await;
    for key in ["", "0123456789abcdef0123456789abcdeX"] {
        let forged = [
            ("x-carillon-peer-address", CLIENT),
            ("x-carillon-peer-agent", "browser/1"),
            ("x-carillon-peer-origin", ORIGIN),
            ("x-carillon-bridge-key", key),
            ("x-forwarded-for", CLIENT),
            ("user-agent", "grpc-go/1.70"),
        ];
        let metadata = forged.map(|(name, value)| (name, value.to_owned())).to_vec();
        let mut wire = Wire::open(hub.hub.grpc_address(), Opening { metadata, ..Opening::default() }).await;
        wire.greets(v1::Hello { token: hub.token("alice"), instance: "one".to_owned(), ..greeting() }).await;
        let (address, agent, origin) = seen(&hub.admin()).await;
        assert_eq!((&*address, &*agent, &*origin), ("127.0.0.1", "grpc-go/1.70", ""));
        drop(wire);
        hub.is_empty_again().await;
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_where_its_clients_are_and_nothing_else() {
    let trusts = |config: &mut carillon_hub::config::Config| {
        config.grpc.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    };
    let hub = hub().with(trusts).start().await;
    let passed_on = [
        ("x-forwarded-for", format!("198.51.100.1, {CLIENT}")),
        ("x-carillon-peer-address", "198.51.100.2".to_owned()),
        ("x-carillon-peer-origin", ORIGIN.to_owned()),
        ("user-agent", "grpc-go/1.70".to_owned()),
    ];
    let opening = Opening { metadata: passed_on.to_vec(), ..Opening::default() };
    let mut wire = Wire::open(hub.hub.grpc_address(), opening).await;
    wire.greets(v1::Hello { token: hub.token("alice"), ..greeting() }).await;
    let (address, agent, origin) = seen(&hub.admin()).await;
    assert_eq!((&*address, &*agent, &*origin), (CLIENT, "grpc-go/1.70", ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_in_the_hubs_process_is_believed() {
    let bridge = Beside::bind(trusts_the_proxy);
    let hub = hub().start_with(&bridge).await;
    let _alice = enters(&bridge, &hub).await;
    assert_eq!(seen(&hub.admin()).await, told());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_apart_is_believed_with_the_key_alone() {
    let hub = with_key(hub().without_grace()).start().await;
    let drain = CancellationToken::new();
    for (key, believed) in
        [(Some(KEY), true), (None, false), (Some("fedcba9876543210fedcba9876543210"), false)]
    {
        let key = key.map(str::to_owned);
        let options = RemoteOptions {
            hubs: vec![hub.url()],
            tls: ClientTls::default(),
            insecure: false,
            key,
            notices: Notices::default(),
        };
        let bridge = Beside::apart_as(&options, &drain, trusts_the_proxy);
        let alice = enters(&bridge, &hub).await;
        let found = seen(&hub.admin()).await;
        if believed {
            assert_eq!(found, told());
        } else {
            assert_eq!((&*found.0, &*found.2), ("127.0.0.1", ""), "{found:?}");
        }
        drop(alice);
        hub.is_empty_again().await;
    }
    drain.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_apart_is_believed_with_a_certificate_of_a_name_that_is_listed() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let hub = hub()
        .without_grace()
        .with(authority.signs_local().at_grpc())
        .with(clients.is_asked_for(Demand::Optional))
        .with(|config| config.grpc.bridge_certificates = vec!["bridge.internal".to_owned()])
        .start()
        .await;
    let admin = ClientOptions::new(hub.url()).token(hub.service_token()).ca(authority.file());
    let admin = AdminClient::new(admin, TENANT).unwrap();
    let drain = CancellationToken::new();
    for (name, believed) in [("bridge.internal", true), ("other.internal", false)] {
        let pair = clients.signs(name);
        let tls = ClientTls { ca: Some(authority.file()), identity: Some((pair.certificate, pair.key)) };
        let options = RemoteOptions {
            hubs: vec![hub.url()],
            tls,
            insecure: false,
            key: None,
            notices: Notices::default(),
        };
        let bridge = Beside::apart_as(&options, &drain, trusts_the_proxy);
        let alice = enters(&bridge, &hub).await;
        assert_eq!(seen(&admin).await == told(), believed, "{name}");
        drop(alice);
        hub.is_empty_again().await;
    }
    drain.cancel();
}
