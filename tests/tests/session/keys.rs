//! Keys that change while the hub runs: published by their issuers, or in files.

mod answers;
mod files;
mod forged;
mod publisher;

use std::time::Duration;

use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::token_revocation::Id;
use carillon_client::v1::{self, RefreshToken};
use carillon_hub::access::authentication::{Algorithm, id};
use carillon_hub::config::{AuthSection, HiddenText, KeySection};
use carillon_tests::people::PATIENCE;
use carillon_tests::wire::{Opening, code, greeted, greeting};
use carillon_tests::{TestHub, Wire, hub};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use publisher::{Answer, KeyPair, Publisher, answer, claims, keys};

const OURS: &str = "https://id.example";
const THEIRS: &str = "https://school.example";
const SECRET: &str = "a secret of the tests, 32 bytes!";

/// An issuer whose keys are published there, and fetched anew after a second where somebody asks for it.
fn published(issuer: &str, publisher: &Publisher) -> AuthSection {
    AuthSection {
        algorithm: Algorithm::EdDsa,
        jwks_url: Some(publisher.url.clone()),
        jwks_floor: Duration::from_secs(1),
        issuer: Some(issuer.to_owned()),
        ..AuthSection::default()
    }
}

async fn hub_of(auth: AuthSection) -> TestHub {
    hub().with(|config| config.auth = auth).start().await
}

/// Comes again, as a client does that is told to, until the token brings this.
async fn comes_to(hub: &TestHub, token: &str, expected: &str) {
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let come = async {
        while greeted(hub, token).await != expected {
            again.tick().await;
        }
    };
    assert!(tokio::time::timeout(2 * PATIENCE, come).await.is_ok(), "never {expected}");
}

/// Waits until keys could not be fetched or read this often.
async fn fails(hub: &TestHub, times: u64) {
    let failures = || hub.hub.services().metrics.counters().key_failures.total();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let come = async {
        while failures() < times {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(2 * PATIENCE, come).await.is_ok(), "{} failures", failures());
}

/// A session that this token opened.
async fn enters(hub: &TestHub, token: &str) -> Wire {
    Wire::enters_with(hub, v1::Hello { token: token.to_owned(), ..greeting() }).await
}

/// A token of alice under this secret.
fn signed(secret: &str, kid: Option<&str>) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(jsonwebtoken::Algorithm::HS256) };
    encode(&header, &claims(OURS, "alice"), &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn refresh(token: String) -> Command {
    Command::RefreshToken(RefreshToken { token })
}

#[tokio::test]
async fn keys_that_are_not_there_yet_refuse_nobody() {
    let key = KeyPair::new("a", 1);
    let publisher = Publisher::start(Answer::Held).await;
    let hub = hub_of(published(OURS, &publisher)).await;
    let token = key.token(OURS, "alice");
    publisher.is_asked(1).await;
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let told = wire.asks(Command::Hello(v1::Hello { token: token.clone(), ..greeting() })).await;
    let Kind::Error(error) = told else { panic!("{told:?}") };
    let told = (error.code.as_str(), error.retryable, error.retry_after_ms);
    assert_eq!(told, ("UNAVAILABLE", true, 1_000), "come again");
    let refused = || hub.hub.services().metrics.counters().tokens_refused.total();
    assert_eq!(refused(), 0, "it was not judged");
    publisher.answers(keys(&[&key]));
    comes_to(&hub, &token, "connected").await;
    assert_eq!(refused(), 0);
}

#[tokio::test]
async fn sessions_live_through_a_change_of_keys() {
    let (old, new) = (KeyPair::new("a", 1), KeyPair::new("b", 2));
    let publisher = Publisher::start(keys(&[&old])).await;
    let hub = hub_of(published(OURS, &publisher)).await;
    let [old_token, new_token] = [&old, &new].map(|key| key.token(OURS, "alice"));
    comes_to(&hub, &old_token, "connected").await;
    let [mut stays, mut refreshes] = [enters(&hub, &old_token).await, enters(&hub, &old_token).await];

    publisher.answers(Answer::Held);
    comes_to(&hub, &new_token, "UNAVAILABLE").await;
    publisher.is_asked(2).await;
    // While it is asked for the new key, nothing is decided of it, and what is known holds.
    assert_eq!(code(&refreshes.asks(refresh(new_token.clone())).await), "UNAVAILABLE");
    assert_eq!(greeted(&hub, &old_token).await, "connected");
    publisher.answers(keys(&[&new]));
    comes_to(&hub, &new_token, "connected").await;
    assert!(matches!(refreshes.asks(refresh(new_token)).await, Kind::Done(_)));

    comes_to(&hub, &old_token, "INVALID_TOKEN").await;
    assert!(matches!(stays.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)), "until its token ends");
    publisher.answers(Answer::Held);
    comes_to(&hub, &old_token, "UNAVAILABLE").await;
    publisher.answers(keys(&[&new]));
    comes_to(&hub, &old_token, "INVALID_TOKEN").await;
}

