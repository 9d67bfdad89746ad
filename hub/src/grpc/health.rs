//! `grpc.health.v1`: whether each service serves, and the whole under the empty name.

use carillon_proto::v1::admin_service_server;
use carillon_proto::v1::hub_service_server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::domain::limits::OPEN_REQUEST_BYTES;

/// The services that health knows; the empty name is the whole.
const SERVICES: [&str; 3] = ["", hub_service_server::SERVICE_NAME, admin_service_server::SERVICE_NAME];

/// What health answers. A clone shares it.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
}

impl Health {
    /// Of a hub that does not serve yet.
    pub async fn starting() -> Self {
        let health = Self { reporter: HealthReporter::new() };
        health.set_all(ServingStatus::NotServing).await;
        health
    }

    /// The hub serves.
    pub async fn serving(&self) {
        self.set_all(ServingStatus::Serving).await;
    }

    /// The hub drains, or its store failed: whoever watches sends no one here any more.
    pub async fn not_serving(&self) {
        self.set_all(ServingStatus::NotServing).await;
    }

    /// The service that answers.
    pub fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
            .max_decoding_message_size(OPEN_REQUEST_BYTES)
    }

    async fn set_all(&self, status: ServingStatus) {
        for service in SERVICES {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
