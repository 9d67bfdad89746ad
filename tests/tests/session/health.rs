//! Health for each service, and reflection where it is wanted.

use carillon_hub::config::Mode;
use carillon_tests::{PATIENCE, TestHub, hub};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

async fn channel(hub: &TestHub) -> Channel {
    Channel::from_shared(hub.url()).unwrap().connect().await.unwrap()
}

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: name.to_owned() }
}

#[tokio::test]
async fn each_service_is_healthy_until_the_hub_stops() {
    let hub = hub().start().await;
    let mut health = HealthClient::new(channel(&hub).await);
    for name in ["", "carillon.v1.HubService", "carillon.v1.AdminService"] {
        let HealthCheckResponse { status } = health.check(service(name)).await.unwrap().into_inner();
        assert_eq!(status, ServingStatus::Serving as i32, "{name}");
    }
    assert_eq!(health.check(service("carillon.v1.Nothing")).await.unwrap_err().code(), Code::NotFound);
    let mut watched = health.watch(service("carillon.v1.HubService")).await.unwrap().into_inner();
    let mut seen = Vec::new();
    let watch = async {
        while let Ok(Some(HealthCheckResponse { status })) = watched.message().await {
            seen.push(status);
        }
    };
    let (_, watch) = tokio::join!(hub.stops(), tokio::time::timeout(PATIENCE, watch));
    watch.expect("the watch ends with the hub");
    // A hub that nothing holds up may be gone before it has said so.
    let told = [ServingStatus::Serving as i32, ServingStatus::NotServing as i32];
    assert!(!seen.is_empty() && told.starts_with(&seen), "{seen:?}");
}

async fn services(hub: &TestHub) -> Result<Vec<String>, Code> {
    let mut reflection = ServerReflectionClient::new(channel(hub).await);
    let list = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = reflection.server_reflection_info(futures::stream::iter([request])).await;
    let answer = answers.map_err(|status| status.code())?.into_inner().message().await;
    let ServerReflectionResponse { message_response, .. } = answer.map_err(|status| status.code())?.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = message_response else { panic!("a list") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    Ok(names)
}

#[tokio::test]
async fn reflection_is_for_development_unless_asked_for() {
    let development = hub().start().await;
    let listed = services(&development).await.unwrap();
    let served = ["carillon.v1.AdminService", "carillon.v1.HubService", "grpc.health.v1.Health"];
    let others: Vec<_> = listed.iter().filter(|name| !name.starts_with("grpc.reflection.")).collect();
    assert_eq!(others, served, "and none that it does not serve");
    let production = hub().with(|config| config.mode = Mode::Production).start().await;
    assert_eq!(services(&production).await, Err(Code::Unimplemented));
    let asked = hub().with(|config| {
        config.mode = Mode::Production;
        config.grpc.reflection = Some(true);
    });
    assert!(services(&asked.start().await).await.is_ok());
}
