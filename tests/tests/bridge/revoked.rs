//! A token that is revoked is good for nothing that browsers can ask for.

use carillon_client::v1;
use carillon_client::v1::revoke_tokens_request::What;
use carillon_client::v1::session_request::Command;
use carillon_client::v1::session_response::Kind;
use carillon_client::v1::token_revocation::Id;
use carillon_tests::browser::{Beside, Events, Speaks, WebSocket, request};
use carillon_tests::hub;
use carillon_tests::hub::TENANT;
use serde_json::json;

/// The code that ends an event stream.
async fn how_it_ends(events: &mut Events) -> String {
    loop {
        let response = events.next().await.expect("the stream says why it ends");
        if let Some(Kind::Disconnected(end)) = response.kind {
            return end.code;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_a_revoked_token_opened_ends_and_nothing_opens() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let address = bridge.address();
    let token = hub.token("alice");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer)];
    let mut sockets = Vec::new();
    for speaks in [Speaks::Proto, Speaks::Json] {
        sockets.push(WebSocket::enters(address, speaks, token.clone()).await);
    }
    let mut events = Events::open(address, "/v1/events", &headers).await.expect("a stream");
    let ticket = request(address, "POST", "/v1/tickets", &headers, "").await.json();
    let what = Some(What::User("alice".to_owned()));
    // Its second has not passed yet.
    let before_ms = now() + 2_000;
    hub.admin()
        .revoke_tokens(v1::RevokeTokensRequest { what, before_ms, ..Default::default() })
        .await
        .expect("it is revoked");
    for mut socket in sockets {
        let (closed, said) = socket.ends().await;
        assert_eq!(
            (closed.map(|(code, _)| code), said.last().map(String::as_str)),
            (Some(4_503), Some("SESSION_INVALIDATED"))
        );
    }
    assert_eq!(how_it_ends(&mut events).await, "SESSION_INVALIDATED");
    assert_eq!(Events::open(address, "/v1/events", &headers).await.err(), Some(401));
    let by_ticket = format!("/v1/events?ticket={}", ticket["ticket"].as_str().unwrap());
    assert_eq!(Events::open(address, &by_ticket, &[]).await.err(), Some(401));
    let posted = request(address, "POST", "/v1/commands", &headers, "{\"rooms\": {}}").await;
    assert_eq!((posted.status, posted.json()["code"].as_str()), (401, Some("SESSION_INVALIDATED")));
    let tickets = request(address, "POST", "/v1/tickets", &headers, "").await;
    assert_eq!((tickets.status, tickets.json()["code"].as_str()), (401, Some("SESSION_INVALIDATED")));
    let mut socket = WebSocket::open(address, Speaks::Json).await;
    let hello = v1::Hello { token, ..carillon_tests::wire::greeting() };
    socket.ask(Command::Hello(hello)).await;
    let (_, said) = socket.ends().await;
    assert!(said.iter().any(|code| code == "SESSION_INVALIDATED"), "{said:?}");
}

/// Also a service's, which no tenant is named for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_services_revoked_token_buys_no_ticket() {
    let bridge = Beside::bind(|options| options);
    let hub = hub().start_with(&bridge).await;
    let claims = json!({"sub": "thief", "svc": true, "tenants": [TENANT], "jti": "stolen"});
    let bearer = format!("Bearer {}", hub.token_that_says(&claims));
    let asks = || async {
        request(bridge.address(), "POST", "/v1/tickets", &[("authorization", &*bearer)], "").await.status
    };
    assert_eq!(asks().await, 200);
    let id = Some(Id::Jti("stolen".to_owned()));
    let what = Some(What::Token(v1::TokenRevocation { id, expires_ms: now() + 3_600_000 }));
    hub.admin().revoke_tokens(v1::RevokeTokensRequest { what, ..Default::default() }).await.unwrap();
    assert_eq!(asks().await, 401);
}

fn now() -> i64 {
    carillon_hub::domain::time::Timestamp::now().millis()
}
