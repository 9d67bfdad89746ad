//! Tokens on real streams: which open a session, which do not and why, and how long a session lives by one.

use std::time::{Duration, SystemTime};

use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::{self, RefreshToken};
use carillon_hub::access::authentication::Algorithm;
use carillon_tests::hub::TENANT;
use carillon_tests::wire::{Opening, code, greeting, say};
use carillon_tests::{TestHub, Wire, hub};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

/// An RSA public key whose private half nobody needs here.
const RSA_PUBLIC: &str = include_str!("rsa_public.pem");

/// Seconds since 1970, from now.
fn seconds(from_now: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now.as_secs() as i64 + from_now
}

/// Good claims of alice, with some changed; `null` leaves one out.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({"sub": "alice", "org": TENANT, "iat": seconds(0), "exp": seconds(600),
        "iss": "https://id.example", "aud": "carillon"});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn signed(algorithm: jsonwebtoken::Algorithm, secret: &[u8], claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn secret(hub: &TestHub) -> Vec<u8> {
    hub.authentication().secret().unwrap().0.as_bytes().to_vec()
}

/// What a token brings: `connected` with a user, or a code.
async fn outcome(hub: &TestHub, metadata: Option<&str>, in_hello: &str) -> Result<String, String> {
    let opening = Opening { token: metadata.map(str::to_owned), ..Opening::default() };
    let mut wire = Wire::open(hub.hub.grpc_address(), opening).await;
    match wire.asks(Command::Hello(v1::Hello { token: in_hello.to_owned(), ..greeting() })).await {
        Kind::Connected(connected) => Ok(connected.user),
        Kind::Error(error) => {
            let (_, end) = wire.ends().await;
            assert_eq!(end.reason, error.code, "the stream ends for the same reason");
            Err(error.code)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_must_be_right_in_every_way() {
    use jsonwebtoken::Algorithm::{HS256, HS384};
    let hub = hub().without_grace().with(|config| {
        config.auth.issuer = Some("https://id.example".to_owned());
        config.auth.audience = vec!["carillon".to_owned()];
    });
    let hub = hub.start().await;
    let key = secret(&hub);
    let good = signed(HS256, &key, &claims(&json!({})));
    let with = |changes: Value| signed(HS256, &key, &claims(&changes));
    let [header, payload, signature] = *good.split('.').collect::<Vec<_>>() else { panic!("three parts") };
    // {"alg":"none","typ":"JWT"} and {"alg":"RS256","typ":"JWT"}
    let (none, rs256) = ("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9");
    for (what, token, expected) in [
        ("good", good.clone(), Ok("alice")),
        ("issued by a clock that is a little ahead", with(json!({"iat": seconds(3)})), Ok("alice")),
        ("one audience of two", with(json!({"aud": ["other", "carillon"]})), Ok("alice")),
        ("another claim for the tenant", with(json!({"org": null, "workspaceId": "w1"})), Ok("alice")),
        ("garbage", "garbage".to_owned(), Err("INVALID_TOKEN")),
        ("two parts", format!("{header}.{payload}"), Err("INVALID_TOKEN")),
        ("alg none", format!("{none}.{payload}."), Err("INVALID_TOKEN")),
        ("alg none with a signature", format!("{none}.{payload}.{signature}"), Err("INVALID_TOKEN")),
        ("alg RS256", format!("{rs256}.{payload}.{signature}"), Err("INVALID_TOKEN")),
        ("alg HS384", signed(HS384, &key, &claims(&json!({}))), Err("INVALID_TOKEN")),
        ("another secret", signed(HS256, &[7; 32], &claims(&json!({}))), Err("INVALID_TOKEN")),
        ("no signature", format!("{header}.{payload}."), Err("INVALID_TOKEN")),
        ("expired", with(json!({"exp": seconds(-1)})), Err("TOKEN_EXPIRED")),
        ("without expiry", with(json!({"exp": null})), Err("INVALID_TOKEN")),
        ("not yet valid", with(json!({"nbf": seconds(60)})), Err("INVALID_TOKEN")),
        ("issued later", with(json!({"iat": seconds(60)})), Err("INVALID_TOKEN")),
        ("another audience", with(json!({"aud": "other"})), Err("INVALID_TOKEN")),
        ("no audience", with(json!({"aud": null})), Err("INVALID_TOKEN")),
        ("another issuer", with(json!({"iss": "https://evil.example"})), Err("INVALID_TOKEN")),
        ("expired and of another issuer", with(json!({"iss": "x", "exp": 1})), Err("INVALID_TOKEN")),
        ("no tenant", with(json!({"org": null})), Err("INVALID_TOKEN")),
        ("a tenant that is none", with(json!({"org": "a b"})), Err("INVALID_TOKEN")),
        ("no user", with(json!({"sub": null})), Err("INVALID_TOKEN")),
        ("a user that is none", with(json!({"sub": "a/b"})), Err("INVALID_TOKEN")),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(outcome(&hub, Some(&token), "").await, expected, "{what}, in the metadata");
        assert_eq!(outcome(&hub, None, &token).await, expected, "{what}, in hello");
    }
    assert_eq!(outcome(&hub, None, "").await, Err("AUTH_REQUIRED".to_owned()));
    let long = with(json!({"more": "x".repeat(8_192)}));
    assert_eq!(outcome(&hub, Some(&long), "").await, Err("INVALID_TOKEN".to_owned()));
    assert_eq!(outcome(&hub, None, &long).await, Err("INVALID_ARGUMENT".to_owned()), "the field has a rule");
    // Where both are there, the one in hello counts.
    assert_eq!(outcome(&hub, Some("garbage"), &good).await, Ok("alice".to_owned()));
    assert_eq!(outcome(&hub, Some(&good), "garbage").await, Err("INVALID_TOKEN".to_owned()));
    hub.is_empty_again().await;
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let plan = hub().with(|config| {
        let file = config.store.path.join("rsa.pem");
        std::fs::write(&file, RSA_PUBLIC).unwrap();
        config.auth.secret_file = None;
        config.auth.public_key_file = Some(file);
        config.auth.algorithm = Algorithm::Rs256;
    });
    let hub = plan.start().await;
    let forged = claims(&json!({"aud": null, "iss": null}));
    let forged = signed(jsonwebtoken::Algorithm::HS256, RSA_PUBLIC.as_bytes(), &forged);
    assert_eq!(outcome(&hub, None, &forged).await, Err("INVALID_TOKEN".to_owned()));
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let hub = hub().without_grace().start().await;
    let brief = hub.token_of(TENANT, "alice", Duration::from_millis(1_200));
    let mut alice = Wire::enters_with(&hub, v1::Hello { token: brief, ..greeting() }).await;
    let frames = alice.ends_with("TOKEN_EXPIRED").await;
    let warnings = frames.iter().filter(|kind| matches!(kind, Kind::TokenExpiring(_))).count();
    assert_eq!(warnings, 1, "{frames:?}");
    hub.is_empty_again().await;
}

#[tokio::test]
async fn a_refreshed_token_carries_the_session_on() {
    let hub = hub().start().await;
    let brief = |ms| hub.token_of(TENANT, "alice", Duration::from_millis(ms));
    let mut alice = Wire::enters_with(&hub, v1::Hello { token: brief(1_000), ..greeting() }).await;
    let warned = |kind: &Kind| matches!(kind, Kind::TokenExpiring(_)).then_some(());
    alice.until(warned).await;
    let refresh = Command::RefreshToken(RefreshToken { token: brief(2_000) });
    assert!(matches!(alice.asks(refresh).await, Kind::Done(_)));
    // The new token is warned of anew: by then the first would have ended.
    alice.until(warned).await;
    assert!(matches!(alice.asks(say("room:a", "still here")).await, Kind::MessageSent(_)));
    alice.ends_with("TOKEN_EXPIRED").await;
}

#[tokio::test]
async fn a_bad_refresh_ends_the_session_and_an_unreadable_one_does_not() {
    let hub = hub().start().await;
    let hour = Duration::from_secs(3_600);
    let expired = json!({"aud": null, "iss": null, "exp": seconds(-1)});
    let expired = signed(jsonwebtoken::Algorithm::HS256, &secret(&hub), &claims(&expired));
    for (what, token, expected) in [
        ("another user's", hub.token("bob"), "INVALID_TOKEN"),
        ("another tenant's", hub.token_of("globex", "alice", hour), "INVALID_TOKEN"),
        ("a service's", hub.service_token(), "INVALID_TOKEN"),
        ("garbage", "garbage".to_owned(), "INVALID_TOKEN"),
        ("an expired one", expired, "TOKEN_EXPIRED"),
    ] {
        let mut alice = Wire::enters(&hub, "alice").await;
        let answer = alice.asks(Command::RefreshToken(RefreshToken { token })).await;
        assert_eq!(code(&answer), expected, "{what}");
        alice.ends_with(expected).await;
    }
    let mut alice = Wire::enters(&hub, "alice").await;
    for token in [String::new(), "x".repeat(8_193)] {
        let answer = alice.asks(Command::RefreshToken(RefreshToken { token })).await;
        assert_eq!(code(&answer), "INVALID_ARGUMENT");
    }
    assert!(matches!(alice.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)));
}

/// However many tenants it is for: there is no session for a service, whatever it names.
#[tokio::test]
async fn a_services_token_opens_no_session() {
    let hub = hub().start().await;
    for tenants in [json!([TENANT]), json!([TENANT, "globex"]), json!("*")] {
        let service = hub.token_that_says(&json!({"sub": "billing", "svc": true, "tenants": tenants}));
        let denied = Err("PERMISSION_DENIED".to_owned());
        assert_eq!(outcome(&hub, None, &service).await, denied, "{tenants}");
        assert_eq!(outcome(&hub, Some(&service), "").await, denied, "{tenants}");
        let mut alice = Wire::enters(&hub, "alice").await;
        let refresh = Command::RefreshToken(RefreshToken { token: service });
        assert_eq!(code(&alice.asks(refresh).await), "INVALID_TOKEN", "{tenants}");
        alice.ends_with("INVALID_TOKEN").await;
    }
}
