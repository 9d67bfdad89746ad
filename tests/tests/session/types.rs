//! What a token says that it is.

use carillon_tests::hub::TENANT;
use carillon_tests::wire::greeted;
use carillon_tests::{TestHub, hub};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

fn token(hub: &TestHub, typ: Option<&str>) -> String {
    let options = hub.authentication();
    let (secret, _) = options.secret().unwrap();
    let header = Header { typ: typ.map(str::to_owned), ..Header::default() };
    let claims = json!({"sub": "alice", "org": TENANT, "exp": jsonwebtoken::get_current_timestamp() + 600});
    encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[tokio::test]
async fn only_tokens_of_a_listed_type_are_taken() {
    let hub = hub().start().await;
    for typ in [None, Some("JWT"), Some("jwt"), Some("at+jwt"), Some("application/AT+JWT")] {
        assert_eq!(greeted(&hub, &token(&hub, typ)).await, "connected", "{typ:?}");
    }
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "", "application/x/jwt", "text/jwt"] {
        assert_eq!(greeted(&hub, &token(&hub, Some(typ))).await, "INVALID_TOKEN", "{typ}");
    }
}

#[tokio::test]
async fn where_tokens_must_say_what_they_are_those_that_do_not_are_refused() {
    let hub = hub().with(|config| config.auth.types = vec!["Chat+JWT".to_owned()]).start().await;
    for typ in [Some("chat+jwt"), Some("application/chat+jwt")] {
        assert_eq!(greeted(&hub, &token(&hub, typ)).await, "connected", "{typ:?}");
    }
    for typ in [None, Some("JWT"), Some("at+jwt")] {
        assert_eq!(greeted(&hub, &token(&hub, typ)).await, "INVALID_TOKEN", "{typ:?}");
    }
    let none = hub.stops().await.with(|config| config.auth.types = Vec::new()).fails_to_start().await;
    assert!(none.contains("auth.types: one at least"), "{none}");
    for bad in ["", "a b", "é"] {
        let plan = carillon_tests::hub().with(|config| config.auth.types = vec![bad.to_owned()]);
        let said = plan.fails_to_start().await;
        assert!(said.contains("auth.types: 1 to 64 visible"), "{said}");
    }
}
