//! Connections on which nobody has shown who they are, on a node that has no room for more; and whose places others take.

use carillon_client::{AdminClient, Client, ClientOptions, v1};
use carillon_tests::browser::request;
use carillon_tests::hub::{Plan, TENANT};
use carillon_tests::{PATIENCE, TestHub, hub};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// With one worker, which accepts connections in the order in which they were made.
fn with_room_for(connections: usize) -> Plan {
    hub().without_grace().with(|config| {
        config.grpc.workers = 1;
        config.grpc.connections = connections;
    })
}

/// Somebody who asks for health, and stays.
async fn stranger(hub: &TestHub) -> HealthClient<Channel> {
    let channel = Channel::from_shared(hub.url()).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    health.check(HealthCheckRequest::default()).await.unwrap();
    health
}

async fn serves(hub: &TestHub, token: &str) -> AdminClient {
    let admin = AdminClient::new(ClientOptions::new(hub.url()).token(token), TENANT).unwrap();
    admin.get_statistics(v1::GetStatisticsRequest::default()).await.unwrap();
    admin
}

#[tokio::test]
async fn strangers_give_way_on_a_full_node_and_users_do_not() {
    let hub = with_room_for(3).start().await;
    let mut oldest = stranger(&hub).await;
    let watch = oldest.watch(HealthCheckRequest::default()).await.unwrap();
    let closed = tokio::spawn(async move {
        let mut watch = watch.into_inner();
        while let Ok(Some(_)) = watch.message().await {}
    });
    let mut newer = stranger(&hub).await;
    let (alice, bob) = (hub.enters("alice").await, hub.enters("bob").await);
    tokio::time::timeout(PATIENCE, closed).await.expect("the oldest has given way").unwrap();
    newer.check(HealthCheckRequest::default()).await.expect("the other stays where there is room");
    let carol = hub.enters("carol").await;
    let refused = Client::connect(hub.options("dave")).await;
    assert!(refused.is_err(), "users do not");
    for person in [&alice, &bob, &carol] {
        person.says("room:lobby", "still here").await;
    }
    let text = request(hub.hub.http_address(), "GET", "/metrics", &[], "").await.body;
    for line in [
        "carillon_grpc_connections_active 3",
        "carillon_grpc_connections_unknown 0",
        "carillon_grpc_connections_limit 3",
        "carillon_grpc_connections_gave_way_total 2",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn services_take_no_places_of_users() {
    let hub = with_room_for(2).start().await;
    let mut services = Vec::new();
    for _ in 0..4 {
        services.push(serves(&hub, &hub.service_token()).await);
    }
    let _both = (hub.enters("alice").await, hub.enters("bob").await);
    assert!(Client::connect(hub.options("carol")).await.is_err());
    let text = request(hub.hub.http_address(), "GET", "/metrics", &[], "").await.body;
    for line in ["carillon_grpc_connections_active 2", "carillon_grpc_connections_aside 4"] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
    drop(services);
}
