//! Lines say who was refused where that is known, and bear the request id that the caller was told.

use carillon_client::v1::admin_service_client::AdminServiceClient;
use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::token_revocation::Id;
use carillon_client::{AdminClient, ClientOptions, Executor, v1};
use carillon_hub::access::authentication::id;
use carillon_hub::access::tickets::Tickets;
use carillon_hub::config::AuditTo;
use carillon_hub::domain::audit::Seal;
use carillon_hub::domain::time::Timestamp;
use carillon_tests::browser::{Beside, Events, request};
use carillon_tests::hub::TENANT;
use carillon_tests::story::refusal;
use carillon_tests::wire::{Opening, code, greeting, join};
use carillon_tests::{TestHub, Wire, hub};
use serde_json::Value;

use crate::audit::{audited, lines, of};

/// What lines call a token.
fn hash(token: &str) -> String {
    Seal(id::of_text(token).0).to_string()
}

async fn is_revoked(hub: &TestHub, token: &str) {
    let id = Some(Id::Sha256(id::of_text(token).0.to_vec().into()));
    let expires_ms = Timestamp::now().millis() + 3_600_000;
    let what = Some(What::Token(v1::TokenRevocation { id, expires_ms }));
    hub.admin().revoke_tokens(v1::RevokeTokensRequest { what, ..Default::default() }).await.unwrap();
}

fn rooms() -> Command {
    Command::Rooms(v1::RoomsGet::default())
}

fn executor(hub: &TestHub, token: &str) -> Executor {
    Executor::new(ClientOptions::new(hub.url()).token(token.to_owned())).unwrap()
}

fn text<'a>(line: &'a Value, part: &str) -> &'a str {
    line[part].as_str().unwrap_or_default()
}

