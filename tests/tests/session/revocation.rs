//! Tokens that are revoked: what they opened ends, and nothing more opens with them, after a restart neither.

use std::time::{Duration, SystemTime};

use carillon_client::v1::admin_service_client::AdminServiceClient;
use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::token_revocation::Id;
use carillon_client::v1::{self, RefreshToken};
use carillon_client::{AdminClient, ClientOptions, Executor};
use carillon_hub::access::authentication::{MintFor, MintRequest, ServiceTenants, id, mint};
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::time::Timestamp;
use carillon_tests::hub::TENANT;
use carillon_tests::story::{verdict, wrong_field};
use carillon_tests::wire::{Opening, code, greeted, greeting};
use carillon_tests::{TestHub, Wire, hub};

/// Milliseconds since 1970, from now.
fn millis(from_now: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now.as_millis() as i64 + from_now
}

/// A token of a user, issued this many seconds ago.
fn issued(hub: &TestHub, tenant: &str, user: &str, seconds_ago: u64) -> String {
    let (tenant, user) = (TenantId::parse(tenant).unwrap(), UserId::parse(user).unwrap());
    let request = MintRequest { subject: MintFor::User { tenant, user }, ttl: Duration::from_secs(3_600) };
    mint(&hub.authentication(), &request, ago(seconds_ago)).unwrap()
}

fn ago(seconds: u64) -> Timestamp {
    Timestamp::now().minus(Duration::from_secs(seconds))
}

/// A token of a service for all tenants.
fn operator(hub: &TestHub) -> String {
    let subject = MintFor::Service { name: UserId::parse("operator").unwrap(), tenants: ServiceTenants::All };
    mint(&hub.authentication(), &MintRequest { subject, ttl: Duration::from_secs(3_600) }, ago(60)).unwrap()
}

fn administrates(hub: &TestHub, token: String) -> AdminClient {
    AdminClient::new(ClientOptions::new(hub.url()).token(token), TENANT).unwrap()
}

async fn revokes(hub: &TestHub, what: What) {
    let request = v1::RevokeTokensRequest { what: Some(what), ..Default::default() };
    hub.admin().revoke_tokens(request).await.unwrap();
}

fn by_text(token: &str) -> What {
    let id = Some(Id::Sha256(id::of_text(token).0.to_vec().into()));
    What::Token(v1::TokenRevocation { id, expires_ms: millis(3_600_000) })
}

fn asks_for_rooms() -> Command {
    Command::Rooms(v1::RoomsGet::default())
}

