//! The page in production: not there unless it is asked for, and then it shows nothing to whoever has no token.

use std::net::SocketAddr;
use std::path::Path;

use carillon_hub::domain::time::Timestamp;
use carillon_tests::browser::{Events, request};
use carillon_tests::command::{Running, carillon};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

const SECRET: &str = "a secret of a hub in production, long enough";
const PATHS: [&str; 3] = ["/", "/overview", "/dev/tokens"];

/// A hub in production with these settings of its bridge besides what it needs, and where that listens.
fn production(folder: &Path, settings: &str) -> (Running, SocketAddr) {
    let file = folder.join("hub.toml");
    let text = format!(
        "[grpc]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"data\"\n\
         [auth]\nsecret = \"{SECRET}\"\n[bridge]\nlisten = \"127.0.0.1:0\"\n\
         origins = [\"https://app.example.org\"]\nattempts_per_address = 0\n{settings}\n\
         [[namespace]]\nname = \"room\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut running = carillon(["hub", "--json", "--config"]).arg(&file).within(folder).start_typing();
    let ready: serde_json::Value = serde_json::from_str(&running.line()).unwrap();
    (running, ready["bridge"].as_str().unwrap().parse().unwrap())
}

/// A token of the hub that says this.
fn bearer(mut claims: serde_json::Value) -> String {
    claims["exp"] = json!(Timestamp::now().millis() / 1_000 + 600);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("Bearer {}", encode(&Header::default(), &claims, &key).unwrap())
}

#[tokio::test]
async fn in_production_there_is_no_page_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = production(folder.path(), "");
    for path in PATHS {
        assert_eq!(request(address, "GET", path, &[], "").await.status, 404, "{path}");
    }
    assert_eq!(running.signalled("TERM").code, Some(0));
}

#[tokio::test]
async fn a_page_that_is_asked_for_gives_no_tokens_and_figures_to_operators_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (running, address) = production(folder.path(), "page = true");
    let mut statuses = Vec::new();
    for path in PATHS {
        statuses.push(request(address, "GET", path, &[], "").await.status);
    }
    assert_eq!(statuses, [200, 200, 404]);
    let user = bearer(json!({"sub": "alice", "org": "acme"}));
    let service = bearer(json!({"sub": "billing", "svc": true, "tenants": ["acme"]}));
    let operator = bearer(json!({"sub": "ops", "svc": true, "tenants": "*"}));
    assert_eq!(request(address, "GET", "/v1/overview", &[], "").await.status, 401);
    for (token, refused) in [(&user, Some(403)), (&service, Some(403)), (&operator, None)] {
        let opened = Events::open(address, "/v1/overview", &[("authorization", token)]).await;
        assert_eq!(opened.err(), refused);
    }
    assert_eq!(running.signalled("TERM").code, Some(0));
}
