//! Tokens of an issuer whose clock is ahead, and what is revoked now.

use std::time::Duration;

use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::{AdminClient, ClientOptions, v1};
use carillon_hub::access::authentication::{MintFor, MintRequest, ServiceTenants, id, mint};
use carillon_hub::domain::names::{TenantId, UserId};
use carillon_hub::domain::revocation::{Revocation, Revoked, Scope};
use carillon_hub::domain::time::Timestamp;
use carillon_tests::hub::TENANT;
use carillon_tests::story::verdict;
use carillon_tests::wire::{greeted, greeting};
use carillon_tests::{PATIENCE, TestHub, Wire, hub};

/// How far the issuer's clock is ahead.
const AHEAD: Duration = Duration::from_secs(60);

async fn lenient() -> TestHub {
    hub().with(|config| config.auth.leeway = Duration::from_secs(120)).start().await
}

/// A token that is issued now, by a clock that is ahead.
fn issued_ahead(hub: &TestHub, subject: MintFor) -> String {
    let request = MintRequest { subject, ttl: Duration::from_secs(3_600) };
    mint(&hub.authentication(), &request, Timestamp::now().plus(AHEAD)).unwrap()
}

fn alice() -> MintFor {
    MintFor::User { tenant: TenantId::parse(TENANT).unwrap(), user: UserId::parse("alice").unwrap() }
}

fn service() -> MintFor {
    MintFor::Service { name: UserId::parse("mailer").unwrap(), tenants: ServiceTenants::All }
}

async fn revokes_now(hub: &TestHub, what: What) {
    let request = v1::RevokeTokensRequest { what: Some(what), ..Default::default() };
    hub.admin().revoke_tokens(request).await.unwrap();
}

#[tokio::test]
async fn what_is_revoked_now_reaches_tokens_that_say_they_come_later() {
    let hub = lenient().await;
    let old = issued_ahead(&hub, alice());
    let mut phone = Wire::enters_with(&hub, v1::Hello { token: old.clone(), ..greeting() }).await;
    revokes_now(&hub, What::User("alice".into())).await;
    phone.ends_with("TOKEN_REVOKED").await;
    assert_eq!(greeted(&hub, &old).await, "TOKEN_REVOKED");
    // Whoever signs in after that is let in, though the clock is as far ahead.
    let new = issued_ahead(&hub, alice());
    assert_eq!(greeted(&hub, &new).await, "connected");
    let mut laptop = Wire::enters_with(&hub, v1::Hello { token: new.clone(), ..greeting() }).await;
    assert!(matches!(laptop.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
    drop(laptop);
    // Nobody knows any more when either was shown first.
    let hub = hub.stops().await.start().await;
    assert_eq!(greeted(&hub, &old).await, "TOKEN_REVOKED");
    assert_eq!(greeted(&hub, &new).await, "connected");
}

#[tokio::test]
async fn services_too() {
    let hub = lenient().await;
    let (old, new) = (issued_ahead(&hub, service()), issued_ahead(&hub, service()));
    let asks = async |token: &str| {
        let admin = AdminClient::new(ClientOptions::new(hub.url()).token(token.to_owned()), TENANT).unwrap();
        verdict(admin.get_statistics(v1::GetStatisticsRequest::default()).await)
    };
    assert_eq!(asks(&old).await, "ok");
    revokes_now(&hub, What::Service("mailer".into())).await;
    assert_eq!([asks(&old).await, asks(&new).await], ["TOKEN_REVOKED", "ok"]);
}

/// A node that only hears of what is revoked keeps those that it has seen.
#[tokio::test]
async fn what_comes_from_elsewhere_reaches_them_too() {
    let hub = lenient().await;
    let old = issued_ahead(&hub, alice());
    assert_eq!(greeted(&hub, &old).await, "connected");
    let store = &hub.hub.services().store;
    let (user, before) = (UserId::parse("alice").unwrap(), Timestamp::now());
    let scope = Scope::Tenant(TenantId::parse(TENANT).unwrap());
    store.revoke(Revocation { scope, what: Revoked::User { user, before } }).await.unwrap();
    let kept = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let token = id::of_text(&old);
        let is_kept = |what: &Revoked| matches!(what, Revoked::Token { id, .. } if *id == token);
        while !store.revocations(0, 100).await.unwrap().revocations.iter().any(|one| is_kept(&one.what)) {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, kept).await.expect("it is kept");
    assert_eq!(greeted(&hub, &old).await, "TOKEN_REVOKED");
}
