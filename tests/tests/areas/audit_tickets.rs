//! Tickets are written down, by a hash: who got one and where it was used. Each has so many.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_client::v1::hub_service_client::HubServiceClient;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, execute_request};
use carillon_hub::access::tickets::Tickets;
use carillon_hub::config::{AuditTo, LimitsSection, RateSetting};
use carillon_hub::domain::audit::Seal;
use carillon_hub::domain::rate::Rate;
use carillon_tests::browser::{Answer, Beside, Events, request};
use carillon_tests::hub::{Plan, TENANT};
use carillon_tests::wire::{Opening, code, greeting};
use carillon_tests::{Keeps, Redis, TestHub, Wire, hub};
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};

use crate::audit::{lines, of};

fn hash(ticket: &str) -> String {
    Seal(Tickets::mark(ticket).unwrap().0).to_string()
}

pub(crate) async fn calls(hub: &TestHub) -> HubServiceClient<Channel> {
    HubServiceClient::new(Endpoint::from_shared(hub.url()).unwrap().connect().await.unwrap())
}

pub(crate) fn bearing<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut call = tonic::Request::new(message);
    call.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    call
}

pub(crate) async fn over_grpc(hub: &TestHub, token: &str) -> Result<String, tonic::Status> {
    let made = calls(hub).await.create_ticket(bearing(token, v1::CreateTicketRequest::default())).await;
    made.map(|made| made.into_inner().ticket)
}

async fn posts(bridge: SocketAddr, path: &str, bearer: &str) -> Answer {
    let headers = [("authorization", &*format!("Bearer {bearer}"))];
    request(bridge, "POST", path, &headers, "{\"rooms\": {}}").await
}

fn audited(plan: Plan) -> Plan {
    plan.with(|config| config.audit.to = Some(AuditTo::File))
}

/// Uses a ticket in each way that there is; what lines must say of that.
async fn uses_tickets(plan: Plan) {
    let bridge = Beside::bind(|options| options);
    let hub = audited(plan).start_with(&bridge).await;
    let (at, token) = (bridge.address(), hub.token("alice"));
    let mut tickets = Vec::new();
    for _ in 0..4 {
        tickets.push(posts(at, "/v1/tickets", &token).await.json()["ticket"].as_str().unwrap().to_owned());
    }
    tickets.push(over_grpc(&hub, &token).await.unwrap());
    let [said, refreshed, posted, listened, executed] = &tickets[..] else { panic!("five tickets") };
    let mut phone = Wire::enters_with(&hub, v1::Hello { token: said.clone(), ..greeting() }).await;
    let refresh = v1::RefreshToken { token: refreshed.clone() };
    assert!(matches!(phone.asks(Command::RefreshToken(refresh)).await, Kind::Done(_)));
    assert_eq!(posts(at, "/v1/commands", posted).await.status, 200);
    Events::open(at, &format!("/v1/events?ticket={listened}"), &[]).await.unwrap();
    let rooms = Some(execute_request::Command::Rooms(v1::RoomsGet::default()));
    let rooms = v1::ExecuteRequest { command: rooms, ..Default::default() };
    calls(&hub).await.execute(bearing(executed, rooms)).await.unwrap();
    // A second time.
    assert_eq!(posts(at, "/v1/commands", posted).await.status, 401);
    let mut again = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    again.ask(Command::Hello(v1::Hello { token: said.clone(), ..greeting() }));
    assert_eq!(again.ends().await.1.reason, "INVALID_TOKEN");
    drop(phone);
    let lines = lines(&hub.stops().await);
    assert!(lines.iter().all(|line| !line.to_string().contains("ticket_")), "{lines:?}");
    let made = of(&lines, "create_ticket");
    let hashes: Vec<_> = made.iter().map(|line| line["ticket"].as_str().unwrap().to_owned()).collect();
    assert_eq!(hashes, tickets.iter().map(|ticket| hash(ticket)).collect::<Vec<_>>());
    let is_of_alice =
        |line: &Value| line["user"] == "alice" && line["tenant"] == TENANT && line["token"].is_string();
    assert!(made.iter().all(|line| is_of_alice(line) && line["address"] == "127.0.0.1"), "{made:?}");
    let used = |ticket: &str| {
        let others = lines.iter().filter(|line| line["event"] != "create_ticket");
        let found = others.filter(|line| line["ticket"] == hash(ticket));
        found
            .map(|line| format!("{} {}", line["event"].as_str().unwrap(), line["outcome"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(used(said), ["session.opened ok", "session.opened refused"]);
    assert_eq!(used(refreshed), ["refresh_token ok"]);
    assert_eq!(used(posted), ["ticket.used ok", "authentication refused"]);
    assert_eq!(used(listened), ["session.opened ok"]);
    assert_eq!(used(executed), ["ticket.used ok"]);
    let good = lines.iter().filter(|line| line["ticket"].is_string() && line["outcome"] == "ok");
    assert!(good.clone().count() == 10 && good.into_iter().all(is_of_alice), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gets_a_ticket_and_where_it_is_used() {
    uses_tickets(hub()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_all_nodes_share_too() {
    let redis = Redis::start(Keeps::Always);
    uses_tickets(hub().without_grace().node_of(&redis)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_services_get_so_many() {
    let so_much = |burst| RateSetting(Some(Rate::new(burst, Duration::from_hours(1))));
    // Where a service uses one it is refused, which takes one of its requests as well.
    let limits = LimitsSection { commands: so_much(2), service: so_much(6), ..LimitsSection::off() };
    let hub = audited(hub()).with(|config| config.limits = limits).start().await;
    let several = json!({"sub": "mailer", "svc": true, "tenants": [TENANT, "umbrella"]});
    let everybodys = json!({"sub": "ops", "svc": true, "tenants": "*"});
    let bearers = [
        (hub.token("alice"), 2),
        (hub.service_token(), 3),
        (hub.token_that_says(&several), 3),
        (hub.token_that_says(&everybodys), 3),
    ];
    for (token, most) in &bearers {
        for _ in 0..*most {
            // Used at once, so that it is not those that are good which are too many.
            let ticket = over_grpc(&hub, token).await.unwrap();
            let mut uses = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
            let answer = uses.asks(Command::Hello(v1::Hello { token: ticket, ..greeting() })).await;
            assert!(["OK", "PERMISSION_DENIED", "INVALID_ARGUMENT"].contains(&said(&answer)), "{answer:?}");
        }
        let refused = over_grpc(&hub, token).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused:?}");
    }
    let lines = lines(&hub.stops().await);
    let refused: Vec<_> =
        of(&lines, "create_ticket").into_iter().filter(|line| line["outcome"] == "refused").collect();
    let named = |line: &&Value| line["user"].as_str().or(line["service"].as_str()).unwrap().to_owned();
    assert_eq!(refused.iter().map(named).collect::<Vec<_>>(), ["alice", "billing", "mailer", "ops"]);
    assert!(refused.iter().all(|line| line["reason"] == "RATE_LIMITED"), "{refused:?}");
}

fn said(answer: &Kind) -> &str {
    if matches!(answer, Kind::Connected(_)) { "OK" } else { code(answer) }
}