/// A session that this token opened.
async fn enters(hub: &TestHub, token: &str) -> Wire {
    Wire::enters_with(hub, v1::Hello { token: token.to_owned(), ..greeting() }).await
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_what_it_opened_and_opens_nothing_more() {
    let hub = hub().start().await;
    let [lost, kept] = [60, 50].map(|ago| issued(&hub, TENANT, "alice", ago));
    let mut phone = enters(&hub, &lost).await;
    let mut second = enters(&hub, &lost).await;
    let mut laptop = enters(&hub, &kept).await;
    let execute = Executor::new(ClientOptions::new(hub.url()).token(lost.clone())).unwrap();
    assert_eq!(verdict(execute.call::<v1::RoomsPage>(asks_for_rooms()).await), "ok");
    revokes(&hub, by_text(&lost)).await;
    phone.ends_with("TOKEN_REVOKED").await;
    second.ends_with("TOKEN_REVOKED").await;
    assert_eq!(verdict(execute.call::<v1::RoomsPage>(asks_for_rooms()).await), "TOKEN_REVOKED");
    // Another signature does not make it another token.
    let signed = lost.rsplit_once('.').unwrap().0;
    assert_eq!(greeted(&hub, &format!("{signed}.AAAA")).await, "INVALID_TOKEN");
    assert!(matches!(laptop.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    // Nor may a session that lives by another take it up.
    let refreshed = laptop.asks(Command::RefreshToken(RefreshToken { token: lost.clone() })).await;
    assert_eq!(code(&refreshed), "TOKEN_REVOKED");
    laptop.ends_with("TOKEN_REVOKED").await;
    let hub = hub.stops().await.start().await;
    assert_eq!(greeted(&hub, &lost).await, "TOKEN_REVOKED");
    assert_eq!(greeted(&hub, &kept).await, "connected");
}

#[tokio::test]
async fn a_token_is_known_by_its_jti_too() {
    let hub = hub().start().await;
    let lost = issued(&hub, TENANT, "alice", 60);
    let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(&lost).unwrap().claims;
    let id = Some(Id::Jti(claims["jti"].as_str().unwrap().to_owned()));
    let mut phone = enters(&hub, &lost).await;
    revokes(&hub, What::Token(v1::TokenRevocation { id, expires_ms: millis(3_600_000) })).await;
    phone.ends_with("TOKEN_REVOKED").await;
    assert_eq!(greeted(&hub, &lost).await, "TOKEN_REVOKED");
}

#[tokio::test]
async fn all_that_a_user_got_before_an_instant_ends() {
    let hub = hub().start().await;
    let old = issued(&hub, TENANT, "alice", 60);
    let mut phone = enters(&hub, &old).await;
    let mut refreshed = enters(&hub, &old).await;
    let mut of_bob = enters(&hub, &issued(&hub, TENANT, "bob", 60)).await;
    let mut elsewhere = enters(&hub, &issued(&hub, "other", "alice", 60)).await;
    // Who has taken up a newer token lives by that.
    let new = issued(&hub, TENANT, "alice", 10);
    let answer = refreshed.asks(Command::RefreshToken(RefreshToken { token: new.clone() })).await;
    assert!(matches!(answer, Kind::Done(_)));
    let request = v1::RevokeTokensRequest {
        what: Some(What::User("alice".into())),
        before_ms: millis(-30_000),
        ..Default::default()
    };
    hub.admin().revoke_tokens(request).await.unwrap();
    phone.ends_with("SESSION_INVALIDATED").await;
    for wire in [&mut refreshed, &mut of_bob, &mut elsewhere] {
        assert!(matches!(wire.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    }
    let hub = hub.stops().await.start().await;
    assert_eq!(greeted(&hub, &old).await, "SESSION_INVALIDATED");
    assert_eq!(greeted(&hub, &new).await, "connected");
}

#[tokio::test]
async fn services_and_whole_tenants_too() {
    let hub = hub().start().await;
    let billing = hub.admin();
    let operator = operator(&hub);
    let operates = administrates(&hub, operator.clone());
    let statistics = || v1::GetStatisticsRequest::default();
    assert_eq!(verdict(billing.get_statistics(statistics()).await), "ok");
    let request = v1::RevokeTokensRequest {
        what: Some(What::Service("billing".into())),
        before_ms: millis(2_000),
        ..Default::default()
    };
    operates.revoke_tokens(request).await.unwrap();
    assert_eq!(verdict(billing.get_statistics(statistics()).await), "SESSION_INVALIDATED");
    // A user of that name is somebody else.
    assert_eq!(greeted(&hub, &issued(&hub, TENANT, "billing", 60)).await, "connected");
    let mut alice = enters(&hub, &issued(&hub, TENANT, "alice", 60)).await;
    let mut elsewhere = enters(&hub, &issued(&hub, "other", "alice", 60)).await;
    let everybody = |everywhere| v1::RevokeTokensRequest {
        what: Some(What::Everybody(true)),
        before_ms: millis(-30_000),
        everywhere,
        ..Default::default()
    };
    operates.revoke_tokens(everybody(false)).await.unwrap();
    alice.ends_with("SESSION_INVALIDATED").await;
    assert!(matches!(elsewhere.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    assert_eq!(verdict(operates.get_statistics(statistics()).await), "SESSION_INVALIDATED");
    // In its own tenants the operator's token is good no more; of all tenants it still is.
    let other = AdminClient::new(ClientOptions::new(hub.url()).token(operator), "other").unwrap();
    other.revoke_tokens(everybody(true)).await.unwrap();
    elsewhere.ends_with("SESSION_INVALIDATED").await;
    assert_eq!(verdict(other.get_statistics(statistics()).await), "SESSION_INVALIDATED");
}

#[tokio::test]
async fn who_watches_the_node_is_cut_off() {
    let hub = hub().start().await;
    let token = operator(&hub);
    let channel = tonic::transport::Endpoint::from_shared(hub.url()).unwrap().connect().await.unwrap();
    let mut watch = AdminServiceClient::new(channel);
    let mut request = tonic::Request::new(v1::WatchOverviewRequest {});
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let mut figures = watch.watch_overview(request).await.unwrap().into_inner();
    assert!(figures.message().await.unwrap().is_some());
    let request =
        v1::RevokeTokensRequest { what: Some(by_text(&token)), everywhere: true, ..Default::default() };
    administrates(&hub, token).revoke_tokens(request).await.unwrap();
    let end = loop {
        match figures.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the watch ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn a_wrong_revocation_is_refused() {
    let hub = hub().start().await;
    let token = |id, expires_ms| What::Token(v1::TokenRevocation { id, expires_ms });
    let (jti, soon) = (|jti: String| Some(Id::Jti(jti)), millis(60_000));
    let hash = |length: usize| Some(Id::Sha256(vec![0; length].into()));
    for (what, before_ms, everywhere, field) in [
        (None, 0, false, "what"),
        (Some(token(None, soon)), 0, false, "token.id"),
        (Some(token(jti(String::new()), soon)), 0, false, "token.jti"),
        (Some(token(jti("x".repeat(1_001)), soon)), 0, false, "token.jti"),
        (Some(token(hash(31), soon)), 0, false, "token.sha256"),
        (Some(token(hash(32), 0)), 0, false, "token.expires_ms"),
        (Some(token(hash(32), millis(-1))), 0, false, "token.expires_ms"),
        (Some(token(hash(32), i64::MAX)), 0, false, "token.expires_ms"),
        (Some(token(hash(32), soon)), 1, false, "before_ms"),
        (Some(What::User("no user".into())), 0, false, "user"),
        (Some(What::Service(String::new())), 0, false, "service"),
        (Some(What::User("alice".into())), millis(600_000), false, "before_ms"),
        (Some(What::User("alice".into())), -1, false, "before_ms"),
        (Some(What::Everybody(false)), 0, false, "everybody"),
    ] {
        let request = v1::RevokeTokensRequest { what, before_ms, everywhere, ..Default::default() };
        assert_eq!(wrong_field(hub.admin().revoke_tokens(request).await), field);
    }
    let everybody =
        v1::RevokeTokensRequest { what: Some(What::Everybody(true)), everywhere: true, ..Default::default() };
    assert_eq!(verdict(hub.admin().revoke_tokens(everybody.clone()).await), "PERMISSION_DENIED");
    let of_alice = administrates(&hub, hub.token("alice"));
    let request = v1::RevokeTokensRequest { what: Some(What::User("bob".into())), ..Default::default() };
    assert_eq!(verdict(of_alice.revoke_tokens(request).await), "PERMISSION_DENIED");
    let user_everywhere = v1::RevokeTokensRequest { what: Some(What::User("bob".into())), ..everybody };
    let operates = administrates(&hub, operator(&hub));
    assert_eq!(wrong_field(operates.revoke_tokens(user_everywhere).await), "everywhere");
    assert_eq!(greeted(&hub, &issued(&hub, TENANT, "bob", 60)).await, "connected", "nothing was revoked");
}

/// What was revoked cannot be known then: nobody new gets in, with however good a token.
#[tokio::test]
async fn where_the_store_has_stopped_nobody_gets_in() {
    let hub = hub().start().await;
    hub.hub.services().store.close().await;
    let mut alice = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    alice.ask(Command::Hello(v1::Hello { token: hub.token("alice"), ..greeting() }));
    assert_eq!(alice.ends().await.1.reason, "UNAVAILABLE");
    let execute = Executor::new(ClientOptions::new(hub.url()).token(hub.token("alice"))).unwrap();
    let rooms = execute.call::<v1::RoomsPage>(Command::Rooms(v1::RoomsGet::default())).await;
    assert_eq!(verdict(rooms), "UNAVAILABLE");
    let asked = hub.admin().get_statistics(v1::GetStatisticsRequest::default()).await;
    assert_eq!(verdict(asked), "UNAVAILABLE");
}
