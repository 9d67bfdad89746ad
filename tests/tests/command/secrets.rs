//! What a hub that writes everything down does not: tokens and tickets, shown in each way that there is.

use std::net::SocketAddr;
use std::path::Path;

use carillon_client::v1::session_request::Command;
use carillon_client::v1::{Hello, RefreshToken};
use carillon_hub::domain::time::Timestamp;
use carillon_tests::browser::{Events, Speaks, WebSocket, request};
use carillon_tests::command::{Running, carillon};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

const SECRET: &str = "a secret of a hub in production, long enough";

/// A hub that logs all that there is to log; where it serves gRPC, and browsers.
fn talkative(folder: &Path) -> (Running, String, SocketAddr) {
    let file = folder.join("hub.toml");
    let text = format!(
        "[log]\nlevel = \"trace\"\n[grpc]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [store]\npath = \"data\"\n[auth]\nsecret = \"{SECRET}\"\n[bridge]\nlisten = \"127.0.0.1:0\"\n\
         origins = [\"https://app.example.org\"]\nquery_tokens = true\n[[namespace]]\nname = \"room\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut hub = carillon(["hub", "--json", "--config"]).arg(&file).within(folder).start_typing();
    let ready: serde_json::Value = serde_json::from_str(&hub.line()).unwrap();
    let at = |port: &str| ready[port].as_str().unwrap().trim_start_matches("http://").to_owned();
    (hub, at("grpc"), at("bridge").parse().unwrap())
}

/// Another token each time.
fn token(number: u32) -> String {
    let exp = Timestamp::now().millis() / 1_000 + 600;
    let claims = json!({ "sub": "alice", "org": "dev", "exp": exp, "jti": format!("token-{number}") });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// Shows tokens and tickets, good and bad ones; gives them all.
async fn shows(grpc: &str, bridge: SocketAddr) -> Vec<String> {
    let shown: Vec<_> = (0..9).map(token).collect();
    let bad = format!("{}x", token(9));
    let bearer = |token: &str| format!("Bearer {token}");
    let hello = || Hello { protocol: 1, ..Hello::default() };

    carillon(["rooms", "--addr", grpc, "--token", &shown[0]]).run().good();
    carillon(["rooms", "--addr", grpc, "--token", &bad]).run().fails("INVALID_TOKEN");
    for (speaks, pair) in [(Speaks::Proto, &shown[1..3]), (Speaks::Json, &shown[3..5])] {
        let mut socket = WebSocket::enters(bridge, speaks, pair[0].clone()).await;
        socket.does(Command::RefreshToken(RefreshToken { token: pair[1].clone() })).await;
    }
    let offered = format!("carillon.v1.json, bearer.{}", shown[6]);
    for header in [("authorization", &*bearer(&shown[5])), ("sec-websocket-protocol", &*offered)] {
        let mut socket = WebSocket::try_open(bridge, Speaks::Json, &[header]).await.unwrap();
        assert_eq!(socket.greets(hello()).await.user, "alice");
    }
    Events::open(bridge, &format!("/v1/events?token={}", shown[7]), &[]).await.expect("a stream");
    let refused = Events::open(bridge, &format!("/v1/events?token={bad}"), &[]).await;
    assert_eq!(refused.err(), Some(401));
    let authorization = bearer(&shown[8]);
    let posted = [("authorization", &*authorization), ("content-type", "application/json")];
    assert_eq!(request(bridge, "POST", "/v1/commands", &posted, r#"{"rooms": {}}"#).await.status, 200);

    let mut tickets = Vec::new();
    for _ in 0..2 {
        let answer = request(bridge, "POST", "/v1/tickets", &posted, "").await.json();
        tickets.push(answer["ticket"].as_str().unwrap().to_owned());
    }
    Events::open(bridge, &format!("/v1/events?ticket={}", tickets[0]), &[]).await.expect("a stream");
    WebSocket::enters(bridge, Speaks::Json, tickets[1].clone()).await;
    [shown, tickets, vec![bad]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_and_no_ticket_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let (hub, grpc, bridge) = talkative(folder.path());
    let shown = shows(&grpc, bridge).await;
    let said = hub.signalled("TERM");
    assert!(said.err.contains("\"level\":\"TRACE\""), "everything is logged");
    for secret in shown {
        // The signature is what makes a token good; what is before it anybody may say.
        let (_, secret) = secret.rsplit_once('.').unwrap_or(("", &secret));
        let line = said.err.lines().chain(said.out.lines()).find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}
