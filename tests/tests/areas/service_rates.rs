//! Whose requests are counted where services of one name are several, and where a token is not good.

use std::time::Duration;

use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::token_revocation::Id;
use carillon_client::{AdminClient, ClientOptions, Executor, v1};
use carillon_hub::config::{LimitsSection, RateSetting};
use carillon_hub::domain::limits::TICKETS_PER_BEARER;
use carillon_hub::domain::rate::Rate;
use carillon_hub::domain::time::Timestamp;
use carillon_tests::hub::{Plan, TENANT};
use carillon_tests::story::verdict;
use carillon_tests::{Keeps, Redis, TestHub, hub};
use serde_json::json;

use crate::audit_tickets::over_grpc;

/// A hub that takes so many requests of a service, and no more within the test.
fn takes(of_a_service: u32) -> Plan {
    let service = RateSetting(Some(Rate::new(of_a_service, Duration::from_hours(1))));
    hub().with(|config| config.limits = LimitsSection { service, ..LimitsSection::off() })
}

/// A command of users, with this token; how it is answered.
async fn executes(hub: &TestHub, token: &str) -> String {
    let executor = Executor::new(ClientOptions::new(hub.url()).token(token)).unwrap();
    verdict(executor.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await)
}

fn serves(hub: &TestHub, token: &str, tenant: &str) -> AdminClient {
    AdminClient::new(ClientOptions::new(hub.url()).token(token), tenant).unwrap()
}

async fn asks(admin: &AdminClient) -> String {
    verdict(admin.get_statistics(v1::GetStatisticsRequest::default()).await)
}

#[tokio::test]
async fn a_revoked_token_takes_no_requests_of_its_service() {
    let hub = takes(2).start().await;
    let token = |id: &str| {
        hub.token_that_says(&json!({"sub": "mailer", "svc": true, "tenants": [TENANT], "jti": id}))
    };
    let (lost, good) = (token("lost"), token("good"));
    let id = Some(Id::Jti("lost".to_owned()));
    let expires_ms = Timestamp::now().millis() + 3_600_000;
    let what = Some(What::Token(v1::TokenRevocation { id, expires_ms }));
    hub.admin().revoke_tokens(v1::RevokeTokensRequest { what, ..Default::default() }).await.unwrap();
    for _ in 0..4 {
        assert_eq!(executes(&hub, &lost).await, "TOKEN_REVOKED");
        assert_eq!(asks(&serves(&hub, &lost, TENANT)).await, "TOKEN_REVOKED");
    }
    let good = serves(&hub, &good, TENANT);
    assert_eq!([asks(&good).await, asks(&good).await, asks(&good).await], ["ok", "ok", "RATE_LIMITED"]);
}

/// A ticket is good once, and says whose it is then.
#[tokio::test]
async fn a_service_that_shows_a_ticket_to_users_calls_is_known() {
    let hub = takes(2).start().await;
    let ticket = over_grpc(&hub, &hub.service_token()).await.unwrap();
    assert_eq!(executes(&hub, &ticket).await, "PERMISSION_DENIED");
    assert_eq!(asks(&hub.admin()).await, "RATE_LIMITED", "it took one of its requests");
}

#[tokio::test]
async fn a_tenant_fills_nothing_of_a_service_for_several() {
    let hub = takes(4).start().await;
    let several = hub.token_that_says(&json!({"sub": "mailer", "svc": true, "tenants": [TENANT, "globex"]}));
    let several = serves(&hub, &several, TENANT);
    for _ in 0..4 {
        assert_eq!(asks(&several).await, "ok");
    }
    let reset = || v1::ResetLimitsRequest { user: "mailer".into(), ..Default::default() };
    assert_eq!(hub.admin().reset_limits(reset()).await.unwrap().reset, 0);
    assert_eq!(asks(&several).await, "RATE_LIMITED");
    let operator = serves(&hub, &hub.operator_token(), TENANT);
    assert_eq!(operator.reset_limits(reset()).await.unwrap().reset, 1);
    assert_eq!(asks(&several).await, "ok");
}

/// Services of one name, of two tenants and of both: each has its own.
async fn each_holds_so_many_tickets(plan: Plan) {
    let hub = plan.start().await;
    for tenants in [json!([TENANT]), json!(["globex"]), json!([TENANT, "globex"])] {
        let token = hub.token_that_says(&json!({"sub": "mailer", "svc": true, "tenants": tenants}));
        for _ in 0..TICKETS_PER_BEARER {
            over_grpc(&hub, &token).await.unwrap();
        }
        let refused = over_grpc(&hub, &token).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{tenants}");
    }
}

#[tokio::test]
async fn services_of_one_name_hold_tickets_of_their_own() {
    each_holds_so_many_tickets(takes(1_000)).await;
    let redis = Redis::start(Keeps::Always);
    each_holds_so_many_tickets(takes(1_000).node_of(&redis)).await;
}