#[tokio::test]
async fn no_issuer_signs_for_another() {
    // Both call their key the same.
    let (ours, theirs) = (KeyPair::new("1", 1), KeyPair::new("1", 2));
    let publishers = [Publisher::start(keys(&[&ours])).await, Publisher::start(keys(&[&theirs])).await];
    let mut auth = published(OURS, &publishers[0]);
    let mut school = published(THEIRS, &publishers[1]);
    school.audience = vec!["lessons".to_owned()];
    school.claims.tenant = vec!["school".to_owned()];
    auth.issuers = vec![school];
    let hub = hub_of(auth).await;
    let mut lesson = claims(THEIRS, "alice");
    (lesson["aud"], lesson["school"]) = (json!("lessons"), json!("north"));
    comes_to(&hub, &ours.token(OURS, "alice"), "connected").await;
    comes_to(&hub, &theirs.sign(&lesson), "connected").await;
    let mut wire = Wire::open(hub.hub.grpc_address(), Opening::default()).await;
    let hello = v1::Hello { token: theirs.sign(&lesson), ..greeting() };
    assert_eq!(wire.greets(hello).await.tenant, "north");

    let mut nobody = claims(OURS, "alice");
    nobody["iss"] = json!(null);
    let public = ours.public()["x"].as_str().unwrap().to_owned();
    let confused = Header { kid: Some("1".to_owned()), ..Header::new(jsonwebtoken::Algorithm::HS256) };
    let confused = encode(&confused, &claims(OURS, "alice"), &EncodingKey::from_secret(public.as_bytes()));
    for (what, token) in [
        ("ours, signed by them", theirs.token(OURS, "alice")),
        ("theirs, signed by us", ours.sign(&lesson)),
        ("theirs, for our audience", theirs.token(THEIRS, "alice")),
        ("nobody's", ours.sign(&nobody)),
        ("somebody else's", ours.token("https://evil.example", "alice")),
        ("with the public key as a secret", confused.unwrap()),
    ] {
        assert_eq!(greeted(&hub, &token).await, "INVALID_TOKEN", "{what}");
    }
    assert_eq!(publishers.map(|publisher| publisher.asked()), [1, 1], "nobody was asked for more");
}

#[tokio::test]
async fn keys_stay_in_use_while_nobody_publishes_them() {
    let (known, unknown) = (KeyPair::new("a", 1), KeyPair::new("b", 2));
    let publisher = Publisher::start(keys(&[&known])).await;
    let hub = hub_of(published(OURS, &publisher)).await;
    comes_to(&hub, &known.token(OURS, "alice"), "connected").await;
    publisher.answers(answer("503 Service Unavailable", ""));
    comes_to(&hub, &unknown.token(OURS, "alice"), "UNAVAILABLE").await;
    publisher.is_asked(3).await;
    assert_eq!(greeted(&hub, &known.token(OURS, "alice")).await, "connected");
    assert_eq!(greeted(&hub, &unknown.token(OURS, "alice")).await, "UNAVAILABLE");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_their_issuer_once() {
    let key = KeyPair::new("a", 1);
    let publisher = Publisher::start(keys(&[&key])).await;
    let hour = Duration::from_secs(3_600);
    let auth = AuthSection { jwks_floor: hour, jwks_refresh: hour, ..published(OURS, &publisher) };
    let hub = hub_of(auth).await;
    comes_to(&hub, &key.token(OURS, "alice"), "connected").await;
    for number in 0..100 {
        let token = KeyPair::new(&format!("unknown-{number}"), 2).token(OURS, "alice");
        assert_eq!(greeted(&hub, &token).await, "INVALID_TOKEN");
    }
    assert_eq!(greeted(&hub, &key.token(OURS, "alice")).await, "connected");
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn a_token_of_any_key_is_revoked() {
    let published_key = KeyPair::new("a", 1);
    let publisher = Publisher::start(keys(&[&published_key])).await;
    let newer = SECRET.to_uppercase();
    let named = |kid: &str, secret: &str| KeySection {
        kid: Some(kid.to_owned()),
        secret: Some(HiddenText::from(secret.to_owned())),
        ..KeySection::default()
    };
    let hub = hub_of(AuthSection {
        issuer: Some(OURS.to_owned()),
        keys: vec![named("old", SECRET), named("new", &newer)],
        issuers: vec![published(THEIRS, &publisher)],
        ..AuthSection::default()
    });
    let hub = hub.await;
    for (what, token) in [
        ("an old secret's", signed(SECRET, Some("old"))),
        ("a new secret's", signed(&newer, Some("new"))),
        ("one that names no key", signed(&newer, None)),
        ("another issuer's", published_key.token(THEIRS, "alice")),
    ] {
        comes_to(&hub, &token, "connected").await;
        let mut session = enters(&hub, &token).await;
        let id = Some(Id::Sha256(id::of_text(&token).0.to_vec().into()));
        revokes(&hub, id).await;
        session.ends_with("TOKEN_REVOKED").await;
        assert_eq!(greeted(&hub, &token).await, "TOKEN_REVOKED", "{what}");
    }
    let mut named = claims(THEIRS, "bob");
    named["jti"] = json!("t-1");
    let token = published_key.sign(&named);
    assert_eq!(greeted(&hub, &token).await, "connected");
    revokes(&hub, Some(Id::Jti("t-1".to_owned()))).await;
    assert_eq!(greeted(&hub, &token).await, "TOKEN_REVOKED");
    assert_eq!(greeted(&hub, &signed(SECRET, Some("new"))).await, "INVALID_TOKEN", "another key's name");
}

async fn revokes(hub: &TestHub, id: Option<Id>) {
    let expires_ms = claims(OURS, "alice")["exp"].as_i64().unwrap() * 1_000;
    let what = Some(What::Token(v1::TokenRevocation { id, expires_ms }));
    hub.admin().revoke_tokens(v1::RevokeTokensRequest { what, ..Default::default() }).await.unwrap();
}