/// Operators are of no tenant: their lines name them all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_looks_at_says_who_it_was() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| config.audit.to = Some(AuditTo::File)).start_with(&bridge).await;
    let token = hub.operator_token();
    let admin = AdminClient::new(ClientOptions::new(hub.url()).token(token.clone()), TENANT).unwrap();
    admin.list_audit_heads().await.unwrap();
    let channel = tonic::transport::Endpoint::from_shared(hub.url()).unwrap().connect().await.unwrap();
    let mut watch = tonic::Request::new(v1::WatchOverviewRequest {});
    watch.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    drop(AdminServiceClient::new(channel).watch_overview(watch).await.unwrap());
    let headers = [("authorization", &*format!("Bearer {token}"))];
    let watch = Events::open(bridge.address(), "/v1/overview", &headers).await;
    drop(watch.expect("the bridge shows it too"));
    let lines = lines(&hub.stops().await);
    for (event, count) in [("list_audit_heads", 1), ("watch_overview", 2)] {
        let done = of(&lines, event);
        assert_eq!(done.len(), count, "{event}");
        for line in done {
            assert_eq!((text(line, "service"), text(line, "outcome")), ("operator", "ok"), "{event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_a_revoked_token_is_named() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| config.audit.to = Some(AuditTo::File)).start_with(&bridge).await;
    let (lost, kept) = (hub.token("alice"), hub.token("alice"));
    is_revoked(&hub, &lost).await;
    let mut phone = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    phone.ask(Command::Hello(v1::Hello { token: lost.clone(), ..greeting() }));
    assert_eq!(phone.ends().await.1.reason, "TOKEN_REVOKED");
    let mut laptop = Wire::enters_with(&hub, v1::Hello { token: kept, ..greeting() }).await;
    laptop.asks(Command::RefreshToken(v1::RefreshToken { token: lost.clone() })).await;
    executor(&hub, &lost).call::<v1::RoomsPage>(rooms()).await.unwrap_err();
    let headers = [("authorization", &*format!("Bearer {lost}"))];
    for path in ["/v1/commands", "/v1/tickets"] {
        assert_eq!(request(bridge.address(), "POST", path, &headers, r#"{"rooms": {}}"#).await.status, 401);
    }
    let service = hub.service_token();
    let billing = AdminClient::new(ClientOptions::new(hub.url()).token(service.clone()), TENANT).unwrap();
    is_revoked(&hub, &service).await;
    billing.get_statistics(v1::GetStatisticsRequest::default()).await.unwrap_err();
    let lines = lines(&hub.stops().await);
    let refused: Vec<_> = lines.iter().filter(|line| line["reason"] == "TOKEN_REVOKED").collect();
    let refused: Vec<_> = refused.into_iter().filter(|line| line["event"] != "session.ended").collect();
    let named = |line: &&Value| {
        ["event", "user", "service", "tenant", "token"].map(|part| text(line, part).to_owned())
    };
    let of_alice = |event: &str| [event, "alice", "", TENANT, &hash(&lost)].map(str::to_owned);
    assert_eq!(
        refused.iter().map(named).collect::<Vec<_>>(),
        [
            of_alice("session.opened"),
            of_alice("refresh_token"),
            of_alice("authentication"),
            of_alice("authentication"),
            of_alice("authentication"),
            ["authentication", "", "billing", TENANT, &hash(&service)].map(str::to_owned),
        ]
    );
}

#[tokio::test]
async fn whose_good_token_is_for_something_else_is_named() {
    let hub = audited().await;
    let mut service = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    service.ask(Command::Hello(v1::Hello { token: hub.service_token(), ..greeting() }));
    assert_eq!(service.ends().await.1.reason, "PERMISSION_DENIED");
    let lines = lines(&hub.stops().await);
    let [line] = of(&lines, "session.opened")[..] else { panic!("one line: {lines:?}") };
    assert_eq!([text(line, "service"), text(line, "reason")], ["billing", "PERMISSION_DENIED"]);
}

/// A service that names a tenant which is none of its own, or asks what only operators may; a user who administers.
#[tokio::test]
async fn who_may_not_ask_is_named() {
    let hub = audited().await;
    let (service, user) = (hub.service_token(), hub.token("alice"));
    let of = |token: &str, tenant| {
        AdminClient::new(ClientOptions::new(hub.url()).token(token.to_owned()), tenant).unwrap()
    };
    of(&service, "globex").get_statistics(v1::GetStatisticsRequest::default()).await.unwrap_err();
    of(&service, TENANT).list_audit_heads().await.unwrap_err();
    let everywhere = v1::RevokeTokensRequest { everywhere: true, ..Default::default() };
    of(&service, TENANT).revoke_tokens(everywhere).await.unwrap_err();
    of(&user, TENANT).get_statistics(v1::GetStatisticsRequest::default()).await.unwrap_err();
    executor(&hub, &service).call::<v1::RoomsPage>(rooms()).await.unwrap_err();
    let lines = lines(&hub.stops().await);
    let refused = lines.iter().filter(|line| line["reason"] == "PERMISSION_DENIED");
    let named = |line: &Value| ["event", "user", "service", "token"].map(|part| text(line, part).to_owned());
    let of_service = |event: &str| [event, "", "billing", &hash(&service)].map(str::to_owned);
    assert_eq!(
        refused.map(named).collect::<Vec<_>>(),
        [
            of_service("get_statistics"),
            of_service("list_audit_heads"),
            of_service("revoke_tokens"),
            ["authentication", "alice", "", &hash(&user)].map(str::to_owned),
            of_service("authentication"),
        ]
    );
}

/// Whether it is nobody's, another's, or a ticket that was made up.
#[tokio::test]
async fn a_refused_refresh_names_what_was_shown() {
    let hub = audited().await;
    let (own, others) = (hub.token("alice"), hub.token("bob"));
    let made_up = "ticket_of-nobody";
    for shown in ["a.b.c", &others, made_up] {
        let mut alice = Wire::enters_with(&hub, v1::Hello { token: own.clone(), ..greeting() }).await;
        let refused = alice.asks(Command::RefreshToken(v1::RefreshToken { token: shown.to_owned() })).await;
        assert_eq!(code(&refused), "INVALID_TOKEN");
    }
    let lines = lines(&hub.stops().await);
    let refused = of(&lines, "refresh_token").into_iter().inspect(|line| {
        assert!(line["session"].is_string() && line["outcome"] == "refused", "{line}");
    });
    let named = |line: &Value| ["user", "token", "ticket"].map(|part| text(line, part).to_owned());
    let ticket = Seal(Tickets::mark(made_up).unwrap().0).to_string();
    assert_eq!(
        refused.map(named).collect::<Vec<_>>(),
        [
            ["alice", &hash("a.b.c"), ""].map(str::to_owned),
            ["bob", &hash(&others), ""].map(str::to_owned),
            ["alice", "", &ticket].map(str::to_owned),
        ]
    );
}

/// With a session as without one.
#[tokio::test]
async fn who_has_too_many_connections_is_named() {
    let hub = hub().with(|config| {
        config.audit.to = Some(AuditTo::File);
        config.grpc.connections_per_user = 1;
    });
    let hub = hub.start().await;
    let token = hub.token("alice");
    let held = executor(&hub, &token);
    held.call::<v1::RoomsPage>(rooms()).await.unwrap();
    let refused = refusal(executor(&hub, &token).call::<v1::RoomsPage>(rooms()).await);
    assert_eq!(refused.code.name(), "TOO_MANY_CONNECTIONS");
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    wire.ask(Command::Hello(v1::Hello { token: token.clone(), ..greeting() }));
    assert_eq!(wire.ends().await.1.reason, "TOO_MANY_CONNECTIONS");
    let lines = lines(&hub.stops().await);
    let refused: Vec<_> = lines.iter().filter(|line| line["reason"] == "TOO_MANY_CONNECTIONS").collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    for line in refused {
        assert_eq!(
            [text(line, "user"), text(line, "tenant"), text(line, "token")],
            ["alice", TENANT, &hash(&token)]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_is_told_to_quote_is_in_the_line() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().with(|config| config.audit.to = Some(AuditTo::File)).start_with(&bridge).await;
    let history =
        || Command::History(v1::HistoryGet { room: "conversation:none".into(), ..Default::default() });
    let alice = executor(&hub, &hub.token("alice"));
    let executed = refusal(alice.call::<v1::HistoryPage>(history()).await).request_id;
    let stranger = refusal(executor(&hub, "a.b.c").call::<v1::RoomsPage>(rooms()).await).request_id;
    let none = v1::GetRoomRequest { room: "room:none".into(), ..Default::default() };
    let administered = refusal(hub.admin().get_room(none).await).request_id;
    let headers = [("authorization", &*format!("Bearer {}", hub.token("bob")))];
    let body = r#"{"history": {"room": "conversation:none"}}"#;
    let posted = request(bridge.address(), "POST", "/v1/commands", &headers, body).await.json();
    let posted = text(&posted, "requestId").to_owned();
    let mut carol = Wire::enters(&hub, "carol").await;
    let id = carol.ask(Command::Join(join("conversation:none")));
    let joined = match carol.answer(id).await {
        Kind::Error(error) => format!("{}/{id}", error.request_id),
        other => panic!("{}", code(&other)),
    };
    let mut given = Wire::open(
        hub.hub.grpc_address(),
        Opening { request_id: Some("case-17".to_owned()), ..Opening::default() },
    )
    .await;
    given.ask(Command::Hello(v1::Hello { token: "a.b.c".into(), ..greeting() }));
    assert_eq!(given.ends().await.1.request_id, "case-17");
    let lines = lines(&hub.stops().await);
    for (event, request) in [
        ("history", &executed),
        ("authentication", &stranger),
        ("get_room", &administered),
        ("history", &posted),
        ("join", &joined),
        ("session.opened", &"case-17".to_owned()),
    ] {
        assert!(!request.is_empty(), "{event}");
        let found = of(&lines, event).into_iter().filter(|line| text(line, "request") == request);
        assert_eq!(found.count(), 1, "{event} {request}: {lines:?}");
    }
}
